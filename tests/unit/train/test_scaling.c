/* Predictions for many ranks, against what can be worked out by hand. */
#include <criterion/criterion.h>
#include <math.h>

#include <adamix/train.h>

enum { EXAMPLES = 4096, TOKENS = 40 };

#define EXPECT_NEAR(is, should)                                                                                        \
  cr_expect (fabs ((double) (is) - (should)) <= 1e-9 * fabs ((double) (should)), #is " is %g, not %g", (double) (is),  \
             (double) (should))

static adamix_dataset examples;
static const adamix_params shared = { .count = 1600, .rows = 10 };
static const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                         .layers = 3,
                                         .hidden = 32,
                                         .bottleneck = 16,
                                         .experts = 4,
                                         .share = ADAMIX_SHARE_DOWN };

static adamix_scaling_args
args_of (double spread, adamix_link link)
{
  const adamix_drawn_sizes sizes = {
    .examples = EXAMPLES, .tokens = TOKENS, .spread = spread, .longest = 400, .vocabulary = 10, .classes = 2
  };
  cr_assert_eq (adamix_dataset_draw (&examples, &sizes, 3), ADAMIX_OK);
  /* 1 ms and 10 us a token */
  return (adamix_scaling_args){ .curve = { 2, { TOKENS, 1e6 }, { 1e-3 + TOKENS * 1e-5, 1e-3 + 10 } },
                                .network = { link, link, 4 },
                                .policy = adamix_placement_policy_find ("owned"),
                                .placement = { 3, 4, 2, 1 },
                                .shape = &shape,
                                .shared = &shared,
                                .rotate_every = 50,
                                .examples = &examples,
                                .seed = 1 };
}

/* So fast that it does not count. */
static const adamix_link at_once = { 1e-15, 1e20 };

static adamix_scaling_point
predict (const adamix_scaling_args *args, int ranks, int64_t batch)
{
  adamix_scaling_point point;
  cr_assert_eq (adamix_scaling_predict (args, ranks, batch, &point), ADAMIX_OK);
  return point;
}

static void
end (void)
{
  adamix_dataset_destroy (&examples);
}

TestSuite (scaling, .fini = end);

Test (curve, is_met_in_its_points_and_straight_between_them)
{
  const adamix_step_curve curve = { 3, { 10, 20, 40 }, { 1, 3, 4 } };
  EXPECT_NEAR (adamix_step_curve_at (&curve, 10), 1);
  EXPECT_NEAR (adamix_step_curve_at (&curve, 15), 2);
  EXPECT_NEAR (adamix_step_curve_at (&curve, 20), 3);
  EXPECT_NEAR (adamix_step_curve_at (&curve, 30), 3.5);
  EXPECT_NEAR (adamix_step_curve_at (&curve, 80), 8);
  EXPECT_NEAR (adamix_step_curve_at (&curve, 2), 1);
  const adamix_step_curve point = { 1, { 10 }, { 2 } };
  EXPECT_NEAR (adamix_step_curve_at (&point, 5), 2);
  EXPECT_NEAR (adamix_step_curve_at (&point, 30), 6);
}

/* Examples of one length and no network: all ranks do the same, so more ranks with more examples lose nothing but the cut. */
Test (scaling, is_perfect_without_a_reason_to_lose)
{
  const adamix_scaling_args args = args_of (0, at_once);
  const adamix_scaling_point one = predict (&args, 1, 16), many = predict (&args, 64, 64 * 16);
  EXPECT_NEAR (one.compute, 1e-3 + 16 * TOKENS * 1e-5);
  EXPECT_NEAR (many.compute, one.compute);
  EXPECT_NEAR (many.imbalance, 1);
  EXPECT_NEAR (many.tokens, 64 * 16 * TOKENS);
  cr_expect_eq (many.idle, 0);
  cr_expect (many.cut > 0 && many.cut < 0.1);
  for (int a = 0; a < ADAMIX_ALLREDUCES; a++) {
    EXPECT_NEAR (adamix_scaling_efficiency (&one, &one, a), 1);
    EXPECT_NEAR (adamix_scaling_efficiency (&many, &one, a), one.by[a].seconds / many.by[a].seconds);
    cr_expect (one.by[a].exchange == 0 && one.by[a].rotation == 0);
  }
}

Test (scaling, leaves_ranks_without_an_example)
{
  const adamix_scaling_args args = args_of (0, at_once);
  const adamix_scaling_point one = predict (&args, 1, 64), half = predict (&args, 128, 64);
  cr_expect_eq (half.idle, 64);
  EXPECT_NEAR (half.imbalance, 2);
  EXPECT_NEAR (half.compute, 1e-3 + TOKENS * 1e-5);
  cr_expect (adamix_scaling_efficiency (&half, &one, ADAMIX_ALLREDUCE_FLAT) < 0.5);
}

/* With one example each, the longest one keeps all waiting; with many, long and short ones make up for each other. */
Test (scaling, waits_for_the_longest_example)
{
  const adamix_scaling_args args = args_of (0.5, at_once);
  double longest = 0;
  for (int64_t i = 0; i < EXAMPLES; i++)
    longest = fmax (longest, (double) (examples.offset[i + 1] - examples.offset[i]));
  const adamix_scaling_point single = predict (&args, EXAMPLES, EXAMPLES), few = predict (&args, 64, 64 * 16);
  EXPECT_NEAR (single.imbalance, longest / ((double) examples.offset[EXAMPLES] / EXAMPLES));
  EXPECT_NEAR (single.compute, 1e-3 + longest * 1e-5);
  cr_expect (few.imbalance >= 1 && few.imbalance < 1.02, "%g", few.imbalance);
}

Test (scaling, pays_for_exchange_and_a_share_of_rotation)
{
  const adamix_link slow = { 1e-4, 1e8 };
  adamix_scaling_args args = args_of (0, slow);
  args.rotation_seconds = 0.5;
  const adamix_scaling_point point = predict (&args, 16, 256);
  adamix_exchange_volume volume;
  cr_assert_eq (adamix_exchange_volume_of (&volume, args.policy, &args.placement, &shape, &shared, 16), ADAMIX_OK);
  for (int a = 0; a < ADAMIX_ALLREDUCES; a++) {
    EXPECT_NEAR (point.by[a].exchange, adamix_exchange_cost (&volume, &args.network, a));
    EXPECT_NEAR (point.by[a].rotation, (0.5 + adamix_rotation_cost (&volume, &args.network, a)) / 50);
    EXPECT_NEAR (point.by[a].seconds, point.cut + point.compute + point.by[a].exchange + point.by[a].rotation);
  }
  args.rotate_every = 0;
  cr_expect_eq (predict (&args, 16, 256).by[0].rotation, 0);
  args.rotate_every = 50;
  args.policy = adamix_placement_policy_find ("replicated");
  cr_expect_eq (predict (&args, 16, 256).by[0].rotation, 0);
}

Test (scaling, refuses_a_batch_larger_than_the_data)
{
  const adamix_scaling_args args = args_of (0, at_once);
  adamix_scaling_point point;
  cr_expect_eq (adamix_scaling_predict (&args, 2, EXAMPLES + 1, &point), ADAMIX_EDATA);
}
