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

/* A number below `bound`, drawn by the counter (turn, source, pass << 24 | layer << 8 | projection, unit); `source` is a shard
 * or a sample. */
int64_t adamix_route_number (const adamix_route_part *part, int64_t turn, int64_t source, int64_t unit, int64_t bound);
/* Send the part's next `rows` rows to a local expert, uniformly drawn in turn `step`. */
void adamix_route_draw (const adamix_route_part *part, int64_t rows, int64_t source, int64_t unit);

/* Local experts to choose from. */
int64_t adamix_route_choices (const adamix_route_part *part);
/* The passes of all steps one after the other; shards start apart. */
int64_t adamix_route_turn (const adamix_route_part *part);
/* Send all rows of the part to one local expert. */
void adamix_route_send (const adamix_route_part *part, int64_t slot);

/* Leave it to the routers of a gated bank. */
void adamix_route_gate (adamix_route *route, adamix_gating gating, const adamix_route_context *context);

/* Spans of routes by batch, by sentence, by token (and of a router, which sorts rows by their experts). */
int64_t adamix_route_of_batches (int64_t passes, int64_t sequences, int64_t tokens);
int64_t adamix_route_of_sentences (int64_t passes, int64_t sequences, int64_t tokens);
int64_t adamix_route_of_tokens (int64_t passes, int64_t sequences, int64_t tokens);

extern const adamix_route_policy adamix_route_stochastic, adamix_route_sentence, adamix_route_token,
    adamix_route_fixed_pass, adamix_route_round_robin, adamix_route_hash, adamix_route_balanced, adamix_route_switch,
    adamix_route_soft, adamix_route_prescribed;

#endif
