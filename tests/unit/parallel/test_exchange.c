/* The exchange in one process: what several ranks add is tested under tests/mpi/parallel. */
#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/parallel.h>

#include "adapt/fixture.h"

static const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                         .layers = 2,
                                         .hidden = 9,
                                         .bottleneck = 4,
                                         .experts = 3,
                                         .share = ADAMIX_SHARE_UP };

static bank_fixture all;
static adamix_comm world;
static adamix_placement placement;

static void
set_up (void)
{
  adamix_placement_args args = { .layers = 2, .experts = 3, .experts_per_rank = 1, .seed = 1 };
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_randomise (&all, 1.0);
  must (adamix_comm_create (&world, MPI_COMM_NULL));
  must (adamix_placement_create (&placement, adamix_placement_policy_find ("owned"), &args, &world));
}

static void
tear_down (void)
{
  adamix_placement_destroy (&placement);
  adamix_comm_destroy (&world);
  bank_fixture_close (&all);
}

TestSuite (exchange, .init = set_up, .fini = tear_down);

Test (exchange, of_one_process_changes_nothing)
{
  all.experts.grads[7] = 3;
  all.shared.grads[1] = 4;
  all.shared.riders[2] = 5;
  must (adamix_exchange_gradients (&placement, &all.shared, &all.experts));
  cr_expect (all.experts.grads[7] == 3 && all.shared.grads[1] == 4 && all.shared.riders[2] == 5);
}

Test (exchange, norm_is_that_of_all_gradients_and_of_nothing_else)
{
  adamix_compute compute;
  double norm, squares = 0;
  adamix_params *sets[] = { &all.shared, &all.experts };
  must (adamix_compute_select (&compute, "auto", "auto", 1));
  for (int s = 0; s < 2; s++)
    for (int64_t r = 0; r < sets[s]->rows; r++) {
      adamix_param *row = &sets[s]->row[r];
      *row->touched = 1;
      for (int64_t e = 0; e < row->count; e++) {
        row->grad[e] = row->value[e];
        squares += (double) row->value[e] * row->value[e];
      }
    }
  all.shared.riders[0] = 1000;
  must (adamix_exchange_norm (&placement, compute.kernels, &all.shared, &all.experts, &norm));
  cr_expect (fabs (norm - sqrt (squares)) < 1e-12 * norm);
}

Test (exchange, select_cuts_out_what_is_owned_and_refuses_what_is_not_there)
{
  const bool owned[6] = { false, true, false, true, false, true };
  bank_fixture part;
  bank_fixture_open (&part, &shape, owned);
  float number[32], mine[32];
  for (int64_t r = 0; r < all.experts.rows; r++) number[r] = (float) r;
  must (adamix_exchange_select (&all.experts, all.experts.values, false, &part.experts, part.experts.values));
  must (adamix_exchange_select (&all.experts, number, true, &part.experts, mine));
  cr_expect (part.experts.rows > 0);
  for (int64_t r = 0; r < part.experts.rows; r++) {
    adamix_param *row = &part.experts.row[r], *whole = bank_fixture_row (&all.experts, row->name);
    cr_expect (memcmp (row->value, whole->value, (size_t) row->count * sizeof (float)) == 0, "%s", row->name);
    cr_expect (mine[r] == (float) (whole - all.experts.row));
  }
  cr_expect (adamix_exchange_select (&part.experts, number, true, &all.experts, mine) == ADAMIX_ESHAPE);
  cr_expect (adamix_exchange_select (&all.shared, number, true, &all.experts, mine) == ADAMIX_ESHAPE);
  bank_fixture_close (&part);
}

Test (exchange, collect_of_one_process_is_a_copy)
{
  bank_fixture copy;
  bank_fixture_open (&copy, &shape, NULL);
  must (adamix_exchange_collect (&placement, &shape, &all.experts, all.experts.values, false, &copy.experts,
                                 copy.experts.values));
  cr_expect (memcmp (copy.experts.values, all.experts.values, (size_t) all.experts.count * sizeof (float)) == 0);
  bank_fixture_close (&copy);
}
