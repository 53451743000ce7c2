#include "adapt/route.h"

/* As many turns as there are experts make a window, in which each has one, in an order drawn for the window. */
static void
draw (const adamix_route_part *part)
{
  int64_t order[ADAMIX_MOST_EXPERTS];
  const int64_t choices = adamix_route_choices (part), turn = adamix_route_turn (part);
  const int64_t list = part->layer * ADAMIX_PROJECTIONS + part->projection;
  const int64_t lists = part->route->layers * ADAMIX_PROJECTIONS;
  ADAMIX_ASSERT (choices <= ADAMIX_MOST_EXPERTS);
  adamix_rng_permutation (adamix_rng_stream (part->context->seed, ADAMIX_RNG_ROUTE), (uint32_t) (turn / choices),
                          (uint32_t) (part->context->shard * lists + list), choices, order);
  adamix_route_send (part, order[turn % choices]);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_balanced = {
  .name = "balanced",
  .help = "random, but every expert serves equally often: once in as many passes as there are experts",
  .capacity = adamix_route_of_batches,
  .fill = fill
};
