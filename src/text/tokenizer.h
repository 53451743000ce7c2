/* src/text/tokenizer.h - the parts of a tokenizer, in the order in which a text meets them: added tokens, normalizer,
 * pre-tokenizer, model, template.  All are immutable once built, and Local.                                             */
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

/* ---- vocabulary -------------------------------------------------------------------------------------------------- */

/* FNV-1a: it grows byte by byte, so that one pass over a word gives the hashes of all its beginnings. */
#define ADAMIX_HASH_START 2166136261u

static inline uint32_t
adamix_hash_byte (uint32_t hash, char byte)
{
  return (hash ^ (unsigned char) byte) * 16777619u;
}

typedef struct adamix_vocabulary_entry {
  const char *text; /* view; NULL: a free slot */
  uint32_t hash, bytes;
  int32_t id;
} adamix_vocabulary_entry;

/* Tokens by their text. */
typedef struct adamix_vocabulary {
  adamix_vocabulary_entry *slot; /* open addressing, [mask + 1]; owned */
  uint32_t mask;
  char *text;                /* all tokens; owned */
  int64_t text_bytes, count; /* count: tokens */
  int64_t longest, ids;      /* bytes of the longest token; largest id + 1 */
} adamix_vocabulary;

/* Room for `tokens` tokens of `bytes` bytes in all.  Errors: EFORMAT for too many, ENOMEM. */
adamix_err adamix_vocabulary_init (adamix_vocabulary *out, int64_t tokens, size_t bytes);
/* From {"token": id, ...}; `path` is named in messages.  Errors: EFORMAT, ENOMEM. */
adamix_err adamix_vocabulary_from_json (adamix_vocabulary *out, json_t *object, const char *path);
void adamix_vocabulary_free (adamix_vocabulary *vocabulary);
/* Copy a token in; a token that is there already gets the new id. */
void adamix_vocabulary_add (adamix_vocabulary *vocabulary, const char *token, size_t bytes, int32_t id);
/* Id of a token or -1. */
int32_t adamix_vocabulary_find (const adamix_vocabulary *vocabulary, const char *token, size_t bytes);
/* The same for the token that is `lead` and `text` together, whose hash is known. */
int32_t adamix_vocabulary_find_hashed (const adamix_vocabulary *vocabulary, uint32_t hash, const char *lead,
                                       size_t lead_bytes, const char *text, size_t bytes);

/* ---- BERT's normalizer and pre-tokenizer ------------------------------------------------------------------------- */

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

typedef struct adamix_wordpiece {
  char *prefix; /* of a piece that continues a word, "##"; owned */
  size_t prefix_bytes;
  uint32_t prefix_hash;
  int64_t max_chars; /* a longer word is unknown as a whole */
  int32_t unknown;
} adamix_wordpiece;

/* Errors: ENOMEM. */
adamix_err adamix_wordpiece_init (adamix_wordpiece *out, const char *prefix);
void adamix_wordpiece_free (adamix_wordpiece *wordpiece);

/* ---- GPT-2's pre-tokenizer ----------------------------------------------------------------------------------------- */

typedef struct adamix_splitter {
  uint8_t *is; /* adamix_letter_class of the basic plane, [0x10000]; owned */
} adamix_splitter;

/* Errors: ENOMEM. */
adamix_err adamix_splitter_init (adamix_splitter *out);
void adamix_splitter_free (adamix_splitter *splitter);
/* End of the word that begins at `at`, at < end: what GPT-2's regular expression
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * matches there. */
const char *adamix_split_word (const adamix_splitter *splitter, const char *at, const char *end);

/* ---- byte-level BPE -------------------------------------------------------------------------------------------------- */

/* Two neighbours that become one; the lowest rank goes first. */
typedef struct adamix_merge {
  int32_t left, right, rank, id; /* id -1: a free slot */
} adamix_merge;

