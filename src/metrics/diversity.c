#include <adamix/metrics.h>

#include <math.h>

static double
dot (int64_t n, const double *a, const double *b)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

double
adamix_metric_cosine (int64_t n, const double *a, const double *b)
{
  const double norm = sqrt (dot (n, a, a)) * sqrt (dot (n, b, b));
  return norm > 0 ? dot (n, a, b) / norm : NAN;
}

void
adamix_metric_gram (int64_t n, int64_t width, double *x, double *gram)
{
  for (int64_t c = 0; c < width; c++) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i * width + c];
    for (int64_t i = 0; i < n; i++) x[i * width + c] -= sum / (double) n;
  }
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) gram[i * n + j] = gram[j * n + i] = dot (width, x + i * width, x + j * width);
}

double
adamix_metric_disagreement (int64_t n, const int32_t *a, const int32_t *b)
{
  int64_t differ = 0;
  for (int64_t i = 0; i < n; i++) differ += a[i] != b[i];
  return n > 0 ? (double) differ / (double) n : NAN;
}

/* loss (t) of a point, NaN without one */
static double
loss_at (int64_t n, const double *t, const double *loss, double wanted)
{
  for (int64_t i = 0; i < n; i++)
    if (t[i] == wanted) return loss[i];
  return NAN;
}

double
adamix_metric_barrier (int64_t n, const double *t, const double *loss, double *at)
{
  const double first = loss_at (n, t, loss, 0), last = loss_at (n, t, loss, 1);
  double barrier = 0;
  *at = 0;
  if (isnan (first) || isnan (last)) return NAN;
  for (int64_t i = 0; i < n; i++) {
    if (t[i] < 0 || t[i] > 1) continue;
    const double rise = loss[i] - ((1 - t[i]) * first + t[i] * last);
    if (isnan (rise)) return NAN;
    if (rise > barrier) {
      barrier = rise;
      *at = t[i];
    }
  }
  return barrier;
}
