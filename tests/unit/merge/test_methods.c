#include <float.h>
#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/merge.h>

#include "merge/scorer.h"

enum { L = 2, H = 9, R = 4, M = 3 };

static const char *const names[] = { "average",     "weighted",     "ties",   "dare",    "concat",
                                     "greedy-soup", "learned-soup", "fisher", "regmean", "ema" };
static const double weights[M] = { 0.5, 1.5, 2 };
#define NAMES (sizeof names / sizeof *names)

static bank_fixture all, initial, merged, target;
static test_scorer scorer;

/* Without ScaLAPACK there is one less. */
static bool
is_lacking (const char *name)
{
  return adamix_merge_method_find (name)->lacks != NULL;
}

static void
open_banks (int64_t experts, adamix_share share, const char *name)
{
  const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                    .layers = L,
                                    .hidden = H,
                                    .bottleneck = R,
                                    .experts = experts,
                                    .share = share };
  const adamix_bank_shape to = adamix_merge_method_find (name)->shape (&shape);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&initial, &shape, NULL);
  bank_fixture_open (&merged, &to, NULL);
  bank_fixture_randomise (&all, 1.0);
  bank_fixture_randomise (&initial, 0.25);
  const adamix_bank_shape one = adamix_merge_shape (&shape);
  bank_fixture_open (&target, &one, NULL);
  bank_fixture_randomise (&target, 0.5);
  test_scorer_open (&scorer, target.bank);
}

static void
close_banks (void)
{
  bank_fixture_close (&target);
  bank_fixture_close (&merged);
  bank_fixture_close (&initial);
  bank_fixture_close (&all);
}

/* Everything that can be kept is. */
static void
merge (const char *name)
{
  const adamix_merge_args args = { .all = all.bank,
                                   .initial = initial.bank,
                                   .weight = weights,
                                   .density = 1,
                                   .alpha = 0.9,
                                   .seed = 3,
                                   .scorer = &scorer.scorer };
  must (adamix_merge_method_find (name)->merge (&args, merged.bank));
}

static float *
value_of (const adamix_bank *bank, int p, int64_t layer, int64_t j, bool bias)
{
  const adamix_expert *expert = &bank->local[p][layer].expert[j];
  return (bias ? expert->bias : expert->weight)->value;
}

static int64_t
count_of (const adamix_bank *bank, int p, bool bias)
{
  const adamix_expert *expert = &bank->local[p][0].expert[0];
  return (bias ? expert->bias : expert->weight)->count;
}

#define FOR_EACH_TENSOR(p, i, bias)                                                                                    \
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)                                                                         \
    for (int64_t i = 0; i < L; i++)                                                                                    \
      for (int bias = 0; bias < 2; bias++)

Test (methods, leave_one_expert_as_it_is)
{
  for (size_t n = 0; n < NAMES; n++) {
    if (is_lacking (names[n])) continue;
    open_banks (1, ADAMIX_SHARE_NONE, names[n]);
    merge (names[n]);
    FOR_EACH_TENSOR (p, i, bias)
    cr_expect (memcmp (value_of (merged.bank, p, i, 0, bias), value_of (all.bank, p, i, 0, bias),
                       (size_t) count_of (all.bank, p, bias) * sizeof (float)) == 0,
               "%s", names[n]);
    close_banks ();
  }
}

/* Up (gelu (Down x)) in fp64, Down j and Up k of a bank. */
static void
module (const adamix_bank *bank, int64_t layer, int64_t j, int64_t k, const double *x, double *y)
{
  const int64_t bottleneck = bank->shape.bottleneck;
  const float *down = value_of (bank, ADAMIX_DOWN, layer, j, false), *b = value_of (bank, ADAMIX_DOWN, layer, j, true);
  const float *up = value_of (bank, ADAMIX_UP, layer, k, false), *c = value_of (bank, ADAMIX_UP, layer, k, true);
  for (int h = 0; h < H; h++) y[h] += c[h];
  for (int64_t r = 0; r < bottleneck; r++) {
    double u = b[r];
    for (int h = 0; h < H; h++) u += x[h] * (double) down[r * H + h];
    const double a = u * 0.5 * erfc (-u * M_SQRT1_2);
    for (int h = 0; h < H; h++) y[h] += a * (double) up[h * bottleneck + r];
  }
}

