#include <adamix/train.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Logits of the batches that this rank takes, zero elsewhere: batch b goes to rank b mod W. */
static adamix_err
run_batches (const adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset,
             const adamix_inference_route *route, float *z, int64_t outputs)
{
  const int64_t most = ADAMIX_INFERENCE_SEQUENCES;
  int64_t chosen[ADAMIX_INFERENCE_SEQUENCES];
  memset (z, 0, (size_t) (dataset->examples * outputs) * sizeof *z);
  for (int64_t first = comm->rank * most; first < dataset->examples; first += comm->size * most) {
    int64_t n = dataset->examples - first < most ? dataset->examples - first : most;
    for (int64_t i = 0; i < n; i++) chosen[i] = first + i;
    ADAMIX_RETURN_IF (adamix_inference_run (inference, dataset, chosen, n, route, z + first * outputs));
  }
  return ADAMIX_OK;
}

/* ---- ensembles ---- */

/* Of classes the sum is log sum_s p_s, so that no probability underflows. */
void
adamix_ensemble_add (int64_t member, int64_t examples, int64_t outputs, const double *one, double *sum)
{
  const int64_t values = examples * outputs;
  if (member == 0)
    memcpy (sum, one, (size_t) values * sizeof *sum);
  else if (outputs > 1)
    adamix_metric_log_add (values, one, sum);
  else
    for (int64_t i = 0; i < values; i++) sum[i] += one[i];
}

void
adamix_ensemble_mean (int64_t members, int64_t examples, int64_t outputs, double *sum)
{
  const double count = (double) members;
  for (int64_t i = 0; i < examples * outputs; i++) sum[i] = outputs > 1 ? sum[i] - log (count) : sum[i] / count;
}

/* The draws so far, and the next one. */
typedef struct draws {
  int64_t examples, outputs, count;
  float *z;                /* logits of a draw */
  double *log_p, *entropy; /* of one draw; entropy NULL: not wanted */
} draws;

static adamix_err
draws_create (draws *out, bool entropy)
{
  const int64_t values = out->examples * out->outputs;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->z, values));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->log_p, values));
  return entropy ? ADAMIX_ALLOC (out->entropy, out->examples) : ADAMIX_OK;
}

static void
draws_destroy (draws *draws)
{
  free (draws->entropy);
  free (draws->log_p);
  free (draws->z);
}

/* This draw to the sums. */
static void
add (draws *d, double *sum, double *entropy_sum)
{
  const int64_t values = d->examples * d->outputs;
  for (int64_t i = 0; i < values; i++) d->log_p[i] = d->z[i];
  if (d->outputs > 1) adamix_metric_log_softmax (d->examples, d->outputs, d->log_p);
  adamix_ensemble_add (d->count, d->examples, d->outputs, d->log_p, sum);
  if (!entropy_sum) return;
  adamix_metric_entropy (d->examples, d->outputs, d->log_p, d->entropy);
  for (int64_t i = 0; i < d->examples; i++) entropy_sum[i] = (d->count ? entropy_sum[i] : 0) + d->entropy[i];
}

adamix_err
adamix_inference_predict (adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset,
                          const adamix_inference_route *route, double *log_p, double *entropy)
{
  adamix_err err = ADAMIX_OK;
  draws d = { .examples = dataset->examples, .outputs = adamix_head_outputs (inference->module->head) };
  adamix_inference_route one = *route;
  ADAMIX_ASSERT (!entropy || d.outputs > 1);
  ADAMIX_TRY (adamix_comm_agree (comm, draws_create (&d, entropy != NULL)));
  do {
    err = run_batches (comm, inference, dataset, &one, d.z, d.outputs);
    ADAMIX_TRY (adamix_comm_agree (comm, err));
    ADAMIX_TRY (adamix_comm_sum_f32 (comm, d.z, d.examples * d.outputs));
    add (&d, log_p, entropy);
    d.count++;
    one.draw++;
  } while (d.count < route->draws);
  adamix_ensemble_mean (d.count, d.examples, d.outputs, log_p);
  for (int64_t i = 0; entropy && i < d.examples; i++) entropy[i] /= (double) d.count;
done:
  draws_destroy (&d);
  return err;
}
