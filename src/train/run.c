#include "base/fault.h"
#include "train/run_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- one line of metrics.jsonl, and what the progress bar says ---- */

static void
put (json_t **line, const char *key, double value)
{
  adamix_json_put (line, key, adamix_json_number (value));
}

/* Shares of what the experts served, and what a router of limited capacity is held to. */
static void
put_routes (const adamix_run *run, const adamix_step_result *r, json_t **line)
{
  const int64_t experts = run->shape.experts;
  double whole = r->dropped;
  for (int64_t j = 0; run->load && j < experts; j++) whole += run->load[j];
  if (experts == 1 || whole == 0) return;
  json_t *load = json_array ();
  for (int64_t j = 0; j < experts; j++) adamix_json_append (&load, adamix_json_number (run->load[j] / whole));
  adamix_json_put (line, "expert_load", load);
  if (run->shape.gating != ADAMIX_GATING_SWITCH) return;
  put (line, "loss_balance", r->balance);
  put (line, "dropped_fraction", r->dropped / whole);
}

static adamix_err
log_step (adamix_run *run, int64_t step, const adamix_step_result *r, const adamix_evaluation *dev)
{
  if (!run->metrics || ((step + 1) % run->config->log_every != 0 && !dev->examples)) return ADAMIX_OK;
  double epoch = (double) (step + 1) / (double) run->plan.steps_per_epoch;
  json_t *line = json_pack ("{s:I}", "step", (json_int_t) step + 1);
  put (&line, "epoch", epoch);
  put (&line, "loss", adamix_step_loss (r));
  put (&line, "loss_task", r->task);
  put (&line, "loss_consistency", r->consistency);
  put_routes (run, r, &line);
  put (&line, "lr", r->lr);
  put (&line, "grad_norm", r->norm);
  if (dev->examples) adamix_evaluation_put (&line, adamix_split_of (ADAMIX_SPLIT_DEV)->key, dev);
  put (&line, "seconds", r->seconds);
  put (&line, "tokens_per_second", (double) r->tokens / r->seconds);
  if (!line) return adamix_err_set (ADAMIX_ENOMEM, "no memory for a line of metrics");
  enum { DIGITS = 17 };
  bool written = !ADAMIX_FAULT (stream_write) && json_dumpf (line, run->metrics, JSON_REAL_PRECISION (DIGITS)) == 0 &&
                 fputc ('\n', run->metrics) != EOF && fflush (run->metrics) == 0;
  adamix_err err = written && run->events ? adamix_tensorboard_write (run->events, line) : ADAMIX_OK;
  json_decref (line);
  if (written) return err;
  return adamix_err_set (ADAMIX_EIO, "cannot write %s/%s: %s", run->config->output, FILE_METRICS, strerror (errno));
}

static void
show_step (adamix_progress *bar, int64_t step, const adamix_step_result *r)
{
  enum { WIDTH = 64 };
  char note[WIDTH];
  snprintf (note, sizeof note, "loss %.3f  %.0f tokens/s", adamix_step_loss (r), (double) r->tokens / r->seconds);
  adamix_progress_update (bar, step + 1, note);
}

static void
count_step (adamix_run *run, int64_t step, const adamix_step_result *r)
{
  adamix_snapshot *s = &run->snapshot;
  s->step = step + 1;
  s->loss_sum += adamix_step_loss (r);
  s->loss_steps++;
  if (step < run->timed_from) return;
  s->train_seconds += r->seconds;
  s->timed_tokens += r->tokens;
  s->timed_examples += r->examples;
}

/* ---- evaluation on the dev file, and the best step ---- */

static adamix_err
evaluate_dev (adamix_run *run, adamix_evaluation *dev)
{
  const adamix_inference_route merged = adamix_inference_own (&run->merged);
  adamix_snapshot *s = &run->snapshot;
  ADAMIX_RETURN_IF (adamix_run_gather_values (run));
  ADAMIX_RETURN_IF (adamix_run_merge_for_now (run));
  ADAMIX_RETURN_IF (adamix_evaluate (run->args->world, &run->inference, &run->data[ADAMIX_SPLIT_DEV], run->task.metrics,
                                     &merged, dev, NULL));
  double value = adamix_evaluation_value (dev, run->task.metric);
  adamix_log_info (run->args->log, "step %lld: dev %s %.4f, loss %.4f", (long long) s->step, run->task.metric, value,
                   dev->loss);
  bool better = isfinite (value) && (s->best_step == 0 || value > s->best_value);
  if (!better || !s->best) return ADAMIX_OK;
  s->best_step = s->step;
  s->best_value = value;
  adamix_params_copy (&run->all.params, run->all.params.values, &run->best.params, run->best.params.values);
  if (s->ema)
    adamix_params_copy (&run->ema.params, run->ema.params.values, &run->best_ema.params, run->best_ema.params.values);
  return ADAMIX_OK;
}

/* ---- checkpoints ---- */

