/* fixture.h - banks with their parameter sets, for tests of every room that handles experts. */
#ifndef TESTS_ADAPT_FIXTURE_H
#define TESTS_ADAPT_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <adamix/adapt.h>

typedef struct bank_fixture {
  adamix_params shared, experts;
  adamix_bank *bank;
} bank_fixture;

/* For what a test stands on but does not test. */
static inline void
must (adamix_err err)
{
  if (err == ADAMIX_OK) return;
  fprintf (stderr, "fixture: %s\n", adamix_err_message ());
  abort ();
}

static inline void
bank_fixture_open (bank_fixture *fixture, const adamix_bank_shape *shape, const bool *owned)
{
  *fixture = (bank_fixture){ 0 };
  must (adamix_bank_create (&fixture->bank, shape, owned, &fixture->shared, &fixture->experts));
  must (adamix_params_allocate (&fixture->shared));
  must (adamix_params_allocate (&fixture->experts));
  adamix_bank_link (fixture->bank, &fixture->shared, &fixture->experts);
}

static inline void
bank_fixture_close (bank_fixture *fixture)
{
  adamix_bank_destroy (fixture->bank);
  adamix_params_destroy (&fixture->experts);
  adamix_params_destroy (&fixture->shared);
}

/* Every value of every tensor ~ N(0, deviation), biases too, so that no gradient is small by accident; the numbers of a
 * tensor depend on its name alone, so that banks with different ownership agree. */
static inline void
bank_fixture_randomise (bank_fixture *fixture, double deviation)
{
  adamix_params *sets[] = { &fixture->shared, &fixture->experts };
  adamix_rng rng = adamix_rng_stream (1, ADAMIX_RNG_INIT);
  for (int s = 0; s < 2; s++)
    for (int64_t r = 0; r < sets[s]->rows; r++) {
      adamix_param *param = &sets[s]->row[r];
      uint32_t key = 0;
      for (const char *c = param->name; *c != '\0'; c++) key = key * 31 + (unsigned char) *c;
      adamix_rng_normal (rng, key, 0, param->count, deviation, param->value);
    }
}

/* Three sequences, of 30, 1 and the other tokens. */
static inline void
batch_fixture_open (adamix_batch *batch, int64_t tokens)
{
  const int64_t offset[] = { 0, 30, 31, tokens };
  must (adamix_batch_create (batch, 3, tokens));
  batch->sequences = 3;
  batch->tokens = tokens;
  memcpy (batch->offset, offset, sizeof offset);
  for (int64_t s = 0; s < 3; s++) {
    batch->sample[s] = 7 * s;
    for (int64_t t = offset[s]; t < offset[s + 1]; t++) batch->sequence[t] = (int32_t) s;
  }
}

static inline adamix_param *
bank_fixture_row (adamix_params *params, const char *name)
{
  for (int64_t r = 0; r < params->rows; r++)
    if (strcmp (params->row[r].name, name) == 0) return &params->row[r];
  return NULL;
}

#endif
