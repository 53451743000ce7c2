#include <adamix/metrics.h>

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

typedef struct ranked {
  double value;
  int64_t index;
} ranked;

static int
compare_ranked (const void *a, const void *b)
{
  double x = ((const ranked *) a)->value, y = ((const ranked *) b)->value;
  return (x > y) - (x < y);
}

/* rank[i] of x[i] from 1; equal values share the mean of their ranks. */
static void
rank_values (const double *x, int64_t n, ranked *sorted, double *rank)
{
  for (int64_t i = 0; i < n; i++) sorted[i] = (ranked){ x[i], i };
  qsort (sorted, (size_t) n, sizeof *sorted, compare_ranked);
  for (int64_t first = 0, last; first < n; first = last) {
    for (last = first + 1; last < n && sorted[last].value == sorted[first].value;) last++;
    for (int64_t i = first; i < last; i++) rank[sorted[i].index] = (double) (first + 1 + last) / 2;
  }
}

static bool
has_nan (const double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    if (isnan (x[i])) return true;
  return false;
}

double
adamix_metric_spearman (const adamix_predictions *p)
{
  double result = NAN, *rank_x = NULL, *rank_y = NULL;
  ranked *sorted = NULL;
  if (has_nan (p->target, p->n) || has_nan (p->score, p->n)) return NAN;
  if (ADAMIX_ALLOC (sorted, p->n) == ADAMIX_OK && ADAMIX_ALLOC (rank_x, p->n) == ADAMIX_OK &&
      ADAMIX_ALLOC (rank_y, p->n) == ADAMIX_OK) {
    rank_values (p->target, p->n, sorted, rank_x);
    rank_values (p->score, p->n, sorted, rank_y);
    result = correlation (rank_x, rank_y, p->n);
  }
  free (rank_y);
  free (rank_x);
  free (sorted);
  return result;
}
