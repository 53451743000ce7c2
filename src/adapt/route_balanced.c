#include "adapt/route.h"

/* As many turns as there are experts make a window, in which each has one, in an order drawn for the window: the inside-out
 * shuffle, of which only the place of this turn is followed. */
static void
draw (const adamix_route_part *part)
{
  const int64_t choices = adamix_route_choices (part), turn = adamix_route_turn (part);
  const int64_t window = turn / choices, place = turn % choices;
  adamix_route_part of_all_passes = *part;
  of_all_passes.pass = 0;
  int64_t slot = place;
  for (int64_t i = place; i < choices; i++) {
    const int64_t other =
        adamix_route_number (&of_all_passes, window, part->context->shard, ADAMIX_DRAW_TOKEN + i, i + 1);
    if (i == place)
      slot = other;
    else if (other == slot)
      slot = i;
  }
  adamix_route_send (part, slot);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_balanced = {
  "balanced", "random, but every expert serves equally often: once in as many passes as there are experts",
  adamix_route_of_batches, fill
};
