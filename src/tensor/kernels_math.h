/* exp and the activations, without branches.  Coefficients are weighted minimax fits of this project's own; the bounds
 * stated here are tested against libm in fp64.                                                                       */
#ifndef TENSOR_KERNELS_MATH_H
#define TENSOR_KERNELS_MATH_H

#include "tensor/kernels_simd.h"

/* Horner's scheme, constant term first. */
#define POLYNOMIAL(u, coefficients)                                                                                    \
  polynomial ((u), (coefficients), (int) (sizeof (coefficients) / sizeof *(coefficients)))

INLINE vf
polynomial (vf u, const float *coefficients, int count)
{
  vf value = splat (coefficients[count - 1]);
#pragma GCC unroll 16
  for (int i = count - 2; i >= 0; i--) value = value * u + coefficients[i];
  return value;
}

#define EXP_LOWEST  (-87.0f)
#define EXP_HIGHEST 88.0f

/* exp (x) within 2 ulp for EXP_LOWEST <= x <= EXP_HIGHEST; 0 below, the value at the bound above, NaN for NaN.
 * x = n log 2 + r, e^r = 1 + r + r^2 q(r), and 2^n is added to the exponent's bits.                                  */
INLINE vf
exponential (vf x)
{
  static const float q[] = { 4.999999404e-01f, 1.666652113e-01f, 4.166838899e-02f, 8.368726820e-03f, 1.381458016e-03f };
  const float log2_e = 1.442695041f, round_bias = 12582912.0f /* 1.5 * 2^23: the sum's last bits are the integer */;
  const float ln2_upper = 0.693359375f, ln2_lower = -2.12194440e-4f;

  vf clamped = at_most (at_least (x, EXP_LOWEST), EXP_HIGHEST);
  vf biased = clamped * log2_e + round_bias;
  vf n = biased - round_bias;
  vf r = (clamped - n * ln2_upper) - n * ln2_lower;
  vf value = r * r * POLYNOMIAL (r, q) + r + 1.0f;
  vf scaled = (vf) ((vi) value + ((vi) biased << 23));
  return choose (x < EXP_LOWEST, splat (0.0f), scaled);
}

INLINE vf
sigmoid (vf x)
{
  return 1.0f / (1.0f + exponential (-x));
}

/* The slope of x sigmoid (u), where weight is x du/dx; 1 - sigmoid is formed without cancellation. */
INLINE vf
sigmoid_product_slope (vf u, vf weight)
{
  vf decayed = exponential (-u), part = 1.0f / (1.0f + decayed);
  return part + weight * part * (decayed * part);
}

/* The normal distribution function Phi (x) - 1/2 is x times a polynomial of x^2 up to GELU_RANGE; outside, gelu is 0 or x
 * within 2e-7 and its derivative 0 or 1 within 6e-7. */
#define GELU_RANGE 5.5f

INLINE vf
gelu_argument (vf x)
{
  return x * x * (2.0f / (GELU_RANGE * GELU_RANGE)) - 1.0f;
}

/* x Phi (x), absolute error below 1e-6. */
INLINE vf
gelu (vf x)
{
  static const float phi[] = { 1.285519451e-01f, -6.417237222e-02f, 4.773671180e-02f, -3.879075125e-02f,
                               3.208811209e-02f, -2.607841417e-02f, 2.023628540e-02f, -1.481128111e-02f,
                               1.065981295e-02f, -7.399652153e-03f, 3.884903621e-03f, -1.485423534e-03f,
                               1.336364890e-03f, -1.278200885e-03f, 4.310571821e-04f };
  vf inside = x * (x * POLYNOMIAL (gelu_argument (x), phi) + 0.5f);
  return choose (x > GELU_RANGE, x, choose (x < -GELU_RANGE, splat (0.0f), inside));
}

/* Phi (x) + x phi (x), absolute error below 1e-6. */
INLINE vf
gelu_slope (vf x)
{
  static const float slope[] = { 1.287591606e-01f, -6.574013829e-02f, 5.367094278e-02f, -5.372602120e-02f,
                                 6.018585339e-02f, -6.885439157e-02f, 7.534492761e-02f, -7.293592393e-02f,
                                 6.062404811e-02f, -5.303717032e-02f, 4.962098971e-02f, -2.790012769e-02f,
                                 4.055626690e-03f, -6.365020294e-03f, 1.213475503e-02f, -4.928363021e-03f };
  vf inside = x * POLYNOMIAL (gelu_argument (x), slope) + 0.5f;
  return choose (x > GELU_RANGE, splat (1.0f), choose (x < -GELU_RANGE, splat (0.0f), inside));
}

/* x sigmoid (2 u) with u = sqrt (2 / pi) (x + cubic x^3) is 0.5 x (1 + tanh u).  Far outside, the clamp keeps the products
 * finite where the result is 0 or x anyway. */
#define GELU_NEW_RANGE      30.0f
#define GELU_NEW_TWICE_ROOT 1.595769122f
#define GELU_NEW_CUBIC      0.044715f

INLINE vf
gelu_new (vf x)
{
  vf near = at_most (at_least (x, -GELU_NEW_RANGE), GELU_NEW_RANGE);
  vf part = sigmoid (GELU_NEW_TWICE_ROOT * (near + GELU_NEW_CUBIC * near * near * near));
  return choose (x < -GELU_NEW_RANGE, splat (0.0f), x * part);
}

INLINE vf
gelu_new_slope (vf x)
{
  vf near = at_most (at_least (x, -GELU_NEW_RANGE), GELU_NEW_RANGE);
  vf square = near * near;
  vf rate = GELU_NEW_TWICE_ROOT * (1.0f + 3.0f * GELU_NEW_CUBIC * square);
  return sigmoid_product_slope (GELU_NEW_TWICE_ROOT * near * (1.0f + GELU_NEW_CUBIC * square), near * rate);
}

INLINE vf
relu (vf x)
{
  return at_least (x, 0.0f);
}

INLINE vf
relu_slope (vf x)
{
  return choose (x > 0.0f, splat (1.0f), splat (0.0f));
}

INLINE vf
silu (vf x)
{
  return choose (x < EXP_LOWEST, splat (0.0f), x * sigmoid (x));
}

INLINE vf
silu_slope (vf x)
{
  vf near = at_most (at_least (x, EXP_LOWEST), EXP_HIGHEST);
  return sigmoid_product_slope (near, near);
}

/* Near 0 an odd polynomial keeps the relative accuracy that 1 - exp loses. */
#define TANH_SMALL 0.625f

INLINE vf
hyperbolic_tangent (vf x)
{
  static const float q[] = { -3.333328366e-01f, 1.333149076e-01f, -5.374349654e-02f, 2.065058611e-02f,
                             -5.717044696e-03f };
  vf square = x * x, decayed = exponential (-2.0f * magnitude (x));
  vf large = with_sign_of ((1.0f - decayed) / (1.0f + decayed), x);
  vf small = x + x * square * POLYNOMIAL (square, q);
  return choose (magnitude (x) < TANH_SMALL, small, large);
}

INLINE vf
hyperbolic_tangent_slope (vf x)
{
  vf value = hyperbolic_tangent (x);
  return 1.0f - value * value;
}

#endif
