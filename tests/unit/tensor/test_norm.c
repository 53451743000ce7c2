#include "tensor/fixture.h"

#define EPSILON 1e-5f

/* Rounding errors of a sum of H fp32 terms grow like a random walk, 6e-8 a step in units of the sum; values are of
 * order 1 and reach about 3. */
static double
tolerance (int64_t H)
{
  return 5e-7 + 2e-7 * sqrt ((double) H);
}

typedef struct {
  int64_t H;
  float *h, *skip, *gamma, *beta;
  const adamix_dropout *dropout;
} norm_case;

static norm_case
make_case (int64_t H, bool skip, const adamix_dropout *dropout)
{
  norm_case c = { .H = H,
                  .h = random_floats (1, H),
                  .skip = skip ? random_floats (2, H) : NULL,
                  .gamma = random_floats (3, H),
                  .beta = random_floats (4, H),
                  .dropout = dropout };
  return c;
}

static void
free_case (norm_case *c)
{
  free (c->h), free (c->skip), free (c->gamma), free (c->beta);
}

/* y and xhat in fp64, with `step` added to h[i] times its factor or, i < 0, to nothing. */
static double
norm_f64 (const norm_case *c, int64_t i, double step, double *y, double *xhat)
{
  double *s = calloc ((size_t) c->H, sizeof *s), mean = 0.0, variance = 0.0;
  for (int64_t j = 0; j < c->H; j++) {
    double factor = c->dropout != NULL ? dropout_factor (c->dropout, j) : 1.0;
    s[j] = (c->h[j] + (j == i ? step : 0.0)) * factor + (c->skip != NULL ? c->skip[j] : 0.0);
    mean += s[j] / (double) c->H;
  }
  for (int64_t j = 0; j < c->H; j++) variance += (s[j] - mean) * (s[j] - mean) / (double) c->H;
  double rstd = 1.0 / sqrt (variance + (double) EPSILON);
  for (int64_t j = 0; j < c->H; j++) {
    xhat[j] = (s[j] - mean) * rstd;
    y[j] = c->gamma[j] * xhat[j] + c->beta[j];
  }
  free (s);
  return rstd;
}

static void
check_forward (const adamix_kernels *kernels, const norm_case *c)
{
  double *want = calloc ((size_t) c->H, sizeof *want), *want_hat = calloc ((size_t) c->H, sizeof *want);
  double want_rstd = norm_f64 (c, -1, 0.0, want, want_hat);
  float *y = zero_floats (c->H), *xhat = zero_floats (c->H), rstd = 0.0f;
  kernels->residual_norm (c->H, c->h, c->skip, c->dropout, c->gamma, c->beta, EPSILON, y, xhat, &rstd);
  cr_expect_float_eq (rstd, want_rstd, tolerance (c->H) * want_rstd);
  for (int64_t i = 0; i < c->H; i++) {
    cr_assert (fabs (xhat[i] - want_hat[i]) <= tolerance (c->H), "%s H %d: xhat[%d]", kernels->isa, (int) c->H,
               (int) i);
    cr_assert (fabs (y[i] - want[i]) <= 3.0 * tolerance (c->H), "%s H %d: y[%d]", kernels->isa, (int) c->H, (int) i);
  }

  float *in_place = zero_floats (c->H);
  for (int64_t i = 0; i < c->H; i++) in_place[i] = c->h[i];
  kernels->residual_norm (c->H, in_place, c->skip, c->dropout, c->gamma, c->beta, EPSILON, in_place, NULL, &rstd);
  for (int64_t i = 0; i < c->H; i++) cr_assert_eq (in_place[i], y[i], "%s in place", kernels->isa);
  free (want), free (want_hat), free (y), free (xhat), free (in_place);
}

Test (norm, forward_agrees_with_fp64)
{
  const int64_t widths[] = { 1, 7, 16, 96, 129, 384, 1000 };
  adamix_dropout dropout = fifth_dropped ();
  FOR_EACH_TABLE (kernels)
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
    for (int form = 0; form < 4; form++) {
      norm_case c = make_case (widths[w], form & 1, form & 2 ? &dropout : NULL);
      check_forward (kernels, &c);
      free_case (&c);
    }
}

/* L = sum dy y; dL/dh by central differences in fp64. */
static double
difference (const norm_case *c, int64_t i, const float *dy)
{
  const double step = 1e-5;
  double *y = calloc ((size_t) c->H, sizeof *y), *xhat = calloc ((size_t) c->H, sizeof *y), sum = 0.0;
  for (int sign = -1; sign <= 1; sign += 2) {
    norm_f64 (c, i, sign * step, y, xhat);
    for (int64_t j = 0; j < c->H; j++) sum += sign * dy[j] * y[j];
  }
  free (y), free (xhat);
  return sum / (2.0 * step);
}

Test (norm, backward_agrees_with_finite_differences)
{
  const int64_t widths[] = { 5, 64, 130, 384 };
  adamix_dropout dropout = fifth_dropped ();
  FOR_EACH_TABLE (kernels)
  for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
    for (int dropping = 0; dropping < 2; dropping++) {
      int64_t H = widths[w];
      norm_case c = make_case (H, true, dropping ? &dropout : NULL);
      float *y = zero_floats (H), *xhat = zero_floats (H), *dy = random_floats (5, H), rstd;
      float *dh = zero_floats (H), *dskip = zero_floats (H), *dgamma = random_floats (6, H), *dbeta = zero_floats (H);
      kernels->residual_norm (H, c.h, c.skip, c.dropout, c.gamma, c.beta, EPSILON, y, xhat, &rstd);
      kernels->residual_norm_backward (H, dy, xhat, rstd, c.gamma, c.dropout, dh, dskip, dgamma, dbeta);
      float *before = random_floats (6, H);
      for (int64_t i = 0; i < H; i++) {
        double factor = dropping ? dropout_factor (&dropout, i) : 1.0, want = difference (&c, i, dy);
        cr_assert (fabs (dh[i] - want) <= 2e-5, "%s H %d dh[%d]: %g, not %g", kernels->isa, (int) H, (int) i,
                   (double) dh[i], want);
        cr_assert (fabs (dskip[i] * factor - dh[i]) <= 1e-6, "%s: dh is dskip through the dropout", kernels->isa);
        cr_assert_float_eq (dgamma[i], before[i] + dy[i] * xhat[i], 2e-6f);
        cr_assert_eq (dbeta[i], dy[i]);
      }
      /* The same in place, without the parameters' gradients. */
      float *again = random_floats (5, H);
      kernels->residual_norm_backward (H, again, xhat, rstd, c.gamma, c.dropout, dh, again, NULL, NULL);
      for (int64_t i = 0; i < H; i++) cr_assert_eq (again[i], dskip[i]);
      free (y), free (xhat), free (dy), free (dh), free (dskip), free (dgamma), free (dbeta);
      free (before), free (again), free_case (&c);
    }
}
