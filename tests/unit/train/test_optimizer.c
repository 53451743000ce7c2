#include <float.h>
#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/train.h>

enum { ROWS = 3, STEPS = 6, WIDTH = 5 };

static const double lr = 0.01, decay = 0.1;

/* Clipping changes from step to step: a constant factor would cancel in m / sqrt (v). */
static const double factor[STEPS] = { 1, 0.1, 1, 0.5, 0.02, 1 };

/* In which steps a row gets a gradient: the second starts late, the third pauses. */
static const bool touched[ROWS][STEPS] = { { true, true, true, true, true, true },
                                           { false, false, false, true, true, true },
                                           { true, false, false, true, false, false } };

static adamix_params params;
static adamix_optimizer optimizer;

static void
set_up (void)
{
  const adamix_kernels *kernels;
  int64_t index;
  cr_assert (eq (int, adamix_params_add (&params, "first.weight", 2, 1, WIDTH, true, &index), ADAMIX_OK));
  cr_assert (eq (int, adamix_params_add (&params, "late.weight", 2, 1, WIDTH, true, &index), ADAMIX_OK));
  cr_assert (eq (int, adamix_params_add (&params, "pausing.bias", 1, WIDTH, 0, false, &index), ADAMIX_OK));
  cr_assert (eq (int, adamix_params_allocate (&params), ADAMIX_OK));
  cr_assert (eq (int, adamix_kernels_select (&kernels, "auto"), ADAMIX_OK));
  cr_assert (eq (int, adamix_optimizer_create (&optimizer, &params, kernels, decay), ADAMIX_OK));
}

static void
tear_down (void)
{
  adamix_optimizer_destroy (&optimizer);
  adamix_params_destroy (&params);
}

/* One that was filled with `value`. */
static void
must_have_ema (float value)
{
  cr_assert (eq (int, ADAMIX_ALLOC (optimizer.ema, params.count), ADAMIX_OK));
  for (int64_t i = 0; i < params.count; i++) optimizer.ema[i] = value;
}

TestSuite (optimizer, .init = set_up, .fini = tear_down);

static double
gradient (int row, int step, int i)
{
  return touched[row][step] ? sin (1.0 + row + 3 * step + i) : 0;
}

/* The published update of one value in fp64, t from its first gradient. */
static double
expected (int row, int i, double p)
{
  double m = 0, v = 0;
  int t = 0;
  for (int step = 0; step < STEPS; step++) {
    if (!touched[row][step] && t == 0) continue;
    t++;
    double g = factor[step] * gradient (row, step, i);
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    p -= lr * sqrt (1 - pow (0.999, t)) / (1 - pow (0.9, t)) * m / (sqrt (v) + 1e-8);
    if (params.row[row].decay) p -= lr * decay * p;
  }
  return p;
}

/* Each of the six updates rounds a value of about 1 a few times: tens of units in the last place at most. */
Test (optimizer, agrees_with_the_published_form)
{
  for (int row = 0; row < ROWS; row++)
    for (int i = 0; i < WIDTH; i++) params.row[row].value[i] = (float) (1 + 0.1 * i);
  for (int step = 0; step < STEPS; step++) {
    adamix_params_zero_grads (&params);
    for (int row = 0; row < ROWS; row++) {
      *params.row[row].touched = touched[row][step];
      for (int i = 0; i < WIDTH; i++) params.row[row].grad[i] = (float) gradient (row, step, i);
    }
    adamix_optimizer_update (&optimizer, lr, factor[step]);
  }
  for (int row = 0; row < ROWS; row++)
    for (int i = 0; i < WIDTH; i++) {
      float start = (float) (1 + 0.1 * i);
      cr_assert (epsilon_eq (dbl, params.row[row].value[i], expected (row, i, start), 32 * FLT_EPSILON),
                 "row %d, value %d", row, i);
    }
}

Test (optimizer, leaves_what_never_had_a_gradient)
{
  params.row[1].value[0] = 1;
  *params.row[0].touched = 1;
  adamix_optimizer_update (&optimizer, lr, 1);
  cr_assert (eq (flt, params.row[1].value[0], 1));
  cr_assert (eq (flt, optimizer.steps[1], 0));
  cr_assert (eq (flt, optimizer.steps[0], 1));
}

/* sum_i d^(t-i) p_i / sum_i d^(t-i), without a share of what was there before the first step.  Each step rounds the average
 * once, and later ones forget it. */
Test (optimizer, averages_the_values_over_the_steps)
{
  const double forget = 0.75;
  double sum = 0, whole = 0;
  must_have_ema (17);
  for (int step = 1; step <= STEPS; step++) {
    const double value = sin (step);
    params.row[2].value[4] = (float) value;
    sum = forget * sum + (double) (float) value;
    whole = forget * whole + 1;
    adamix_optimizer_average (&optimizer, forget, step);
    cr_assert (epsilon_eq (dbl, optimizer.ema[params.row[2].offset + 4], sum / whole, 4 * FLT_EPSILON), "step %d",
               step);
    if (step == 1) cr_assert (eq (flt, optimizer.ema[params.row[2].offset + 4], (float) value));
  }
}

Test (optimizer, averages_what_does_not_change_to_itself)
{
  must_have_ema (0);
  for (int i = 0; i < WIDTH; i++) params.row[0].value[i] = (float) (0.1 * i);
  for (int step = 1; step <= STEPS; step++) adamix_optimizer_average (&optimizer, 0.9, step);
  for (int i = 0; i < WIDTH; i++) cr_assert (eq (flt, optimizer.ema[i], params.row[0].value[i]));
}
