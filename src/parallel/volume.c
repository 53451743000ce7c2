#include <stdlib.h>

#include "parallel/placement.h"

static double
bytes_of (int64_t floats)
{
  return (double) floats * (double) sizeof (float);
}

/* What the ranks of a group that owns these experts hold; the largest group counts. */
static adamix_err
count_group (adamix_exchange_volume *volume, const adamix_bank_shape *shape, const bool *owned)
{
  adamix_params shared = { 0 }, experts = { 0 };
  adamix_bank *bank = NULL;
  adamix_err err = adamix_bank_create (&bank, shape, owned, &shared, &experts);
  if (!err && bytes_of (experts.count) >= volume->values) {
    volume->values = bytes_of (experts.count);
    volume->rows = bytes_of (experts.rows);
    volume->experts = bytes_of (adamix_params_exchanged (&experts));
  }
  adamix_bank_destroy (bank);
  adamix_params_destroy (&experts);
  adamix_params_destroy (&shared);
  return err;
}

adamix_err
adamix_exchange_volume_of (adamix_exchange_volume *out, const adamix_placement_policy *policy,
                           const adamix_placement_args *args, const adamix_bank_shape *shape,
                           const adamix_params *shared, int ranks)
{
  adamix_err err = ADAMIX_OK;
  const int64_t cells = args->layers * args->experts;
  bool *owned = NULL;
  int32_t *owner = NULL;
  *out = (adamix_exchange_volume){ .ranks = ranks, .groups = policy->groups (args, ranks) };
  out->group_ranks = (ranks + out->groups - 1) / out->groups;
  out->shared = bytes_of (adamix_params_exchanged (shared));
  ADAMIX_TRY (ADAMIX_ALLOC (owner, cells));
  ADAMIX_TRY (ADAMIX_ALLOC (owned, cells));
  policy->deal (args, out->groups, 0, owner);
  for (int g = 0; shape && g < out->groups; g++) {
    for (int64_t e = 0; e < cells; e++) owned[e] = owner[e] == g;
    ADAMIX_TRY (count_group (out, shape, owned));
  }
done:
  free (owned);
  free (owner);
  return err;
}

double
adamix_exchange_cost (const adamix_exchange_volume *volume, const adamix_network *network, adamix_allreduce algorithm)
{
  double cost =
      adamix_cost_arrive (network, volume->ranks) + adamix_cost_sum (network, algorithm, volume->ranks, volume->shared);
  if (volume->experts > 0) cost += adamix_cost_sum (network, algorithm, volume->group_ranks, volume->experts);
  if (volume->groups > 1) cost += adamix_cost_sum (network, algorithm, volume->ranks, sizeof (double));
  return cost;
}

/* adamix_exchange_collect of an array of which a group holds `bytes`. */
static double
collect (const adamix_exchange_volume *volume, const adamix_network *network, adamix_allreduce algorithm, double bytes)
{
  const double agree = adamix_cost_sum (network, algorithm, volume->ranks, sizeof (int));
  return 2 * agree + adamix_cost_gather (network, volume->ranks, sizeof (int64_t)) +
         volume->groups * adamix_cost_broadcast (network, volume->ranks, bytes);
}

double
adamix_rotation_cost (const adamix_exchange_volume *volume, const adamix_network *network, adamix_allreduce algorithm)
{
  if (volume->groups == 1) return 0;
  return 3 * collect (volume, network, algorithm, volume->values) + collect (volume, network, algorithm, volume->rows) +
         adamix_cost_sum (network, algorithm, volume->ranks, sizeof (int));
}
