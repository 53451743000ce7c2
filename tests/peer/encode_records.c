/* encode_records MODEL LENGTH: the ids of many texts, for test_tokens.py.  Unlike `adamix encode` it takes texts with any
 * bytes in them, and tells the time of encoding alone.
 *
 * Standard input: records of two int64 (bytes of a, bytes of b or -1: no pair) and the texts.  Standard output: a record each
 * of int32, the number of ids and the ids.  Standard error: seconds.                                                       */
#include <adamix/text.h>

#include <stdlib.h>
#include <string.h>

typedef struct words {
  int32_t *data;
  int64_t count, capacity;
} words;

static adamix_err
read_all (FILE *stream, char **out, int64_t *bytes)
{
  enum { BLOCK = 1 << 20 };
  int64_t capacity = 0;
  for (*bytes = 0;;) {
    ADAMIX_RETURN_IF (ADAMIX_GROW (*out, &capacity, *bytes + BLOCK));
    size_t got = fread (*out + *bytes, 1, BLOCK, stream);
    if (got == 0) return ADAMIX_OK;
    *bytes += (int64_t) got;
  }
}

static adamix_err
encode_all (const adamix_tokenizer *tokenizer, const char *at, const char *end, int64_t length, words *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_encoding encoding = { 0 };
  while (at < end) {
    int64_t bytes[2];
    memcpy (bytes, at, sizeof bytes);
    const char *a = at + sizeof bytes, *b = bytes[1] < 0 ? NULL : a + bytes[0];
    at = b ? b + bytes[1] : a + bytes[0];
    ADAMIX_TRY (
        adamix_tokenizer_encode (tokenizer, a, (size_t) bytes[0], b, b ? (size_t) bytes[1] : 0, length, &encoding));
    ADAMIX_TRY (ADAMIX_GROW (out->data, &out->capacity, out->count + encoding.count + 1));
    out->data[out->count++] = (int32_t) encoding.count;
    memcpy (out->data + out->count, encoding.id, (size_t) encoding.count * sizeof *encoding.id);
    out->count += encoding.count;
  }
done:
  adamix_encoding_destroy (&encoding);
  return err;
}

int
main (int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  adamix_tokenizer *tokenizer = NULL;
  char *text = NULL;
  int64_t bytes;
  words ids = { 0 };
  if (argc != 3) return 2;
  ADAMIX_TRY (adamix_tokenizer_open (&tokenizer, argv[1]));
  ADAMIX_TRY (read_all (stdin, &text, &bytes));
  double start = adamix_clock ();
  ADAMIX_TRY (encode_all (tokenizer, text, text + bytes, atoll (argv[2]), &ids));
  fprintf (stderr, "%.9f\n", adamix_clock () - start);
  if (fwrite (ids.data, sizeof *ids.data, (size_t) ids.count, stdout) != (size_t) ids.count) err = ADAMIX_EIO;
done:
  if (err != ADAMIX_OK) fprintf (stderr, "encode_records: %s\n", adamix_err_message ());
  free (ids.data);
  free (text);
  adamix_tokenizer_destroy (tokenizer);
  return adamix_err_exit_status (err);
}