typedef struct adamix_bpe {
  adamix_merge *slot; /* open addressing, [mask + 1]; owned */
  uint32_t mask;
  int32_t merges;    /* so far: the rank of the next one */
  int32_t byte[256]; /* id of the token that stands for a byte, -1: such bytes are dropped */
  /* By the bytes they stand for: the tokens that are the encoding of these bytes. */
  adamix_vocabulary word;
  adamix_splitter splitter;
  bool add_prefix_space; /* a piece of text that does not begin with a blank gets one */
  bool split;            /* into words; else a piece of text is one word */
} adamix_bpe;

/* Room for `merges` merges.  Errors: ENOMEM, EFORMAT for too many. */
adamix_err adamix_bpe_init (adamix_bpe *out, int64_t merges);
void adamix_bpe_free (adamix_bpe *bpe);
/* The next merge, tokens in the vocabulary's spelling.  Errors: EFORMAT for a token that is not in the vocabulary, a
 * merge that is there already. */
adamix_err adamix_bpe_add_merge (adamix_bpe *bpe, const adamix_vocabulary *vocabulary, const char *left,
                                 size_t left_bytes, const char *right, size_t right_bytes);
typedef struct adamix_bpe_settings {
  const char *unknown; /* token of a byte that has none, or NULL */
  bool whole_words;    /* a word that is a token is that token, whatever the merges say ("ignore_merges") */
} adamix_bpe_settings;
/* After all merges.  Errors: EFORMAT, ENOMEM. */
adamix_err adamix_bpe_finish (adamix_bpe *bpe, const adamix_vocabulary *vocabulary, adamix_bpe_settings settings);

/* A part of a long word, and its neighbours; -1: none. */
typedef struct adamix_symbol {
  int32_t id, previous, next;
} adamix_symbol;

typedef struct adamix_bpe_scratch {
  adamix_symbol *symbol; /* owned, as the heap */
  uint64_t *heap;        /* rank and place of possible merges */
  int64_t symbol_capacity, heap_count, heap_capacity;
} adamix_bpe_scratch;

void adamix_bpe_scratch_free (adamix_bpe_scratch *scratch);
/* Append the ids of a word by merging alone.  Errors: EDATA for a word of more than 2^31 - 1 bytes, ENOMEM. */
adamix_err adamix_bpe_merge_word (const adamix_bpe *bpe, const char *word, const char *end, adamix_bpe_scratch *scratch,
                                  adamix_ids *out);

/* ---- added tokens ------------------------------------------------------------------------------------------------ */

/* A token that is looked for in the text itself. */
typedef struct adamix_added_token {
  char *content; /* the token; owned by the set, as is the text */
  char *text;    /* what is looked for: the token, or its normalized form */
  int64_t bytes; /* of the text */
  int32_t id;
  bool single_word, lstrip, rstrip, normalized;
} adamix_added_token;

typedef struct adamix_added_set {
  adamix_added_token *token; /* owned */
  int64_t count, capacity;
  bool starts[256]; /* bytes with which some token starts */
} adamix_added_set;

/* Copies the token with its content and text.  Errors: ENOMEM. */
adamix_err adamix_added_add (adamix_added_set *set, const adamix_added_token *token);
/* The token of this content, or NULL. */
const adamix_added_token *adamix_added_find (const adamix_added_set *set, const char *content);
void adamix_added_free (adamix_added_set *set);
/* {"content": ..., "lstrip": ...}; the content is a view into the object, text and id are left out.  `special` is what
 * the token is if it does not tell; a special token is not normalized unless it says so.  Errors: EFORMAT with path. */
