#include "train/run_private.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the modules to keep and to ship ---- */

adamix_err
adamix_run_write_module (const adamix_run *run, const char *folder, const char *file, const adamix_module *module,
                         int64_t step)
{
  const char *hash;
  ADAMIX_RETURN_IF (adamix_model_hash (run->model, &hash));
  const adamix_adapter_config config = { .method = (char *) run->config->method,
                                         .task = (char *) run->task.name,
                                         .metric = (char *) run->task.metric,
                                         .metrics = (char *) run->task.metrics,
                                         .base_sha256 = (char *) hash,
                                         .type = run->task.type,
                                         .labels = run->labels,
                                         .pool = run->pool,
                                         .max_length = run->config->max_length,
                                         .step = step,
                                         .backbone = run->method->backbone,
                                         .has_bank = module->has_bank,
                                         .shape = module->shape };
  return adamix_adapter_write (folder, file, &config, module, run->model);
}

static adamix_err
write_modules (const adamix_run *run, int64_t step)
{
  adamix_err err = ADAMIX_OK;
  char *experts = NULL, *merged = NULL, *ema = NULL;
  ADAMIX_TRY (adamix_path_join (&experts, run->config->output, FOLDER_EXPERTS));
  ADAMIX_TRY (adamix_path_join (&merged, run->config->output, FOLDER_MERGED));
  ADAMIX_TRY (adamix_run_write_module (run, experts, FILE_EXPERTS, &run->all, step));
  ADAMIX_TRY (adamix_path_join (&ema, experts, FILE_EMA));
  if (run->snapshot.ema) ADAMIX_TRY (adamix_module_write (&run->ema, ema));
  ADAMIX_TRY (adamix_run_write_module (run, merged, FILE_ADAPTER, &run->merged, step));
done:
  free (ema);
  free (merged);
  free (experts);
  return err;
}

static int64_t
file_bytes (const char *folder, const char *name)
{
  char *path;
  struct stat status;
  if (adamix_path_join (&path, folder, name)) return 0;
  int64_t bytes = stat (path, &status) == 0 ? (int64_t) status.st_size : 0;
  free (path);
  return bytes;
}

/* ---- all_results.json ---- */

/* Without the head: of the encoder's tensors that train, and of a bank of that shape. */
static int64_t
parameters (const adamix_run *run, const adamix_bank_shape *shape)
{
  const int64_t backbone = adamix_model_trainable_parameters (run->model, run->method->backbone);
  return backbone + (run->bank ? adamix_bank_trainable_parameters (shape) : 0);
}

static void
put (json_t **json, const char *key, double value)
{
  adamix_json_put (json, key, adamix_json_number (value));
}

static void
put_integer (json_t **json, const char *key, int64_t value)
{
  adamix_json_put (json, key, json_integer (value));
}

/* Sums over the ranks of what only they know. */
typedef struct machine_use {
  double memory, predicted, wait, comm, step;
  double activations, peak; /* of the rank with most */
} machine_use;

/* As they were cut, not as they were planned. */
static double
activation_bytes (const adamix_run *run)
{
  size_t bytes = adamix_workspace_bytes (run->workspace) + adamix_head_bytes (run->head);
  if (run->inserted) bytes += adamix_inserted_bank_bytes (run->inserted);
  return (double) bytes;
}

static adamix_err
measure_use (adamix_run *run, machine_use *out)
{
  double sums[] = { (double) adamix_memory_pss (), run->wait_seconds, run->comm_seconds, run->step_seconds };
  double most[] = { (double) adamix_memory_peak_rss (), activation_bytes (run) };
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (run->args->world, sums, sizeof sums / sizeof *sums));
  ADAMIX_RETURN_IF (adamix_comm_max_f64 (run->args->world, most, sizeof most / sizeof *most));
  *out = (machine_use){
    .memory = sums[0], .wait = sums[1], .comm = sums[2], .step = sums[3], .peak = most[0], .activations = most[1]
  };
  return adamix_run_predict_memory (run, &out->predicted);
}

