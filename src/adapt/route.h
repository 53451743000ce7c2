/* route.h - what the routing policies share. */
#ifndef ADAMIX_ADAPT_ROUTE_H
#define ADAMIX_ADAPT_ROUTE_H

#include <adamix/adapt.h>

/* The part of a route that a policy draws at a time: one pass of one list. */
typedef struct adamix_route_part {
  const adamix_bank *bank;
  const adamix_route_context *context;
  adamix_route *route;
  adamix_projection projection;
  int64_t layer, pass;
} adamix_route_part;

/* Empty the route and call `draw` for each of its parts, a list's passes in order. */
void adamix_route_fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route,
                        void (*draw) (const adamix_route_part *part));

/* What a draw is made for; the fourth counter word, so that policies never share numbers.  Tokens count up from
 * ADAMIX_DRAW_TOKEN by their place in the sentence. */
enum { ADAMIX_DRAW_BATCH, ADAMIX_DRAW_SENTENCE, ADAMIX_DRAW_TOKEN };

/* Send the part's next `rows` rows to a local expert, uniformly drawn by the counter
 * (step, source, pass << 24 | layer << 8 | projection, unit); `source` is a shard or a sample. */
void adamix_route_draw (const adamix_route_part *part, int64_t rows, int64_t source, int64_t unit);

extern const adamix_route_policy adamix_route_stochastic, adamix_route_sentence, adamix_route_token,
    adamix_route_prescribed;

#endif
