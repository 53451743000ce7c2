#include "adapt/route.h"

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  (void) bank;
  adamix_route_gate (route, ADAMIX_GATING_SOFT, context);
}

const adamix_route_policy adamix_route_soft = { .name = "soft",
                                                .help = "a learned router mixes all experts, token by token",
                                                .gating = ADAMIX_GATING_SOFT,
                                                .capacity = adamix_route_of_batches,
                                                .fill = fill };
