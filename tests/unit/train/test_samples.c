/* What merges read of training data: the scorer of a run. */
#include <math.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "train/run_private.h"

enum { ROWS = 60, SAMPLES = 41, PATH = 256, EXPERTS = 3 };

static char texts[PATH];
static adamix_options *options;
static adamix_train_config config;
static adamix_comm world = { .handle = MPI_COMM_NULL, .size = 1 };
static adamix_train_args args = { .config = &config, .world = &world, .threads = 1 };
static adamix_run run;
static adamix_samples samples;

static void
must (adamix_err err)
{
  cr_assert (err == ADAMIX_OK, "%s", adamix_err_message ());
}

static void
write_texts (void)
{
  static const char *const word[] = { "dog", "mat", "table", "sad", "card", "bank", "money" };
  snprintf (texts, sizeof texts, "/tmp/adamix-samples-%ld.tsv", (long) getpid ());
  FILE *file = fopen (texts, "w");
  cr_assert (file != NULL);
  fprintf (file, "text\tlabel\n");
  for (int r = 0; r < ROWS; r++)
    fprintf (file, "the %s ran on the %s%s\t%s\n", word[r % 7], word[(r * 3 + 1) % 7], r % 3 ? "" : " cat",
             r % 3 ? "none" : "cat");
  fclose (file);
}

/* As far as `adamix merge` comes before it merges, with experts that were not trained. */
static void
set_up (void)
{
  int count;
  char model[PATH];
  const adamix_option *table = adamix_train_options (&count);
  write_texts ();
  snprintf (model, sizeof model, "%s/tests/golden/bert-tiny", getenv ("ADAMIX_SOURCE"));
  char *argument[] = { "train", "--model", model,         "--train-file",    texts,  "--output",
                       "o",     "--rank",  "8",           "--pool",          "mean", "--experts",
                       "3",     "--merge", "greedy-soup", "--merge-samples", "41",   "--max-length",
                       "32" };
  must (adamix_options_create (&options, table, count));
  must (adamix_options_parse (options, (int) (sizeof argument / sizeof *argument), argument, NULL, 0, NULL));
  must (adamix_options_store (options, &config));
  must (adamix_train_config_check (&config, options));
  config.hold_out = false;
  adamix_run_begin (&run, &args);
  must (adamix_compute_select (&run.compute, "auto", "auto", 1));
  must (adamix_run_open_inputs (&run));
  must (adamix_model_pack (run.model, true));
  const adamix_module_form form = adamix_run_form (&run, &run.shape);
  must (adamix_module_create (&run.all, run.model, &form));
  adamix_bank_initialise (run.all.bank, 1);
  adamix_head_initialise (run.all.head, 1);
  must (adamix_samples_open (&samples, &run));
}

static void
tear_down (void)
{
  adamix_samples_close (&samples);
  adamix_run_close (&run);
  adamix_options_destroy (options);
  unlink (texts);
}

TestSuite (samples, .init = set_up, .fini = tear_down);

static double
loss_of (adamix_samples *of, int64_t slot)
{
  double loss;
  must (of->scorer.loss (&of->scorer, run.all.bank, slot, &loss));
  return loss;
}

/* fp32 logits of size 1, in batches of other examples: relative errors of about 1e-6. */
Test (samples, loss_is_that_of_an_evaluation)
{
  adamix_evaluation evaluation;
  adamix_inference inference;
  config.merge_samples = ROWS;
  adamix_samples_close (&samples);
  must (adamix_samples_open (&samples, &run));
  const adamix_dataset *train = &run.data[ADAMIX_SPLIT_TRAIN];
  const adamix_inference_size size = adamix_inference_fit ((adamix_inference_size){ 0 }, train);
  must (adamix_inference_create (&inference, run.model, &run.compute, &run.all, &size));
  for (int64_t j = 0; j < EXPERTS; j++) {
    const adamix_inference_route route = { .slot = j };
    must (adamix_evaluate (&world, &inference, train, "accuracy", &route, &evaluation, NULL));
    cr_expect (fabs (loss_of (&samples, j) / ROWS - evaluation.loss) < 1e-5 * evaluation.loss);
  }
  cr_expect (fabs (loss_of (&samples, 0) - loss_of (&samples, 1)) > 1e-6, "experts differ");
  adamix_inference_destroy (&inference);
}

