#include "train/run_private.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define BATCH     ((int64_t) ADAMIX_INFERENCE_SEQUENCES)

/* ---- which examples ---- */

/* Drawn by seed from those that were held out, where there are such and the method had better read them, else from those that
 * were trained on; of these, this rank's part. */
static adamix_err
choose (adamix_samples *out, const adamix_run *run)
{
  adamix_err err = ADAMIX_OK;
  const bool held = run->merge->reads & ADAMIX_MERGE_UNSEEN && run->held.examples;
  const adamix_comm *world = run->args->world;
  out->dataset = held ? &run->held : &run->data[ADAMIX_SPLIT_TRAIN];
  int64_t *order = NULL;
  const int64_t all = out->dataset->examples, count = MIN (all, run->config->merge_samples);
  const int64_t first = count * world->rank / world->size, end = count * (world->rank + 1) / world->size;
  const adamix_rng rng = adamix_rng_stream ((uint64_t) run->config->seed, ADAMIX_RNG_SAMPLES);
  ADAMIX_TRY (ADAMIX_ALLOC (order, all));
  ADAMIX_TRY (ADAMIX_ALLOC (out->chosen, MAX (end - first, 1)));
  adamix_rng_permutation (rng, 0, 0, all, order);
  for (int64_t i = first; i < end; i++) out->chosen[i - first] = order[i];
  out->scorer.examples = count;
  out->scorer.mine = end - first;
done:
  free (order);
  return err;
}

/* Of the largest batch of consecutive samples. */
static adamix_workspace_size
size_of (const adamix_samples *samples, const adamix_run *run)
{
  adamix_workspace_size size = {
    .passes = 1, .tokens = 1, .sequences = BATCH, .longest = 1, .backward = true, .places = run->shape.places
  };
  int64_t tokens = 0;
  for (int64_t i = 0; i < samples->scorer.mine; i++) {
    const int64_t *offset = samples->dataset->offset, *chosen = samples->chosen;
    const int64_t length = offset[chosen[i] + 1] - offset[chosen[i]];
    tokens += length - (i >= BATCH ? offset[chosen[i - BATCH] + 1] - offset[chosen[i - BATCH]] : 0);
    size.tokens = MAX (size.tokens, tokens);
    size.longest = MAX (size.longest, length);
  }
  return size;
}

/* ---- a batch ---- */

/* Buffers for the modules of a bank, made anew for each that is asked for. */
static adamix_err
insert (adamix_samples *self, const adamix_bank *bank)
{
  if (self->bank == bank) return ADAMIX_OK;
  adamix_inserted_bank_destroy (self->inserted);
  self->inserted = NULL;
  self->bank = NULL;
  ADAMIX_RETURN_IF (
      adamix_inserted_bank_create (&self->inserted, bank, &self->run->compute, self->size.tokens, 1, true));
  self->bank = bank;
  return ADAMIX_OK;
}

static adamix_forward_args
args_of (adamix_samples *self)
{
  return (adamix_forward_args){ .batch = &self->batch,
                                .passes = 1,
                                .first_only = adamix_head_reads_first (self->run->all.head),
                                .insertion = adamix_inserted_bank_insertion (self->inserted) };
}

/* The sum of the losses and, in dz, its derivative by the logits. */
static double
loss_of (adamix_samples *self, adamix_view z, adamix_view dz)
{
  const adamix_loss_args args = { .examples = z.rows,
                                  .outputs = z.cols,
                                  .passes = 1,
                                  .label = self->dataset->label ? self->batch.label : NULL,
                                  .target = self->dataset->target ? self->batch.target : NULL,
                                  .scale = 1 };
  adamix_loss loss;
  adamix_loss_compute (&args, z, dz, &loss);
  return loss.task;
}

