#include "adapt/route.h"

/* Experts take turns; the pairs of Down and Up do too: Up moves on by one more whenever all have had their turn. */
static void
draw (const adamix_route_part *part)
{
  const int64_t turn = adamix_route_turn (part), choices = adamix_route_choices (part);
  const int64_t further = part->projection == ADAMIX_UP ? turn / choices : 0;
  adamix_route_send (part, (turn + further) % choices);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_round_robin = {
  .name = "round-robin", .help = "experts take turns, pass by pass", .capacity = adamix_route_of_batches, .fill = fill
};
