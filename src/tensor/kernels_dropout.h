/* Dropout by counters, as adamix_dropout numbers them: 128 elements are 16 blocks of Philox 4x32-10. */
#ifndef TENSOR_KERNELS_DROPOUT_H
#define TENSOR_KERNELS_DROPOUT_H

#include "tensor/kernels_simd.h"

#include <adamix/tensor.h>

#define CHUNK             128 /* elements that 16 blocks of 8 numbers serve */
#define CHUNK_BLOCKS      16  /* counters of a chunk */
#define PHILOX_ROUNDS     10
#define PHILOX_FACTOR_0   0xd2511f53u
#define PHILOX_FACTOR_1   0xcd9e8d57u
#define PHILOX_KEY_STEP_0 0x9e3779b9u
#define PHILOX_KEY_STEP_1 0xbb67ae85u

INLINE bool
drops (const adamix_dropout *dropout)
{
  return dropout != NULL && dropout->threshold > 0;
}

/* A generator a lane: words live in the lower halves of 64-bit lanes, the upper halves hold what is left of products. */
INLINE void
philox (vq word[4], const uint32_t key[2])
{
  uint32_t key0 = key[0], key1 = key[1];
#pragma GCC unroll 10
  for (int round = 0; round < PHILOX_ROUNDS; round++) {
    vq product0 = multiply_low_halves (word[0], PHILOX_FACTOR_0);
    vq product1 = multiply_low_halves (word[2], PHILOX_FACTOR_1);
    word[0] = product1 >> 32 ^ word[1] ^ (uint64_t) key0;
    word[2] = product0 >> 32 ^ word[3] ^ (uint64_t) key1;
    word[1] = product1;
    word[3] = product0;
    key0 += PHILOX_KEY_STEP_0;
    key1 += PHILOX_KEY_STEP_1;
  }
}

INLINE void
start_words (vq word[4], const adamix_dropout *dropout, uint32_t block, int odd)
{
#if LANES == 16
  const vq even_numbers = { 0, 2, 4, 6, 8, 10, 12, 14 };
#elif LANES == 8
  const vq even_numbers = { 0, 2, 4, 6 };
#else
  const vq even_numbers = { 0, 2 };
#endif
  word[0] = even_numbers + (uint64_t) (block + (uint32_t) odd);
  word[1] = (vq){ 0 } + (uint64_t) dropout->sample;
  word[2] = (vq){ 0 } + (uint64_t) dropout->step;
  word[3] = (vq){ 0 } + (uint64_t) dropout->place;
}

/* The factors, scale or 0, of the 128 elements whose first counter is `block`. */
INLINE void
dropout_factors (const adamix_dropout *dropout, uint32_t block, float factors[CHUNK])
{
  const vi threshold = (vi){ 0 } + (int32_t) dropout->threshold;
  const vi scale = (vi) splat (dropout->scale);
  for (int first = 0; first < CHUNK_BLOCKS; first += LANES) {
    vq even[4], odd[4];
    start_words (even, dropout, block + first, 0);
    start_words (odd, dropout, block + first, 1);
    philox (even, dropout->rng.key);
    philox (odd, dropout->rng.key);
    for (int w = 0; w < 4; w++) {
      vu word = (vu) ((even[w] & UINT32_MAX) | odd[w] << 32);
      float *to = factors + 2 * w * CHUNK_BLOCKS + first;
      store (to, (vf) (((vi) (word & UINT16_MAX) >= threshold) & scale));
      store (to + CHUNK_BLOCKS, (vf) (((vi) (word >> 16) >= threshold) & scale));
    }
  }
}

static void
dropout_apply (const adamix_dropout *dropout, int64_t n, float *x)
{
  if (!drops (dropout)) return;
  float factors[CHUNK] __attribute__ ((aligned (64)));
  for (int64_t c = 0; c < n; c += CHUNK) {
    dropout_factors (dropout, dropout->first_block + (uint32_t) (c / CHUNK * CHUNK_BLOCKS), factors);
    int64_t width = n - c < CHUNK ? n - c : CHUNK;
#pragma omp simd
    for (int64_t i = 0; i < width; i++) x[c + i] *= factors[i];
  }
}

#endif
