#include "merge/merge_private.h"

static adamix_err
weigh (const adamix_merge_tensor *tensor)
{
  const int64_t experts = tensor->list->count;
  const double *weight = tensor->args->weight;
  double whole = 0;
  for (int64_t j = 0; j < experts; j++) whole += weight[j];
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < tensor->out->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < experts; j++) sum += weight[j] * adamix_merge_values (tensor->list, j, tensor->bias)[e];
    tensor->out->value[e] = (float) (sum / whole);
  }
  return ADAMIX_OK;
}

void
adamix_merge_tell (const adamix_merge_args *args, const double *weight)
{
  const int64_t experts = args->all->shape.experts;
  double whole = 0;
  for (int64_t j = 0; j < experts; j++) whole += weight[j];
  for (int64_t j = 0; args->chosen && j < experts; j++) args->chosen[j] = weight[j] / whole;
}

adamix_err
adamix_merge_weighted (const adamix_merge_args *args, adamix_bank *merged)
{
  return adamix_merge_each (args, merged, args->weight ? weigh : adamix_merge_mean);
}