/* Along a drawn direction: (L (p + h d) - L (p - h d)) / 2h is the slope g d. */
Test (samples, gradient_is_the_slope_of_the_loss)
{
  const int64_t slot = 1, first = 5, n = 30;
  const float step = 0.02f;
  double loss, side[2], expected, slope = 0;
  adamix_params *params = &run.all.params;
  float *direction = NULL, *at = NULL;
  must (ADAMIX_ALLOC (direction, params->count));
  must (ADAMIX_ALLOC (at, params->count));
  memcpy (at, params->values, (size_t) params->count * sizeof *at);
  adamix_rng_normal (adamix_rng_stream (3, ADAMIX_RNG_DATA), 0, 0, params->count, 1, direction);
  adamix_params_zero_grads (params);
  must (samples.scorer.gradient (&samples.scorer, run.all.bank, slot, first, n, &loss));
  for (int64_t e = 0; e < params->count; e++) slope += (double) direction[e] * params->grads[e];
  for (int s = 0; s < 2; s++) {
    for (int64_t e = 0; e < params->count; e++) params->values[e] = at[e] + (s ? -step : step) * direction[e];
    must (samples.scorer.gradient (&samples.scorer, run.all.bank, slot, first, n, &side[s]));
  }
  expected = (side[0] - side[1]) / (2 * (double) step);
  cr_expect (fabs (slope) > 0.1, "%g", slope);
  cr_expect (fabs (slope - expected) < 0.02 * fabs (slope), "%g, not %g", slope, expected);
  for (int64_t i = 0; i < params->rows; i++) {
    const adamix_param *row = &params->row[i];
    const bool other = strstr (row->name, "experts.0.up") || strstr (row->name, "experts.2.up");
    cr_expect (other != (row->touched[0] > 0), "%s", row->name);
  }
  free (at);
  free (direction);
}

/* Whatever the number of ranks, the same samples. */
Test (samples, are_dealt_to_the_ranks)
{
  const double whole = loss_of (&samples, 2);
  double sum = 0;
  int64_t mine = 0;
  cr_expect (eq (i64, samples.scorer.examples, SAMPLES));
  world.size = 3;
  for (world.rank = 0; world.rank < world.size; world.rank++) {
    adamix_samples part;
    must (adamix_samples_open (&part, &run));
    sum += loss_of (&part, 2);
    mine += part.scorer.mine;
    adamix_samples_close (&part);
  }
  world = (adamix_comm){ .handle = MPI_COMM_NULL, .size = 1 };
  cr_expect (eq (i64, mine, SAMPLES));
  cr_expect (fabs (sum - whole) < 1e-5 * whole);
}

/* A tenth of each label of the 60, and for a merge that had better not know them. */
Test (samples, are_those_held_out)
{
  cr_expect (samples.dataset == &run.data[ADAMIX_SPLIT_TRAIN]);
  must (adamix_dataset_hold_out (&run.data[ADAMIX_SPLIT_TRAIN], &run.held, 0));
  adamix_samples_close (&samples);
  must (adamix_samples_open (&samples, &run));
  cr_expect (samples.dataset == &run.held);
  cr_expect (eq (i64, samples.scorer.examples, ROWS / 10));
}

/* Rows of each projection's inputs, all layers, and one of them computed again. */
typedef struct watcher {
  adamix_activations activations;
  int64_t rows[ADAMIX_PROJECTIONS], slot;
  double sum; /* of act (u) */
} watcher;

static adamix_err
see (adamix_activations *activations, adamix_projection projection, int64_t layer, int64_t slot, adamix_view x)
{
  watcher *self = (watcher *) activations;
  (void) layer;
  cr_assert (eq (i64, x.cols, projection == ADAMIX_DOWN ? run.shape.hidden : run.shape.bottleneck));
  cr_assert (eq (i64, slot, projection == ADAMIX_DOWN ? 0 : self->slot));
  self->rows[projection] += x.rows;
  for (int64_t r = 0; r < x.rows && projection == ADAMIX_UP; r++)
    for (int64_t c = 0; c < x.cols; c++) self->sum += fabs ((double) x.data[r * x.stride + c]);
  return ADAMIX_OK;
}

/* Down is shared: it is the one expert of its list. */
Test (samples, show_what_projections_read)
{
  watcher w = { .activations = { .see = see }, .slot = 2 };
  int64_t tokens = 0;
  for (int64_t i = 0; i < samples.scorer.mine; i++)
    tokens += samples.dataset->offset[samples.chosen[i] + 1] - samples.dataset->offset[samples.chosen[i]];
  must (samples.scorer.show (&samples.scorer, run.all.bank, w.slot, &w.activations));
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) cr_expect (eq (i64, w.rows[p], run.shape.layers * tokens));
  cr_expect (w.sum > 0);
  loss_of (&samples, 0);
  cr_expect (eq (i64, w.rows[ADAMIX_UP], run.shape.layers * tokens), "nobody looks any more");
}

Test (samples, measure_what_they_take)
{
  size_t bytes;
  double loss;
  must (samples.scorer.loss (&samples.scorer, run.all.bank, 0, &loss));
  must (adamix_samples_measure (&bytes, &run));
  cr_expect (
      eq (sz, bytes, adamix_workspace_bytes (samples.workspace) + adamix_inserted_bank_bytes (samples.inserted)));
}
