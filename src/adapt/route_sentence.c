#include "adapt/route.h"

static void
draw (const adamix_route_part *part)
{
  const adamix_route_context *context = part->context;
  for (int64_t s = 0; s < context->sequences; s++)
    adamix_route_draw (part, context->offset[s + 1] - context->offset[s], context->sample[s], ADAMIX_DRAW_SENTENCE);
}

static void
fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route)
{
  adamix_route_fill (bank, context, route, draw);
}

const adamix_route_policy adamix_route_sentence = { .name = "stochastic-sentence",
                                                    .help = "one random expert a sentence, layer and projection",
                                                    .capacity = adamix_route_of_sentences,
                                                    .fill = fill };
