#include "adapt/route.h"

/* A control: every pass keeps its expert, in all steps. */
static void
draw (const adamix_route_part *part)
{
  adamix_route_send (part, part->pass % adamix_route_choices (part));
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_fixed_pass = {
  .name = "fixed", .help = "pass p goes to expert p in every step", .capacity = adamix_route_of_batches, .fill = fill
};
