#include "merge/merge_private.h"

#include <string.h>

adamix_err
adamix_merge_check (const adamix_bank *all, const adamix_bank *merged, const adamix_bank_shape *shape)
{
  const adamix_bank_shape *from = &all->shape, *to = &merged->shape;
  if (to->experts != 1 || to->layers != shape->layers || to->hidden != shape->hidden ||
      to->bottleneck != shape->bottleneck || to->kind != shape->kind || to->places != shape->places)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "merge: %lld expert(s) in %lld layers of [%lld,%lld] cannot take what a bank of %lld "
                           "layers of [%lld,%lld] becomes; make it with the shape of the method",
                           (long long) to->experts, (long long) to->layers, (long long) to->bottleneck,
                           (long long) to->hidden, (long long) from->layers, (long long) from->bottleneck,
                           (long long) from->hidden);
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < adamix_bank_sites (from); i++)
      if (all->local[p][i].count != adamix_bank_copies (from, p))
        return adamix_err_set (ADAMIX_ESHAPE, "merge: layer %lld holds %lld of %lld experts; collect them first",
                               (long long) (i * from->layers / adamix_bank_sites (from)),
                               (long long) all->local[p][i].count, (long long) adamix_bank_copies (from, p));
  return ADAMIX_OK;
}

int64_t
adamix_merge_places (const adamix_bank_shape *shape)
{
  return ADAMIX_PROJECTIONS * 2 * adamix_bank_sites (shape);
}

uint32_t
adamix_merge_place (const adamix_bank_shape *shape, adamix_projection projection, int64_t site, bool bias)
{
  return (uint32_t) (((int64_t) projection * adamix_bank_sites (shape) + site) * 2 + bias);
}

float *
adamix_merge_gradient (const adamix_expert_list *list, int64_t j, bool bias)
{
  return (bias ? list->expert[j].bias : list->expert[j].weight)->grad;
}

const float *
adamix_merge_values (const adamix_expert_list *list, int64_t j, bool bias)
{
  return (bias ? list->expert[j].bias : list->expert[j].weight)->value;
}

double
adamix_merge_mean_value (const adamix_expert_list *list, int64_t e, bool bias)
{
  double sum = 0;
  for (int64_t j = 0; j < list->count; j++) sum += adamix_merge_values (list, j, bias)[e];
  return sum / (double) list->count;
}

double
adamix_merge_change (const adamix_merge_tensor *tensor, int64_t j, int64_t e)
{
  return (double) adamix_merge_values (tensor->list, j, tensor->bias)[e] -
         adamix_merge_values (tensor->initial, j, tensor->bias)[e];
}

static adamix_err
merge_tensor (const adamix_merge_tensor *tensor, adamix_err (*merge) (const adamix_merge_tensor *tensor))
{
  if (tensor->list->count > 1) return merge (tensor);
  const float *only = adamix_merge_values (tensor->list, 0, tensor->bias);
  memcpy (tensor->out->value, only, (size_t) tensor->out->count * sizeof *only);
  return ADAMIX_OK;
}

adamix_err
adamix_merge_each (const adamix_merge_args *args, adamix_bank *merged,
                   adamix_err (*merge) (const adamix_merge_tensor *tensor))
{
  const adamix_bank_shape shape = adamix_merge_shape (&args->all->shape);
  ADAMIX_RETURN_IF (adamix_merge_check (args->all, merged, &shape));
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < adamix_bank_sites (&shape); i++)
      for (int bias = 0; bias < 2; bias++) {
        const adamix_expert *to = &merged->local[p][i].expert[0];
        if (bias && !to->bias) continue;
        const adamix_merge_tensor tensor = { .args = args,
                                             .list = &args->all->local[p][i],
                                             .initial = args->initial ? &args->initial->local[p][i] : NULL,
                                             .bias = bias,
                                             .place = adamix_merge_place (&shape, (adamix_projection) p, i, bias),
                                             .out = bias ? to->bias : to->weight };
        ADAMIX_RETURN_IF (merge_tensor (&tensor, merge));
      }
  return ADAMIX_OK;
}
