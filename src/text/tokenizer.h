/* src/text/tokenizer.h - the parts of a tokenizer, in the order in which a text meets them: added tokens, normalizer,
 * pre-tokenizer, WordPiece, template.  All are immutable once built, and Local.                                         */
#ifndef ADAMIX_TEXT_TOKENIZER_H
#define ADAMIX_TEXT_TOKENIZER_H

#include <adamix/text.h>

#include "text/unicode.h"

/* A growing array of bytes. */
typedef struct adamix_bytes {
  char *data; /* owned */
  int64_t size, capacity;
} adamix_bytes;

/* A growing array of token ids. */
typedef struct adamix_ids {
  int32_t *data; /* owned */
  int64_t count, capacity;
} adamix_ids;

adamix_err adamix_ids_push (adamix_ids *ids, int32_t id);

/* ---- normalizer and pre-tokenizer -------------------------------------------------------------------------------- */

typedef struct adamix_normalizer_flags {
  bool clean_text, handle_cjk, strip_accents, lowercase;
} adamix_normalizer_flags;

typedef enum adamix_char_role { ADAMIX_ROLE_WORD, ADAMIX_ROLE_SPACE, ADAMIX_ROLE_PUNCTUATION } adamix_char_role;

#define ADAMIX_UNIT_BYTES 10

/* What is known beforehand of a code point of the basic plane. */
typedef struct adamix_unit {
  char text[ADAMIX_UNIT_BYTES]; /* its normalized form */
  uint8_t bytes;                /* of that form; 0: dropped */
  uint8_t role;                 /* adamix_char_role of the code point itself, for the pre-tokenizer */
} adamix_unit;

typedef struct adamix_normalizer {
  adamix_normalizer_flags flags;
  adamix_unit *unit; /* [0x10000]; owned */
} adamix_normalizer;

/* Errors: ENOMEM. */
adamix_err adamix_normalizer_init (adamix_normalizer *out, adamix_normalizer_flags flags);
void adamix_normalizer_free (adamix_normalizer *normalizer);
/* out = the normalized text (what was in out is replaced).  Errors: ENOMEM. */
adamix_err adamix_normalize (const adamix_normalizer *normalizer, const char *text, int64_t bytes, adamix_bytes *out);
/* The next word of [*at, end): *word and its end; false when none is left.  Words are split at white space, and each
 * punctuation character is a word of its own. */
bool adamix_next_word (const adamix_normalizer *normalizer, const char **at, const char *end, const char **word,
                       const char **word_end);

/* ---- WordPiece --------------------------------------------------------------------------------------------------- */

typedef struct adamix_vocabulary_entry {
  const char *text; /* view; NULL: a free slot */
  uint32_t hash, bytes;
  int32_t id;
} adamix_vocabulary_entry;

typedef struct adamix_wordpiece {
  adamix_vocabulary_entry *slot; /* open addressing, [mask + 1]; owned */
  uint32_t mask;
  char *text;                       /* all tokens; owned */
  int64_t text_bytes, longest, ids; /* longest: bytes of the longest token; ids: largest id + 1 */
  char *prefix;                     /* of a piece that continues a word, "##"; owned */
  size_t prefix_bytes;
  uint32_t prefix_hash;
  int64_t max_chars; /* a longer word is unknown as a whole */
  int32_t unknown;
} adamix_wordpiece;

/* Room for `tokens` tokens of `bytes` bytes in all.  Errors: ENOMEM. */
adamix_err adamix_wordpiece_init (adamix_wordpiece *out, int64_t tokens, size_t bytes, const char *prefix);
void adamix_wordpiece_free (adamix_wordpiece *wordpiece);
/* Copy a token in; a token that is there already gets the new id. */
void adamix_wordpiece_add (adamix_wordpiece *wordpiece, const char *token, size_t bytes, int32_t id);
/* Id of a token or -1. */
int32_t adamix_wordpiece_find (const adamix_wordpiece *wordpiece, const char *token, size_t bytes);
/* Append the ids of a word: the longest token that begins it, then the longest that goes on, ...; the unknown token
 * alone if some part has none.  scratch: `longest` values.  Errors: ENOMEM. */
adamix_err adamix_wordpiece_encode (const adamix_wordpiece *wordpiece, const char *word, const char *end,
                                    uint32_t *scratch, adamix_ids *out);

/* ---- added tokens ------------------------------------------------------------------------------------------------ */

/* A token that is looked for in the text itself. */
typedef struct adamix_added_token {
  char *text; /* owned */
  int64_t bytes;
  int32_t id;
  bool single_word, lstrip, rstrip, normalized;
} adamix_added_token;

typedef struct adamix_added_set {
  adamix_added_token *token; /* owned */
  int64_t count, capacity;
  bool starts[256]; /* bytes with which some token starts */
} adamix_added_set;

/* Copies token->text (token->bytes of it).  Errors: ENOMEM. */
adamix_err adamix_added_add (adamix_added_set *set, const adamix_added_token *token);
void adamix_added_free (adamix_added_set *set);

/* A walk over the pieces of a text: plain text and added tokens in turn.  Begin with {set, text, bytes}. */
typedef struct adamix_added_walk {
  const adamix_added_set *set;
  const char *text;
  int64_t bytes;
  int64_t cut, search; /* where the rest starts, and where to look for the next token */
  const adamix_added_token *pending;
} adamix_added_walk;

/* The next piece: *token, or NULL and the plain text [*first, *last); false at the end. */
bool adamix_added_next (adamix_added_walk *walk, const adamix_added_token **token, const char **first,
                        const char **last);

/* ---- template of the special tokens -------------------------------------------------------------------------------- */

typedef enum adamix_slot_kind { ADAMIX_SLOT_SPECIAL, ADAMIX_SLOT_A, ADAMIX_SLOT_B } adamix_slot_kind;

typedef struct adamix_slot {
  adamix_slot_kind kind;
  int32_t id, type; /* id of a special token */
} adamix_slot;

#define ADAMIX_TEMPLATE_SLOTS 16

typedef struct adamix_template {
  adamix_slot slot[ADAMIX_TEMPLATE_SLOTS];
  int count;
} adamix_template;

/* Errors: EUNSUPPORTED when the template is full. */
adamix_err adamix_template_add (adamix_template *template, adamix_slot slot);
/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP]. */
void adamix_template_bert (adamix_template *single, adamix_template *pair, int32_t cls, int32_t sep);
int adamix_template_specials (const adamix_template *template);
/* Lengths to keep of two sequences of *a and *b tokens in `room`; longest first. */
void adamix_truncate (int64_t room, int64_t *a, int64_t *b);

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

struct adamix_tokenizer {
  adamix_normalizer normalizer;
  adamix_wordpiece wordpiece;
  adamix_added_set raw, normalized; /* added tokens that are looked for before and after the normalizer */
  adamix_template single, pair;
};

/* Fill a zeroed tokenizer from a file; `path` or `dir` is named in messages.  Errors: EIO, EFORMAT, EUNSUPPORTED, ENOMEM. */
adamix_err adamix_tokenizer_load_json (adamix_tokenizer *out, const char *path);
adamix_err adamix_tokenizer_load_vocabulary (adamix_tokenizer *out, const char *dir, const char *path);
/* Look for this token in texts; one that is to be found after the normalizer is normalized itself.  Errors: ENOMEM. */
adamix_err adamix_tokenizer_announce (adamix_tokenizer *tokenizer, const adamix_added_token *token);

#endif
