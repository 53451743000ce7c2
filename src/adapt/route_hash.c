#include "adapt/route.h"

/* An example keeps its experts for good: what draws them is its number alone. */
static void
draw (const adamix_route_part *part)
{
  const adamix_route_context *context = part->context;
  adamix_route_part of_all_passes = *part;
  of_all_passes.pass = 0;
  for (int64_t s = 0; s < context->sequences; s++)
    adamix_route_append (
        part->route, part->projection, part->layer, context->offset[s + 1] - context->offset[s],
        adamix_route_number (&of_all_passes, 0, context->sample[s], ADAMIX_DRAW_SENTENCE, adamix_route_choices (part)));
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_hash = { .name = "hash",
                                                .help = "an example has the same experts in every step and pass",
                                                .capacity = adamix_route_of_sentences,
                                                .fill = fill };
