#include "train/train_private.h"

#include <math.h>
#include <string.h>

/* What the metrics read: the predicted class, or the score and what it should be. */
typedef struct answers {
  int32_t *predicted;
  double *target;
} answers;

static adamix_err
answer (const adamix_dataset *dataset, const double *log_p, int64_t outputs, answers *out)
{
  const int64_t n = dataset->examples;
  if (dataset->label) {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->predicted, n));
    adamix_metric_classify (n, outputs, log_p, out->predicted);
    return ADAMIX_OK;
  }
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->target, n));
  for (int64_t i = 0; i < n; i++) out->target[i] = dataset->target[i];
  return ADAMIX_OK;
}

static void
score_classes (const adamix_forecast *forecast, adamix_evaluation *out)
{
  adamix_reliability reliability;
  adamix_metric_reliability (forecast, &reliability);
  out->loss = adamix_metric_nll (forecast);
  out->ece = reliability.error;
  out->brier = adamix_metric_brier (forecast);
}

static void
score_numbers (int64_t n, const double *score, const double *target, adamix_evaluation *out)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (score[i] - target[i]) * (score[i] - target[i]);
  out->loss = sum / (double) n;
  out->ece = out->brier = NAN;
}

/* Compute each of "a|b". */
static void
compute_metrics (const char *metrics, const adamix_predictions *predictions, adamix_evaluation *out)
{
  for (const char *name = metrics; name && out->metrics < ADAMIX_EVALUATION_METRICS;) {
    int length = (int) strcspn (name, "|");
    char *to = out->name[out->metrics];
    snprintf (to, sizeof out->name[0], "%.*s", length, name);
    const adamix_metric *metric = adamix_metric_find (to);
    out->value[out->metrics++] = metric ? metric->compute (predictions) : NAN;
    name = name[length] ? name + length + 1 : NULL;
  }
}

adamix_err
adamix_evaluate_predictions (const adamix_dataset *dataset, int64_t outputs, const char *metrics, const double *log_p,
                             adamix_evaluation *out)
{
  adamix_err err = ADAMIX_OK;
  const int64_t n = dataset->examples;
  answers given = { 0 };
  *out = (adamix_evaluation){ .examples = n, .majority = adamix_dataset_majority (dataset), .flops = NAN };
  ADAMIX_TRY (answer (dataset, log_p, outputs, &given));
  if (dataset->label)
    score_classes (&(adamix_forecast){ n, outputs, log_p, dataset->label }, out);
  else
    score_numbers (n, log_p, given.target, out);
  adamix_predictions predictions = { .n = n,
                                     .classes = outputs,
                                     .label = dataset->label,
                                     .predicted = given.predicted,
                                     .target = given.target,
                                     .score = dataset->label ? NULL : log_p };
  compute_metrics (metrics, &predictions, out);
done:
  free (given.target);
  free (given.predicted);
  return err;
}

adamix_err
adamix_evaluate (adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset, const char *metrics,
                 const adamix_inference_route *route, adamix_evaluation *out, double *log_p)
{
  adamix_err err = ADAMIX_OK;
  const int64_t outputs = adamix_head_outputs (inference->module->head), n = dataset->examples;
  const adamix_profile *profile = inference->compute->profile;
  const double start = adamix_clock (), before = adamix_profile_flops (profile);
  double *predicted = NULL;
  ADAMIX_TRY (adamix_comm_agree (comm, ADAMIX_ALLOC (predicted, n * outputs)));
  ADAMIX_TRY (adamix_inference_predict (comm, inference, dataset, route, predicted, NULL));
  double flops = adamix_profile_flops (profile) - before;
  ADAMIX_TRY (adamix_comm_sum_f64 (comm, &flops, 1));
  ADAMIX_TRY (adamix_comm_agree (comm, adamix_evaluate_predictions (dataset, outputs, metrics, predicted, out)));
  if (log_p) memcpy (log_p, predicted, (size_t) (n * outputs) * sizeof *log_p);
  out->flops = flops;
  out->seconds = adamix_clock () - start;
done:
  free (predicted);
  return err;
}

double
adamix_evaluation_value (const adamix_evaluation *evaluation, const char *metric)
{
  for (int64_t i = 0; i < evaluation->metrics; i++)
    if (strcmp (evaluation->name[i], metric) == 0) return evaluation->value[i];
  return NAN;
}

static void
put (json_t **json, const char *pattern, const char *name, json_t *value)
{
  enum { WIDTH = 64 };
  char key[WIDTH];
  snprintf (key, sizeof key, pattern, name);
  adamix_json_put (json, key, value);
}

void
adamix_evaluation_put (json_t **json, const char *pattern, const adamix_evaluation *e)
{
  for (int64_t i = 0; i < e->metrics; i++) put (json, pattern, e->name[i], adamix_json_number (e->value[i]));
  put (json, pattern, "loss", adamix_json_number (e->loss));
  put (json, pattern, "ece", adamix_json_number (e->ece));
  put (json, pattern, "brier", adamix_json_number (e->brier));
  put (json, pattern, "majority", adamix_json_number (e->majority));
  put (json, pattern, "samples", json_integer (e->examples));
  put (json, pattern, "flops_per_sample", adamix_json_number (e->flops / (double) e->examples));
}
