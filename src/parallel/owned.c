#include "parallel/placement.h"

static int
groups (const adamix_placement_args *args, int ranks)
{
  int64_t most = args->experts / args->experts_per_rank;
  if (most > ranks) most = ranks;
  return most < 1 ? 1 : (int) most;
}

/* Each layer deals its experts round the groups, so that sets differ by at most one, and shuffles who got which.  It
 * starts at another group than the layer below, so that no group gets the larger set everywhere. */
static void
deal (const adamix_placement_args *args, int groups, int64_t round, int32_t *owner)
{
  adamix_rng rng = adamix_rng_stream (args->seed, ADAMIX_RNG_DEAL);
  for (int64_t i = 0; i < args->layers; i++, owner += args->experts) {
    for (int64_t j = 0; j < args->experts; j++) owner[j] = (int32_t) ((i + j) % groups);
    for (int64_t left = args->experts; left > 1; left--) {
      adamix_rng_counter counter = { { (uint32_t) round, (uint32_t) i, (uint32_t) left, 0 } };
      uint32_t other = adamix_rng_below (rng, counter, (uint32_t) left);
      int32_t held = owner[left - 1];
      owner[left - 1] = owner[other];
      owner[other] = held;
    }
  }
}

const adamix_placement_policy adamix_placement_owned = {
  "owned", "each expert lives in one group of ranks, which route among their own", groups, deal, false
};