adamix_err adamix_added_from_json (adamix_added_token *out, const json_t *object, const char *path, bool special);

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
/* Of a text alone and of a pair: [CLS] A [SEP] and [CLS] A [SEP] B [SEP], b of type 1. */
void adamix_template_bert (adamix_template pattern[2], int32_t cls, int32_t sep);
/* <s> A </s> and <s> A </s></s> B </s>, all of type 0. */
void adamix_template_roberta (adamix_template pattern[2], int32_t cls, int32_t sep);
/* A and A B, b of type 1; each text between `bos` and `eos` where they are not negative. */
void adamix_template_plain (adamix_template pattern[2], int32_t bos, int32_t eos);
int adamix_template_specials (const adamix_template *template);
/* Lengths to keep of two sequences of *a and *b tokens in `room`; longest first. */
void adamix_truncate (int64_t room, int64_t *a, int64_t *b);

/* ---- the whole ----------------------------------------------------------------------------------------------------- */

/* What one call of adamix_tokenizer_encode needs besides its result. */
typedef struct adamix_text_scratch {
  adamix_bytes normal;   /* a normalized piece */
  adamix_bytes prefixed; /* a piece with a blank in front */
  adamix_ids ids;        /* of a, then of b */
  uint32_t *hash;        /* [longest token] */
  int64_t hash_capacity;
  adamix_bpe_scratch bpe;
} adamix_text_scratch;

/* A tokenizer.json that is read, and the tokenizer that is filled. */
typedef struct adamix_json_loader {
  const char *path; /* named in messages */
  const json_t *root;
  adamix_tokenizer *out;
} adamix_json_loader;

/* What differs between the models. */
typedef struct adamix_tokenizer_kind {
  const char *name; /* "type" of the model in tokenizer.json */
  const char *mark; /* member by which the model is known in files that do not tell the type */
  /* Model, normalizer and pre-tokenizer of a tokenizer.json.  Errors: EFORMAT, EUNSUPPORTED, ENOMEM. */
  adamix_err (*load_json) (const adamix_json_loader *l);
  /* out = the normalized text; NULL: texts are taken as they are.  Errors: ENOMEM. */
  adamix_err (*normalize) (const adamix_tokenizer *tokenizer, const char *text, int64_t bytes, adamix_bytes *out);
  /* Append the ids of a normalized piece of text to s->ids.  Errors: ENOMEM. */
  adamix_err (*encode) (const adamix_tokenizer *tokenizer, const char *first, const char *last, adamix_text_scratch *s);
} adamix_tokenizer_kind;

extern const adamix_tokenizer_kind adamix_kind_wordpiece, adamix_kind_bpe;

struct adamix_tokenizer {
  const adamix_tokenizer_kind *kind;
  adamix_vocabulary vocabulary;
  adamix_normalizer normalizer; /* WordPiece only, as the next */
  adamix_wordpiece wordpiece;
  adamix_bpe bpe;
  adamix_added_set raw, normalized; /* added tokens that are looked for before and after the normalizer */
  int64_t ids;                      /* largest id of all tokens + 1 */
  adamix_template pattern[2];       /* of a text alone, of a pair */
};

/* Fill a zeroed tokenizer from a file of `dir`, or several; the file is named in messages.
 * Errors: EIO, EFORMAT, EUNSUPPORTED, ENOMEM. */
adamix_err adamix_tokenizer_load_json (adamix_tokenizer *out, const char *dir, const char *path);
adamix_err adamix_tokenizer_load_vocabulary (adamix_tokenizer *out, const char *dir, const char *path);
adamix_err adamix_tokenizer_load_merges (adamix_tokenizer *out, const char *dir, const char *path);

/* The line at *at without its end, its length; *at moves to the next one. */
size_t adamix_take_line (const char **at, const char *end);
/* Look for a token with this content and these flags in texts; one that is to be found after the normalizer is
 * normalized itself.  Its id is the vocabulary's or, for a new token, the next one.  Known tokens and empty ones are
 * passed over.  Errors: ENOMEM. */
adamix_err adamix_tokenizer_announce (adamix_tokenizer *tokenizer, const adamix_added_token *token);
/* Id of an added token or of one of the vocabulary, or -1. */
int32_t adamix_tokenizer_find (const adamix_tokenizer *tokenizer, const char *text);

#endif
