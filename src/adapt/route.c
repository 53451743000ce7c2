#include <stdlib.h>
#include <string.h>

#include "adapt/route.h"

#define PASS_SHIFT  24
#define LAYER_SHIFT 8

static const adamix_route_policy *const policies[] = {
  &adamix_route_stochastic,  &adamix_route_sentence,   &adamix_route_token,    &adamix_route_fixed_pass,
  &adamix_route_round_robin, &adamix_route_hash,       &adamix_route_balanced, &adamix_route_switch,
  &adamix_route_soft,        &adamix_route_prescribed,
};

const adamix_route_policy *
adamix_route_policy_find (const char *name)
{
  for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
    if (strcmp (policies[i]->name, name) == 0) return policies[i];
  return NULL;
}

adamix_err
adamix_route_create (adamix_route *out, int64_t layers, int64_t capacity)
{
  adamix_err err = ADAMIX_OK;
  adamix_route route = { .layers = layers, .capacity = capacity };
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    ADAMIX_TRY (ADAMIX_ALLOC (route.span[p], layers * capacity));
    ADAMIX_TRY (ADAMIX_ALLOC (route.count[p], layers));
  }
  *out = route;
  route = (adamix_route){ 0 };
done:
  adamix_route_destroy (&route);
  return err;
}

void
adamix_route_destroy (adamix_route *route)
{
  if (route == NULL) return;
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    free (route->span[p]);
    free (route->count[p]);
  }
  *route = (adamix_route){ 0 };
}

void
adamix_route_clear (adamix_route *route)
{
  route->gating = ADAMIX_GATING_NONE;
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    memset (route->count[p], 0, (size_t) route->layers * sizeof *route->count[p]);
}

void
adamix_route_append (adamix_route *route, adamix_projection projection, int64_t layer, int64_t rows, int64_t slot)
{
  adamix_span *list = route->span[projection] + layer * route->capacity;
  int64_t *count = &route->count[projection][layer];
  adamix_span *last = *count > 0 ? &list[*count - 1] : NULL;
  if (rows == 0) return;
  if (last != NULL && last->slot == slot) {
    last->rows += rows;
    return;
  }
  ADAMIX_ASSERT (*count < route->capacity);
  list[(*count)++] = (adamix_span){ last == NULL ? 0 : last->row + last->rows, rows, slot };
}

void
adamix_route_fixed (const adamix_bank *bank, int64_t rows, int64_t slot, adamix_route *route)
{
  adamix_route_clear (route);
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < route->layers; i++)
      adamix_route_append (route, p, i, rows, slot % adamix_bank_list (bank, p, i)->count);
}

void
adamix_route_fill (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route,
                   void (*draw) (const adamix_route_part *part))
{
  adamix_route_clear (route);
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t layer = 0; layer < route->layers; layer++)
      for (int64_t pass = 0; pass < context->passes; pass++)
        draw (&(adamix_route_part){ bank, context, route, p, layer, pass });
}

/* ---- what policies choose by ---- */

int64_t
adamix_route_number (const adamix_route_part *part, int64_t turn, int64_t source, int64_t unit, int64_t bound)
{
  adamix_rng rng = adamix_rng_stream (part->context->seed, ADAMIX_RNG_ROUTE);
  uint32_t where = (uint32_t) part->pass << PASS_SHIFT | (uint32_t) part->layer << LAYER_SHIFT | part->projection;
  adamix_rng_counter counter = { { (uint32_t) turn, (uint32_t) source, where, (uint32_t) unit } };
  return adamix_rng_below (rng, counter, (uint32_t) bound);
}

void
adamix_route_draw (const adamix_route_part *part, int64_t rows, int64_t source, int64_t unit)
{
  const int64_t slot = adamix_route_number (part, part->context->step, source, unit, adamix_route_choices (part));
  adamix_route_append (part->route, part->projection, part->layer, rows, slot);
}

int64_t
adamix_route_choices (const adamix_route_part *part)
{
  return adamix_bank_list (part->bank, part->projection, part->layer)->count;
}

int64_t
adamix_route_turn (const adamix_route_part *part)
{
  return part->context->step * part->context->passes + part->pass + part->context->shard;
}

void
adamix_route_send (const adamix_route_part *part, int64_t slot)
{
  adamix_route_append (part->route, part->projection, part->layer, part->context->tokens, slot);
}

void
adamix_route_gate (adamix_route *route, adamix_gating gating, const adamix_route_context *context)
{
  adamix_route_clear (route);
  route->gating = gating;
  route->rule =
      (adamix_gating_rule){ .passes = context->passes, .capacity = context->capacity, .balance = context->balance };
}

/* ---- how long their lists become ---- */

int64_t
adamix_route_of_batches (int64_t passes, int64_t sequences, int64_t tokens)
{
  (void) sequences;
  (void) tokens;
  return passes;
}

int64_t
adamix_route_of_sentences (int64_t passes, int64_t sequences, int64_t tokens)
{
  (void) tokens;
  return passes * sequences;
}

int64_t
adamix_route_of_tokens (int64_t passes, int64_t sequences, int64_t tokens)
{
  (void) sequences;
  return passes * tokens;
}
