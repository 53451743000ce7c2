/* The element kernels of one instruction set.  The build compiles this file once a set, with the set's flags and
 * ADAMIX_KERNELS_ISA naming it; the mathematics is the same in all.                                                   */
#include "tensor/kernels.h"
#include "tensor/kernels_attention.h"
#include "tensor/kernels_dropout.h"
#include "tensor/kernels_math.h"
#include "tensor/kernels_norm.h"

#include <math.h>
#include <string.h>

#define TEXT_OF(name) #name
#define TEXT(name)    TEXT_OF (name)
#define JOIN_OF(a, b) a##b
#define JOIN(a, b)    JOIN_OF (a, b)

#define ACTIVATION(name, function)                                                                                     \
  static void name##_forward (int64_t n, const float *x, float *y)                                                     \
  {                                                                                                                    \
    int64_t i = 0;                                                                                                     \
    for (; i + LANES <= n; i += LANES) store (y + i, function (load (x + i)));                                         \
    if (i < n) store_part (y + i, function (load_part (x + i, n - i)), n - i);                                         \
  }                                                                                                                    \
  static void name##_backward (int64_t n, const float *x, const float *dy, float *dx)                                  \
  {                                                                                                                    \
    int64_t i = 0;                                                                                                     \
    for (; i + LANES <= n; i += LANES) store (dx + i, load (dy + i) * function##_slope (load (x + i)));                \
    if (i < n) store_part (dx + i, load_part (dy + i, n - i) * function##_slope (load_part (x + i, n - i)), n - i);    \
  }

ACTIVATION (GELU, gelu)
ACTIVATION (GELU_NEW, gelu_new)
ACTIVATION (RELU, relu)
ACTIVATION (SILU, silu)
ACTIVATION (TANH, hyperbolic_tangent)

static void
axpy (int64_t n, float a, const float *x, float *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

static void
scale (int64_t n, float a, float *x)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++) x[i] *= a;
}

static double
sum_squares (int64_t n, const float *x)
{
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += (double) x[i] * (double) x[i];
  return sum;
}

static void
column_sums (int64_t rows, int64_t cols, const float *x, int64_t stride, float *out)
{
  for (int64_t r = 0; r < rows; r++, x += stride) {
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) out[c] += x[c];
  }
}

static void
adamw (int64_t n, float *p, const float *grad, float grad_scale, float *m, float *v, double b1, double b2, float eps,
       float step_size, float decay)
{
  /* 1 - 0.999 in fp32 would be off by 1e-5. */
  const float keep1 = (float) b1, keep2 = (float) b2, take1 = (float) (1 - b1), take2 = (float) (1 - b2);
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    float g = grad_scale * grad[i];
    float first = keep1 * m[i] + take1 * g;
    float second = keep2 * v[i] + take2 * g * g;
    float stepped = p[i] - step_size * first / (sqrtf (second) + eps);
    m[i] = first;
    v[i] = second;
    p[i] = stepped - decay * stepped;
  }
}

/* NaNs apart, rounding is an addition to the bits: a carry into the exponent is right, also to infinity. */
static void
to_bf16 (int64_t n, const float *x, uint16_t *y)
{
#pragma omp simd
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy (&bits, &x[i], sizeof bits);
    const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
    y[i] = (uint16_t) (((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded) >> 16);
  }
}

const adamix_kernels JOIN (adamix_kernels_, ADAMIX_KERNELS_ISA) = {
  .isa = TEXT (ADAMIX_KERNELS_ISA),
#define FORWARD(name, text) [ADAMIX_ACTIVATION_##name] = name##_forward,
  .activate = { ADAMIX_ACTIVATIONS (FORWARD) },
#undef FORWARD
#define BACKWARD(name, text) [ADAMIX_ACTIVATION_##name] = name##_backward,
  .activate_backward = { ADAMIX_ACTIVATIONS (BACKWARD) },
#undef BACKWARD
  .dropout = dropout_apply,
  .residual_norm = residual_norm,
  .residual_norm_backward = residual_norm_backward,
  .attention = { attention, attention_backward },
  .attention_bf16 = { attention_bf16, attention_backward_bf16 },
  .axpy = axpy,
  .scale = scale,
  .sum_squares = sum_squares,
  .column_sums = column_sums,
  .adamw = adamw,
  .to_bf16 = to_bf16,
};
