#include <adamix/merge.h>

static adamix_err
check (const adamix_bank *all, const adamix_bank *merged)
{
  const adamix_bank_shape *from = &all->shape, *to = &merged->shape;
  if (to->experts != 1 || to->layers != from->layers || to->hidden != from->hidden ||
      to->bottleneck != from->bottleneck)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "merge: %lld expert(s) in %lld layers of [%lld,%lld] cannot take the mean of a bank of %lld "
                           "layers of [%lld,%lld]; make it with adamix_merge_shape",
                           (long long) to->experts, (long long) to->layers, (long long) to->bottleneck,
                           (long long) to->hidden, (long long) from->layers, (long long) from->bottleneck,
                           (long long) from->hidden);
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < from->layers; i++)
      if (all->local[p][i].count != adamix_bank_copies (from, p))
        return adamix_err_set (ADAMIX_ESHAPE, "merge: layer %lld holds %lld of %lld experts; collect them first",
                               (long long) i, (long long) all->local[p][i].count,
                               (long long) adamix_bank_copies (from, p));
  return ADAMIX_OK;
}

static const adamix_param *
tensor_of (const adamix_expert *expert, bool bias)
{
  return bias ? expert->bias : expert->weight;
}

/* The experts stand in the order of j; a shared projection is its own mean. */
static void
average (const adamix_expert_list *list, bool bias, const adamix_param *out)
{
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < out->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < list->count; j++) sum += tensor_of (&list->expert[j], bias)->value[e];
    out->value[e] = (float) (sum / (double) list->count);
  }
}

adamix_err
adamix_merge_average (const adamix_bank *all, adamix_bank *merged)
{
  ADAMIX_RETURN_IF (check (all, merged));
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < all->shape.layers; i++) {
      average (&all->local[p][i], false, merged->local[p][i].expert[0].weight);
      average (&all->local[p][i], true, merged->local[p][i].expert[0].bias);
    }
  return ADAMIX_OK;
}
