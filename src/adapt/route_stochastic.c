#include "adapt/route.h"

/* AdaMix, section 3.1: one draw serves all rows of a pass. */
static void
draw (const adamix_route_part *part)
{
  adamix_route_draw (part, part->context->tokens, part->context->shard, ADAMIX_DRAW_BATCH);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_stochastic = { .name = "stochastic",
                                                      .help =
                                                          "one random expert a batch, layer and projection (AdaMix)",
                                                      .capacity = adamix_route_of_batches,
                                                      .fill = fill };
