/* Experts of all ranks brought together, cut apart again, merged: the same bits on every number of ranks. */
#include <adamix/merge.h>

#include <math.h>

#include "parallel/workload.h"

static bool
same_values (const adamix_params *a, const adamix_params *b)
{
  for (int64_t r = 0; r < a->rows; r++)
    if (memcmp (a->row[r].value, b->row[r].value, (size_t) a->row[r].count * sizeof (float)) != 0) return false;
  return a->rows == b->rows;
}

/* A number a row that tells its name. */
static float
number_of (const adamix_param *row)
{
  int number = 0;
  for (const char *c = row->name; *c != '\0'; c++) number = (number * 31 + *c) % 65521;
  return (float) number;
}

static void
check_numbers (const char *label, adamix_placement *placement, const adamix_bank_shape *shape, const bank_fixture *mine,
               const bank_fixture *all)
{
  float sent[128], got[128], back[128];
  for (int64_t r = 0; r < mine->experts.rows; r++) sent[r] = number_of (&mine->experts.row[r]);
  must (adamix_exchange_collect (placement, shape, &mine->experts, sent, true, &all->experts, got));
  for (int64_t r = 0; r < all->experts.rows; r++)
    workload_expect (got[r] == number_of (&all->experts.row[r]), "%s: the number of %s went astray", label,
                     all->experts.row[r].name);
  must (adamix_exchange_select (&all->experts, got, true, &mine->experts, back));
  for (int64_t r = 0; r < mine->experts.rows; r++)
    workload_expect (back[r] == sent[r], "%s: the number of %s did not come back", label, mine->experts.row[r].name);
}

static void
check_merge (const char *label, const adamix_bank_shape *shape, const bank_fixture *all)
{
  adamix_bank_shape to = adamix_merge_shape (shape);
  bank_fixture merged;
  bank_fixture_open (&merged, &to, NULL);
  must (adamix_merge_average (&(adamix_merge_args){ .all = all->bank }, merged.bank));
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < shape->layers; i++) {
      const adamix_expert_list *list = &all->bank->local[p][i];
      const adamix_param *mean = merged.bank->local[p][i].expert[0].weight;
      for (int64_t e = 0; e < mean->count; e++) {
        double sum = 0;
        for (int64_t j = 0; j < list->count; j++) sum += list->expert[j].weight->value[e];
        workload_expect (mean->value[e] == (float) (sum / (double) list->count), "%s: value %d of %s is no mean", label,
                         (int) e, mean->name);
      }
    }
  bank_fixture_close (&merged);
}

/* The experts dealt anew, round after round: their values and their numbers go along. */
static void
check_rotation (const char *label, adamix_placement *placement, const adamix_bank_shape *shape, bank_fixture *mine,
                const bank_fixture *all)
{
  enum { ROUNDS = 5 };
  bank_fixture together;
  int moved = 0;
  bank_fixture_open (&together, shape, NULL);
  for (int64_t round = 1; round <= ROUNDS; round++) {
    const int64_t cells = shape->layers * shape->experts;
    bool before[128];
    memcpy (before, placement->owned, (size_t) cells * sizeof *before);
    must (adamix_exchange_collect (placement, shape, &mine->experts, mine->experts.values, false, &together.experts,
                                   together.experts.values));
    adamix_placement_deal (placement, round);
    must (adamix_bank_deal (mine->bank, placement->owned, &mine->experts));
    must (adamix_exchange_select (&together.experts, together.experts.values, false, &mine->experts,
                                  mine->experts.values));
    moved += memcmp (before, placement->owned, (size_t) cells * sizeof *before) != 0;
    for (int64_t i = 0; i < shape->layers; i++)
      for (int64_t j = 0; j < shape->experts; j++)
        workload_expect (adamix_bank_copies (shape, ADAMIX_UP) == 1 ||
                             (adamix_bank_slot (mine->bank, ADAMIX_UP, i, j) >= 0) ==
                                 placement->owned[i * shape->experts + j],
                         "%s: the bank of round %d does not hold what was dealt", label, (int) round);
    check_numbers (label, placement, shape, mine, all);
  }
  must (adamix_exchange_collect (placement, shape, &mine->experts, mine->experts.values, false, &together.experts,
                                 together.experts.values));
  workload_expect (same_values (&together.experts, &all->experts), "%s: rotation changed an expert", label);
  workload_expect (placement->groups == 1 || moved > 0, "%s: nothing was dealt anew", label);
  bank_fixture_close (&together);
}

