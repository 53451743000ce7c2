#include "metrics/metrics_private.h"

#include <math.h>
#include <stdlib.h>

static bool
is_constant (const double *x, int64_t n)
{
  for (int64_t i = 1; i < n; i++)
    if (x[i] != x[0]) return false;
  return true;
}

static double
mean_of (const double *x, int64_t n)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum / (double) n;
}

static double
correlation (const double *x, const double *y, int64_t n)
{
  double xy = 0, xx = 0, yy = 0;
  if (n < 2 || is_constant (x, n) || is_constant (y, n)) return NAN;
  double mean_x = mean_of (x, n), mean_y = mean_of (y, n);
  for (int64_t i = 0; i < n; i++) {
    double dx = x[i] - mean_x, dy = y[i] - mean_y;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  double r = xy / (sqrt (xx) * sqrt (yy));
  return isnan (r) ? r : fmax (-1.0, fmin (1.0, r));
}

double
adamix_metric_pearson (const adamix_predictions *p)
{
  return correlation (p->target, p->score, p->n);
}

double
adamix_metric_spearman (const adamix_predictions *p)
{
  double result = NAN, *rank_x = NULL, *rank_y = NULL;
  if (adamix_metric_has_nan (p->target, p->n) || adamix_metric_has_nan (p->score, p->n)) return NAN;
  if (ADAMIX_ALLOC (rank_x, p->n) == ADAMIX_OK && ADAMIX_ALLOC (rank_y, p->n) == ADAMIX_OK &&
      adamix_metric_rank (p->target, p->n, rank_x) == ADAMIX_OK &&
      adamix_metric_rank (p->score, p->n, rank_y) == ADAMIX_OK)
    result = correlation (rank_x, rank_y, p->n);
  free (rank_y);
  free (rank_x);
  return result;
}
