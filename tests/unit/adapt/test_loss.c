#include <float.h>
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/adapt.h>

enum { N = 3, K = 5, P = ADAMIX_PASSES };

static const double scale = 1.0 / 7;
static const double consistency = 1.5;
static const int32_t label[N] = { 4, 0, 2 };
static float z[P * N * K], dz[P * N * K];

static adamix_loss_args
args_of (int64_t passes)
{
  return (adamix_loss_args){ .examples = N,
                             .outputs = K,
                             .passes = passes,
                             .label = label,
                             .scale = scale,
                             .consistency = passes > 1 ? consistency : 0 };
}

static void
set_up (void)
{
  adamix_rng_normal (adamix_rng_stream (2, ADAMIX_RNG_EVAL), 0, 0, P * N * K, 2.0, z);
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
kl (const double *p, const double *q)
{
  double sum = 0;
  for (int k = 0; k < K; k++) sum += p[k] * log (p[k] / q[k]);
  return sum;
}

static double
js (const double *p, const double *q)
{
  double m[K];
  for (int k = 0; k < K; k++) m[k] = (p[k] + q[k]) / 2;
  return (kl (p, m) + kl (q, m)) / 2;
}

/* The distance of an earlier from a later pass; what a fixed target is made of are the logits of the same passes that stand
 * still. */
static double
distance (adamix_divergence divergence, const double *earlier, const double *later, const double *still_earlier,
          const double *still_later)
{
  double p[K], q[K], sp[K], sq[K], forth = 0, back = 0;
  softmax (earlier, p);
  softmax (later, q);
  softmax (still_earlier, sp);
  softmax (still_later, sq);
  switch (divergence) {
  case ADAMIX_CONSISTENCY_KL:
    return (kl (sq, p) + kl (sp, q)) / 2;
  case ADAMIX_CONSISTENCY_KL_FORWARD:
    return kl (sp, q);
  case ADAMIX_CONSISTENCY_KL_REVERSE:
    return kl (sq, p);
  case ADAMIX_CONSISTENCY_JS:
    return (js (p, sq) + js (sp, q)) / 2;
  case ADAMIX_CONSISTENCY_MSE:
    for (int k = 0; k < K; k++) {
      forth += (later[k] - still_earlier[k]) * (later[k] - still_earlier[k]) / K;
      back += (earlier[k] - still_later[k]) * (earlier[k] - still_later[k]) / K;
    }
    return (forth + back) / 2;
  }
  return NAN;
}

/* The loss in fp64 at logits `moving`, whose fixed targets are taken at `still`. */
static double
loss_at (const adamix_loss_args *args, const double *moving, const double *still)
{
  const int passes = (int) args->passes, of_task = args->task_on_all ? passes : 1;
  double task = 0, apart = 0;
  for (int i = 0; i < N; i++) {
    for (int a = 0; a < passes; a++) {
      double p[K];
      softmax (moving + (a * N + i) * K, p);
      if (a < of_task) task -= log (p[label[i]]) / of_task;
      for (int b = a + 1; b < passes; b++)
        apart += distance (args->divergence, moving + (a * N + i) * K, moving + (b * N + i) * K,
                           still + (a * N + i) * K, still + (b * N + i) * K);
    }
  }
  const double pairs = passes > 1 ? passes * (passes - 1) / 2 : 1;
  return args->scale * (task + args->consistency / pairs * apart);
}

/* Central differences in fp64 with step 1e-5 are good to 1e-9; the gradient is rounded to fp32 at each of up to 6 additions of
 * terms that are not larger than the logits' scale. */
static void
check (const adamix_loss_args *args, const char *name)
{
  const int count = (int) args->passes * N * K;
  const double step = 1e-5, rounding = 6 * FLT_EPSILON * scale * 4;
  double z64[P * N * K], still[P * N * K];
  adamix_loss loss;
  for (int e = 0; e < count; e++) still[e] = z64[e] = z[e];
  adamix_loss_compute (args, adamix_view_of (z, args->passes * N, K), adamix_view_of (dz, args->passes * N, K), &loss);
  cr_expect (fabs (loss.task + loss.consistency - loss_at (args, z64, z64)) < 1e-12, "%s: the value", name);
  cr_expect (args->passes == 1 || loss.consistency > 0, "%s: passes are apart", name);
  for (int e = 0; e < count; e++) {
    const double *fixed = args->gradient == ADAMIX_CONSISTENCY_BOTH ? z64 : still;
    z64[e] = still[e] + step;
    const double plus = loss_at (args, z64, fixed);
    z64[e] = still[e] - step;
    const double minus = loss_at (args, z64, fixed);
    z64[e] = still[e];
    const double slope = (plus - minus) / (2 * step);
    cr_expect (fabs (dz[e] - slope) < 1e-9 + rounding, "%s, logit %d: %.9g, not %.9g", name, e, (double) dz[e], slope);
  }
}

Test (loss, is_the_formula_and_its_gradient_the_derivative)
{
  static const char *const names[] = {
#define NAME(name, text) text,
    ADAMIX_DIVERGENCES (NAME)
#undef NAME
  };
  for (int d = 0; d < (int) (sizeof names / sizeof *names); d++)
    for (int passes = 1; passes <= P; passes++)
      for (int all = 0; all < 2; all++)
        for (int both = 0; both < 2; both++) {
          char name[64];
          adamix_loss_args args = args_of (passes);
          args.divergence = (adamix_divergence) d;
          args.task_on_all = all;
          args.gradient = both ? ADAMIX_CONSISTENCY_BOTH : ADAMIX_CONSISTENCY_STOP;
          snprintf (name, sizeof name, "%s, %d passes, task on %s, %s", names[d], passes, all ? "all" : "the first",
                    both ? "both" : "stop");
          check (&args, name);
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
  for (int d = ADAMIX_CONSISTENCY_KL; d <= ADAMIX_CONSISTENCY_MSE; d++) {
    args.divergence = (adamix_divergence) d;
    adamix_loss_compute (&args, adamix_view_of (z, 2 * N, K), adamix_view_of (dz, 2 * N, K), &loss);
    cr_expect (isfinite (loss.task) && isfinite (loss.consistency));
    for (int e = 0; e < 2 * N * K; e++) cr_expect (isfinite (dz[e]));
  }
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

/* Two numbers have no classes to compare, but a distance. */
Test (loss, of_regression_with_squared_distance)
{
  const float target[1] = { 1 };
  float two[2] = { 3, 2 }, gradient[2];
  adamix_loss_args args = {
    .examples = 1, .outputs = 1, .passes = 2, .target = target, .scale = 1, .consistency = 0.5
  };
  adamix_loss loss;
  args.divergence = ADAMIX_CONSISTENCY_MSE;
  adamix_loss_compute (&args, adamix_view_of (two, 2, 1), adamix_view_of (gradient, 2, 1), &loss);
  cr_expect (loss.task == 4 && loss.consistency == 0.5);
  cr_expect (gradient[0] == 4 + 0.5f && gradient[1] == -0.5f, "%g %g", (double) gradient[0], (double) gradient[1]);
}