/* The values are rounded to fp32 once, sums of up to M R + 1 terms of size 1 are not. */
static void
expect_mean_of_outputs (const char *what, int64_t downs, int64_t ups)
{
  const double x[H] = { 1, -0.5, 0.25, 2, -1, 0.1, 0.7, -0.3, 0.9 };
  for (int64_t i = 0; i < L; i++) {
    double mean[H] = { 0 }, one[H] = { 0 };
    for (int64_t j = 0; j < downs; j++)
      for (int64_t k = 0; k < ups; k++) module (all.bank, i, j, k, x, mean);
    module (merged.bank, i, 0, 0, x, one);
    for (int h = 0; h < H; h++)
      cr_expect (fabs (one[h] - mean[h] / (double) (downs * ups)) < 40 * FLT_EPSILON, "%s: %.9g, not %.9g", what,
                 one[h], mean[h] / (double) (downs * ups));
  }
}

/* B' A' of the merged module and the mean of B_j A_j, at all sites. */
static void
expect_mean_of_products (adamix_share share, int64_t rank)
{
  const adamix_bank_shape shape = { .places = ADAMIX_PLACES_LINEAR,
                                    .kind = ADAMIX_LORA,
                                    .layers = L,
                                    .hidden = H,
                                    .bottleneck = R,
                                    .experts = M,
                                    .share = share,
                                    .scale = 2 };
  const adamix_bank_shape to = adamix_merge_method_find ("concat")->shape (&shape);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&initial, &shape, NULL);
  bank_fixture_open (&merged, &to, NULL);
  bank_fixture_randomise (&all, 1.0);
  cr_expect (eq (i64, to.bottleneck, rank));
  merge ("concat");
  for (int64_t i = 0; i < adamix_bank_sites (&shape); i++)
    for (int64_t e = 0; e < H * H; e++) {
      const float *a = value_of (merged.bank, ADAMIX_DOWN, i, 0, false),
                  *b = value_of (merged.bank, ADAMIX_UP, i, 0, false);
      double one = 0, mean = 0;
      for (int64_t r = 0; r < rank; r++) one += (double) b[e / H * rank + r] * a[r * H + e % H];
      for (int64_t j = 0; j < M; j++) {
        a = value_of (all.bank, ADAMIX_DOWN, i, share & ADAMIX_SHARE_DOWN ? 0 : j, false);
        b = value_of (all.bank, ADAMIX_UP, i, share & ADAMIX_SHARE_UP ? 0 : j, false);
        for (int64_t r = 0; r < R; r++) mean += (double) b[e / H * R + r] * a[r * H + e % H] / M;
      }
      cr_expect (fabs (one - mean) < 40 * FLT_EPSILON, "site %d: %.9g, not %.9g", (int) i, one, mean);
    }
  close_banks ();
}

Test (methods, concat_of_lora_gives_the_mean_of_the_products)
{
  expect_mean_of_products (ADAMIX_SHARE_NONE, M * R);
  expect_mean_of_products (ADAMIX_SHARE_UP, R);
  expect_mean_of_products (ADAMIX_SHARE_DOWN, R);
}

Test (methods, concat_gives_the_mean_of_the_outputs)
{
  open_banks (M, ADAMIX_SHARE_NONE, "concat");
  cr_expect (eq (i64, merged.bank->shape.bottleneck, M * R));
  merge ("concat");
  expect_mean_of_outputs ("nothing shared", M, M);
  close_banks ();
  open_banks (M, ADAMIX_SHARE_DOWN, "concat");
  cr_expect (eq (i64, merged.bank->shape.bottleneck, R));
  merge ("concat");
  expect_mean_of_outputs ("Down shared", 1, M);
  merge ("average");
  expect_mean_of_outputs ("Down shared, average", 1, M);
  close_banks ();
  open_banks (M, ADAMIX_SHARE_UP, "concat");
  merge ("concat");
  expect_mean_of_outputs ("Up shared", M, 1);
  close_banks ();
}

/* Every expert gets the values of expert 0. */
static void
make_equal (const adamix_bank *bank)
{
  FOR_EACH_TENSOR (p, i, bias)
  for (int64_t j = 1; j < bank->local[p][i].count; j++)
    memcpy (value_of (bank, p, i, j, bias), value_of (bank, p, i, 0, bias),
            (size_t) count_of (bank, p, bias) * sizeof (float));
}

Test (methods, make_of_equal_experts_what_they_are)
{
  for (size_t n = 0; n < NAMES; n++) {
    if (is_lacking (names[n])) continue;
    open_banks (M, ADAMIX_SHARE_NONE, names[n]);
    make_equal (all.bank);
    make_equal (initial.bank);
    merge (names[n]);
    expect_mean_of_outputs (names[n], 1, 1);
    close_banks ();
  }
}

