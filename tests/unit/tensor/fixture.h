/* What the tests of room tensor share: random matrices, the kernel tables of this CPU, distances. */
#ifndef TESTS_UNIT_TENSOR_FIXTURE_H
#define TESTS_UNIT_TENSOR_FIXTURE_H

#include <adamix/tensor.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* n normal numbers, the same for the same `stream`.  Released with free(). */
static inline float *
random_floats (uint32_t stream, int64_t n)
{
  float *x = NULL;
  cr_assert_eq (ADAMIX_ALLOC (x, n), ADAMIX_OK);
  adamix_rng_normal (adamix_rng_stream (7, ADAMIX_RNG_EVAL), stream, 0, n, 1.0, x);
  return x;
}

static inline float *
zero_floats (int64_t n)
{
  float *x = NULL;
  cr_assert_eq (ADAMIX_ALLOC (x, n), ADAMIX_OK);
  return x;
}

/* The bf16 number nearest to x, ties to even: 8 significant bits, exponents of fp32. */
static inline float
nearest_bf16 (float x)
{
  enum { BITS = 8, LEAST = -133 };
  int exponent;
  if (!isfinite (x)) return x;
  frexp (x, &exponent);
  const double unit = ldexp (1.0, exponent - BITS < LEAST ? LEAST : exponent - BITS);
  return (float) (nearbyint (x / unit) * unit);
}

/* The tables this CPU runs; *count of them. */
static inline const adamix_kernels **
kernel_tables (int *count)
{
  static const char *const names[] = { "reference", "avx2", "avx512", "avx512_bf16" };
  enum { NAMES = sizeof names / sizeof *names };
  static const adamix_kernels *tables[NAMES];
  *count = 0;
  for (int i = 0; i < NAMES; i++)
    if (adamix_kernels_select (&tables[*count], names[i]) == ADAMIX_OK) (*count)++;
  return tables;
}

#define FOR_EACH_TABLE(kernels)                                                                                        \
  int table_count, table_number = 0;                                                                                   \
  const adamix_kernels **table_list = kernel_tables (&table_count), *kernels = table_list[0];                          \
  for (; table_number < table_count && (kernels = table_list[table_number], true); table_number++)

/* A dropout that drops about a fifth. */
static inline adamix_dropout
fifth_dropped (void)
{
  return (adamix_dropout){ .rng = adamix_rng_stream (3, ADAMIX_RNG_DROPOUT),
                           .sample = 11,
                           .step = 5,
                           .place = 1u << 24 | 2u << 8 | 1u,
                           .threshold = 13107,
                           .scale = 65536.0f / (65536.0f - 13107.0f),
                           .first_block = 48 };
}

/* The factor of element e by the numbering in tensor.h. */
static inline double
dropout_factor (const adamix_dropout *dropout, int64_t e)
{
  uint32_t chunk = (uint32_t) (e / 128), lane = (uint32_t) (e % 128 / 16), block = (uint32_t) (e % 16);
  adamix_rng_counter counter = { { dropout->first_block + 16 * chunk + block, dropout->sample, dropout->step,
                                   dropout->place } };
  uint32_t word = adamix_rng_bits (dropout->rng, counter).word[lane / 2];
  uint32_t drawn = lane % 2 == 0 ? word & 0xffff : word >> 16;
  return drawn >= dropout->threshold ? dropout->scale : 0.0;
}

#endif
