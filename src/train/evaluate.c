#include "train/train_private.h"

#include <math.h>
#include <string.h>

/* Logits of the batches that this rank takes, zero elsewhere: batch b goes to rank b mod W. */
static adamix_err
run_batches (const adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset,
             const adamix_inference_route *route, float *z, int64_t outputs)
{
  const int64_t most = ADAMIX_INFERENCE_SEQUENCES;
  int64_t chosen[ADAMIX_INFERENCE_SEQUENCES];
  for (int64_t first = comm->rank * most; first < dataset->examples; first += comm->size * most) {
    int64_t n = dataset->examples - first < most ? dataset->examples - first : most;
    for (int64_t i = 0; i < n; i++) chosen[i] = first + i;
    ADAMIX_RETURN_IF (adamix_inference_run (inference, dataset, chosen, n, route, z + first * outputs));
  }
  return ADAMIX_OK;
}

/* What the metrics read: the predicted class (the first of equal ones) or the score. */
typedef struct answers {
  int32_t *predicted;
  double *target, *score;
} answers;

static double
mean_loss (const adamix_dataset *dataset, float *z, float *dz, int64_t outputs)
{
  adamix_loss_args args = { .examples = dataset->examples,
                            .outputs = outputs,
                            .passes = 1,
                            .label = dataset->label,
                            .target = dataset->target,
                            .scale = 1.0 / (double) dataset->examples };
  adamix_loss loss;
  adamix_loss_compute (&args, adamix_view_of (z, dataset->examples, outputs),
                       adamix_view_of (dz, dataset->examples, outputs), &loss);
  return loss.task;
}

static adamix_err
answer (const adamix_dataset *dataset, const float *z, int64_t outputs, answers *out)
{
  if (dataset->label) {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->predicted, dataset->examples));
    for (int64_t i = 0; i < dataset->examples; i++)
      for (int64_t k = 1; k < outputs; k++)
        if (z[i * outputs + k] > z[i * outputs + out->predicted[i]]) out->predicted[i] = (int32_t) k;
    return ADAMIX_OK;
  }
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->target, dataset->examples));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->score, dataset->examples));
  for (int64_t i = 0; i < dataset->examples; i++) {
    out->target[i] = dataset->target[i];
    out->score[i] = z[i];
  }
  return ADAMIX_OK;
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
adamix_evaluate (adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset, const char *metrics,
                 const adamix_inference_route *route, adamix_evaluation *out, float *logits)
{
  adamix_err err = ADAMIX_OK;
  const int64_t outputs = adamix_head_outputs (inference->module->head), n = dataset->examples;
  float *z = NULL, *dz = NULL;
  answers given = { 0 };
  double start = adamix_clock ();
  *out = (adamix_evaluation){ .examples = n, .majority = adamix_dataset_majority (dataset) };
  err = ADAMIX_ALLOC (z, n * outputs);
  if (!err) err = ADAMIX_ALLOC (dz, n * outputs);
  if (!err) err = run_batches (comm, inference, dataset, route, z, outputs);
  ADAMIX_TRY (adamix_comm_agree (comm, err));
  ADAMIX_TRY (adamix_comm_sum_f32 (comm, z, n * outputs));
  out->loss = mean_loss (dataset, z, dz, outputs);
  ADAMIX_TRY (adamix_comm_agree (comm, answer (dataset, z, outputs, &given)));
  adamix_predictions predictions = { .n = n,
                                     .classes = outputs,
                                     .label = dataset->label,
                                     .predicted = given.predicted,
                                     .target = given.target,
                                     .score = given.score };
  compute_metrics (metrics, &predictions, out);
  if (logits) memcpy (logits, z, (size_t) (n * outputs) * sizeof *z);
  out->seconds = adamix_clock () - start;
done:
  free (given.score);
  free (given.target);
  free (given.predicted);
  free (dz);
  free (z);
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
  put (json, pattern, "majority", adamix_json_number (e->majority));
  put (json, pattern, "samples", json_integer (e->examples));
}
