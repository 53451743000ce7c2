#include "driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct eval_config {
  const char *model, *adapter, *task, *data, *file, *text_column, *pair_column, *label_column, *inference, *output,
      *gemm, *kernels, *precision;
  int split;
  int64_t threads, seed;
} eval_config;

#define AT(member) offsetof (eval_config, member)
static const adamix_option table[] = {
  { "model", ADAMIX_OPTION_STRING, AT (model), NULL, NULL, 0, 0, "DIR", "encoder the module was trained on" },
  { "adapter", ADAMIX_OPTION_STRING, AT (adapter), NULL, NULL, 0, 0, "DIR", "run, its merged or its experts folder" },
  { "task", ADAMIX_OPTION_STRING, AT (task), NULL, NULL, 0, 0, "NAME", "task of the table; default: the module's own" },
  { "data", ADAMIX_OPTION_STRING, AT (data), NULL, NULL, 0, 0, "DIR", "root of the data sets, or the task's folder" },
  { "split", ADAMIX_OPTION_CHOICE, AT (split), "dev", "train|dev|dev_mismatched|test", 0, 0, NULL,
    "which file of the task" },
  { "file", ADAMIX_OPTION_STRING, AT (file), NULL, NULL, 0, 0, "FILE", "own labelled data instead of --data" },
  { "text-column", ADAMIX_OPTION_STRING, AT (text_column), "text", NULL, 0, 0, "C", "own data: column of the text" },
  { "text-pair-column", ADAMIX_OPTION_STRING, AT (pair_column), NULL, NULL, 0, 0, "C",
    "own data: second text of a pair" },
  { "label-column", ADAMIX_OPTION_STRING, AT (label_column), "label", NULL, 0, 0, "C",
    "own data: column of the label" },
  { "inference", ADAMIX_OPTION_STRING, AT (inference), "merged", NULL, 0, 0, "MODE",
    "merged; random-sentence, random-token: random routes; fixed:J: expert J in every layer; all: a table of these" },
  { "seed", ADAMIX_OPTION_INTEGER, AT (seed), "0", NULL, 0, 9007199254740992.0, "N", "seed of random routes" },
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "FILE", "also write the results as JSON" },
  { "gemm", ADAMIX_OPTION_STRING, AT (gemm), "auto", NULL, 0, 0, "auto|blas|onednn", "GEMM backend" },
  { "precision", ADAMIX_OPTION_STRING, AT (precision), "fp32", NULL, 0, 0, "fp32|bf16",
    "products of frozen layers and attention; bf16 where the processor has it (avx512_bf16, AMX)" },
  { "kernels", ADAMIX_OPTION_STRING, AT (kernels), "auto", NULL, 0, 0, "auto|reference|avx2|avx512|avx512_bf16",
    "element kernels" },
  { "threads", ADAMIX_OPTION_INTEGER, AT (threads), "0", NULL, 0, 4096, "N", "threads a rank; 0: the cores there are" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

/* ---- modes of inference ---- */

/* One line of the table of results. */
typedef struct mode {
  char name[32];
  bool experts; /* needs the bank of all experts */
  adamix_inference_route route;
  adamix_evaluation result;
} mode;

static const char *const random_modes[][2] = { { "random-sentence", "stochastic-sentence" },
                                               { "random-token", "stochastic-token" } };
#define RANDOM_MODES (sizeof random_modes / sizeof *random_modes)

static mode
random_mode (size_t i, uint64_t seed)
{
  mode m = { .experts = true, .route = { .policy = adamix_route_policy_find (random_modes[i][1]), .seed = seed } };
  snprintf (m.name, sizeof m.name, "%s", random_modes[i][0]);
  return m;
}

static mode
fixed_mode (int64_t expert)
{
  mode m = { .experts = true, .route = { .slot = expert } };
  snprintf (m.name, sizeof m.name, "fixed:%lld", (long long) expert);
  return m;
}

/* The one mode that `text` names, or all of them for a bank of `experts`. */
static adamix_err
choose_modes (const char *text, int64_t experts, uint64_t seed, mode **out, int64_t *count)
{
  const mode merged = { .name = "merged" };
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*out, experts + 1 + (int64_t) RANDOM_MODES));
  *count = 0;
  const bool all = strcmp (text, "all") == 0;
  if (all || strcmp (text, merged.name) == 0) (*out)[(*count)++] = merged;
  for (int64_t j = 0; j < experts; j++) {
    mode fixed = fixed_mode (j);
    if (all || strcmp (text, fixed.name) == 0) (*out)[(*count)++] = fixed;
  }
  for (size_t i = 0; i < RANDOM_MODES; i++)
    if (all || strcmp (text, random_modes[i][0]) == 0) (*out)[(*count)++] = random_mode (i, seed);
  if (*count) return ADAMIX_OK;
  return adamix_err_set (
      ADAMIX_EUSAGE,
      "--inference: '%s' is not one of merged, random-sentence, random-token, fixed:0 to fixed:%lld, all", text,
      (long long) experts - 1);
}

