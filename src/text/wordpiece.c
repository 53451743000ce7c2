#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "text/load_json.h"

adamix_err
adamix_wordpiece_init (adamix_wordpiece *out, const char *prefix)
{
  out->prefix_bytes = strlen (prefix);
  out->prefix_hash = ADAMIX_HASH_START;
  for (const char *p = prefix; *p; p++) out->prefix_hash = adamix_hash_byte (out->prefix_hash, *p);
  return adamix_format (&out->prefix, "%s", prefix);
}

void
adamix_wordpiece_free (adamix_wordpiece *wordpiece)
{
  free (wordpiece->prefix);
}

/* The longest token at *at, after the prefix if the word has begun; *at moves behind it.  -1: none. */
static int32_t
longest_piece (const adamix_tokenizer *tokenizer, bool begun, const char **at, const char *end, uint32_t *scratch)
{
  const adamix_wordpiece *wordpiece = &tokenizer->wordpiece;
  size_t lead = begun ? wordpiece->prefix_bytes : 0;
  uint32_t hash = begun ? wordpiece->prefix_hash : ADAMIX_HASH_START;
  int64_t room = tokenizer->vocabulary.longest - (int64_t) lead, bytes = end - *at;
  if (bytes > room) bytes = room;
  for (int64_t i = 0; i < bytes; i++) scratch[i] = hash = adamix_hash_byte (hash, (*at)[i]);
  for (; bytes > 0; bytes--) {
    if (*at + bytes < end && !adamix_utf8_starts ((*at)[bytes])) continue;
    int32_t id = adamix_vocabulary_find_hashed (&tokenizer->vocabulary, scratch[bytes - 1], wordpiece->prefix, lead,
                                                *at, (size_t) bytes);
    if (id < 0) continue;
    *at += bytes;
    return id;
  }
  return -1;
}

static bool
is_too_long (const adamix_wordpiece *wordpiece, const char *word, const char *end)
{
  if (end - word <= wordpiece->max_chars) return false;
  int64_t chars = 0;
  for (; word < end; word++) chars += adamix_utf8_starts (*word);
  return chars > wordpiece->max_chars;
}

/* Append the ids of a word: the longest token that begins it, then the longest that goes on, ...; the unknown token
 * alone if some part has none. */
static adamix_err
encode_word (const adamix_tokenizer *tokenizer, const char *word, const char *end, uint32_t *scratch, adamix_ids *out)
{
  int64_t before = out->count;
  bool unknown = is_too_long (&tokenizer->wordpiece, word, end);
  for (const char *at = word; at < end && !unknown;) {
    int32_t id = longest_piece (tokenizer, at > word, &at, end, scratch);
    if (id >= 0)
      ADAMIX_RETURN_IF (adamix_ids_push (out, id));
    else
      unknown = true;
  }
  if (!unknown) return ADAMIX_OK;
  out->count = before;
  return adamix_ids_push (out, tokenizer->wordpiece.unknown);
}

static adamix_err
encode (const adamix_tokenizer *tokenizer, const char *first, const char *last, adamix_text_scratch *s)
{
  const char *word, *word_end;
  ADAMIX_RETURN_IF (ADAMIX_GROW (s->hash, &s->hash_capacity, tokenizer->vocabulary.longest));
  while (adamix_next_word (&tokenizer->normalizer, &first, last, &word, &word_end))
    ADAMIX_RETURN_IF (encode_word (tokenizer, word, word_end, s->hash, &s->ids));
  return ADAMIX_OK;
}

static adamix_err
normalize (const adamix_tokenizer *tokenizer, const char *text, int64_t bytes, adamix_bytes *out)
{
  return adamix_normalize (&tokenizer->normalizer, text, bytes, out);
}

const adamix_tokenizer_kind adamix_kind_wordpiece = { "WordPiece", "max_input_chars_per_word",
                                                      adamix_json_load_wordpiece, normalize, encode };
