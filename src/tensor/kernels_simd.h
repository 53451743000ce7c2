/* Vectors of one register of the instruction set that this file is compiled for.  All kernels are written once with
 * these; what GCC's generic vectors cannot say well stands here as an intrinsic.                                     */
#ifndef TENSOR_KERNELS_SIMD_H
#define TENSOR_KERNELS_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined __x86_64__
#include <immintrin.h>
#endif

#if defined __AVX512F__
#define LANES 16
#elif defined __AVX2__
#define LANES 8
#else
#define LANES 4
#endif

#define INLINE static inline __attribute__ ((always_inline))

typedef float vf __attribute__ ((vector_size (4 * LANES)));
typedef int32_t vi __attribute__ ((vector_size (4 * LANES)));
typedef uint32_t vu __attribute__ ((vector_size (4 * LANES)));
typedef uint64_t vq __attribute__ ((vector_size (4 * LANES)));
typedef float vf_memory __attribute__ ((vector_size (4 * LANES), aligned (4), may_alias));

INLINE vf
load (const float *from)
{
  return *(const vf_memory *) from;
}

INLINE void
store (float *to, vf value)
{
  *(vf_memory *) to = value;
}

/* The first n < LANES elements; the others are 0. */
INLINE vf
load_part (const float *from, int64_t n)
{
  float part[LANES] = { 0 };
  memcpy (part, from, (size_t) n * sizeof *part);
  return load (part);
}

INLINE void
store_part (float *to, vf value, int64_t n)
{
  float part[LANES];
  store (part, value);
  memcpy (to, part, (size_t) n * sizeof *part);
}

/* x - 0 is x for every x, -0 among them: a plain broadcast. */
INLINE vf
splat (float value)
{
  return value - (vf){ 0 };
}

INLINE vf
choose (vi mask, vf yes, vf no)
{
  return (vf) (((vi) yes & mask) | ((vi) no & ~mask));
}

/* A NaN in x stays. */
INLINE vf
at_least (vf x, float bound)
{
  return choose (x < bound, splat (bound), x);
}

INLINE vf
at_most (vf x, float bound)
{
  return choose (x > bound, splat (bound), x);
}

INLINE vf
magnitude (vf x)
{
  return (vf) ((vi) x & INT32_MAX);
}

INLINE vf
with_sign_of (vf x, vf sign)
{
  return (vf) (((vi) x & INT32_MAX) | ((vi) sign & INT32_MIN));
}

/* Folding halves onto each other: the order of the additions is that of the instruction set, always the same. */
typedef float v4 __attribute__ ((vector_size (16)));
typedef int32_t v4i __attribute__ ((vector_size (16)));
#if LANES >= 8
typedef float v8 __attribute__ ((vector_size (32)));
#endif

INLINE v4
larger4 (v4 a, v4 b)
{
  v4i mask = a > b;
  return (v4) (((v4i) a & mask) | ((v4i) b & ~mask));
}

INLINE float
sum_of_lanes (vf x)
{
#if LANES == 16
  v8 y = __builtin_shufflevector (x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
         __builtin_shufflevector (x, x, 8, 9, 10, 11, 12, 13, 14, 15);
#elif LANES == 8
  v8 y = x;
#endif
#if LANES >= 8
  v4 z = __builtin_shufflevector (y, y, 0, 1, 2, 3) + __builtin_shufflevector (y, y, 4, 5, 6, 7);
#else
  v4 z = x;
#endif
  z += __builtin_shufflevector (z, z, 2, 3, 2, 3);
  return z[0] + z[1];
}

INLINE float
largest_lane (vf x)
{
#if LANES == 16
  v4 a = larger4 (__builtin_shufflevector (x, x, 0, 1, 2, 3), __builtin_shufflevector (x, x, 4, 5, 6, 7));
  v4 b = larger4 (__builtin_shufflevector (x, x, 8, 9, 10, 11), __builtin_shufflevector (x, x, 12, 13, 14, 15));
  v4 z = larger4 (a, b);
#elif LANES == 8
  v4 z = larger4 (__builtin_shufflevector (x, x, 0, 1, 2, 3), __builtin_shufflevector (x, x, 4, 5, 6, 7));
#else
  v4 z = x;
#endif
  z = larger4 (z, __builtin_shufflevector (z, z, 2, 3, 2, 3));
  return z[0] > z[1] ? z[0] : z[1];
}

/* Products of the lower 32 bits of each 64-bit lane; the upper halves of x may hold anything. */
INLINE vq
multiply_low_halves (vq x, uint32_t factor)
{
#if defined __AVX512F__
  return (vq) _mm512_mul_epu32 ((__m512i) x, _mm512_set1_epi64 (factor));
#elif defined __AVX2__
  return (vq) _mm256_mul_epu32 ((__m256i) x, _mm256_set1_epi64x (factor));
#elif defined __SSE2__
  return (vq) _mm_mul_epu32 ((__m128i) x, _mm_set1_epi64x (factor));
#else
  return (x & UINT32_MAX) * factor;
#endif
}

/* 32 bits that are no number yet, in every lane. */
INLINE vu
broadcast_word (const float *from)
{
  uint32_t word;
  memcpy (&word, from, sizeof word);
  return (vu){ 0 } + word;
}

/* ---- pairs of bf16, the first in the lower half of a lane -------------------------------------------------------------- */

#define UPPER 0xffff0000u

#if defined __AVX512BF16__ && LANES == 16

/* (first[0], second[0]), (first[1], second[1]), ... */
INLINE vu
pairs_of (vf first, vf second)
{
  typedef int16_t v32 __attribute__ ((vector_size (64)));
  const v32 both = (v32) _mm512_cvtne2ps_pbh ((__m512) second, (__m512) first);
  return (vu) __builtin_shufflevector (both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25,
                                       10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* (first[0], first[1]), ..., (second[0], second[1]), ... */
INLINE vu
pairs_of_neighbours (vf first, vf second)
{
  return (vu) _mm512_cvtne2ps_pbh ((__m512) second, (__m512) first);
}

#else

/* Numbers of a row of scores or of a matrix that was checked: no NaN that an addition to its bits would end. */
INLINE vu
rounded (vf x)
{
  return (vu) x + 0x7fff + ((vu) x >> 16 & 1);
}

INLINE vu
pairs_of (vf first, vf second)
{
  return rounded (first) >> 16 | (rounded (second) & UPPER);
}

INLINE vu
pairs_of_neighbours (vf first, vf second)
{
#if LANES == 16
  return pairs_of (__builtin_shufflevector (first, second, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                   __builtin_shufflevector (first, second, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
#elif LANES == 8
  return pairs_of (__builtin_shufflevector (first, second, 0, 2, 4, 6, 8, 10, 12, 14),
                   __builtin_shufflevector (first, second, 1, 3, 5, 7, 9, 11, 13, 15));
#else
  return pairs_of (__builtin_shufflevector (first, second, 0, 2, 4, 6),
                   __builtin_shufflevector (first, second, 1, 3, 5, 7));
#endif
}

#endif

#endif