static void
swap (const adamix_bank *bank, int64_t a, int64_t b)
{
  FOR_EACH_TENSOR (p, i, bias)
  for (int64_t e = 0; e < count_of (bank, p, bias); e++) {
    float *x = value_of (bank, p, i, a, bias) + e, *y = value_of (bank, p, i, b, bias) + e, z = *x;
    *x = *y;
    *y = z;
  }
}

/* Experts change places with all that is known of them. */
static void
swap_experts (int64_t a, int64_t b)
{
  swap (all.bank, a, b);
  swap (initial.bank, a, b);
  const int64_t name = scorer.name[a];
  scorer.name[a] = scorer.name[b];
  scorer.name[b] = name;
}

static void
scale (const adamix_bank *bank, float factor)
{
  FOR_EACH_TENSOR (p, i, bias)
  for (int64_t j = 0; j < bank->local[p][i].count; j++)
    for (int64_t e = 0; e < count_of (bank, p, bias); e++) value_of (bank, p, i, j, bias)[e] *= factor;
}

/* Less concat, whose order is that of its bottleneck, and weighted, whose order is that of its weights. */
Test (methods, do_not_look_at_the_order_and_follow_the_scale)
{
  for (size_t n = 0; n < NAMES; n++) {
    if (is_lacking (names[n]) || strcmp (names[n], "concat") == 0) continue;
    open_banks (M, ADAMIX_SHARE_NONE, names[n]);
    merge (names[n]);
    bank_fixture before = merged;
    const adamix_bank_shape to = merged.bank->shape;
    bank_fixture_open (&merged, &to, NULL);
    if (strcmp (names[n], "weighted") != 0) swap_experts (0, 2);
    scale (all.bank, 4);
    scale (initial.bank, 4);
    scale (target.bank, 4);
    merge (names[n]);
    FOR_EACH_TENSOR (p, i, bias)
    for (int64_t e = 0; e < count_of (merged.bank, p, bias); e++) {
      const float was = value_of (before.bank, p, i, 0, bias)[e], is = value_of (merged.bank, p, i, 0, bias)[e];
      cr_assert (fabsf (is - 4 * was) <= 8 * FLT_EPSILON, "%s: %g, was %g", names[n], (double) is, (double) was);
    }
    bank_fixture_close (&before);
    close_banks ();
  }
}

Test (methods, weighted_is_by_its_weights)
{
  const double first[M] = { 3, 0, 0 };
  open_banks (M, ADAMIX_SHARE_NONE, "weighted");
  merge ("weighted");
  for (int64_t e = 0; e < R * H; e++) {
    double sum = 0;
    for (int64_t j = 0; j < M; j++) sum += weights[j] * (double) value_of (all.bank, ADAMIX_DOWN, 1, j, false)[e];
    cr_assert (value_of (merged.bank, ADAMIX_DOWN, 1, 0, false)[e] == (float) (sum / 4));
  }
  const adamix_merge_args args = { .all = all.bank, .weight = first };
  must (adamix_merge_method_find ("weighted")->merge (&args, merged.bank));
  cr_expect (memcmp (value_of (merged.bank, ADAMIX_UP, 0, 0, false), value_of (all.bank, ADAMIX_UP, 0, 0, false),
                     H * R * sizeof (float)) == 0);
  close_banks ();
}

/* The first values of a tensor of each expert; the rest did not change in training. */
static void
put_changes (float changes[M][4])
{
  for (int j = 0; j < M; j++) {
    float *to = value_of (all.bank, ADAMIX_DOWN, 0, j, false);
    memset (to, 0, R * H * sizeof *to);
    memset (value_of (initial.bank, ADAMIX_DOWN, 0, j, false), 0, R * H * sizeof *to);
    memcpy (to, changes[j], 4 * sizeof *to);
  }
}

/* By hand.  Kept are 2 of 36: of expert 0 the values 8 and -4, of expert 1 -6 and 4, of expert 2 3 and 2.  Element 0: 8 and 3
 * go up, -6 down, the sum goes up: 11 / 2.  Element 1: -4 and 4 cancel, and up counts.  Element 2: 2.  Element 3: nothing. */
Test (methods, ties_elects_a_sign_for_every_value)
{
  float changes[M][4] = { { 8, -4, 1, 1 }, { -6, 4, -1, 1 }, { 3, 1, 2, 1 } };
  open_banks (M, ADAMIX_SHARE_NONE, "ties");
  put_changes (changes);
  const adamix_merge_args args = { .all = all.bank, .initial = initial.bank, .density = 2.0 / (R * H) };
  must (adamix_merge_method_find ("ties")->merge (&args, merged.bank));
  const float *got = value_of (merged.bank, ADAMIX_DOWN, 0, 0, false);
  const float expected[4] = { 5.5f, 4, 2, 0 };
  for (int e = 0; e < 4; e++) cr_expect (got[e] == expected[e], "%d: %g", e, (double) got[e]);
  close_banks ();
}

