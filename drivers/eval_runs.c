/* Several runs, trained apart: the merged module of each, and the mean of what they predict. */
#include "eval.h"

#include <stdlib.h>
#include <string.h>

static int
module_of (int64_t run)
{
  return run == 0 ? EVAL_MERGED : EVAL_MODULES - 1 + (int) run;
}

/* ---- opening ---- */

/* The modules answer one after the other, on one encoder. */
static adamix_err
check_run (const evaluator *e, int64_t run)
{
  const adamix_adapter_config *first = &e->config[EVAL_MERGED], *config = &e->config[module_of (run)];
  ADAMIX_RETURN_IF (adamix_adapter_compare (first, e->runs.item[0], config, e->runs.item[run], false));
  if (config->backbone == ADAMIX_TRAIN_NONE) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE,
                         "--adapter %s: a run of --method %s has tensors of the encoder itself, which several modules "
                         "share; evaluate it alone",
                         e->runs.item[run], config->method);
}

adamix_err
eval_runs_open (evaluator *e)
{
  for (int64_t j = 0; j < e->runs.count && e->runs.count > 1; j++) {
    const int module = module_of (j);
    if (j > 0)
      ADAMIX_RETURN_IF (adamix_adapter_open (&e->config[module], &e->module[module], e->runs.item[j], false, e->model));
    ADAMIX_RETURN_IF (check_run (e, j));
  }
  return ADAMIX_OK;
}

/* ---- rows of the table ---- */

/* Its module alone, by its own way. */
static eval_mode
mode_of (const evaluator *e, int64_t run)
{
  const int module = module_of (run);
  const adamix_adapter_config *config = &e->config[module];
  eval_mode mode = { .module = module,
                     .passes = 1,
                     .parameters = config->has_bank ? adamix_bank_trainable_parameters (&config->shape) : 0,
                     .route = adamix_inference_own (&e->module[module]) };
  snprintf (mode.name, sizeof mode.name, "%s", e->runs.item[run]);
  return mode;
}

adamix_err
eval_runs_choose (const evaluator *e, const char *text, eval_mode **out, int64_t *count)
{
  const int64_t runs = e->runs.count;
  const bool all = strcmp (text, "all") == 0, singles = all || strcmp (text, "merged") == 0,
             together = all || strcmp (text, "ensemble") == 0;
  if (!singles && !together)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--inference: '%s' is not one of merged, ensemble, all, those of several modules", text);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*out, runs + 1));
  eval_mode ensemble = { .name = "ensemble", .module = EVAL_ENSEMBLE, .passes = runs };
  for (int64_t j = 0; j < runs; j++) {
    const eval_mode mode = mode_of (e, j);
    ensemble.parameters += mode.parameters;
    if (singles) (*out)[(*count)++] = mode;
  }
  if (together) (*out)[(*count)++] = ensemble;
  return ADAMIX_OK;
}

/* ---- predictions ---- */

/* Every run, into its row if it has one and into the sum of the ensemble. */
static adamix_err
evaluate_runs (evaluator *e, eval_mode *mode, double *log_p, double *sum, adamix_evaluation *ensemble)
{
  const int64_t outputs = adamix_adapter_outputs (&e->config[EVAL_MERGED]), n = e->dataset.examples;
  *ensemble = (adamix_evaluation){ 0 };
  for (int64_t j = 0; j < e->runs.count; j++) {
    eval_mode unseen = mode_of (e, j);
    eval_mode *one = mode[0].module == EVAL_ENSEMBLE ? &unseen : &mode[j];
    ADAMIX_RETURN_IF (eval_mode_evaluate (e, one, log_p));
    adamix_ensemble_add (j, n, outputs, log_p, sum);
    ensemble->flops += one->result.flops;
    ensemble->seconds += one->result.seconds;
  }
  adamix_ensemble_mean (e->runs.count, n, outputs, sum);
  return ADAMIX_OK;
}

adamix_err
eval_runs_evaluate (evaluator *e, eval_mode *mode, int64_t count)
{
  const int64_t outputs = adamix_adapter_outputs (&e->config[EVAL_MERGED]);
  const int64_t values = e->dataset.examples * outputs;
  eval_mode *last = &mode[count - 1];
  double *log_p = NULL, *sum = NULL;
  adamix_evaluation spent;
  adamix_err err = ADAMIX_ALLOC (log_p, values);
  if (!err) err = ADAMIX_ALLOC (sum, values);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
  ADAMIX_TRY (evaluate_runs (e, mode, log_p, sum, &spent));
  if (last->module != EVAL_ENSEMBLE) goto done;
  err = adamix_evaluate_predictions (&e->dataset, outputs, e->config[EVAL_MERGED].metrics, sum, &last->result);
  last->result.flops = spent.flops;
  last->result.seconds = spent.seconds;
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
done:
  free (sum);
  free (log_p);
  return err;
}
