#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* What one call of adamix_tokenizer_encode needs besides its result. */
typedef struct scratch {
  adamix_bytes normal;
  adamix_ids ids; /* of a, then of b */
  uint32_t *hash; /* [longest token] */
} scratch;

adamix_err
adamix_tokenizer_announce (adamix_tokenizer *tokenizer, const adamix_added_token *token)
{
  if (token->id >= tokenizer->wordpiece.ids) tokenizer->wordpiece.ids = (int64_t) token->id + 1;
  if (!token->normalized) return adamix_added_add (&tokenizer->raw, token);
  adamix_err err = ADAMIX_OK;
  adamix_bytes normal = { 0 };
  adamix_added_token own = *token;
  ADAMIX_TRY (adamix_normalize (&tokenizer->normalizer, token->text, token->bytes, &normal));
  own.text = normal.data;
  own.bytes = normal.size;
  ADAMIX_TRY (adamix_added_add (&tokenizer->normalized, &own));
done:
  free (normal.data);
  return err;
}

adamix_err
adamix_tokenizer_open (adamix_tokenizer **out, const char *model_dir)
{
  adamix_err err = ADAMIX_OK;
  adamix_tokenizer *tokenizer = NULL;
  char *json = NULL, *vocabulary = NULL;
  *out = NULL;
  ADAMIX_TRY (adamix_path_join (&json, model_dir, "tokenizer.json"));
  ADAMIX_TRY (adamix_path_join (&vocabulary, model_dir, "vocab.txt"));
  ADAMIX_TRY (ADAMIX_ALLOC (tokenizer, 1));
  if (adamix_path_exists (json))
    ADAMIX_TRY (adamix_tokenizer_load_json (tokenizer, json));
  else
    ADAMIX_TRY (adamix_tokenizer_load_vocabulary (tokenizer, model_dir, vocabulary));
  *out = tokenizer;
  tokenizer = NULL;
done:
  adamix_tokenizer_destroy (tokenizer);
  free (vocabulary);
  free (json);
  return err;
}

void
adamix_tokenizer_destroy (adamix_tokenizer *tokenizer)
{
  if (!tokenizer) return;
  adamix_added_free (&tokenizer->normalized);
  adamix_added_free (&tokenizer->raw);
  adamix_wordpiece_free (&tokenizer->wordpiece);
  adamix_normalizer_free (&tokenizer->normalizer);
  free (tokenizer);
}

int64_t
adamix_tokenizer_vocabulary (const adamix_tokenizer *tokenizer)
{
  return tokenizer->wordpiece.ids;
}

static adamix_err
encode_words (const adamix_tokenizer *tokenizer, const char *first, const char *last, scratch *s)
{
  const char *word, *word_end;
  while (adamix_next_word (&tokenizer->normalizer, &first, last, &word, &word_end))
    ADAMIX_RETURN_IF (adamix_wordpiece_encode (&tokenizer->wordpiece, word, word_end, s->hash, &s->ids));
  return ADAMIX_OK;
}

static adamix_err
encode_plain (const adamix_tokenizer *tokenizer, const char *first, const char *last, scratch *s)
{
  ADAMIX_RETURN_IF (adamix_normalize (&tokenizer->normalizer, first, last - first, &s->normal));
  adamix_added_walk walk = { .set = &tokenizer->normalized, .text = s->normal.data, .bytes = s->normal.size };
  const adamix_added_token *token;
  while (adamix_added_next (&walk, &token, &first, &last))
    ADAMIX_RETURN_IF (token ? adamix_ids_push (&s->ids, token->id) : encode_words (tokenizer, first, last, s));
  return ADAMIX_OK;
}

static adamix_err
encode_text (const adamix_tokenizer *tokenizer, const char *text, size_t bytes, scratch *s)
{
  int64_t bad = adamix_utf8_check (text, bytes);
  if (bad >= 0)
    return adamix_err_set (ADAMIX_EDATA, "text is not UTF-8: byte %lld is 0x%02x; convert it to UTF-8",
                           (long long) bad + 1, (unsigned char) text[bad]);
  adamix_added_walk walk = { .set = &tokenizer->raw, .text = text, .bytes = (int64_t) bytes };
  const adamix_added_token *token;
  const char *first, *last;
  while (adamix_added_next (&walk, &token, &first, &last))
    ADAMIX_RETURN_IF (token ? adamix_ids_push (&s->ids, token->id) : encode_plain (tokenizer, first, last, s));
  return ADAMIX_OK;
}

static void
append (adamix_encoding *out, const int32_t *id, int64_t count, int32_t type)
{
  if (count > 0) memcpy (out->id + out->count, id, (size_t) count * sizeof *id);
  for (int64_t i = 0; i < count; i++) out->type[out->count + i] = type;
  out->count += count;
}

static adamix_err
reserve (adamix_encoding *out, int64_t need)
{
  int64_t capacity = out->capacity;
  ADAMIX_RETURN_IF (ADAMIX_GROW (out->id, &capacity, need));
  return ADAMIX_GROW (out->type, &out->capacity, need);
}

/* Put a = id[0..a), b = id[a..a + b) into the template, at most max_length tokens in all. */
static adamix_err
fill_template (const adamix_template *template, const int32_t *id, int64_t a, int64_t b, int64_t max_length,
               adamix_encoding *out)
{
  int64_t specials = adamix_template_specials (template), keep_a = a, keep_b = b;
  out->count = 0;
  out->full_count = a + b + specials;
  if (max_length > 0 && max_length < specials)
    return adamix_err_set (ADAMIX_EDATA, "a maximum length of %lld has no room for %lld special tokens; raise it",
                           (long long) max_length, (long long) specials);
  if (max_length > 0) adamix_truncate (max_length - specials, &keep_a, &keep_b);
  ADAMIX_RETURN_IF (reserve (out, keep_a + keep_b + specials));
  for (int i = 0; i < template->count; i++) {
    const adamix_slot *slot = &template->slot[i];
    if (slot->kind == ADAMIX_SLOT_SPECIAL)
      append (out, &slot->id, 1, slot->type);
    else if (slot->kind == ADAMIX_SLOT_A)
      append (out, id, keep_a, slot->type);
    else
      append (out, id + a, keep_b, slot->type);
  }
  return ADAMIX_OK;
}

adamix_err
adamix_tokenizer_encode (const adamix_tokenizer *tokenizer, const char *a, size_t a_bytes, const char *b,
                         size_t b_bytes, int64_t max_length, adamix_encoding *out)
{
  adamix_err err = ADAMIX_OK;
  scratch s = { 0 };
  ADAMIX_TRY (ADAMIX_ALLOC (s.hash, tokenizer->wordpiece.longest));
  ADAMIX_TRY (encode_text (tokenizer, a, a_bytes, &s));
  int64_t count_a = s.ids.count;
  if (b) ADAMIX_TRY (encode_text (tokenizer, b, b_bytes, &s));
  ADAMIX_TRY (fill_template (b ? &tokenizer->pair : &tokenizer->single, s.ids.data, count_a, s.ids.count - count_a,
                             max_length, out));
done:
  free (s.hash);
  free (s.ids.data);
  free (s.normal.data);
  return err;
}

void
adamix_encoding_destroy (adamix_encoding *encoding)
{
  if (!encoding) return;
  free (encoding->type);
  free (encoding->id);
  *encoding = (adamix_encoding){ 0 };
}
