#include "adapt/route.h"

/* A prescribed expert serves all rows of a pass, as a drawn one does. */
static void
draw (const adamix_route_part *part)
{
  const adamix_route_context *context = part->context;
  const int64_t list = (part->pass * part->route->layers + part->layer) * ADAMIX_PROJECTIONS + part->projection;
  const int64_t slot = adamix_bank_slot (part->bank, part->projection, part->layer, context->prescribed[list]);
  ADAMIX_ASSERT (slot >= 0);
  adamix_route_append (part->route, part->projection, part->layer, context->tokens, slot);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_prescribed = { .name = "prescribed",
                                                      .help =
                                                          "the experts that a file names for each step, pass and layer",
                                                      .capacity = adamix_route_of_batches,
                                                      .fill = fill };