/* ---- what is evaluated ---- */

typedef struct evaluator {
  adamix_compute compute;
  adamix_model *model;
  adamix_tokenizer *tokenizer;
  adamix_adapter_config config[2]; /* merged, experts */
  adamix_module module[2];
  adamix_task task;
  adamix_dataset dataset;
  mode *modes;
  int64_t count;
} evaluator;

static adamix_err
choose_task (evaluator *e, const eval_config *c)
{
  const adamix_adapter_config *adapter = &e->config[0];
  if (c->file) {
    e->task = (adamix_task){ .name = "custom",
                             .folder = "",
                             .type = adapter->type,
                             .header = true,
                             .text = c->text_column,
                             .pair = c->pair_column,
                             .label = c->label_column,
                             .metric = adapter->metric,
                             .metrics = adapter->metrics };
    return ADAMIX_OK;
  }
  const char *name = c->task ? c->task : adapter->task;
  if (strcmp (name, "custom") == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "the module was trained on own data: give --file FILE with its columns");
  const adamix_task *task = adamix_task_find (name);
  if (!task)
    return adamix_err_set (ADAMIX_EUSAGE, "there is no task '%s'; choose --task %s, or give --file FILE", name,
                           adamix_task_names ());
  if (task->type != adapter->type)
    return adamix_err_set (ADAMIX_EUSAGE, "--task %s is no %s task, but the module was trained for one (%s)", name,
                           adapter->type == ADAMIX_TASK_REGRESSION ? "regression" : "classification", adapter->task);
  e->task = *task;
  return ADAMIX_OK;
}

static adamix_err
read_data (evaluator *e, const eval_config *c, adamix_log *log)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (choose_task (e, c));
  if (c->file)
    ADAMIX_TRY (adamix_format (&path, "%s", c->file));
  else if (!c->data)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "give --data DIR, or --file FILE for own data"));
  else
    ADAMIX_TRY (adamix_task_path (&e->task, c->data, (adamix_split) c->split, &path));
  if (!path)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "--split: task %s has no such file below %s; try another --split",
                                e->task.name, c->data));
  ADAMIX_TRY (adamix_dataset_read (&e->dataset, &e->task, path, e->tokenizer, e->config[0].max_length, 0,
                                   &e->config[0].labels));
  if (e->dataset.substitute)
    adamix_log_warn (log, "%s stands in for the task's own file: scores are not comparable with published ones", path);
done:
  free (path);
  return err;
}

static adamix_err
open_encoder (evaluator *e, const eval_config *c)
{
  ADAMIX_RETURN_IF (adamix_model_open (&e->model, c->model, &e->compute));
  ADAMIX_RETURN_IF (adamix_model_hash_begin (e->model));
  return adamix_tokenizer_open (&e->tokenizer, c->model);
}

/* Behind all that can be done while the encoder is hashed: a module waits for the hash of its own. */
static adamix_err
open_modules (evaluator *e, const eval_config *c, adamix_log *log)
{
  const int64_t most = ADAMIX_INFERENCE_SEQUENCES;
  ADAMIX_RETURN_IF (adamix_adapter_open (&e->config[0], &e->module[0], c->adapter, false, e->model, most));
  if (strcmp (c->inference, "merged") != 0)
    ADAMIX_RETURN_IF (adamix_adapter_open (&e->config[1], &e->module[1], c->adapter, true, e->model, most));
  ADAMIX_RETURN_IF (choose_modes (c->inference, e->config[1].has_bank ? e->config[1].shape.experts : 0,
                                  (uint64_t) c->seed, &e->modes, &e->count));
  return read_data (e, c, log);
}

