#include "merge/merge_private.h"

#include <math.h>
#include <stdlib.h>

static int
descending (const void *a, const void *b)
{
  const double x = *(const double *) a, y = *(const double *) b;
  return (x < y) - (x > y);
}

/* The least magnitude among the `keep` largest of expert j; `sorted` has room for all. */
static double
least_kept (const adamix_merge_tensor *tensor, int64_t j, int64_t keep, double *sorted)
{
  const int64_t count = tensor->out->count;
  for (int64_t e = 0; e < count; e++) sorted[e] = fabs (adamix_merge_change (tensor, j, e));
  qsort (sorted, (size_t) count, sizeof *sorted, descending);
  return sorted[keep - 1];
}

/* The change that most of the experts' kept changes agree on in sign: their mean. */
static double
elect (const adamix_merge_tensor *tensor, const double *least, int64_t e)
{
  const int64_t experts = tensor->list->count;
  double up = 0, down = 0;
  int64_t ups = 0, downs = 0;
  for (int64_t j = 0; j < experts; j++) {
    const double value = adamix_merge_change (tensor, j, e);
    if (value == 0 || fabs (value) < least[j]) continue;
    *(value > 0 ? &up : &down) += value;
    *(value > 0 ? &ups : &downs) += 1;
  }
  if (ups + downs == 0) return 0;
  return up + down >= 0 && ups ? up / (double) ups : down / (double) downs;
}

static adamix_err
merge (const adamix_merge_tensor *tensor)
{
  adamix_err err = ADAMIX_OK;
  const int64_t experts = tensor->list->count, count = tensor->out->count;
  const int64_t keep = (int64_t) ceil (tensor->args->density * (double) count);
  double *sorted = NULL, *least = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (sorted, count));
  ADAMIX_TRY (ADAMIX_ALLOC (least, experts));
  for (int64_t j = 0; j < experts; j++) least[j] = least_kept (tensor, j, keep, sorted);
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < count; e++)
    tensor->out->value[e] =
        (float) (adamix_merge_mean_value (tensor->initial, e, tensor->bias) + elect (tensor, least, e));
done:
  free (least);
  free (sorted);
  return err;
}

adamix_err
adamix_merge_ties (const adamix_merge_args *args, adamix_bank *merged)
{
  return adamix_merge_each (args, merged, merge);
}
