#include "tensor/fixture.h"

#include <string.h>

#define N 1003

Test (vectors, axpy_and_scale)
{
  FOR_EACH_TABLE (kernels)
  {
    float *x = random_floats (1, N), *y = random_floats (2, N), *before = random_floats (2, N);
    kernels->axpy (N, 0.75f, x, y);
    for (int i = 0; i < N; i++) cr_assert_float_eq (y[i], before[i] + 0.75f * x[i], 1e-6f);
    kernels->scale (N, -2.0f, x);
    float *original = random_floats (1, N);
    for (int i = 0; i < N; i++) cr_assert_eq (x[i], -2.0f * original[i]);
    free (x), free (y), free (before), free (original);
  }
}

Test (vectors, sum_of_squares_in_fp64)
{
  float *x = random_floats (1, N);
  x[5] = 1e20f; /* its square leaves the range of fp32 */
  double want = 0.0;
  for (int i = 0; i < N; i++) want += (double) x[i] * (double) x[i];
  FOR_EACH_TABLE (kernels) cr_expect_float_eq (kernels->sum_squares (N, x), want, 1e-13 * want);
  cr_expect_eq (table_list[0]->sum_squares (0, x), 0.0);
  free (x);
}

Test (vectors, column_sums_add)
{
  enum { ROWS = 37, COLS = 19, STRIDE = 23 };
  float *x = random_floats (1, ROWS * STRIDE);
  FOR_EACH_TABLE (kernels)
  {
    float *out = random_floats (2, COLS), *before = random_floats (2, COLS);
    kernels->column_sums (ROWS, COLS, x, STRIDE, out);
    for (int c = 0; c < COLS; c++) {
      double want = before[c];
      for (int r = 0; r < ROWS; r++) want += (double) x[r * STRIDE + c];
      cr_assert_float_eq (out[c], want, 1e-5);
    }
    free (out), free (before);
  }
  free (x);
}

Test (vectors, adamw_is_the_stated_formula)
{
  const double grad_scale = 0.5, b1 = 0.9, b2 = 0.999, eps = 1e-8, step = 2e-3, decay = 1e-4;
  FOR_EACH_TABLE (kernels)
  {
    float *p = random_floats (1, N), *g = random_floats (2, N), *m = random_floats (3, N), *v = random_floats (4, N);
    float *p0 = random_floats (1, N), *m0 = random_floats (3, N), *v0 = random_floats (4, N);
    for (int i = 0; i < N; i++) v[i] = v0[i] = fabsf (v0[i]);
    kernels->adamw (N, p, g, (float) grad_scale, m, v, b1, b2, (float) eps, (float) step, (float) decay);
    for (int i = 0; i < N; i++) {
      double gradient = grad_scale * g[i], first = b1 * m0[i] + (1.0 - b1) * gradient;
      double second = b2 * v0[i] + (1.0 - b2) * gradient * gradient;
      double value = p0[i] - step * first / (sqrt (second) + eps);
      cr_assert_float_eq (m[i], first, 1e-6);
      cr_assert_float_eq (v[i], second, 1e-6);
      cr_assert_float_eq (p[i], value - decay * value, 1e-6 * (1.0 + fabs (value)));
    }
    free (p), free (g), free (m), free (v), free (p0), free (m0), free (v0);
  }
}

/* All upper halves with lower halves around the tie: finite numbers go to the nearest, infinities and NaNs stay. */
Test (vectors, to_bf16_rounds_to_nearest_even)
{
  static const uint32_t lower[] = { 0, 1, 0x7fff, 0x8000, 0x8001, 0xffff };
  enum { UPPER = 1 << 16, LOWER = sizeof lower / sizeof *lower };
  float *x = zero_floats (UPPER * LOWER);
  uint16_t *y = calloc (UPPER * LOWER, sizeof *y);
  for (uint32_t i = 0; i < UPPER * LOWER; i++) {
    const uint32_t bits = i / LOWER << 16 | lower[i % LOWER];
    memcpy (&x[i], &bits, sizeof bits);
  }
  FOR_EACH_TABLE (kernels)
  {
    kernels->to_bf16 (UPPER * LOWER - 1, x, y);
    for (int i = 0; i < UPPER * LOWER - 1; i++) {
      const uint32_t bits = (uint32_t) y[i] << 16;
      float got;
      memcpy (&got, &bits, sizeof got);
      if (isnan (x[i]))
        cr_assert (isnan (got), "%s: NaN %d", kernels->isa, i);
      else
        cr_assert_eq (got, nearest_bf16 (x[i]), "%s: %a gives %a", kernels->isa, (double) x[i], (double) got);
    }
    cr_expect_eq (y[UPPER * LOWER - 1], 0, "%s writes behind the end", kernels->isa);
  }
  free (x), free (y);
}

Test (vectors, tables_are_chosen_by_name)
{
  const adamix_kernels *best = NULL, *named = NULL;
  cr_assert_eq (adamix_kernels_select (&best, NULL), ADAMIX_OK);
  cr_assert_eq (adamix_kernels_select (&named, "auto"), ADAMIX_OK);
  cr_expect_eq (best, named);
  int count;
  const adamix_kernels **tables = kernel_tables (&count);
  cr_expect_eq (best, tables[count - 1], "auto takes the widest");
#ifdef __x86_64__
  if (__builtin_cpu_supports ("avx512bw") && __builtin_cpu_supports ("avx512dq") && __builtin_cpu_supports ("avx512vl"))
    cr_expect_str_eq (best->isa, __builtin_cpu_supports ("avx512bf16") ? "avx512_bf16" : "avx512");
  else if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma"))
    cr_expect_str_eq (best->isa, "avx2");
#endif
  cr_assert_eq (adamix_kernels_select (&named, "reference"), ADAMIX_OK);
  cr_expect_str_eq (named->isa, "reference");
  cr_expect_eq (adamix_kernels_select (&named, "neon9"), ADAMIX_EUSAGE);
  cr_expect_not_null (strstr (adamix_err_message (), "neon9"));
}
