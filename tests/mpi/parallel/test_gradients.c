/* After the exchange every rank holds the gradient that one process would have computed from all rows: nothing divided by
 * ranks or replicas, nothing counted twice, whatever the cut. */
#include <float.h>
#include <math.h>

#include "parallel/workload.h"

/* Sums of a few hundred fp32 terms, added in another order. */
#define TOLERANCE (64 * FLT_EPSILON)

static adamix_params *
set_with (bank_fixture *fixture, const char *name, adamix_param **row)
{
  *row = bank_fixture_row (&fixture->shared, name);
  if (*row != NULL) return &fixture->shared;
  *row = bank_fixture_row (&fixture->experts, name);
  return &fixture->experts;
}

/* reference gradients and touched flags += those of a part */
static void
add_part (bank_fixture *reference, const bank_fixture *part)
{
  const adamix_params *sets[] = { &part->shared, &part->experts };
  for (int s = 0; s < 2; s++)
    for (int64_t r = 0; r < sets[s]->rows; r++) {
      adamix_param *from = &sets[s]->row[r], *to;
      set_with (reference, from->name, &to);
      for (int64_t e = 0; e < from->count; e++) to->grad[e] += from->grad[e];
      *to->touched += *from->touched;
    }
}

/* All rows on one process.  With common routes they are one batch; otherwise each shard goes its own way, through the
 * experts of its group. */
static void
compute_reference (bank_fixture *reference, const adamix_compute *compute, const workload_case *c,
                   const adamix_placement *placement)
{
  int ranks = placement->world->size;
  int64_t cells = WORKLOAD_LAYERS * c->experts, B = workload_first_row (&c->cut, ranks, ranks);
  adamix_bank_shape shape = workload_shape (c);
  bank_fixture_open (reference, &shape, NULL);
  bank_fixture_randomise (reference, 0.3);
  if (placement->policy->common_route) {
    workload_run (compute, reference->bank, 0, 0, B, B);
    return;
  }
  for (int r = 0; r < ranks; r++) {
    bool *owned = calloc ((size_t) cells, sizeof *owned);
    bank_fixture part;
    for (int64_t e = 0; e < cells; e++) owned[e] = placement->owner[e] == r * placement->groups / ranks;
    bank_fixture_open (&part, &shape, owned);
    bank_fixture_randomise (&part, 0.3);
    workload_run (compute, part.bank, r, workload_first_row (&c->cut, r, ranks), workload_rows (&c->cut, r, ranks), B);
    add_part (reference, &part);
    bank_fixture_close (&part);
    free (owned);
  }
}

static void
compare (const char *label, bank_fixture *reference, const adamix_params *mine)
{
  for (int64_t r = 0; r < mine->rows; r++) {
    const adamix_param *row = &mine->row[r];
    adamix_param *expected;
    double error = 0, norm = 0;
    set_with (reference, row->name, &expected);
    for (int64_t e = 0; e < row->count; e++) {
      double difference = (double) row->grad[e] - expected->grad[e];
      error += difference * difference;
      norm += (double) expected->grad[e] * expected->grad[e];
    }
    workload_expect (sqrt (error) <= TOLERANCE * sqrt (norm), "%s: gradient of %s is off by %g of %g", label, row->name,
                     sqrt (error), sqrt (norm));
    workload_expect ((*row->touched > 0) == (*expected->touched > 0), "%s: touched flag of %s", label, row->name);
  }
}

/* The same bits on every rank of comm. */
static void
expect_alike (const char *what, adamix_comm *comm, const void *data, size_t bytes)
{
  void *first = malloc (bytes);
  memcpy (first, data, bytes);
  must (adamix_comm_broadcast (comm, 0, first, (int64_t) bytes));
  workload_expect (memcmp (first, data, bytes) == 0, "%s differs from that of the first rank", what);
  free (first);
}

static void
check_norm (const char *label, adamix_placement *placement, const adamix_compute *compute, const bank_fixture *mine,
            const bank_fixture *reference)
{
  double norm, expected = compute->kernels->sum_squares (reference->shared.count, reference->shared.grads) +
                          compute->kernels->sum_squares (reference->experts.count, reference->experts.grads);
  must (adamix_exchange_norm (placement, compute->kernels, &mine->shared, &mine->experts, &norm));
  workload_expect (fabs (norm - sqrt (expected)) <= TOLERANCE * norm, "%s: norm %.9g instead of %.9g", label, norm,
                   sqrt (expected));
  expect_alike ("norm", placement->world, &norm, sizeof norm);
}

static void
check_case (const workload_case *c, const adamix_compute *compute, adamix_comm *world)
{
  adamix_placement_args args = workload_placement (c);
  adamix_bank_shape shape = workload_shape (c);
  adamix_placement placement;
  bank_fixture mine, reference;
  char label[96];
  int rank = world->rank, ranks = world->size;
  snprintf (label, sizeof label, "%s, %d experts, share %d, rank %d of %d", c->placement, (int) c->experts, c->share,
            rank, ranks);
  must (adamix_placement_create (&placement, adamix_placement_policy_find (c->placement), &args, world));
  compute_reference (&reference, compute, c, &placement);
  bank_fixture_open (&mine, &shape, placement.owned);
  bank_fixture_randomise (&mine, 0.3);
  workload_run (compute, mine.bank, adamix_placement_route_key (&placement, rank), workload_first_row (&c->cut, rank, ranks),
                workload_rows (&c->cut, rank, ranks), workload_first_row (&c->cut, ranks, ranks));
  mine.shared.riders[ADAMIX_PARAMS_RIDERS - 1] = (float) (1 + rank);
  must (adamix_exchange_gradients (&placement, &mine.shared, &mine.experts));
  compare (label, &reference, &mine.shared);
  compare (label, &reference, &mine.experts);
  workload_expect (mine.shared.riders[ADAMIX_PARAMS_RIDERS - 1] == (float) (ranks * (ranks + 1) / 2),
                   "%s: the riders are not summed over the world", label);
  expect_alike ("the shared gradient", world, mine.shared.grads, (size_t) mine.shared.count * sizeof (float));
  expect_alike ("the experts' gradient", &placement.group, mine.experts.grads,
                (size_t) mine.experts.count * sizeof (float));
  check_norm (label, &placement, compute, &mine, &reference);
  bank_fixture_close (&mine);
  bank_fixture_close (&reference);
  adamix_placement_destroy (&placement);
}

int
main (int argc, char **argv)
{
  adamix_comm world;
  adamix_compute compute;
  MPI_Init (&argc, &argv);
  must (adamix_comm_create (&world, MPI_COMM_WORLD));
  must (adamix_compute_select (&compute, "auto", "auto", 1));
  for (int c = 0; c < WORKLOAD_CASES; c++) check_case (&workload_cases[c], &compute, &world);
  adamix_comm_destroy (&world);
  MPI_Finalize ();
  return workload_failures > 0;
}
