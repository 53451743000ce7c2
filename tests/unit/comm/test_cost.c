/* The cost model of collectives, against its closed forms. */
#include <adamix/comm.h>

#include <criterion/criterion.h>
#include <math.h>

/* a: latency, b: seconds a byte; of a node and of the wire. */
static const double an = 1e-6, bn = 1e-10, aw = 2e-5, bw = 1e-9;

static adamix_network
network_of (int ranks_per_node)
{
  return (adamix_network){ .node = { an, 1 / bn }, .wire = { aw, 1 / bw }, .ranks_per_node = ranks_per_node };
}

#define EXPECT_SECONDS(call, expected)                                                                                 \
  do {                                                                                                                 \
    const double is = (call), should = (expected);                                                                     \
    cr_expect (fabs (is - should) <= 1e-12 * should, #call " is %g, not %g", is, should);                              \
  } while (0)

static double
sum (const adamix_network *network, adamix_allreduce algorithm, int ranks, double bytes)
{
  return adamix_cost_sum (network, algorithm, ranks, bytes);
}

#define FLAT ADAMIX_ALLREDUCE_FLAT
#define TREE ADAMIX_ALLREDUCE_HIERARCHICAL

/* ---- links --------------------------------------------------------------------------------------------------------------- */

Test (link, is_found_again_in_its_own_times)
{
  const adamix_link link = { 3e-6, 2e9 };
  const double bytes[] = { 8, 1024, 65536, 1 << 22 };
  double seconds[4];
  adamix_link found;
  for (int i = 0; i < 4; i++) seconds[i] = adamix_link_seconds (&link, bytes[i]);
  EXPECT_SECONDS (seconds[1], 3e-6 + 1024 / 2e9);
  cr_assert_eq (adamix_link_fit (&found, bytes, seconds, 4), ADAMIX_OK);
  cr_expect_float_eq (found.latency, 3e-6, 1e-15);
  cr_expect (fabs (found.bandwidth / 2e9 - 1) < 1e-9, "%g", found.bandwidth);
}

/* Errors count relative to the time: 10 % more on one size moves both numbers by about as much, never by its own size. */
Test (link, is_not_bent_by_one_slow_large_message)
{
  const adamix_link link = { 1e-6, 1e9 };
  const double bytes[] = { 8, 16, 32, 1 << 20, 1 << 21, 1 << 22 };
  double seconds[6];
  adamix_link found;
  for (int i = 0; i < 6; i++) seconds[i] = adamix_link_seconds (&link, bytes[i]) * (i == 5 ? 1.1 : 1);
  cr_assert_eq (adamix_link_fit (&found, bytes, seconds, 6), ADAMIX_OK);
  cr_expect (fabs (found.latency / 1e-6 - 1) < 0.01, "%g", found.latency);
  cr_expect (found.bandwidth < 1e9 && found.bandwidth > 0.95e9, "%g", found.bandwidth);
}

/* Times that grow faster than their sizes, or not at all: still a link that a message could take. */
Test (link, is_one_where_the_times_are_odd)
{
  const double bytes[] = { 1e3, 1e4, 1e5 }, steep[] = { 1e-6, 2e-5, 4e-4 }, falling[] = { 3e-6, 2e-6, 1e-6 };
  adamix_link found;
  cr_assert_eq (adamix_link_fit (&found, bytes, steep, 3), ADAMIX_OK);
  EXPECT_SECONDS (found.latency, 1e-6);
  /* sum v^2 / (sum v - latency sum u v), u = 1 / seconds, v = bytes / seconds */
  EXPECT_SECONDS (found.bandwidth, 1.3125e18 / (1.75e9 - 1e-6 * 1.025625e15));
  cr_assert_eq (adamix_link_fit (&found, bytes, falling, 3), ADAMIX_OK);
  cr_expect (found.latency > 0);
  EXPECT_SECONDS (found.bandwidth, 1e5 / 1e-6);
}

Test (link, needs_two_sizes)
{
  const double bytes[] = { 64, 64 }, seconds[] = { 1e-6, 2e-6 };
  adamix_link found;
  cr_expect_eq (adamix_link_fit (&found, bytes, seconds, 2), ADAMIX_EDATA);
  cr_expect_eq (adamix_link_fit (&found, bytes, seconds, 1), ADAMIX_EDATA);
}

/* ---- collectives ----------------------------------------------------------------------------------------------------------- */

Test (cost, is_nothing_for_one_rank)
{
  const adamix_network n = network_of (1);
  cr_expect_eq (sum (&n, FLAT, 1, 1e6), 0);
  cr_expect_eq (sum (&n, TREE, 1, 1e6), 0);
  cr_expect_eq (adamix_cost_broadcast (&n, 1, 1e6), 0);
  cr_expect_eq (adamix_cost_gather (&n, 1, 1e6), 0);
  cr_expect_eq (adamix_cost_arrive (&n, 1), 0);
}

Test (cost, of_a_sum_on_one_node_is_that_of_the_best_algorithm)
{
  const adamix_network n = network_of (64);
  const double small = 8, large = 1e8;
  EXPECT_SECONDS (sum (&n, FLAT, 2, large), an + large * bn);
  EXPECT_SECONDS (sum (&n, FLAT, 8, small), 3 * (an + small * bn));
  EXPECT_SECONDS (sum (&n, FLAT, 8, large), 2 * (3 * an + 7.0 / 8 * large * bn));
  /* 6 = 4 + 2: two rounds of four ranks and two more to fold; 3 ranks go round in fewer rounds. */
  EXPECT_SECONDS (sum (&n, FLAT, 6, small), 4 * (an + small * bn));
  EXPECT_SECONDS (sum (&n, FLAT, 3, large), 4 * (an + large / 3 * bn));
  cr_expect_eq (sum (&n, TREE, 6, large), sum (&n, FLAT, 6, large));
}

Test (cost, of_a_sum_over_nodes)
{
  const adamix_network n = network_of (8);
  const double small = 8, large = 1e8;
  EXPECT_SECONDS (sum (&n, FLAT, 32, small), 3 * (an + small * bn) + 2 * (aw + 8 * small * bw));
  EXPECT_SECONDS (sum (&n, TREE, 32, small), 6 * (an + small * bn) + 2 * (aw + small * bw));
  EXPECT_SECONDS (sum (&n, FLAT, 32, large), 2 * (3 * an + 7.0 / 8 * large * bn + 2 * aw + 3.0 / 4 * large * bw));
  EXPECT_SECONDS (sum (&n, TREE, 32, large), 4 * (3 * an + 7.0 / 8 * large * bn) + 2 * (2 * aw + 3.0 / 4 * large * bw));
  /* Nodes of one rank are what the wire alone connects. */
  const adamix_network single = network_of (1);
  EXPECT_SECONDS (sum (&single, FLAT, 16, large), 2 * (4 * aw + 15.0 / 16 * large * bw));
  cr_expect_eq (sum (&single, TREE, 16, large), sum (&single, FLAT, 16, large));
  /* In the middle the shared wire hurts the flat one. */
  cr_expect (sum (&n, TREE, 32, 1e4) < sum (&n, FLAT, 32, 1e4));
  cr_expect_str_eq (adamix_allreduce_name (FLAT), "flat");
  cr_expect_str_eq (adamix_allreduce_name (TREE), "hierarchical");
}

Test (cost, of_the_others)
{
  const adamix_network n = network_of (8);
  const double small = 8, large = 1e8;
  EXPECT_SECONDS (adamix_cost_broadcast (&n, 32, small), 2 * (aw + small * bw) + 3 * (an + small * bn));
  EXPECT_SECONDS (adamix_cost_broadcast (&n, 32, large),
                  2 * (2 * aw + 3.0 / 4 * large * bw) + 2 * (3 * an + 7.0 / 8 * large * bn));
  EXPECT_SECONDS (adamix_cost_gather (&n, 8, small), 3 * an + 7 * small * bn);
  EXPECT_SECONDS (adamix_cost_gather (&n, 16, small), 3 * an + 7 * small * bn + aw + 8 * 8 * small * bw);
  EXPECT_SECONDS (adamix_cost_arrive (&n, 32), 3 * an + 2 * aw);
}

Test (cost, grows_with_bytes_and_with_nodes)
{
  const adamix_network n = network_of (16);
  for (int algorithm = 0; algorithm < ADAMIX_ALLREDUCES; algorithm++)
    for (int ranks = 16; ranks <= 4096; ranks *= 2)
      for (double bytes = 8; bytes < 1e9; bytes *= 4) {
        const double cost = sum (&n, (adamix_allreduce) algorithm, ranks, bytes);
        cr_assert (cost > 0 && cost < sum (&n, (adamix_allreduce) algorithm, ranks, 2 * bytes));
        cr_assert (cost < sum (&n, (adamix_allreduce) algorithm, 2 * ranks, bytes), "%d ranks, %g bytes", ranks, bytes);
      }
}
