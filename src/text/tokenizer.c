#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* ---- building ---------------------------------------------------------------------------------------------------- */

int32_t
adamix_tokenizer_find (const adamix_tokenizer *tokenizer, const char *text)
{
  const adamix_added_token *added = adamix_added_find (&tokenizer->raw, text);
  if (!added) added = adamix_added_find (&tokenizer->normalized, text);
  return added ? added->id : adamix_vocabulary_find (&tokenizer->vocabulary, text, strlen (text));
}

/* The library goes on counting behind the vocabulary and the largest added token; holes are not filled. */
static int32_t
next_id (const adamix_tokenizer *tokenizer)
{
  const adamix_added_set *set[] = { &tokenizer->raw, &tokenizer->normalized };
  int64_t next = tokenizer->vocabulary.count;
  for (int s = 0; s < 2; s++)
    for (int64_t i = 0; i < set[s]->count; i++)
      if (set[s]->token[i].id >= next) next = (int64_t) set[s]->token[i].id + 1;
  return (int32_t) next;
}

static adamix_err
add_normalized (adamix_tokenizer *tokenizer, adamix_added_token *token)
{
  adamix_err err = ADAMIX_OK;
  adamix_bytes normal = { 0 };
  ADAMIX_TRY (tokenizer->kind->normalize (tokenizer, token->content, token->bytes, &normal));
  token->text = normal.data;
  token->bytes = normal.size;
  ADAMIX_TRY (adamix_added_add (&tokenizer->normalized, token));
done:
  free (normal.data);
  return err;
}

adamix_err
adamix_tokenizer_announce (adamix_tokenizer *tokenizer, const adamix_added_token *token)
{
  adamix_added_token own = *token;
  if (adamix_added_find (&tokenizer->raw, token->content) || adamix_added_find (&tokenizer->normalized, token->content))
    return ADAMIX_OK;
  own.text = own.content;
  own.bytes = (int64_t) strlen (own.content);
  own.id = adamix_vocabulary_find (&tokenizer->vocabulary, own.content, (size_t) own.bytes);
  if (own.id < 0) own.id = next_id (tokenizer);
  if (own.id >= tokenizer->ids) tokenizer->ids = (int64_t) own.id + 1;
  if (own.normalized && tokenizer->kind->normalize) return add_normalized (tokenizer, &own);
  return adamix_added_add (own.normalized ? &tokenizer->normalized : &tokenizer->raw, &own);
}

/* Where tokenizers come from, the first file that is there. */
static const struct {
  const char *file;
  adamix_err (*load) (adamix_tokenizer *out, const char *dir, const char *path);
} sources[] = { { "tokenizer.json", adamix_tokenizer_load_json },
                { "vocab.txt", adamix_tokenizer_load_vocabulary },
                { "vocab.json", adamix_tokenizer_load_merges },
                { "encoder.json", adamix_tokenizer_load_merges } };
#define SOURCES (sizeof sources / sizeof sources[0])

/* Files by which tokenizers that are not known here show themselves. */
static const struct {
  const char *file, *kind;
} foreign[] = { { "sentencepiece.bpe.model", "Unigram (SentencePiece)" },
                { "spiece.model", "Unigram (SentencePiece)" },
                { "spm.model", "Unigram (SentencePiece)" },
                { "tokenizer.model", "SentencePiece" } };
#define FOREIGN (sizeof foreign / sizeof foreign[0])

static adamix_err
nothing_found (const char *dir)
{
  for (size_t i = 0; i < FOREIGN; i++) {
    char *path;
    ADAMIX_RETURN_IF (adamix_path_join (&path, dir, foreign[i].file));
    bool here = adamix_path_exists (path);
    free (path);
    if (here)
      return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: the tokenizer is %s (%s); only WordPiece and BPE are supported",
                             dir, foreign[i].kind, foreign[i].file);
  }
  return adamix_err_set (ADAMIX_EIO,
                         "%s: neither tokenizer.json nor vocab.txt nor vocab.json is there; give a Hugging Face model "
                         "folder",
                         dir);
}

static adamix_err
load (adamix_tokenizer *out, const char *dir)
{
  for (size_t i = 0; i < SOURCES; i++) {
    char *path;
    ADAMIX_RETURN_IF (adamix_path_join (&path, dir, sources[i].file));
    bool here = adamix_path_exists (path);
    adamix_err err = here ? sources[i].load (out, dir, path) : ADAMIX_OK;
    free (path);
    if (here) return err;
  }
  return nothing_found (dir);
}

adamix_err
adamix_tokenizer_open (adamix_tokenizer **out, const char *model_dir)
{
  adamix_tokenizer *tokenizer = NULL;
  *out = NULL;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (tokenizer, 1));
  adamix_err err = load (tokenizer, model_dir);
  if (err == ADAMIX_OK)
    *out = tokenizer;
  else
    adamix_tokenizer_destroy (tokenizer);
  return err;
}

void
adamix_tokenizer_destroy (adamix_tokenizer *tokenizer)
{
  if (!tokenizer) return;
  adamix_added_free (&tokenizer->normalized);
  adamix_added_free (&tokenizer->raw);
  adamix_bpe_free (&tokenizer->bpe);
  adamix_wordpiece_free (&tokenizer->wordpiece);
  adamix_normalizer_free (&tokenizer->normalizer);
  adamix_vocabulary_free (&tokenizer->vocabulary);
  free (tokenizer);
}

int64_t
adamix_tokenizer_vocabulary (const adamix_tokenizer *tokenizer)
{
  return tokenizer->ids;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

adamix_err
adamix_ids_push (adamix_ids *ids, int32_t id)
{
  if (ids->count == ids->capacity) ADAMIX_RETURN_IF (ADAMIX_GROW (ids->data, &ids->capacity, ids->count + 1));
  ids->data[ids->count++] = id;
  return ADAMIX_OK;
}

static adamix_err
encode_plain (const adamix_tokenizer *tokenizer, const char *first, const char *last, adamix_text_scratch *s)
{
  if (tokenizer->kind->normalize) {
    ADAMIX_RETURN_IF (tokenizer->kind->normalize (tokenizer, first, last - first, &s->normal));
    first = s->normal.data;
    last = first + s->normal.size;
  }
  adamix_added_walk walk = { .set = &tokenizer->normalized, .text = first, .bytes = last - first };
  const adamix_added_token *token;
  while (adamix_added_next (&walk, &token, &first, &last))
    ADAMIX_RETURN_IF (token ? adamix_ids_push (&s->ids, token->id)
                            : tokenizer->kind->encode (tokenizer, first, last, s));
  return ADAMIX_OK;
}

static adamix_err
encode_text (const adamix_tokenizer *tokenizer, const char *text, size_t bytes, adamix_text_scratch *s)
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
  adamix_text_scratch s = { 0 };
  ADAMIX_TRY (encode_text (tokenizer, a, a_bytes, &s));
  int64_t count_a = s.ids.count;
  if (b) ADAMIX_TRY (encode_text (tokenizer, b, b_bytes, &s));
  ADAMIX_TRY (
      fill_template (&tokenizer->pattern[b != NULL], s.ids.data, count_a, s.ids.count - count_a, max_length, out));
done:
  adamix_bpe_scratch_free (&s.bpe);
  free (s.hash);
  free (s.ids.data);
  free (s.prefixed.data);
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