/* Of 8 tensors' values about half are kept: the share is off by less than 4 standard deviations. */
Test (methods, dare_drops_by_seed_and_rescales)
{
  const double density = 0.5;
  int64_t kept = 0, count = 0;
  open_banks (M, ADAMIX_SHARE_NONE, "dare");
  make_equal (initial.bank);
  FOR_EACH_TENSOR (p, i, bias)
  for (int64_t j = 0; j < M; j++)
    for (int64_t e = 0; e < count_of (all.bank, p, bias); e++)
      value_of (all.bank, p, i, j, bias)[e] = value_of (initial.bank, p, i, j, bias)[e] + 3;
  const adamix_merge_args args = { .all = all.bank, .initial = initial.bank, .density = density, .seed = 5 };
  must (adamix_merge_method_find ("dare")->merge (&args, merged.bank));
  FOR_EACH_TENSOR (p, i, bias)
  for (int64_t e = 0; e < count_of (merged.bank, p, bias); e++) {
    const double by =
        (double) value_of (merged.bank, p, i, 0, bias)[e] - (double) value_of (initial.bank, p, i, 0, bias)[e];
    const double of_three = by * M * density / 3;
    cr_assert (fabs (of_three - round (of_three)) < 1e-5, "each kept change counts twice");
    kept += lround (of_three);
    count += M;
  }
  cr_expect (fabs ((double) kept - density * (double) count) < 4 * sqrt ((double) count * density * (1 - density)));
  close_banks ();
}

/* Of example e the derivative by a value is 2 c_e (W - T), so F_j is the mean of c_e^2 times 4 (W_j - T)^2. */
Test (methods, fisher_is_by_squared_gradients)
{
  open_banks (M, ADAMIX_SHARE_DOWN, "fisher");
  value_of (all.bank, ADAMIX_UP, 1, 0, false)[3] = value_of (target.bank, ADAMIX_UP, 1, 0, false)[3];
  for (int64_t j = 0; j < M; j++)
    value_of (all.bank, ADAMIX_UP, 1, j, false)[5] = value_of (target.bank, ADAMIX_UP, 1, 0, false)[5];
  merge ("fisher");
  for (int64_t e = 0; e < H * R; e++) {
    double sum = 0, whole = 0;
    for (int64_t j = 0; j < M; j++) {
      const double w = (double) value_of (all.bank, ADAMIX_UP, 1, j, false)[e],
                   off = w - (double) value_of (target.bank, ADAMIX_UP, 1, 0, false)[e];
      sum += off * off * w;
      whole += off * off;
    }
    const double got = (double) value_of (merged.bank, ADAMIX_UP, 1, 0, false)[e];
    const double expected = whole > 0 ? sum / whole : (double) value_of (target.bank, ADAMIX_UP, 1, 0, false)[e];
    cr_expect (fabs (got - expected) <= 4 * FLT_EPSILON * fmax (1, fabs (expected)), "%lld: %g, not %g", (long long) e,
               got, expected);
  }
  cr_expect (memcmp (value_of (merged.bank, ADAMIX_DOWN, 0, 0, false), value_of (all.bank, ADAMIX_DOWN, 0, 0, false),
                     R * H * sizeof (float)) == 0,
             "a shared projection is what it was");
  close_banks ();
}

/* With its routers; what is merged by weights has none. */
Test (methods, none_keeps_all_of_a_gated_bank)
{
  const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                    .layers = L,
                                    .hidden = H,
                                    .bottleneck = R,
                                    .experts = M,
                                    .share = ADAMIX_SHARE_DOWN,
                                    .gating = ADAMIX_GATING_SOFT };
  const adamix_merge_method *none = adamix_merge_method_find ("none");
  const adamix_bank_shape to = none->shape (&shape), mean = adamix_merge_method_find ("average")->shape (&shape);
  cr_expect_eq (mean.gating, ADAMIX_GATING_NONE);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&merged, &to, NULL);
  bank_fixture_randomise (&all, 1.0);
  merge ("none");
  cr_assert_eq (merged.experts.count, all.experts.count);
  cr_expect (memcmp (merged.experts.values, all.experts.values, (size_t) all.experts.count * sizeof (float)) == 0);
  cr_expect (memcmp (merged.shared.values, all.shared.values, (size_t) all.shared.count * sizeof (float)) == 0);
  cr_expect (value_of (merged.bank, ADAMIX_ROUTER, 1, M - 1, false)[3] != 0);
  bank_fixture_close (&merged);
  bank_fixture_close (&all);
}
