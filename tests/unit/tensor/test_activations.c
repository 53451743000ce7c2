#include "tensor/fixture.h"
#include "tensor/kernels_math.h"

/* Values and slopes in fp64, by libm. */
static double
gelu_f64 (double x)
{
  return 0.5 * x * erfc (-x * M_SQRT1_2);
}
static double
gelu_slope_f64 (double x)
{
  return 0.5 * erfc (-x * M_SQRT1_2) + x * exp (-0.5 * x * x) / sqrt (2.0 * M_PI);
}
static double
gelu_new_f64 (double x)
{
  return 0.5 * x * (1.0 + tanh (sqrt (2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}
static double
gelu_new_slope_f64 (double x)
{
  double t = tanh (sqrt (2.0 / M_PI) * (x + 0.044715 * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * sqrt (2.0 / M_PI) * (1.0 + 3.0 * 0.044715 * x * x);
}
static double
relu_f64 (double x)
{
  return x > 0.0 ? x : 0.0;
}
static double
relu_slope_f64 (double x)
{
  return x > 0.0 ? 1.0 : 0.0;
}
static double
silu_f64 (double x)
{
  return x / (1.0 + exp (-x));
}
static double
silu_slope_f64 (double x)
{
  double s = 1.0 / (1.0 + exp (-x));
  return s + x * s * (1.0 - s);
}
static double
tanh_slope_f64 (double x)
{
  return 1.0 - tanh (x) * tanh (x);
}

static const struct {
  double (*value) (double), (*slope) (double);
} FP64[ADAMIX_ACTIVATION_COUNT] = {
  [ADAMIX_ACTIVATION_GELU] = { gelu_f64, gelu_slope_f64 },
  [ADAMIX_ACTIVATION_GELU_NEW] = { gelu_new_f64, gelu_new_slope_f64 },
  [ADAMIX_ACTIVATION_RELU] = { relu_f64, relu_slope_f64 },
  [ADAMIX_ACTIVATION_SILU] = { silu_f64, silu_slope_f64 },
  [ADAMIX_ACTIVATION_TANH] = { tanh, tanh_slope_f64 },
};

#define POINTS   40001 /* odd: every vector width leaves a rest */
#define ABSOLUTE 1e-6
#define RELATIVE 3e-7 /* a few roundings of fp32 where values are large */

static void
fill_grid (float *x)
{
  for (int i = 0; i < POINTS; i++) x[i] = 24.0f * (float) (i - POINTS / 2) / POINTS;
  const float extreme[] = { 1e4f, -1e4f, 100.0f, -100.0f, 88.5f, -88.5f, 1e-30f, -1e-30f, 0.0f };
  for (size_t i = 0; i < sizeof extreme / sizeof *extreme; i++) x[i] = extreme[i];
}

Test (activations, values_and_slopes_agree_with_libm)
{
  float *x = zero_floats (POINTS), *y = zero_floats (POINTS), *dy = zero_floats (POINTS), *dx = zero_floats (POINTS);
  fill_grid (x);
  for (int i = 0; i < POINTS; i++) dy[i] = 1.0f;
  FOR_EACH_TABLE (kernels)
  for (int a = 0; a < ADAMIX_ACTIVATION_COUNT; a++) {
    kernels->activate[a](POINTS, x, y);
    kernels->activate_backward[a](POINTS, x, dy, dx);
    for (int i = 0; i < POINTS; i++) {
      double value = FP64[a].value (x[i]), slope = FP64[a].slope (x[i]);
      cr_assert (fabs (y[i] - value) <= ABSOLUTE + RELATIVE * fabs (value), "%s: activation %d of %g is %.9g, not %.9g",
                 kernels->isa, a, (double) x[i], (double) y[i], value);
      cr_assert (fabs (dx[i] - slope) <= ABSOLUTE + RELATIVE, "%s: slope %d of %g is %.9g, not %.9g", kernels->isa, a,
                 (double) x[i], (double) dx[i], slope);
    }
  }
  free (x), free (y), free (dy), free (dx);
}

Test (activations, backward_multiplies_by_what_comes_in)
{
  float x[21], dy[21], once[21], dx[21];
  for (int i = 0; i < 21; i++) x[i] = 0.3f * (float) (i - 10), dy[i] = 1.0f;
  FOR_EACH_TABLE (kernels)
  for (int a = 0; a < ADAMIX_ACTIVATION_COUNT; a++) {
    for (int i = 0; i < 21; i++) dy[i] = 1.0f;
    kernels->activate_backward[a](21, x, dy, once);
    for (int i = 0; i < 21; i++) dy[i] = dx[i] = (float) (i - 3);
    kernels->activate_backward[a](21, x, dx, dx);
    for (int i = 0; i < 21; i++) cr_expect_float_eq (dx[i], once[i] * dy[i], 1e-5f);
  }
}

Test (activations, infinities_and_nan)
{
  float x[] = { INFINITY, -INFINITY, NAN }, y[3];
  FOR_EACH_TABLE (kernels)
  for (int a = 0; a < ADAMIX_ACTIVATION_COUNT; a++) {
    bool is_tanh = a == ADAMIX_ACTIVATION_TANH;
    kernels->activate[a](3, x, y);
    cr_expect (y[0] == (is_tanh ? 1.0f : INFINITY), "%s %d: %g", kernels->isa, a, (double) y[0]);
    cr_expect (y[1] == (is_tanh ? -1.0f : 0.0f), "%s %d: %g", kernels->isa, a, (double) y[1]);
    cr_expect (isnan (y[2]), "%s %d: a NaN is lost", kernels->isa, a);
  }
}

/* The other instruction sets are covered by the activations and by softmax, which use the same source. */
Test (activations, exponential_within_two_ulp)
{
  for (double at = EXP_LOWEST; at <= EXP_HIGHEST; at += 0.00037) {
    float x = (float) at, got = exponential (splat (x))[0];
    double want = exp ((double) x), ulp = (double) nextafterf ((float) want, INFINITY) - (double) (float) want;
    cr_assert (fabs (got - want) <= 2.0 * ulp, "exp (%g) is %.9g, not %.9g", (double) x, (double) got, want);
  }
  cr_expect_eq (exponential (splat (0.0f))[0], 1.0f);
  cr_expect_eq (exponential (splat (-88.0f))[0], 0.0f);
  cr_expect_eq (exponential (splat (-INFINITY))[0], 0.0f);
  cr_expect (isnan (exponential (splat (NAN))[0]));
}
