#include <string.h>

#include "parallel/placement.h"

static int
groups (const adamix_placement_args *args, int ranks)
{
  (void) args;
  (void) ranks;
  return 1;
}

static void
deal (const adamix_placement_args *args, int groups, int64_t round, int32_t *owner)
{
  (void) groups;
  (void) round;
  memset (owner, 0, (size_t) (args->layers * args->experts) * sizeof *owner);
}

const adamix_placement_policy adamix_placement_replicated = {
  "replicated", "every rank holds all experts and draws the same route (the paper's algorithm)", groups, deal, true
};
