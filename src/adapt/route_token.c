#include "adapt/route.h"

static void
draw (const adamix_route_part *part)
{
  const adamix_route_context *context = part->context;
  for (int64_t s = 0; s < context->sequences; s++)
    for (int64_t t = 0; t < context->offset[s + 1] - context->offset[s]; t++)
      adamix_route_draw (part, 1, context->sample[s], ADAMIX_DRAW_TOKEN + t);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_token = { .name = "stochastic-token",
                                                 .help = "one random expert a token, layer and projection",
                                                 .capacity = adamix_route_of_tokens,
                                                 .fill = fill };
