#include "merge/merge_private.h"

adamix_err
adamix_merge_mean (const adamix_merge_tensor *tensor)
{
  const int64_t experts = tensor->list->count;
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < tensor->out->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < experts; j++) sum += adamix_merge_values (tensor->list, j, tensor->bias)[e];
    tensor->out->value[e] = (float) (sum / (double) experts);
  }
  return ADAMIX_OK;
}

adamix_err
adamix_merge_average (const adamix_merge_args *args, adamix_bank *merged)
{
  return adamix_merge_each (args, merged, adamix_merge_mean);
}