static adamix_err
run_batch (adamix_samples *self, int64_t slot, int64_t first, int64_t n, bool gradient, double *loss)
{
  const adamix_run *run = self->run;
  adamix_batch_pack (&self->batch, self->dataset, self->chosen + first, n);
  adamix_route_fixed (self->bank, self->batch.tokens, slot, adamix_inserted_bank_route (self->inserted));
  const adamix_forward_args args = args_of (self);
  adamix_view hidden, z;
  ADAMIX_RETURN_IF (adamix_model_forward (run->model, self->workspace, &args, &hidden));
  ADAMIX_RETURN_IF (adamix_head_forward (run->all.head, &args, hidden, &z));
  const adamix_view dz = adamix_view_of (self->dz, z.rows, z.cols);
  *loss += loss_of (self, z, dz);
  if (!gradient) return ADAMIX_OK;
  const adamix_view dhidden = adamix_workspace_gradient (self->workspace, hidden.rows);
  ADAMIX_RETURN_IF (adamix_head_backward (run->all.head, &args, dz, dhidden));
  return adamix_model_backward (run->model, self->workspace, &args, dhidden);
}

static adamix_err
run_batches (adamix_samples *self, const adamix_bank *bank, int64_t slot, int64_t first, int64_t n, bool gradient,
             double *loss)
{
  *loss = 0;
  ADAMIX_RETURN_IF (insert (self, bank));
  for (int64_t i = 0; i < n; i += BATCH)
    ADAMIX_RETURN_IF (run_batch (self, slot, first + i, MIN (n - i, BATCH), gradient, loss));
  return ADAMIX_OK;
}

/* ---- what a merge asks ---- */

static adamix_err
loss (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, double *out)
{
  return run_batches ((adamix_samples *) scorer, bank, slot, 0, scorer->mine, false, out);
}

static adamix_err
gradient (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, int64_t first, int64_t n, double *out)
{
  return run_batches ((adamix_samples *) scorer, bank, slot, first, n, true, out);
}

static adamix_err
show (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, adamix_activations *activations)
{
  adamix_samples *self = (adamix_samples *) scorer;
  double unread;
  ADAMIX_RETURN_IF (insert (self, bank));
  adamix_inserted_bank_show (self->inserted, activations);
  const adamix_err err = run_batches (self, bank, slot, 0, scorer->mine, false, &unread);
  adamix_inserted_bank_show (self->inserted, NULL);
  return err;
}

/* ---- life ---- */

adamix_err
adamix_samples_open (adamix_samples *out, const adamix_run *run)
{
  adamix_err err = ADAMIX_OK;
  *out = (adamix_samples){ .scorer = { .comm = run->args->world, .loss = loss, .gradient = gradient, .show = show },
                           .run = run };
  ADAMIX_TRY (choose (out, run));
  out->size = size_of (out, run);
  ADAMIX_TRY (adamix_workspace_create (&out->workspace, run->model, &out->size));
  ADAMIX_TRY (adamix_batch_create (&out->batch, BATCH, out->size.tokens));
  ADAMIX_TRY (ADAMIX_ALLOC (out->dz, BATCH * run->outputs));
done:
  if (err) adamix_samples_close (out);
  return err;
}

void
adamix_samples_close (adamix_samples *samples)
{
  free (samples->dz);
  adamix_batch_destroy (&samples->batch);
  adamix_inserted_bank_destroy (samples->inserted);
  adamix_workspace_destroy (samples->workspace);
  free (samples->chosen);
  *samples = (adamix_samples){ 0 };
}

adamix_err
adamix_samples_measure (size_t *bytes, const adamix_run *run)
{
  adamix_samples samples = { 0 };
  *bytes = 0;
  if (!(run->merge->reads & ADAMIX_MERGE_SAMPLES) || !run->method->modules) return ADAMIX_OK;
  adamix_err err = choose (&samples, run);
  samples.size = size_of (&samples, run);
  if (!err) err = adamix_workspace_measure (bytes, run->model, &samples.size);
  *bytes += adamix_inserted_bank_measure (&run->shape, samples.size.tokens, true);
  free (samples.chosen);
  return err;
}
