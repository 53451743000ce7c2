#include "metrics/metrics_private.h"

#include <math.h>
#include <stdlib.h>

static int
compare_ranked (const void *a, const void *b)
{
  double x = ((const adamix_ranked *) a)->value, y = ((const adamix_ranked *) b)->value;
  return (x > y) - (x < y);
}

adamix_err
adamix_metric_sort (const double *x, int64_t n, adamix_ranked **out)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*out, n));
  for (int64_t i = 0; i < n; i++) (*out)[i] = (adamix_ranked){ x[i], i };
  qsort (*out, (size_t) n, sizeof **out, compare_ranked);
  return ADAMIX_OK;
}

int64_t
adamix_metric_ties (const adamix_ranked *sorted, int64_t n, int64_t first)
{
  int64_t end = first + 1;
  while (end < n && sorted[end].value == sorted[first].value) end++;
  return end;
}

adamix_err
adamix_metric_rank (const double *x, int64_t n, double *rank)
{
  adamix_ranked *sorted;
  ADAMIX_RETURN_IF (adamix_metric_sort (x, n, &sorted));
  for (int64_t first = 0, end; first < n; first = end) {
    end = adamix_metric_ties (sorted, n, first);
    for (int64_t i = first; i < end; i++) rank[sorted[i].index] = (double) (first + 1 + end) / 2;
  }
  free (sorted);
  return ADAMIX_OK;
}

bool
adamix_metric_has_nan (const double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    if (isnan (x[i])) return true;
  return false;
}
