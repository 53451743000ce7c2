#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Classes of drawn examples. */
#define CLASSES 3

static const adamix_option workload_rows[] = {
  { "shape", ADAMIX_OPTION_STRING, offsetof (bench_workload, shape), NULL, NULL, 0, 0, "NAME",
    "a drawn encoder of these sizes: minilm, bert-base or roberta-large (minilm without --model)" },
  { "tokens", ADAMIX_OPTION_REAL, offsetof (bench_workload, tokens), "48", NULL, 3, 1e5, "N",
    "mean length of drawn examples" },
  { "spread", ADAMIX_OPTION_REAL, offsetof (bench_workload, spread), "0.5", NULL, 0, 10, "X",
    "standard deviation of their lengths over the mean" },
  { "examples", ADAMIX_OPTION_INTEGER, offsetof (bench_workload, examples), "16", NULL, 1, 1e6, "N",
    "examples of a rank and step" },
  { "steps", ADAMIX_OPTION_INTEGER, offsetof (bench_workload, steps), "5", NULL, 1, 1e6, "N",
    "steps to time, after one that is not" },
  { "json", ADAMIX_OPTION_FLAG, offsetof (bench_workload, json), "false", NULL, 0, 0, NULL,
    "print JSON instead of text" },
};

/* Options of `adamix train` that a step depends on. */
static const char *const train_rows[] = { "model",
                                          "task",
                                          "data",
                                          "max-length",
                                          "pool",
                                          "method",
                                          "experts",
                                          "rank",
                                          "share",
                                          "placement",
                                          "experts-per-rank",
                                          "rotate-every",
                                          "seed",
                                          "gemm",
                                          "precision",
                                          "kernels",
                                          "threads",
                                          "activation-memory",
                                          "passes",
                                          "task-loss",
                                          "consistency",
                                          "consistency-loss" };

void
bench_table_fill (bench_table *table, const adamix_option *own, int count)
{
  table->rows = 0;
  for (size_t i = 0; i < sizeof workload_rows / sizeof *workload_rows; i++)
    table->row[table->rows++] = workload_rows[i];
  for (int i = 0; i < count; i++) table->row[table->rows++] = own[i];
  const int taken = (int) (sizeof train_rows / sizeof *train_rows);
  driver_train_rows (&table->row[table->rows], train_rows, taken, offsetof (bench_workload, train));
  table->rows += taken;
  ADAMIX_ASSERT (table->rows <= BENCH_MAX_OPTIONS);
}

/* ---- parsing ------------------------------------------------------------------------------------------------------------- */

static adamix_err
check_sources (const bench_workload *w)
{
  const adamix_train_config *c = &w->train;
  if (w->shape && c->model)
    return adamix_err_set (ADAMIX_EUSAGE, "--shape %s and --model %s contradict each other; give one of them", w->shape,
                           c->model);
  if (c->task && !c->model)
    return adamix_err_set (ADAMIX_EUSAGE, "--task %s needs --model DIR, whose tokenizer reads its texts", c->task);
  if (c->data && !c->task) return adamix_err_set (ADAMIX_EUSAGE, "--data goes with --task NAME");
  return ADAMIX_OK;
}

adamix_err
bench_parse (adamix_options **options, const bench_table *table, int argc, char **argv, bench_workload *workload)
{
  ADAMIX_RETURN_IF (driver_train_defaults (&workload->train));
  ADAMIX_RETURN_IF (driver_parse (options, table->row, table->rows, argc, argv, workload));
  ADAMIX_RETURN_IF (check_sources (workload));
  if (!workload->shape && !workload->train.model) workload->shape = "minilm";
  return driver_train_check (&workload->train, *options);
}

/* ---- a model and examples -------------------------------------------------------------------------------------------------- */

adamix_err
bench_draw (adamix_dataset *out, const bench_workload *w, const adamix_model *model, int64_t examples, double spread)
{
  const adamix_model_config *config = adamix_model_config_of (model);
  const adamix_drawn_sizes sizes = { .examples = examples,
                                     .tokens = w->tokens,
                                     .spread = spread,
                                     .longest = w->train.max_length,
                                     .vocabulary = config->vocabulary,
                                     .classes = CLASSES };
  return adamix_dataset_draw (out, &sizes, (uint64_t) w->train.seed);
}

