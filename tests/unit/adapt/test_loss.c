#include <float.h>
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/adapt.h>

enum { N = 3, K = 5 };

static const double scale = 1.0 / 7;
static const double consistency = 1.5;
static const int32_t label[N] = { 4, 0, 2 };
static float z[2 * N * K], dz[2 * N * K];

static adamix_loss_args
args_of (int64_t passes)
{
  return (adamix_loss_args){ .examples = N,
                             .outputs = K,
                             .passes = passes,
                             .label = label,
                             .scale = scale,
                             .consistency = passes == 2 ? consistency : 0 };
}

static void
set_up (void)
{
  adamix_rng_normal (adamix_rng_stream (2, ADAMIX_RNG_EVAL), 0, 0, 2 * N * K, 2.0, z);
}

TestSuite (loss, .init = set_up);

static void
softmax (const double *row, double *p)
{
  double sum = 0;
  for (int k = 0; k < K; k++) sum += p[k] = exp (row[k]);
  for (int k = 0; k < K; k++) p[k] /= sum;
}

static double
divergence (const double *p, const double *q)
{
  double sum = 0;
  for (int k = 0; k < K; k++) sum += p[k] * log (p[k] / q[k]);
  return sum;
}

/* The loss at logits `free_z` whose stop-gradient terms are taken at `still`. */
static double
loss_at (const double *free_z, const double *still)
{
  double task = 0, agree = 0;
  for (int i = 0; i < N; i++) {
    double p1[K], p2[K], sg1[K], sg2[K];
    softmax (free_z + i * K, p1);
    softmax (free_z + (N + i) * K, p2);
    softmax (still + i * K, sg1);
    softmax (still + (N + i) * K, sg2);
    task -= log (p1[label[i]]);
    agree += divergence (sg2, p1) + divergence (sg1, p2);
  }
  return scale * (task + consistency / 2 * agree);
}

Test (loss, is_the_formula)
{
  adamix_loss_args args = args_of (2);
  adamix_loss loss;
  double z64[2 * N * K];
  for (int e = 0; e < 2 * N * K; e++) z64[e] = z[e];
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &loss);
  cr_expect (fabs (loss.task + loss.consistency - loss_at (z64, z64)) < 1e-12);
  cr_expect (loss.consistency > 0);
}

/* Central differences in fp64 with step 1e-5 are good to 1e-9; the gradient is rounded to fp32 twice. */
Test (loss, gradient_is_the_derivative_with_still_targets)
{
  adamix_loss_args args = args_of (2);
  adamix_loss loss;
  double z64[2 * N * K], still[2 * N * K];
  for (int e = 0; e < 2 * N * K; e++) still[e] = z64[e] = z[e];
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &loss);
  for (int e = 0; e < 2 * N * K; e++) {
    const double step = 1e-5;
    z64[e] = still[e] + step;
    double plus = loss_at (z64, still);
    z64[e] = still[e] - step;
    double minus = loss_at (z64, still);
    z64[e] = still[e];
    cr_expect (fabs (dz[e] - (plus - minus) / (2 * step)) < 1e-9 + 2 * FLT_EPSILON * scale, "logit %d", e);
  }
}

/* Nothing stands still: the gradient is that of the value. */
Test (loss, gradient_of_both_is_the_whole_derivative)
{
  adamix_loss_args args = args_of (2);
  adamix_loss stop, both;
  double z64[2 * N * K];
  for (int e = 0; e < 2 * N * K; e++) z64[e] = z[e];
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &stop);
  args.gradient = ADAMIX_CONSISTENCY_BOTH;
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &both);
  cr_expect (both.task == stop.task && both.consistency == stop.consistency, "the value is that of the other form");
  for (int e = 0; e < 2 * N * K; e++) {
    const double step = 1e-5, here = z64[e];
    z64[e] = here + step;
    double plus = loss_at (z64, z64);
    z64[e] = here - step;
    double minus = loss_at (z64, z64);
    z64[e] = here;
    double expected = (plus - minus) / (2 * step);
    cr_expect (fabs (dz[e] - expected) < 1e-9 + 3 * FLT_EPSILON * (scale + fabs (expected)), "logit %d", e);
  }
}