static adamix_err
write_results (const adamix_run *run, const adamix_train_results *r, const machine_use *use)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  const adamix_snapshot *s = &run->snapshot;
  json_t *json = json_object ();
  put (&json, "epoch", (double) s->step / (double) run->plan.steps_per_epoch);
  put (&json, "train_loss", s->loss_sum / (double) s->loss_steps);
  put (&json, "startup_seconds", run->startup_seconds);
  put (&json, "train_runtime", s->train_seconds);
  put (&json, "train_samples_per_second", (double) s->timed_examples / s->train_seconds);
  put (&json, "train_tokens_per_second", r->tokens_per_second);
  put (&json, "train_flops", s->flops);
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++)
    if (r->evaluation[split].examples)
      adamix_evaluation_put (&json, adamix_split_of (split)->key, &r->evaluation[split]);
  put_integer (&json, "steps", s->step);
  put_integer (&json, "best_step", r->best_step);
  put_integer (&json, "trainable_parameters", parameters (run, &run->shape));
  put_integer (&json, "merged_parameters", r->merged_parameters);
  put_integer (&json, "head_parameters", r->head_parameters);
  put_integer (&json, "peak_rss_bytes", (int64_t) use->peak);
  put_integer (&json, "memory_bytes", (int64_t) use->memory);
  put_integer (&json, "predicted_memory_bytes", (int64_t) use->predicted);
  put_integer (&json, "activation_bytes", (int64_t) use->activations);
  put_integer (&json, "recomputed_layers", run->training.recomputed);
  put (&json, "comm_fraction", use->comm / use->step);
  put (&json, "wait_fraction", use->wait / use->step);
  put_integer (&json, "world_size", run->args->world->size);
  ADAMIX_TRY (adamix_path_join (&path, run->config->output, FILE_RESULTS));
  ADAMIX_TRY (adamix_json_store (json, path, false));
done:
  free (path);
  json_decref (json);
  return err;
}

/* ---- the end of a run ---- */

static adamix_err
evaluate_final (adamix_run *run, adamix_train_results *r)
{
  const adamix_inference_route merged = adamix_inference_own (&run->merged);
  adamix_comm *world = run->args->world;
  for (adamix_split split = ADAMIX_SPLIT_DEV; split < ADAMIX_SPLITS; split++)
    if (run->data[split].examples)
      ADAMIX_RETURN_IF (adamix_evaluate (world, &run->inference, &run->data[split], run->task.metrics, &merged,
                                         &r->evaluation[split], NULL));
  return ADAMIX_OK;
}

static void
warn_undefined (adamix_log *log, adamix_split split, const adamix_evaluation *e)
{
  for (int64_t i = 0; i < e->metrics; i++)
    if (!isfinite (e->value[i]))
      adamix_log_warn (log, "%s: %s is undefined for these predictions and is stored as null",
                       adamix_split_of (split)->name, e->name[i]);
}

/* The best step's values take the place of the last one's, those that the model reads among them. */
static adamix_err
take_best (adamix_run *run)
{
  adamix_params_copy (&run->best.params, run->best.params.values, &run->all.params, run->all.params.values);
  if (run->snapshot.ema)
    adamix_params_copy (&run->best_ema.params, run->best_ema.params.values, &run->ema.params, run->ema.params.values);
  if (!adamix_run_backbone_trains (run)) return ADAMIX_OK;
  adamix_params_copy (&run->best.params, run->best.params.values, &run->shared, run->shared.values);
  return adamix_model_repack (run->model);
}

adamix_err
adamix_run_finish (adamix_run *run, adamix_train_results *r)
{
  adamix_snapshot *s = &run->snapshot;
  adamix_comm *world = run->args->world;
  machine_use use;
  ADAMIX_RETURN_IF (adamix_run_gather_values (run));
  ADAMIX_RETURN_IF (adamix_run_gather_flops (run));
  const bool best = s->best && s->best_step > 0;
  if (best) ADAMIX_RETURN_IF (adamix_comm_agree (world, take_best (run)));
  r->steps = s->step;
  r->best_step = best ? s->best_step : s->step;
  ADAMIX_RETURN_IF (adamix_run_merge (run));
  ADAMIX_RETURN_IF (evaluate_final (run, r));
  /* Here the run has all its memory: nothing that training touched was given back, and evaluation has touched its own. */
  ADAMIX_RETURN_IF (measure_use (run, &use));
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++)
    warn_undefined (run->args->log, split, &r->evaluation[split]);
  r->train_seconds = s->train_seconds;
  r->tokens_per_second = (double) s->timed_tokens / s->train_seconds;
  r->merged_parameters = parameters (run, &run->merged.shape);
  r->head_parameters = adamix_head_parameters (run->head);
  snprintf (r->metric, sizeof r->metric, "%s", run->task.metric);
  adamix_err err = adamix_path_join (&r->merged, run->config->output, FOLDER_MERGED);
  if (world->rank == 0) {
    if (!err) err = write_modules (run, r->best_step);
    if (!err) err = write_results (run, r, &use);
  }
  ADAMIX_RETURN_IF (adamix_comm_agree (world, err));
  r->merged_bytes = file_bytes (r->merged, FILE_ADAPTER);
  return ADAMIX_OK;
}
