#include <adamix/metrics.h>

#include <math.h>

/* ---- logarithms of probabilities ---- */

void
adamix_metric_log_softmax (int64_t n, int64_t classes, double *z)
{
  for (int64_t i = 0; i < n; i++, z += classes) {
    double largest = z[0], sum = 0;
    for (int64_t k = 1; k < classes; k++) largest = z[k] > largest ? z[k] : largest;
    for (int64_t k = 0; k < classes; k++) sum += exp (z[k] - largest);
    const double norm = largest + log (sum);
    for (int64_t k = 0; k < classes; k++) z[k] -= norm;
  }
}

void
adamix_metric_log_add (int64_t count, const double *x, double *sum)
{
  for (int64_t i = 0; i < count; i++) {
    const double more = x[i] > sum[i] ? x[i] : sum[i], less = x[i] > sum[i] ? sum[i] : x[i];
    sum[i] = more + log1p (exp (less - more));
  }
}

static int32_t
most_probable (const double *log_p, int64_t classes)
{
  int32_t best = 0;
  for (int32_t k = 1; k < classes; k++)
    if (log_p[k] > log_p[best]) best = k;
  return best;
}

void
adamix_metric_classify (int64_t n, int64_t classes, const double *log_p, int32_t *out)
{
  for (int64_t i = 0; i < n; i++) out[i] = most_probable (log_p + i * classes, classes);
}

/* ---- scores ---- */

double
adamix_metric_nll (const adamix_forecast *f)
{
  double sum = 0;
  for (int64_t i = 0; i < f->n; i++) sum -= f->log_p[i * f->classes + f->label[i]];
  return f->n > 0 ? sum / (double) f->n : NAN;
}

double
adamix_metric_brier (const adamix_forecast *f)
{
  double sum = 0;
  for (int64_t i = 0; i < f->n; i++)
    for (int64_t k = 0; k < f->classes; k++) {
      const double difference = exp (f->log_p[i * f->classes + k]) - (k == f->label[i]);
      sum += difference * difference;
    }
  return f->n > 0 ? sum / (double) f->n : NAN;
}

static int
bin_of (double confidence)
{
  const double bin = ceil (confidence * ADAMIX_RELIABILITY_BINS) - 1;
  if (!(bin > 0)) return 0; /* a NaN too */
  return bin < ADAMIX_RELIABILITY_BINS ? (int) bin : ADAMIX_RELIABILITY_BINS - 1;
}

void
adamix_metric_reliability (const adamix_forecast *f, adamix_reliability *out)
{
  *out = (adamix_reliability){ .error = f->n > 0 ? 0 : NAN };
  for (int64_t i = 0; i < f->n; i++) {
    const double *log_p = f->log_p + i * f->classes;
    const int32_t predicted = most_probable (log_p, f->classes);
    const double confidence = exp (log_p[predicted]);
    const int b = bin_of (confidence);
    out->bin[b].count++;
    out->bin[b].confidence += confidence;
    out->bin[b].accuracy += predicted == f->label[i];
  }
  for (int b = 0; b < ADAMIX_RELIABILITY_BINS; b++) {
    const double count = (double) out->bin[b].count;
    if (count > 0) out->error += fabs (out->bin[b].accuracy - out->bin[b].confidence) / (double) f->n;
    out->bin[b].confidence /= count; /* 0 / 0 is NaN */
    out->bin[b].accuracy /= count;
  }
}