/* Two classes with p1 = (1/2, 1/2) and p2 = (3/4, 1/4), so that by hand KL (p2 || p1) + KL (p1 || p2) =
 * (1/4) log 3 and both gradients of the fixed-target form are 1/4; the weight is 2 * 1/2. */
Test (loss, has_the_value_and_gradient_of_the_published_form)
{
  const int32_t first[1] = { 0 };
  float two[4] = { 0, 0, (float) log (3), 0 }, gradient[4];
  adamix_loss_args args = { .examples = 1, .outputs = 2, .passes = 2, .label = first, .scale = 1, .consistency = 2 };
  adamix_loss loss;
  adamix_loss_compute (&args, adamix_view_of (two, 2, 2), adamix_view_of (gradient, 2, 2), &loss);
  cr_expect (fabs (loss.task - log (2)) < FLT_EPSILON);
  cr_expect (fabs (loss.consistency - log (3) / 4) < FLT_EPSILON);
  const double expected[4] = { -0.5 - 0.25, 0.5 + 0.25, 0.25, -0.25 };
  for (int e = 0; e < 4; e++) cr_expect (fabs (gradient[e] - expected[e]) < 2 * FLT_EPSILON, "logit %d", e);
}

Test (loss, of_one_pass_is_cross_entropy)
{
  adamix_loss_args args = args_of (1);
  adamix_loss one, two;
  float dz_two[2 * N * K];
  dz[N * K] = 42;
  adamix_loss_compute (&args, adamix_view_of (z, N, K), adamix_view_of (dz, N, K), &one);
  cr_expect (one.consistency == 0);
  cr_expect (dz[N * K] == 42, "one pass has no second gradient");
  args = args_of (2);
  args.consistency = 0;
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz_two, 2 * N, K), &two);
  cr_expect (two.task == one.task && two.consistency == 0);
  for (int e = 0; e < N * K; e++) cr_expect (dz_two[e] == dz[e] && dz_two[N * K + e] == 0);
}

Test (loss, gradients_of_an_example_sum_to_zero)
{
  adamix_loss_args args = args_of (2);
  adamix_loss loss;
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &loss);
  for (int i = 0; i < 2 * N; i++) {
    double sum = 0;
    for (int k = 0; k < K; k++) sum += dz[i * K + k];
    cr_expect (fabs (sum) < K * FLT_EPSILON * scale);
  }
}

Test (loss, bears_large_logits)
{
  adamix_loss_args args = args_of (2);
  adamix_loss loss;
  for (int e = 0; e < 2 * N * K; e++) z[e] = e < K || e % 2 != 0 ? -3000 : 3000;
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &loss);
  cr_expect (isfinite (loss.task) && isfinite (loss.consistency));
  for (int e = 0; e < 2 * N * K; e++) cr_expect (isfinite (dz[e]));
}

Test (loss, tells_of_nan)
{
  adamix_loss_args args = args_of (2);
  adamix_loss loss;
  z[3] = NAN;
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &loss);
  cr_expect (isnan (loss.task));
}

Test (loss, of_regression_is_the_squared_error)
{
  const float target[N] = { 1.5f, -2, 0 };
  adamix_loss_args args = {
    .examples = N, .outputs = 1, .passes = 2, .target = target, .scale = scale, .consistency = 1
  };
  adamix_loss loss;
  double expected = 0;
  memset (dz, 1, sizeof dz);
  adamix_loss_compute (&args, adamix_view_of (z, 2 * N, 1), adamix_view_of (dz, 2 * N, 1), &loss);
  for (int i = 0; i < N; i++) {
    double difference = (double) z[i] - target[i];
    expected += scale * difference * difference;
    cr_expect (fabs (dz[i] - 2 * scale * difference) < FLT_EPSILON * fabs (difference));
    cr_expect (dz[N + i] == 0);
  }
  cr_expect (fabs (loss.task - expected) < 1e-12);
  cr_expect (loss.consistency == 0);
}
