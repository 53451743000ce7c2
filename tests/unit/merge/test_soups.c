#include <float.h>
#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "merge/scorer.h"

enum { M = 3 };

static bank_fixture all, merged, target;
static test_scorer scorer;

static void
set_up (void)
{
  const adamix_bank_shape shape = {
    .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN), .layers = 2, .hidden = 9, .bottleneck = 4, .experts = M
  };
  const adamix_bank_shape one = adamix_merge_shape (&shape);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&merged, &one, NULL);
  bank_fixture_open (&target, &one, NULL);
  bank_fixture_randomise (&all, 1.0);
  bank_fixture_randomise (&target, 0.5);
  test_scorer_open (&scorer, target.bank);
}

static void
tear_down (void)
{
  bank_fixture_close (&target);
  bank_fixture_close (&merged);
  bank_fixture_close (&all);
}

TestSuite (soups, .init = set_up, .fini = tear_down);

static double chosen[M];

static void
merge (const char *name)
{
  const adamix_merge_args args = { .all = all.bank, .scorer = &scorer.scorer, .chosen = chosen };
  must (adamix_merge_method_find (name)->merge (&args, merged.bank));
}

/* T = sum_j w_j W_j */
static void
aim_at (const double weight[M])
{
  FOR_EACH_TENSOR_OF (all.bank, p, i, bias)
  for (int64_t e = 0; e < test_tensor (target.bank, p, i, 0, bias)->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < M; j++) sum += weight[j] * (double) test_tensor (all.bank, p, i, j, bias)->value[e];
    test_tensor (target.bank, p, i, 0, bias)->value[e] = (float) sum;
  }
}

static double
loss_of (const adamix_bank *bank, int64_t slot)
{
  double loss;
  must (scorer.scorer.loss (&scorer.scorer, bank, slot, &loss));
  return loss / SCORER_EXAMPLES;
}

static void
expect_close (const adamix_bank *a, const adamix_bank *b, double tolerance)
{
  FOR_EACH_TENSOR_OF (a, p, i, bias)
  for (int64_t e = 0; e < test_tensor (a, p, i, 0, bias)->count; e++)
    cr_assert (fabs ((double) test_tensor (a, p, i, 0, bias)->value[e] - test_tensor (b, p, i, 0, bias)->value[e]) <=
               tolerance);
}

/* The mean of 0 and 2 is the target: 1 would take it away from there.  Values are of size 1, rounded once. */
Test (soups, greedy_leaves_out_what_makes_it_worse)
{
  aim_at ((const double[M]){ 0.5, 0, 0.5 });
  merge ("greedy-soup");
  expect_close (merged.bank, target.bank, 4 * FLT_EPSILON);
  cr_expect (eq (i64, scorer.looks, M + M - 1));
  cr_expect (eq (dbl, chosen[0], 0.5));
  cr_expect (eq (dbl, chosen[1], 0));
  cr_expect (eq (dbl, chosen[2], 0.5));
}

Test (soups, greedy_takes_all_where_all_help)
{
  const double equal[M] = { 1.0 / M, 1.0 / M, 1.0 / M };
  aim_at (equal);
  merge ("greedy-soup");
  expect_close (merged.bank, target.bank, 4 * FLT_EPSILON);
}

/* The target is the best expert itself, and any other makes it worse. */
Test (soups, greedy_begins_with_the_best)
{
  aim_at ((const double[M]){ 0, 1, 0 });
  merge ("greedy-soup");
  expect_close (merged.bank, target.bank, 0);
}

/* Within TOLERANCE of a loss that goes to 0 the search goes on until its looks are used up. */
Test (soups, learned_finds_the_weights)
{
  const double weight[M] = { 0.7, 0.3, 0 }, equal[M] = { 1, 1, 1 };
  aim_at (weight);
  const adamix_merge_args average = { .all = all.bank, .weight = equal };
  must (adamix_merge_method_find ("weighted")->merge (&average, merged.bank));
  const double before = loss_of (merged.bank, 0);
  scorer.looks = 0;
  merge ("learned-soup");
  cr_expect (scorer.looks <= 24, "%lld looks", (long long) scorer.looks);
  for (int j = 0; j < M; j++) cr_expect (fabs (chosen[j] - weight[j]) < 0.03, "%d: %g", j, chosen[j]);
  cr_expect (loss_of (merged.bank, 0) < 1e-3 * before, "%g, was %g", loss_of (merged.bank, 0), before);
}

/* A target that no weights reach: the best ones are in a corner, and no expert is better. */
Test (soups, learned_is_no_worse_than_an_expert)
{
  aim_at ((const double[M]){ -0.5, 2, -0.5 });
  merge ("learned-soup");
  cr_expect (loss_of (merged.bank, 0) <= loss_of (all.bank, 1) * (1 + 2e-3));
}

Test (soups, a_bank_of_another_shape_is_refused)
{
  aim_at ((const double[M]){ 1, 0, 0 });
  const adamix_merge_args args = { .all = all.bank, .scorer = &scorer.scorer };
  cr_expect (adamix_merge_method_find ("greedy-soup")->merge (&args, all.bank) == ADAMIX_ESHAPE);
  cr_expect (adamix_merge_method_find ("learned-soup")->merge (&args, all.bank) == ADAMIX_ESHAPE);
}
