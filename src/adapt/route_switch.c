#include "adapt/route.h"

/* The control that AdaMix is measured against: Switch Transformer, one learned choice a token. */
static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  (void) bank;
  adamix_route_gate (route, ADAMIX_GATING_SWITCH, context);
}

const adamix_route_policy adamix_route_switch = {
  .name = "switch",
  .help = "a learned router sends each token to one expert (Switch Transformer)",
  .gating = ADAMIX_GATING_SWITCH,
  .capacity = adamix_route_of_tokens,
  .fill = fill
};
