#include <math.h>
#include <string.h>

#include <adamix/adapt.h>

/* The logits of an example in one pass, log sum exp of them, and where their gradient goes. */
typedef struct logits {
  int64_t K;
  const float *z;
  double norm;
  float *dz;
} logits;

/* log sum_k exp z_k, shifted by the largest */
static double
log_sum_exp (int64_t K, const float *z)
{
  double largest = z[0], sum = 0;
  for (int64_t k = 1; k < K; k++)
    if (z[k] > largest) largest = z[k];
  for (int64_t k = 0; k < K; k++) sum += exp (z[k] - largest);
  return largest + log (sum);
}

static double
log_p (const logits *x, int64_t k)
{
  return x->z[k] - x->norm;
}

/* ---- the task ---------------------------------------------------------------------------------------------------------- */

/* CE (z, y) = -log p_y;  dz += scale (p - onehot (y)) */
static double
cross_entropy (const logits *x, int32_t label, double scale)
{
  ADAMIX_ASSERT (label >= 0 && label < x->K);
  for (int64_t k = 0; k < x->K; k++) x->dz[k] += (float) (scale * (exp (log_p (x, k)) - (k == label)));
  return -scale * log_p (x, label);
}

static double
squared_error (const logits *x, float target, double scale)
{
  const double difference = (double) x->z[0] - target;
  x->dz[0] += (float) (2 * scale * difference);
  return scale * difference * difference;
}

/* ---- divergences of a prediction p from a target t ---------------------------------------------------------------------- */

/* D (t, p).  `weight` times its derivative is added to p's gradient, and to t's where the target is not fixed. */
typedef double divergence (const logits *t, const logits *p, double weight, bool fixed);

/* KL (t || p): dzp += p - t;  dzt += t (d - KL), d = log t - log p */
static double
kullback_leibler (const logits *t, const logits *p, double weight, bool fixed)
{
  double sum = 0;
  for (int64_t k = 0; k < t->K; k++) {
    const double of_t = exp (log_p (t, k)), of_p = exp (log_p (p, k));
    sum += of_t * (log_p (t, k) - log_p (p, k));
    p->dz[k] += (float) (weight * (of_p - of_t));
  }
  for (int64_t k = 0; k < t->K && !fixed; k++)
    t->dz[k] += (float) (weight * exp (log_p (t, k)) * (log_p (t, k) - log_p (p, k) - sum));
  return sum;
}

/* log ((t + p) / 2), of logarithms */
static double
log_mean (double a, double b)
{
  const double more = a > b ? a : b, less = a > b ? b : a;
  return more + log1p (exp (less - more)) - log (2);
}

/* x's half of the Jensen-Shannon divergence, KL (x || m) / 2 with m = (x + y) / 2:  its derivative and that of y's half that
 * reaches z_x through m add up to  x (log x - log m - KL (x || m)) / 2. */
static double
to_the_mean (const logits *x, const logits *y, double weight, bool fixed)
{
  double sum = 0;
  for (int64_t k = 0; k < x->K; k++) {
    const double here = log_p (x, k);
    sum += exp (here) * (here - log_mean (here, log_p (y, k)));
  }
  for (int64_t k = 0; k < x->K && !fixed; k++) {
    const double here = log_p (x, k);
    x->dz[k] += (float) (weight / 2 * exp (here) * (here - log_mean (here, log_p (y, k)) - sum));
  }
  return sum / 2;
}

static double
jensen_shannon (const logits *t, const logits *p, double weight, bool fixed)
{
  return to_the_mean (p, t, weight, false) + to_the_mean (t, p, weight, fixed);
}

/* mean_k (z_t - z_p)^2 */
static double
squared_distance (const logits *t, const logits *p, double weight, bool fixed)
{
  double sum = 0;
  for (int64_t k = 0; k < t->K; k++) {
    const double difference = (double) p->z[k] - t->z[k], slope = 2 * weight * difference / (double) t->K;
    sum += difference * difference;
    p->dz[k] += (float) slope;
    if (!fixed) t->dz[k] -= (float) slope;
  }
  return sum / (double) t->K;
}

/* D between two passes is the weighted sum of both directions. */
static const struct {
  divergence *call;
  double to_later, to_earlier; /* weights: the earlier pass is the target; the later one is */
} DIVERGENCES[] = {
  [ADAMIX_CONSISTENCY_KL] = { kullback_leibler, 0.5, 0.5 },
  [ADAMIX_CONSISTENCY_KL_FORWARD] = { kullback_leibler, 1, 0 },
  [ADAMIX_CONSISTENCY_KL_REVERSE] = { kullback_leibler, 0, 1 },
  [ADAMIX_CONSISTENCY_JS] = { jensen_shannon, 0.5, 0.5 },
  [ADAMIX_CONSISTENCY_MSE] = { squared_distance, 0.5, 0.5 },
};

static double
between (const adamix_loss_args *args, const logits *earlier, const logits *later, double weight)
{
  const bool fixed = args->gradient == ADAMIX_CONSISTENCY_STOP;
  const double forth = weight * DIVERGENCES[args->divergence].to_later;
  const double back = weight * DIVERGENCES[args->divergence].to_earlier;
  double sum = 0;
  if (back > 0) sum += back * DIVERGENCES[args->divergence].call (later, earlier, back, fixed);
  if (forth > 0) sum += forth * DIVERGENCES[args->divergence].call (earlier, later, forth, fixed);
  return sum;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------------- */

static double
task_loss (const adamix_loss_args *args, const logits *x, int64_t example, double scale)
{
  if (args->label) return cross_entropy (x, args->label[example], scale);
  return squared_error (x, args->target[example], scale);
}

void
adamix_loss_compute (const adamix_loss_args *args, adamix_view z, adamix_view dz, adamix_loss *out)
{
  const int64_t n = args->examples, K = args->outputs, passes = args->passes;
  const double pairs = (double) (passes * (passes - 1)) / 2;
  const double weight = args->consistency > 0 ? args->scale * args->consistency / pairs : 0;
  const int64_t of_task = args->task_on_all ? passes : 1;
  *out = (adamix_loss){ 0 };
  ADAMIX_ASSERT (passes >= 1 && passes <= ADAMIX_PASSES && (args->label || K == 1));
  ADAMIX_ASSERT (args->consistency == 0 || passes > 1);
  for (int64_t i = 0; i < n; i++) {
    logits x[ADAMIX_PASSES];
    for (int64_t p = 0; p < passes; p++) {
      const int64_t row = p * n + i;
      x[p] = (logits){ K, z.data + row * z.stride, 0, dz.data + row * dz.stride };
      x[p].norm = log_sum_exp (K, x[p].z);
      memset (x[p].dz, 0, (size_t) K * sizeof (float));
    }
    for (int64_t p = 0; p < of_task; p++) out->task += task_loss (args, &x[p], i, args->scale / (double) of_task);
    for (int64_t later = 1; weight > 0 && later < passes; later++)
      for (int64_t earlier = 0; earlier < later; earlier++)
        out->consistency += between (args, &x[earlier], &x[later], weight);
  }
}
