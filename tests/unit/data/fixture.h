/* data/fixture.h - a small tokenizer and files of records in the scratch folder. */
#ifndef ADAMIX_TESTS_DATA_FIXTURE_H
#define ADAMIX_TESTS_DATA_FIXTURE_H

#include <adamix/data.h>

#include "base/scratch.h"

/* Ids: [UNK] 0, [CLS] 1, [SEP] 2, a 3, b 4, c 5. */
__attribute__ ((unused)) static adamix_tokenizer *
small_tokenizer (void)
{
  static const char vocabulary[] = "[UNK]\n[CLS]\n[SEP]\na\nb\nc\n";
  adamix_tokenizer *tokenizer;
  scratch_file ("vocab.txt", vocabulary, strlen (vocabulary));
  cr_assert_succeeds (adamix_tokenizer_open (&tokenizer, scratch_folder));
  return tokenizer;
}

/* Read `text` as the file `name`. */
__attribute__ ((unused)) static adamix_err
read_text (adamix_dataset *out, const adamix_task *task, const char *name, const char *text, int64_t limit,
           adamix_labels *labels)
{
  adamix_tokenizer *tokenizer = small_tokenizer ();
  adamix_err err =
      adamix_dataset_read (out, task, scratch_file (name, text, strlen (text)), tokenizer, 0, limit, labels);
  adamix_tokenizer_destroy (tokenizer);
  return err;
}

/* A data set of `examples` without text: lengths and classes as given (NULL: no labels). */
__attribute__ ((unused)) static adamix_dataset
made_dataset (int64_t examples, const int64_t *length, const int32_t *label)
{
  adamix_dataset d = { .examples = examples };
  cr_assert_succeeds (adamix_format (&d.path, "made"));
  cr_assert_succeeds (ADAMIX_ALLOC (d.offset, examples + 1));
  cr_assert_succeeds (ADAMIX_ALLOC (d.line, examples));
  for (int64_t i = 0; i < examples; i++) d.offset[i + 1] = d.offset[i] + length[i];
  cr_assert_succeeds (ADAMIX_ALLOC (d.id, d.offset[examples]));
  cr_assert_succeeds (ADAMIX_ALLOC (d.type, d.offset[examples]));
  for (int64_t i = 0; i < d.offset[examples]; i++) d.id[i] = (int32_t) i;
  if (label) cr_assert_succeeds (ADAMIX_ALLOC (d.label, examples));
  for (int64_t i = 0; i < examples; i++) {
    d.line[i] = i + 2;
    if (label) d.label[i] = label[i];
  }
  return d;
}

#endif
