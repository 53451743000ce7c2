/* draw.h - matrices of numbers that are the same on every rank. */
#ifndef ADAMIX_TESTS_MPI_DRAW_H
#define ADAMIX_TESTS_MPI_DRAW_H

#include <adamix/base.h>

#include "comm/expect.h"

static inline double *
allocate (int64_t count)
{
  double *out;
  must (ADAMIX_ALLOC (out, count));
  return out;
}

/* ~ N(0, 1) */
static inline void
draw (uint32_t key, int64_t count, double *out)
{
  float *value;
  must (ADAMIX_ALLOC (value, count));
  adamix_rng_normal (adamix_rng_stream (2, ADAMIX_RNG_DATA), key, 0, count, 1, value);
  for (int64_t i = 0; i < count; i++) out[i] = value[i];
  free (value);
}

#endif
