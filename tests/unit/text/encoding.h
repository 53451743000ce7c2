/* text/encoding.h - what the tests of tokenizers share: a row of golden values, and a check of it. */
#ifndef ADAMIX_TESTS_TEXT_ENCODING_H
#define ADAMIX_TESTS_TEXT_ENCODING_H

#include <adamix/text.h>

#include "base/scratch.h"

/* One call of the library: `length` 0 is without truncation. */
typedef struct golden_encoding {
  const char *tokenizer, *a;
  size_t a_bytes;
  const char *b;
  size_t b_bytes;
  int64_t length, count;
  const int32_t *id, *type;
} golden_encoding;

__attribute__ ((unused)) static adamix_tokenizer *
open_json (const char *json)
{
  adamix_tokenizer *tokenizer;
  scratch_file ("tokenizer.json", json, strlen (json));
  cr_assert_succeeds (adamix_tokenizer_open (&tokenizer, scratch_folder));
  return tokenizer;
}

__attribute__ ((unused)) static void
check_row (const adamix_tokenizer *tokenizer, const golden_encoding *row, adamix_encoding *encoding)
{
  cr_assert_succeeds (
      adamix_tokenizer_encode (tokenizer, row->a, row->a_bytes, row->b, row->b_bytes, row->length, encoding));
  cr_assert_eq (encoding->count, row->count, "%s \"%s\": %ld ids, not %ld", row->tokenizer, row->a,
                (long) encoding->count, (long) row->count);
  for (int64_t i = 0; i < row->count; i++) {
    cr_assert_eq (encoding->id[i], row->id[i], "%s \"%s\" at %ld: %d, not %d", row->tokenizer, row->a, (long) i,
                  encoding->id[i], row->id[i]);
    cr_assert_eq (encoding->type[i], row->type[i], "%s \"%s\" at %ld: type %d", row->tokenizer, row->a, (long) i,
                  encoding->type[i]);
  }
}

/* The tokenizer of the scratch folder gives these ids. */
__attribute__ ((unused)) static void
check_ids (const char *text, int64_t count, const int32_t *id)
{
  adamix_tokenizer *tokenizer;
  adamix_encoding encoding = { 0 };
  cr_assert_succeeds (adamix_tokenizer_open (&tokenizer, scratch_folder));
  cr_assert_succeeds (adamix_tokenizer_encode (tokenizer, text, strlen (text), NULL, 0, 0, &encoding));
  cr_assert_eq (encoding.count, count, "%ld ids, not %ld", (long) encoding.count, (long) count);
  cr_assert_arr_eq (encoding.id, id, (size_t) count * sizeof *id);
  adamix_encoding_destroy (&encoding);
  adamix_tokenizer_destroy (tokenizer);
}

#endif
