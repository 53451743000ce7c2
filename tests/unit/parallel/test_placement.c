#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/parallel.h>

#include <string.h>

enum { MAX_CELLS = 1024 };

static adamix_placement_args
args_of (int64_t experts, int64_t experts_per_rank)
{
  return (adamix_placement_args){ .layers = 12, .experts = experts, .experts_per_rank = experts_per_rank, .seed = 3 };
}

Test (placement, owned_forms_as_many_groups_as_the_experts_allow)
{
  const adamix_placement_policy *owned = adamix_placement_policy_find ("owned");
  static const struct {
    int64_t experts, per_rank;
    int ranks, groups;
  } row[] = { { 4, 2, 1, 1 }, { 4, 2, 2, 2 }, { 4, 2, 7, 2 }, { 5, 2, 4, 2 },
              { 3, 1, 4, 3 }, { 1, 2, 4, 1 }, { 8, 1, 3, 3 } };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    adamix_placement_args args = args_of (row[i].experts, row[i].per_rank);
    cr_expect (eq (int, owned->groups (&args, row[i].ranks), row[i].groups), "row %zu", i);
  }
  adamix_placement_args args = args_of (4, 1);
  cr_expect (eq (int, adamix_placement_policy_find ("replicated")->groups (&args, 4), 1));
  cr_expect (eq (ptr, (void *) adamix_placement_policy_find ("scattered"), NULL));
}

Test (placement, owned_deals_sets_that_differ_by_at_most_one)
{
  const adamix_placement_policy *owned = adamix_placement_policy_find ("owned");
  for (int64_t experts = 1; experts <= 16; experts++)
    for (int groups = 1; groups <= experts; groups++) {
      adamix_placement_args args = args_of (experts, 1);
      int32_t owner[MAX_CELLS];
      int64_t total[16] = { 0 }, most = 0, least = INT64_MAX;
      owned->deal (&args, groups, experts % 3, owner);
      for (int64_t i = 0; i < args.layers; i++) {
        int64_t held[16] = { 0 };
        for (int64_t j = 0; j < experts; j++) {
          int32_t group = owner[i * experts + j];
          cr_assert (group >= 0 && group < groups);
          held[group]++;
          total[group]++;
        }
        for (int g = 0; g < groups; g++)
          cr_assert (held[g] == experts / groups || held[g] == (experts + groups - 1) / groups);
      }
      for (int g = 0; g < groups; g++) {
        most = total[g] > most ? total[g] : most;
        least = total[g] < least ? total[g] : least;
      }
      cr_expect (most - least <= experts % groups, "the larger sets go round: %d to %d", (int) least, (int) most);
    }
}

Test (placement, deals_are_keyed_by_seed_and_layer)
{
  const adamix_placement_policy *owned = adamix_placement_policy_find ("owned");
  adamix_placement_args args = args_of (8, 2), other = args;
  int32_t once[MAX_CELLS], again[MAX_CELLS], reseeded[MAX_CELLS];
  int differing = 0, seeds = 0;
  other.seed = 4;
  owned->deal (&args, 2, 0, once);
  owned->deal (&args, 2, 0, again);
  owned->deal (&other, 2, 0, reseeded);
  for (int e = 0; e < 12 * 8; e++) {
    cr_assert (once[e] == again[e]);
    seeds += once[e] != reseeded[e];
    differing += once[e] != once[e % 16]; /* layers of one parity start at the same group */
  }
  cr_expect (differing > 20 && seeds > 20);
}

Test (placement, of_one_process_owns_everything)
{
  adamix_comm world;
  adamix_placement placement;
  adamix_placement_args args = args_of (4, 2);
  cr_assert (adamix_comm_create (&world, MPI_COMM_NULL) == ADAMIX_OK);
  for (int p = 0; p < 2; p++) {
    const adamix_placement_policy *policy = adamix_placement_policy_find (p == 0 ? "owned" : "replicated");
    cr_assert (adamix_placement_create (&placement, policy, &args, &world) == ADAMIX_OK);
    cr_expect (placement.groups == 1 && placement.mine == 0 && placement.group.size == 1);
    for (int e = 0; e < 12 * 4; e++) cr_expect (placement.owned[e]);
    cr_expect (adamix_placement_route_key (&placement, 0) == 0);
    adamix_placement_destroy (&placement);
  }
  args.experts_per_rank = 0;
  cr_expect (adamix_placement_create (&placement, adamix_placement_policy_find ("owned"), &args, &world) ==
             ADAMIX_EUSAGE);
  adamix_comm_destroy (&world);
}

/* What rotation is for: an expert of one layer meets every expert of another layer in some group. */
Test (placement, over_twenty_periods_every_pair_of_experts_of_two_layers_shares_a_group)
{
  enum { LAYERS = 12, EXPERTS = 4, PERIODS = 20 };
  const adamix_placement_policy *owned = adamix_placement_policy_find ("owned");
  adamix_placement_args args = args_of (EXPERTS, 2);
  bool met[LAYERS][EXPERTS][LAYERS][EXPERTS] = { 0 };
  for (int64_t round = 0; round < PERIODS; round++) {
    int32_t owner[LAYERS][EXPERTS];
    owned->deal (&args, 2, round, &owner[0][0]);
    for (int i = 0; i < LAYERS * EXPERTS; i++)
      for (int k = 0; k < LAYERS * EXPERTS; k++)
        met[i / EXPERTS][i % EXPERTS][k / EXPERTS][k % EXPERTS] |= (&owner[0][0])[i] == (&owner[0][0])[k];
  }
  for (int i = 0; i < LAYERS * EXPERTS; i++)
    for (int k = 0; k < LAYERS * EXPERTS; k++)
      cr_assert (i / EXPERTS == k / EXPERTS || met[i / EXPERTS][i % EXPERTS][k / EXPERTS][k % EXPERTS],
                 "expert %d of layer %d never met expert %d of layer %d", i % EXPERTS, i / EXPERTS, k % EXPERTS,
                 k / EXPERTS);
}

Test (placement, a_group_holds_as_many_experts_of_a_layer_in_every_round)
{
  enum { LAYERS = 12, EXPERTS = 7, GROUPS = 3 };
  const adamix_placement_policy *owned = adamix_placement_policy_find ("owned");
  adamix_placement_args args = args_of (EXPERTS, 2);
  int64_t first[LAYERS][GROUPS] = { 0 };
  for (int64_t round = 0; round < 9; round++) {
    int32_t owner[LAYERS * EXPERTS];
    int64_t held[LAYERS][GROUPS] = { 0 };
    owned->deal (&args, GROUPS, round, owner);
    for (int e = 0; e < LAYERS * EXPERTS; e++) held[e / EXPERTS][owner[e]]++;
    if (round == 0) memcpy (first, held, sizeof first);
    cr_assert (memcmp (first, held, sizeof first) == 0, "round %d", (int) round);
  }
}
