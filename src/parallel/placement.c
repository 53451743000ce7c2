#include <stdlib.h>
#include <string.h>

#include "parallel/placement.h"

static const adamix_placement_policy *const policies[] = { &adamix_placement_owned, &adamix_placement_replicated };

const adamix_placement_policy *
adamix_placement_policy_find (const char *name)
{
  for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
    if (strcmp (policies[i]->name, name) == 0) return policies[i];
  return NULL;
}

int
adamix_placement_group_of (const adamix_placement *placement, int rank)
{
  return (int) ((int64_t) rank * placement->groups / placement->world->size);
}

static adamix_err
form_groups (adamix_placement *placement)
{
  const adamix_placement_args *args = &placement->args;
  if (args->layers < 1 || args->experts < 1 || args->experts_per_rank < 1)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "placement of %lld experts in %lld layers, %lld a rank: each must be at least 1",
                           (long long) args->experts, (long long) args->layers, (long long) args->experts_per_rank);
  int64_t count = args->layers * args->experts;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (placement->owner, count));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (placement->owned, count));
  placement->groups = placement->policy->groups (args, placement->world->size);
  placement->mine = adamix_placement_group_of (placement, placement->world->rank);
  adamix_placement_deal (placement, 0);
  return ADAMIX_OK;
}

void
adamix_placement_deal (adamix_placement *placement, int64_t round)
{
  const adamix_placement_args *args = &placement->args;
  placement->round = round;
  placement->policy->deal (args, placement->groups, round, placement->owner);
  for (int64_t e = 0; e < args->layers * args->experts; e++)
    placement->owned[e] = placement->owner[e] == placement->mine;
}

adamix_err
adamix_placement_create (adamix_placement *out, const adamix_placement_policy *policy,
                         const adamix_placement_args *args, adamix_comm *world)
{
  adamix_err err = ADAMIX_OK;
  adamix_placement placement = { .policy = policy, .args = *args, .world = world };
  ADAMIX_TRY (adamix_comm_agree (world, form_groups (&placement)));
  ADAMIX_TRY (adamix_comm_split (&placement.group, world, placement.mine));
  *out = placement;
  return ADAMIX_OK;
done:
  free (placement.owner);
  free (placement.owned);
  return err;
}

void
adamix_placement_destroy (adamix_placement *placement)
{
  if (placement == NULL || placement->policy == NULL) return;
  adamix_comm_destroy (&placement->group);
  free (placement->owner);
  free (placement->owned);
  *placement = (adamix_placement){ 0 };
}

int64_t
adamix_placement_route_key (const adamix_placement *placement, int64_t shard)
{
  return placement->policy->common_route ? 0 : shard;
}
