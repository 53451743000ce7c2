/* Ranks, which several metrics are made of. */
#ifndef ADAMIX_METRICS_PRIVATE_H
#define ADAMIX_METRICS_PRIVATE_H

#include <adamix/metrics.h>

typedef struct adamix_ranked {
  double value;
  int64_t index; /* where it stood */
} adamix_ranked;

/* x [n] in ascending order; *out is owned.  Errors: ENOMEM. */
adamix_err adamix_metric_sort (const double *x, int64_t n, adamix_ranked **out);
/* The end of the equal values that begin at `first`. */
int64_t adamix_metric_ties (const adamix_ranked *sorted, int64_t n, int64_t first);
/* rank[i] of x[i] from 1; equal values share the mean of their ranks.  Errors: ENOMEM. */
adamix_err adamix_metric_rank (const double *x, int64_t n, double *rank);
bool adamix_metric_has_nan (const double *x, int64_t n);

#endif
