#include "metrics/metrics_private.h"

#include <math.h>

/* ---- Student's distribution ---- */

/* P (|T| <= sqrt df tan theta): a finite series for whole degrees of freedom.  Abramowitz and Stegun 26.7.3, 26.7.4 */
static double
within_angle (double theta, int64_t df)
{
  const double c = cos (theta), s = sin (theta);
  const bool odd = df % 2;
  /* odd:  c + 2/3 c^3 + 2 4 / (3 5) c^5 + ... c^(df-2)      even:  1 + 1/2 c^2 + 1 3 / (2 4) c^4 + ... c^(df-2) */
  double sum = 0, term = odd ? c : 1;
  for (int64_t k = odd ? 1 : 0; k <= df - 2; k += 2) {
    sum += term;
    term *= (double) (k + 1) / (double) (k + 2) * c * c;
  }
  return odd ? M_2_PI * (theta + s * sum) : s * sum;
}

double
adamix_metric_student (double t, int64_t df)
{
  return within_angle (atan (fabs (t) / sqrt ((double) df)), df);
}

/* The angle is bounded where t is not. */
double
adamix_metric_student_quantile (double p, int64_t df)
{
  double low = 0, high = M_PI_2;
  for (double middle = high / 2; middle > low && middle < high; middle = (low + high) / 2)
    if (within_angle (middle, df) < p)
      low = middle;
    else
      high = middle;
  return sqrt ((double) df) * tan (low);
}

/* ---- samples ---- */

/* From the first number on, so that equal numbers have no deviation at all. */
adamix_sample
adamix_metric_sample (int64_t n, const double *x, double confidence)
{
  adamix_sample out = { n, NAN, NAN, NAN };
  double sum = 0, squares = 0;
  if (n == 0) return out;
  for (int64_t i = 0; i < n; i++) sum += x[i] - x[0];
  out.mean = x[0] + sum / (double) n;
  if (n == 1) return out;
  for (int64_t i = 0; i < n; i++) squares += (x[i] - out.mean) * (x[i] - out.mean);
  out.deviation = sqrt (squares / (double) (n - 1));
  out.margin = out.deviation / sqrt ((double) n) * adamix_metric_student_quantile (confidence, n - 1);
  return out;
}

double
adamix_metric_quantile (int64_t n, const double *ascending, double share)
{
  const double place = share * (double) (n - 1);
  const int64_t below = (int64_t) floor (place), above = below + 1 < n ? below + 1 : below;
  return ascending[below] + (place - (double) below) * (ascending[above] - ascending[below]);
}

/* A difference of equal pairs that is not quite the same everywhere is rounding: 1e-12 of the largest number. */
static bool
is_rounding (double deviation, int64_t n, const double *a, const double *b)
{
  double largest = 0;
  for (int64_t i = 0; i < n; i++) largest = fmax (largest, fmax (fabs (a[i]), fabs (b[i])));
  return deviation <= 1e-12 * largest;
}

adamix_paired
adamix_metric_paired (int64_t n, const double *a, const double *b, double *difference, double confidence)
{
  for (int64_t i = 0; i < n; i++) difference[i] = a[i] - b[i];
  adamix_paired out = { adamix_metric_sample (n, difference, confidence), NAN, NAN };
  if (n < 2 || is_rounding (out.difference.deviation, n, a, b)) return out;
  out.t = out.difference.mean / (out.difference.deviation / sqrt ((double) n));
  out.p = 1 - adamix_metric_student (out.t, n - 1);
  return out;
}

/* p_j times the number of those that are not smaller; NaN counts for nothing. */
static double
weighed (int64_t n, const double *p, int64_t j)
{
  double count = 0;
  for (int64_t k = 0; k < n; k++) count += p[k] >= p[j];
  return count * p[j];
}

void
adamix_metric_holm (int64_t n, const double *p, double *adjusted)
{
  for (int64_t i = 0; i < n; i++) {
    adjusted[i] = isnan (p[i]) ? NAN : 0;
    for (int64_t j = 0; j < n; j++)
      if (p[j] <= p[i]) adjusted[i] = fmin (1, fmax (adjusted[i], weighed (n, p, j)));
  }
}
