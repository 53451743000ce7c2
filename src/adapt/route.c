#include <stdlib.h>
#include <string.h>

#include "adapt/route.h"

#define PASS_SHIFT  24
#define LAYER_SHIFT 8

static const adamix_route_policy *const policies[] = {
  &adamix_route_stochastic,
  &adamix_route_prescribed,
  &adamix_route_sentence,
  &adamix_route_token,
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
    for (int64_t i = 0; i < route->layers; i++) adamix_route_append (route, p, i, rows, slot % bank->local[p][i].count);
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

void
adamix_route_draw (const adamix_route_part *part, int64_t rows, int64_t source, int64_t unit)
{
  adamix_rng rng = adamix_rng_stream (part->context->seed, ADAMIX_RNG_ROUTE);
  uint32_t where = (uint32_t) part->pass << PASS_SHIFT | (uint32_t) part->layer << LAYER_SHIFT | part->projection;
  adamix_rng_counter counter = { { (uint32_t) part->context->step, (uint32_t) source, where, (uint32_t) unit } };
  int64_t choices = part->bank->local[part->projection][part->layer].count;
  adamix_route_append (part->route, part->projection, part->layer, rows,
                       adamix_rng_below (rng, counter, (uint32_t) choices));
}