static void
close_evaluator (evaluator *e)
{
  free (e->modes);
  adamix_dataset_destroy (&e->dataset);
  for (int i = 0; i < 2; i++) {
    adamix_module_destroy (&e->module[i]);
    adamix_adapter_config_destroy (&e->config[i]);
  }
  adamix_tokenizer_destroy (e->tokenizer);
  adamix_model_destroy (e->model);
}

static adamix_err
evaluate_mode (evaluator *e, adamix_comm *world, mode *m)
{
  adamix_err err = ADAMIX_OK;
  adamix_inference inference = { 0 };
  const adamix_inference_size size = adamix_inference_fit ((adamix_inference_size){ 0 }, &e->dataset);
  ADAMIX_TRY (adamix_comm_agree (
      world, adamix_inference_create (&inference, e->model, &e->compute, &e->module[m->experts], &size)));
  ADAMIX_TRY (adamix_evaluate (world, &inference, &e->dataset, e->config[0].metrics, &m->route, &m->result, NULL));
done:
  adamix_inference_destroy (&inference);
  return err;
}

/* ---- results ---- */

static void
print_table (const evaluator *e)
{
  const adamix_evaluation *first = &e->modes[0].result;
  printf ("%s: %lld examples", e->dataset.path, (long long) first->examples);
  if (isfinite (first->majority)) printf (", majority class %.4f", first->majority);
  printf ("\n%-16s", "inference");
  for (int64_t i = 0; i < first->metrics; i++) printf (" %20s", first->name[i]);
  printf (" %9s %9s\n", "loss", "seconds");
  for (int64_t m = 0; m < e->count; m++) {
    const adamix_evaluation *r = &e->modes[m].result;
    printf ("%-16s", e->modes[m].name);
    for (int64_t i = 0; i < r->metrics; i++) printf (" %20.4f", r->value[i]);
    printf (" %9.4f %9.2f\n", r->loss, r->seconds);
  }
}

/* Whatever the file, its numbers are those of an evaluation; MNLI's mismatched ones are told apart. */
static adamix_err
write_json (const evaluator *e, adamix_split split, const char *path)
{
  const bool mismatched = split == ADAMIX_SPLIT_DEV_MISMATCHED;
  const char *pattern = adamix_split_of (mismatched ? split : ADAMIX_SPLIT_DEV)->key;
  json_t *list = json_array ();
  for (int64_t m = 0; m < e->count; m++) {
    json_t *row = json_pack ("{s:s}", "inference", e->modes[m].name);
    adamix_evaluation_put (&row, pattern, &e->modes[m].result);
    adamix_json_append (&list, row);
  }
  adamix_err err = adamix_json_store (e->count == 1 ? json_array_get (list, 0) : list, path, false);
  json_decref (list);
  return err;
}

static adamix_err
parse (const driver_command *self, adamix_options **options, int argc, char **argv, eval_config *config)
{
  ADAMIX_RETURN_IF (driver_parse (options, table, ROWS, argc, argv, config));
  ADAMIX_RETURN_IF (driver_require (self, "model", config->model));
  ADAMIX_RETURN_IF (driver_require (self, "adapter", config->adapter));
  return driver_refuse_same (config->file, config->output);
}

int
driver_eval (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  eval_config config = { 0 };
  adamix_options *options = NULL;
  evaluator evaluator = { 0 };
  if (driver_help (self, table, ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  ADAMIX_TRY (adamix_comm_agree (&session.world, parse (self, &options, argc, argv, &config)));
  adamix_log *log = driver_session_log (&session);
  const int threads = config.threads ? (int) config.threads : session.cores;
  ADAMIX_TRY (adamix_compute_agree (&evaluator.compute, &session.world, config.gemm, config.precision, config.kernels,
                                    threads));
  ADAMIX_TRY (adamix_comm_agree (&session.world, open_encoder (&evaluator, &config)));
  ADAMIX_TRY (adamix_model_pack_node (evaluator.model, &session.world, false));
  ADAMIX_TRY (adamix_comm_agree (&session.world, open_modules (&evaluator, &config, log)));
  for (int64_t m = 0; m < evaluator.count; m++)
    ADAMIX_TRY (evaluate_mode (&evaluator, &session.world, &evaluator.modes[m]));
  if (session.world.rank == 0) {
    print_table (&evaluator);
    if (config.output) err = write_json (&evaluator, (adamix_split) config.split, config.output);
  }
  ADAMIX_TRY (adamix_comm_agree (&session.world, err));
done:
  close_evaluator (&evaluator);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
