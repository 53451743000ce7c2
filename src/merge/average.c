#include "merge/merge_private.h"

adamix_err
adamix_merge_mean (const adamix_merge_tensor *tensor)
{
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < tensor->out->count; e++)
    tensor->out->value[e] = (float) adamix_merge_mean_value (tensor->list, e, tensor->bias);
  return ADAMIX_OK;
}

adamix_err
adamix_merge_average (const adamix_merge_args *args, adamix_bank *merged)
{
  return adamix_merge_each (args, merged, adamix_merge_mean);
}