static adamix_err
read_task (bench_inputs *out, const bench_workload *w)
{
  adamix_err err = ADAMIX_OK;
  const adamix_task *task = adamix_task_find (w->train.task);
  adamix_tokenizer *tokenizer = NULL;
  adamix_labels labels = { 0 };
  char *path = NULL;
  if (task->type != ADAMIX_TASK_CLASSIFICATION)
    return adamix_err_set (ADAMIX_EUSAGE, "--task %s is a regression; benches take a classification", task->name);
  ADAMIX_TRY (adamix_tokenizer_open (&tokenizer, w->train.model));
  ADAMIX_TRY (adamix_task_path (task, w->train.data, ADAMIX_SPLIT_TRAIN, &path));
  ADAMIX_TRY (adamix_dataset_read (&out->train, task, path, tokenizer, w->train.max_length, 0, &labels));
  out->outputs = labels.count;
done:
  free (path);
  adamix_labels_destroy (&labels);
  adamix_tokenizer_destroy (tokenizer);
  return err;
}

static adamix_err
open_local (bench_inputs *out, const bench_workload *w, int64_t examples)
{
  const adamix_train_config *c = &w->train;
  if (w->shape)
    ADAMIX_RETURN_IF (adamix_model_draw (&out->model, w->shape, (uint64_t) c->seed, &out->compute));
  else
    ADAMIX_RETURN_IF (adamix_model_open (&out->model, c->model, &out->compute));
  const int64_t longest = adamix_model_config_of (out->model)->longest;
  if (c->max_length > longest)
    return adamix_err_set (ADAMIX_EUSAGE, "--max-length %lld is more than the %lld tokens that the model takes",
                           (long long) c->max_length, (long long) longest);
  if (!c->task && w->tokens > (double) c->max_length)
    return adamix_err_set (ADAMIX_EUSAGE, "--tokens %g is more than --max-length %lld", w->tokens,
                           (long long) c->max_length);
  out->outputs = CLASSES;
  if (!c->task) return bench_draw (&out->train, w, out->model, examples, w->spread);
  ADAMIX_RETURN_IF (read_task (out, w));
  if (out->train.examples >= examples) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA, "%s has %lld examples, %lld are asked for", out->train.path,
                         (long long) out->train.examples, (long long) examples);
}

adamix_err
bench_open (bench_inputs *out, const bench_workload *workload, driver_session *session, int64_t examples)
{
  adamix_err err = ADAMIX_OK;
  const adamix_train_config *c = &workload->train;
  const int threads = c->threads ? (int) c->threads : session->cores;
  *out = (bench_inputs){ 0 };
  ADAMIX_TRY (adamix_compute_agree (&out->compute, &session->world, c->gemm, c->precision, c->kernels, threads));
  ADAMIX_TRY (adamix_comm_agree (&session->world, open_local (out, workload, examples)));
  ADAMIX_TRY (adamix_model_pack_node (out->model, &session->world, true));
done:
  if (err) bench_close (out);
  return err;
}

void
bench_close (bench_inputs *inputs)
{
  adamix_dataset_destroy (&inputs->train);
  adamix_model_destroy (inputs->model);
  *inputs = (bench_inputs){ 0 };
}

json_t *
bench_describe (const bench_workload *w, const bench_inputs *inputs, const driver_session *session)
{
  const adamix_model_config *c = adamix_model_config_of (inputs->model);
  return json_pack ("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:i, s:i}", "model", w->shape ? w->shape : w->train.model,
                    "architecture", c->architecture, "parameters", (json_int_t) adamix_model_parameters (inputs->model),
                    "hidden_size", (json_int_t) c->hidden, "num_hidden_layers", (json_int_t) c->layers, "gemm",
                    adamix_gemm_name (inputs->compute.gemm), "precision",
                    adamix_gemm_precision (inputs->compute.frozen), "isa", inputs->compute.kernels->isa, "ranks",
                    session->world.size, "threads", inputs->compute.threads);
}
