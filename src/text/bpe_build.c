#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#define BYTES      256
#define FIRST_OWN  256 /* code point of the first byte that does not stand for itself */
#define LAST_TOKEN 324 /* no byte is spelled with this code point or a later one */

/* Bytes that print in Latin-1 are spelled as themselves in vocabularies, the others in their order from U+0100 on. */
static bool
prints (int byte)
{
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

typedef struct alphabet {
  int32_t point[BYTES];
  int16_t byte[LAST_TOKEN]; /* -1: none */
} alphabet;

static void
alphabet_init (alphabet *out)
{
  int32_t own = FIRST_OWN;
  memset (out->byte, -1, sizeof out->byte);
  for (int byte = 0; byte < BYTES; byte++) {
    int32_t point = prints (byte) ? byte : own++;
    out->point[byte] = point;
    out->byte[point] = (int16_t) byte;
  }
}

/* Bytes that a token stands for; -1: it is spelled with something else, so that no text leads to it. */
static int64_t
decode (const alphabet *letters, const adamix_vocabulary_entry *entry, char *out)
{
  int64_t bytes = 0;
  for (const char *at = entry->text; at < entry->text + entry->bytes;) {
    int32_t point = adamix_utf8_next (&at);
    if (point >= LAST_TOKEN || letters->byte[point] < 0) return -1;
    out[bytes++] = (char) letters->byte[point];
  }
  return bytes;
}

static adamix_err
find_bytes (adamix_bpe *bpe, const adamix_vocabulary *vocabulary, const alphabet *letters, const char *unknown)
{
  int32_t fallback = unknown ? adamix_vocabulary_find (vocabulary, unknown, strlen (unknown)) : -1;
  for (int byte = 0; byte < BYTES; byte++) {
    char text[ADAMIX_UTF8_MAX];
    utf8proc_ssize_t bytes = utf8proc_encode_char (letters->point[byte], (utf8proc_uint8_t *) text);
    int32_t id = adamix_vocabulary_find (vocabulary, text, (size_t) bytes);
    bpe->byte[byte] = id >= 0 ? id : fallback;
    if (id < 0 && unknown && fallback < 0)
      return adamix_err_set (ADAMIX_EFORMAT,
                             "neither byte 0x%02x (\"%.*s\") nor the unknown token \"%s\" is in the vocabulary", byte,
                             (int) bytes, text, unknown);
  }
  return ADAMIX_OK;
}

static int
by_id (const void *a, const void *b)
{
  const adamix_vocabulary_entry *const *x = a, *const *y = b;
  return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* Merges are told apart by ids. */
static adamix_err
refuse_shared_ids (const adamix_vocabulary *vocabulary)
{
  adamix_err err = ADAMIX_OK;
  const adamix_vocabulary_entry **order = NULL;
  int64_t count = 0;
  ADAMIX_TRY (ADAMIX_ALLOC (order, vocabulary->count));
  for (int64_t i = 0; i <= vocabulary->mask; i++)
    if (vocabulary->slot[i].text) order[count++] = &vocabulary->slot[i];
  qsort (order, (size_t) count, sizeof *order, by_id);
  for (int64_t i = 1; i < count; i++)
    if (order[i]->id == order[i - 1]->id)
      ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT, "tokens \"%.*s\" and \"%.*s\" have the same id %d",
                                  (int) order[i - 1]->bytes, order[i - 1]->text, (int) order[i]->bytes, order[i]->text,
                                  order[i]->id));
done:
  free (order);
  return err;
}

static adamix_err
find_words (adamix_bpe *bpe, const adamix_vocabulary *vocabulary, const alphabet *letters, bool all)
{
  adamix_err err = ADAMIX_OK;
  adamix_bpe_scratch scratch = { 0 };
  adamix_ids ids = { 0 };
  char *text = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (text, vocabulary->longest));
  ADAMIX_TRY (adamix_vocabulary_init (&bpe->word, vocabulary->count, (size_t) vocabulary->text_bytes));
  for (int64_t i = 0; i <= vocabulary->mask; i++) {
    const adamix_vocabulary_entry *entry = &vocabulary->slot[i];
    int64_t bytes = entry->text ? decode (letters, entry, text) : -1;
    if (bytes <= 0) continue;
    ids.count = 0;
    ADAMIX_TRY (adamix_bpe_merge_word (bpe, text, text + bytes, &scratch, &ids));
    if (all || (ids.count == 1 && ids.data[0] == entry->id))
      adamix_vocabulary_add (&bpe->word, text, (size_t) bytes, entry->id);
  }
done:
  free (text);
  free (ids.data);
  adamix_bpe_scratch_free (&scratch);
  return err;
}

adamix_err
adamix_bpe_finish (adamix_bpe *bpe, const adamix_vocabulary *vocabulary, adamix_bpe_settings settings)
{
  alphabet letters;
  alphabet_init (&letters);
  ADAMIX_RETURN_IF (refuse_shared_ids (vocabulary));
  ADAMIX_RETURN_IF (find_bytes (bpe, vocabulary, &letters, settings.unknown));
  ADAMIX_RETURN_IF (find_words (bpe, vocabulary, &letters, settings.whole_words));
  return adamix_splitter_init (&bpe->splitter);
}