/* One bit that only one of the ranks has is noticed by all of them; what ranks need not share may differ. */
static void
check_verify (const char *label, adamix_placement *placement, bank_fixture *mine)
{
  const adamix_comm *world = placement->world;
  const struct {
    const adamix_params *set;
    bool spoil;   /* this rank's copy */
    bool noticed; /* by the world */
  } cases[] = { { &mine->shared, false, false },
                { &mine->shared, world->rank == world->size - 1, world->size > 1 && mine->shared.count > 0 },
                { &mine->experts, placement->group.rank == 1,
                  world->size > placement->groups && mine->experts.count > 0 } };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    float *last = cases[i].set->count ? &cases[i].set->row[cases[i].set->rows - 1].value[0] : NULL,
          kept = last ? *last : 0;
    if (last && cases[i].spoil) *last = nextafterf (kept, 2);
    adamix_err err = adamix_exchange_verify (placement, &mine->shared, &mine->experts);
    workload_expect (err == (cases[i].noticed ? ADAMIX_ENUMERIC : ADAMIX_OK), "%s, comparison %d: status %d", label,
                     (int) i, err);
    if (last) *last = kept;
  }
}

static void
check_case (const workload_case *c, adamix_comm *world)
{
  adamix_placement_args args = workload_placement (c);
  adamix_bank_shape shape = workload_shape (c);
  adamix_placement placement;
  bank_fixture mine, all, together;
  char label[96];
  snprintf (label, sizeof label, "%s, %d experts, share %d, rank %d of %d", c->placement, (int) c->experts, c->share,
            world->rank, world->size);
  must (adamix_placement_create (&placement, adamix_placement_policy_find (c->placement), &args, world));
  bank_fixture_open (&mine, &shape, placement.owned);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&together, &shape, NULL);
  adamix_bank_initialise (mine.bank, WORKLOAD_SEED);
  adamix_bank_initialise (all.bank, WORKLOAD_SEED);
  must (adamix_exchange_collect (&placement, &shape, &mine.experts, mine.experts.values, false, &together.experts,
                                 together.experts.values));
  workload_expect (same_values (&together.experts, &all.experts),
                   "%s: the experts of all ranks are not those of one process", label);
  workload_expect (same_values (&mine.shared, &all.shared), "%s: the shared projection depends on the rank", label);
  memcpy (together.shared.values, mine.shared.values, (size_t) mine.shared.count * sizeof (float));
  check_numbers (label, &placement, &shape, &mine, &all);
  check_merge (label, &shape, &together);
  check_rotation (label, &placement, &shape, &mine, &all);
  check_verify (label, &placement, &mine);
  memset (all.experts.values, 0, (size_t) all.experts.count * sizeof (float));
  must (adamix_exchange_select (&together.experts, together.experts.values, false, &all.experts, all.experts.values));
  workload_expect (same_values (&together.experts, &all.experts), "%s: select loses values", label);
  bank_fixture_close (&together);
  bank_fixture_close (&all);
  bank_fixture_close (&mine);
  adamix_placement_destroy (&placement);
}

/* A mistake of one rank ends all of them, without a hang. */
static void
check_agreement (adamix_comm *world)
{
  adamix_placement_args args = workload_placement (&workload_cases[0]);
  adamix_placement placement;
  if (world->rank == world->size - 1) args.experts_per_rank = 0;
  adamix_err err = adamix_placement_create (&placement, adamix_placement_policy_find ("owned"), &args, world);
  workload_expect (err == ADAMIX_EUSAGE, "rank %d: status %d where the last rank's usage is wrong", world->rank, err);
}

int
main (int argc, char **argv)
{
  adamix_comm world;
  MPI_Init (&argc, &argv);
  must (adamix_comm_create (&world, MPI_COMM_WORLD));
  for (int c = 0; c < WORKLOAD_CASES; c++) check_case (&workload_cases[c], &world);
  check_agreement (&world);
  adamix_comm_destroy (&world);
  MPI_Finalize ();
  return workload_failures > 0;
}