static adamix_err
write_checkpoint (adamix_run *run)
{
  const json_t *fixed;
  ADAMIX_RETURN_IF (adamix_run_fixed (run, &fixed));
  return adamix_checkpoint_write (run->config->output, &run->snapshot, fixed, run->config->keep);
}

/* What ranks should have in common is compared first, so that a checkpoint never holds what only one of them has. */
static adamix_err
save (adamix_run *run)
{
  ADAMIX_RETURN_IF (adamix_exchange_verify (&run->placement, &run->shared, &run->experts));
  ADAMIX_RETURN_IF (adamix_run_gather_values (run));
  ADAMIX_RETURN_IF (adamix_run_gather_optimizer (run));
  ADAMIX_RETURN_IF (adamix_run_gather_flops (run));
  adamix_comm *world = run->args->world;
  return adamix_comm_agree (world, world->rank == 0 ? write_checkpoint (run) : ADAMIX_OK);
}

static bool
due (int64_t done, int64_t period)
{
  return period > 0 && done % period == 0;
}

/* ---- the loop ---- */

static adamix_err
train (adamix_run *run, adamix_progress *bar)
{
  int64_t eval_period, save_period;
  adamix_period_parse (run->config->eval_every, run->plan.steps_per_epoch, &eval_period);
  adamix_period_parse (run->config->save_every, run->plan.steps_per_epoch, &save_period);
  run->startup_seconds = adamix_process_age ();
  for (int64_t step = run->snapshot.step; step < run->plan.steps; step++) {
    adamix_step_result result;
    ADAMIX_RETURN_IF (adamix_run_step (run, step, &result));
    count_step (run, step, &result);
    /* Not before: the first step need not wait for the hash of the model. */
    if (step == 0 && run->args->world->rank == 0 && !run->deferred) run->deferred = adamix_run_record (run);
    show_step (bar, step, &result);
    const int64_t done = step + 1;
    const bool last = done == run->plan.steps, stop = result.stop && !last;
    const bool evaluate =
        run->data[ADAMIX_SPLIT_DEV].examples && (due (done, eval_period) || (last && run->snapshot.best));
    const bool checkpoint = due (done, save_period) || stop;
    adamix_evaluation dev = { 0 };
    if (evaluate) ADAMIX_RETURN_IF (adamix_comm_agree (run->args->world, run->deferred));
    if (evaluate) ADAMIX_RETURN_IF (evaluate_dev (run, &dev));
    if (!run->deferred) run->deferred = log_step (run, step, &result, &dev);
    if (checkpoint || last) ADAMIX_RETURN_IF (adamix_comm_agree (run->args->world, run->deferred));
    if (checkpoint) ADAMIX_RETURN_IF (save (run));
    if (stop)
      return adamix_err_set (ADAMIX_ESTOPPED,
                             "stopped at step %lld of %lld, a checkpoint is written; the same command "
                             "with --resume goes on",
                             (long long) done, (long long) run->plan.steps);
  }
  return ADAMIX_OK;
}

static void
announce (const adamix_run *run)
{
  const adamix_train_config *c = run->config;
  adamix_log *log = run->args->log;
  const adamix_comm *world = run->args->world;
  adamix_train_config_warn (c, run->args->options, log);
  adamix_log_info (log, "%s on %d rank%s x %d thread%s, %d expert group%s; %s, %s kernels", c->method, world->size,
                   world->size == 1 ? "" : "s", run->args->threads, run->args->threads == 1 ? "" : "s",
                   run->placement.groups, run->placement.groups == 1 ? "" : "s", adamix_gemm_name (run->compute.gemm),
                   run->compute.kernels->isa);
  if (run->training.recomputed)
    adamix_log_info (log, "--activation-memory: %lld of %lld layers are computed again in the backward pass",
                     (long long) run->training.recomputed, (long long) run->shape.layers);
  adamix_log_info (log, "%lld steps of %lld examples, learning rate %g, seed %lld", (long long) run->plan.steps,
                   (long long) c->batch, c->lr, (long long) c->seed);
}

adamix_err
adamix_train_run (const adamix_train_args *args, adamix_train_results *results)
{
  adamix_err err = ADAMIX_OK;
  adamix_run run;
  adamix_progress bar = { 0 };
  *results = (adamix_train_results){ 0 };
  ADAMIX_RETURN_IF (adamix_run_open (&run, args, &results->was_finished));
  if (results->was_finished) {
    adamix_log_info (args->log, "--resume: %s holds a finished run, there is nothing to do", args->config->output);
    goto done;
  }
  announce (&run);
  adamix_progress_begin (&bar, args->log, run.plan.steps, run.snapshot.step);
  err = train (&run, &bar);
  adamix_progress_end (&bar);
  if (!err) err = adamix_run_finish (&run, results);
done:
  adamix_run_close (&run);
  return err;
}

void
adamix_train_results_destroy (adamix_train_results *results)
{
  if (!results) return;
  free (results->merged);
  *results = (adamix_train_results){ 0 };
}
