#include "merge/merge_private.h"

/* Whether expert j keeps what training changed at element e: a counter for each. */
static bool
keeps (const adamix_merge_tensor *tensor, int64_t j, int64_t e)
{
  const uint32_t range = 1u << 24;
  const adamix_rng rng = adamix_rng_stream (tensor->args->seed, ADAMIX_RNG_MERGE);
  const adamix_rng_counter counter = { { (uint32_t) e, (uint32_t) (e >> 32), tensor->place, (uint32_t) j } };
  return adamix_rng_below (rng, counter, range) < tensor->args->density * range;
}

static adamix_err
merge (const adamix_merge_tensor *tensor)
{
  const int64_t experts = tensor->list->count;
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < tensor->out->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < experts; j++) {
      const double initial = adamix_merge_values (tensor->initial, j, tensor->bias)[e];
      sum += initial + (keeps (tensor, j, e) ? adamix_merge_change (tensor, j, e) / tensor->args->density : 0);
    }
    tensor->out->value[e] = (float) (sum / (double) experts);
  }
  return ADAMIX_OK;
}

adamix_err
adamix_merge_dare (const adamix_merge_args *args, adamix_bank *merged)
{
  return adamix_merge_each (args, merged, merge);
}
