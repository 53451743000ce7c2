#include <adamix/metrics.h>

#include <math.h>

#define POSITIVE 1 /* the class whose F1 is reported */

double
adamix_metric_accuracy (const adamix_predictions *p)
{
  int64_t equal = 0;
  for (int64_t i = 0; i < p->n; i++) equal += p->label[i] == p->predicted[i];
  return p->n > 0 ? (double) equal / (double) p->n : NAN;
}

double
adamix_metric_f1 (const adamix_predictions *p)
{
  int64_t both = 0, either = 0; /* positive in truth and prediction; positives of the one plus those of the other */
  for (int64_t i = 0; i < p->n; i++) {
    both += p->label[i] == POSITIVE && p->predicted[i] == POSITIVE;
    either += (p->label[i] == POSITIVE) + (p->predicted[i] == POSITIVE);
  }
  if (p->n == 0) return NAN;
  return both > 0 ? 2.0 * (double) both / (double) either : 0.0;
}

double
adamix_metric_matthews (const adamix_predictions *p)
{
  double n = (double) p->n, equal = adamix_metric_accuracy (p) * n;
  double joint = 0, truth = 0, guess = 0; /* sums over classes of t_k p_k, t_k^2, p_k^2 */
  if (p->n == 0) return NAN;
  for (int64_t class = 0; class < p->classes; class ++) {
    int64_t t = 0, g = 0;
    for (int64_t i = 0; i < p->n; i++) {
      t += p->label[i] == class;
      g += p->predicted[i] == class;
    }
    joint += (double) t * (double) g;
    truth += (double) t * (double) t;
    guess += (double) g * (double) g;
  }
  double spread = (n * n - truth) * (n * n - guess);
  return spread > 0 ? (equal * n - joint) / sqrt (spread) : 0.0;
}
