/* The tiny models of tests/golden, their golden values, and folders with changed copies of them. */
#ifndef ADAMIX_TESTS_MODEL_FIXTURE_H
#define ADAMIX_TESTS_MODEL_FIXTURE_H

#include <adamix/model.h>

/* The folder of tests/golden that is meant where none is named. */
#define FIXTURE_BERT "bert-tiny"

/* A file of the tiny BERT: its path below ADAMIX_SOURCE, or below the working directory.  Owned by the caller. */
char *fixture_path (const char *name);

/* All functions fail the test that calls them where they cannot do their work. */
typedef struct fixture {
  adamix_compute compute;
  adamix_safetensors golden;
  adamix_model *model;
  adamix_batch batch; /* the golden one */
} fixture;

/* Golden values and batch of the tiny BERT; its model, or that of another folder `dir`. */
void fixture_open (fixture *fixture, const char *dir, int threads);
/* All of another folder of tests/golden: "roberta-tiny", ... */
void fixture_open_golden (fixture *fixture, const char *folder, int threads);
void fixture_close (fixture *fixture);
/* A golden tensor's values; its count is checked. */
const float *fixture_golden (const fixture *fixture, const char *name, int64_t count);
/* Copy sequence `s` of a batch into another one, alone. */
void fixture_single (const adamix_batch *batch, int64_t s, adamix_batch *out);

/* The largest |a - b| over the largest |b|. */
double fixture_error (const float *a, const float *b, int64_t count);

/* A model folder of our own that a test changes: config.json and the tensors, still in memory.  `write` puts them into a new
 * temporary folder, `remove` takes that away again. */
typedef struct fixture_copy {
  char dir[64];
  json_t *config;
  adamix_safetensors file;
  adamix_tensor_source *tensor;
  int64_t tensors;
} fixture_copy;
void fixture_copy_begin (fixture_copy *copy);
void fixture_copy_golden (fixture_copy *copy, const char *folder);
adamix_tensor_source *fixture_copy_find (fixture_copy *copy, const char *name);
void fixture_copy_write (fixture_copy *copy);
void fixture_copy_remove (fixture_copy *copy);

#endif
