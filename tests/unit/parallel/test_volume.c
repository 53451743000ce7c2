/* What many ranks would exchange, and what that costs, against sums made by hand. */
#include <criterion/criterion.h>
#include <math.h>

#include <adamix/parallel.h>

enum { LAYERS = 3, HIDDEN = 32, BOTTLENECK = 16 };

/* Parameters of a Down and of an Up projection; both are multiples of 16, as rows of sets are. */
#define DOWN (BOTTLENECK * HIDDEN + BOTTLENECK)
#define UP   (HIDDEN * BOTTLENECK + HIDDEN)

/* One latency and no bandwidth to speak of, or the other way round. */
static const adamix_network pings = { .node = { 1, 1e30 }, .wire = { 100, 1e30 }, .ranks_per_node = 4 };
static const adamix_network pipes = { .node = { 1e-30, 1 }, .wire = { 1e-30, 1 }, .ranks_per_node = 1 };

static adamix_exchange_volume
volume_of (const char *policy, int64_t experts, int64_t per_rank, int ranks)
{
  const adamix_placement_args args = { .layers = LAYERS, .experts = experts, .experts_per_rank = per_rank, .seed = 1 };
  const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                    .layers = LAYERS,
                                    .hidden = HIDDEN,
                                    .bottleneck = BOTTLENECK,
                                    .experts = experts,
                                    .share = ADAMIX_SHARE_DOWN };
  const adamix_params shared = { .count = 1600, .rows = 10 };
  adamix_exchange_volume volume;
  cr_assert_eq (
      adamix_exchange_volume_of (&volume, adamix_placement_policy_find (policy), &args, &shape, &shared, ranks),
      ADAMIX_OK);
  return volume;
}

Test (volume, is_that_of_the_sets)
{
  const adamix_exchange_volume v = volume_of ("owned", 4, 2, 7);
  cr_expect (v.ranks == 7 && v.groups == 2 && v.group_ranks == 4);
  cr_expect_eq (v.shared, 4 * (1600 + 10 + 8));
  cr_expect_eq (v.values, 4 * LAYERS * 2 * UP);
  cr_expect_eq (v.rows, 4 * LAYERS * 2 * 2);
  cr_expect_eq (v.experts, 4 * (LAYERS * 2 * UP + LAYERS * 2 * 2 + 8));
}

/* 5 experts of 3 layers in 2 groups: sets of 2 and 3, of which no group has the larger one everywhere. */
Test (volume, is_that_of_the_largest_group)
{
  cr_expect_eq (volume_of ("owned", 5, 2, 4).values, 4 * 8 * UP);
  const adamix_exchange_volume alone = volume_of ("owned", 4, 2, 1), all = volume_of ("replicated", 4, 2, 6);
  cr_expect (alone.groups == 1 && alone.group_ranks == 1 && all.groups == 1 && all.group_ranks == 6);
  const adamix_params head = { .count = 32, .rows = 2 };
  const adamix_placement_args args = { .layers = LAYERS, .experts = 1, .experts_per_rank = 1 };
  adamix_exchange_volume v;
  adamix_exchange_volume_of (&v, adamix_placement_policy_find ("owned"), &args, NULL, &head, 16);
  cr_expect (v.experts == 0 && v.values == 0 && v.shared == 4 * (32 + 2 + 8));
  cr_expect_float_eq (adamix_exchange_cost (&v, &pings, ADAMIX_ALLREDUCE_FLAT), 2 * (2 + 2 * 100), 1e-9);
  cr_expect (alone.values == all.values && all.values == 4 * LAYERS * 4 * UP);
}

Test (volume, costs_nothing_on_one_rank)
{
  const adamix_exchange_volume v = volume_of ("owned", 4, 2, 1);
  for (int a = 0; a < ADAMIX_ALLREDUCES; a++) {
    cr_expect_eq (adamix_exchange_cost (&v, &pings, (adamix_allreduce) a), 0);
    cr_expect_eq (adamix_rotation_cost (&v, &pings, (adamix_allreduce) a), 0);
  }
}

/* 16 ranks on 4 nodes; a message takes 1 within a node and 100 between two. */
Test (volume, costs_a_message_for_each_round)
{
  const double all = 2 + 2 * 100, group = 2 + 1 * 100;
  adamix_exchange_volume v = volume_of ("owned", 4, 2, 16);
  cr_expect_float_eq (adamix_exchange_cost (&v, &pings, ADAMIX_ALLREDUCE_FLAT), 3 * all + group, 1e-9);
  /* Values, two moments, t: each agrees twice, gathers sizes, and broadcasts from both groups; at the end all agree. */
  cr_expect_float_eq (adamix_rotation_cost (&v, &pings, ADAMIX_ALLREDUCE_FLAT), 4 * (3 * all + 2 * all) + all, 1e-9);
  /* Over nodes, to and from their first ranks: two rounds more within a node. */
  cr_expect_float_eq (adamix_exchange_cost (&v, &pings, ADAMIX_ALLREDUCE_HIERARCHICAL), all + 2 * (all + 2) + group + 2,
                      1e-9);
  v = volume_of ("replicated", 4, 2, 16);
  cr_expect_float_eq (adamix_exchange_cost (&v, &pings, ADAMIX_ALLREDUCE_FLAT), 3 * all, 1e-9);
  cr_expect_eq (adamix_rotation_cost (&v, &pings, ADAMIX_ALLREDUCE_FLAT), 0);
}

/* Two ranks, each a group of its own: no expert is summed, all move. */
Test (volume, costs_the_bytes_that_move)
{
  const adamix_exchange_volume v = volume_of ("owned", 4, 2, 2);
  cr_expect_float_eq (adamix_exchange_cost (&v, &pipes, ADAMIX_ALLREDUCE_FLAT), v.shared + 8, 1e-6);
  cr_expect_float_eq (adamix_rotation_cost (&v, &pipes, ADAMIX_ALLREDUCE_FLAT),
                      3 * 2 * v.values + 2 * v.rows + 4 * (2 * 4 + 8) + 4, 1e-6);
}
