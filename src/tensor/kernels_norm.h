/* Residual connection, dropout and layer normalisation of one row, forward and backward. */
#ifndef TENSOR_KERNELS_NORM_H
#define TENSOR_KERNELS_NORM_H

#include "tensor/kernels_dropout.h"

#include <math.h>

#define REPEAT_8(x) x, x, x, x, x, x, x, x
#define REPEAT_64(x)                                                                                                   \
  REPEAT_8 (x), REPEAT_8 (x), REPEAT_8 (x), REPEAT_8 (x), REPEAT_8 (x), REPEAT_8 (x), REPEAT_8 (x), REPEAT_8 (x)

/* What stands in for a missing dropout or skip connection, so that the loops have one form. */
static const float ONES[CHUNK] = { REPEAT_64 (1.0f), REPEAT_64 (1.0f) };
static const float ZEROS[CHUNK];

/* The factors of the chunk that starts at column c: computed into `buffer`, or ones. */
INLINE const float *
factors_of (const adamix_dropout *dropout, int64_t c, float buffer[CHUNK])
{
  if (!drops (dropout)) return ONES;
  dropout_factors (dropout, dropout->first_block + (uint32_t) (c / CHUNK * CHUNK_BLOCKS), buffer);
  return buffer;
}

static void
residual_norm (int64_t H, const float *h, const float *skip, const adamix_dropout *dropout, const float *gamma,
               const float *beta, float eps, float *y, float *xhat, float *rstd)
{
  float buffer[CHUNK] __attribute__ ((aligned (64)));
  float *s = xhat != NULL ? xhat : y;
  float sum = 0.0f, squares = 0.0f;
  for (int64_t c = 0; c < H; c += CHUNK) {
    int64_t width = H - c < CHUNK ? H - c : CHUNK;
    const float *factors = factors_of (dropout, c, buffer), *added = skip != NULL ? skip + c : ZEROS;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < width; i++) {
      float value = h[c + i] * factors[i] + added[i];
      s[c + i] = value;
      sum += value;
    }
  }
  float mean = sum / (float) H;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < H; i++) squares += (s[i] - mean) * (s[i] - mean);
  float scale = 1.0f / sqrtf (squares / (float) H + eps);
#pragma omp simd
  for (int64_t i = 0; i < H; i++) {
    float value = (s[i] - mean) * scale;
    s[i] = value;
    y[i] = gamma[i] * value + beta[i];
  }
  *rstd = scale;
}

static void
residual_norm_backward (int64_t H, const float *dy, const float *xhat, float rstd, const float *gamma,
                        const adamix_dropout *dropout, float *dh, float *dskip, float *dgamma, float *dbeta)
{
  float buffer[CHUNK] __attribute__ ((aligned (64)));
  float sum = 0.0f, along = 0.0f;
#pragma omp simd reduction(+ : sum, along)
  for (int64_t i = 0; i < H; i++) {
    float d = dy[i] * gamma[i];
    sum += d;
    along += d * xhat[i];
  }
  if (dgamma != NULL) {
#pragma omp simd
    for (int64_t i = 0; i < H; i++) dgamma[i] += dy[i] * xhat[i];
  }
  if (dbeta != NULL) {
#pragma omp simd
    for (int64_t i = 0; i < H; i++) dbeta[i] += dy[i];
  }
  float mean = sum / (float) H, slope = along / (float) H;
  for (int64_t c = 0; c < H; c += CHUNK) {
    int64_t width = H - c < CHUNK ? H - c : CHUNK;
    const float *factors = factors_of (dropout, c, buffer);
#pragma omp simd
    for (int64_t i = 0; i < width; i++) {
      float ds = rstd * (dy[c + i] * gamma[c + i] - mean - xhat[c + i] * slope);
      dskip[c + i] = ds;
      dh[c + i] = ds * factors[i];
    }
  }
}

#endif
