#include "eval.h"

#include <stdlib.h>
#include <string.h>

/* ---- data ---- */

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

adamix_err
eval_read_data (evaluator *e, const eval_config *c, adamix_log *log)
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

/* ---- encoder and modules ---- */

adamix_err
eval_open_encoder (evaluator *e, const eval_config *c)
{
  ADAMIX_RETURN_IF (adamix_model_open (&e->model, c->model, &e->compute));
  ADAMIX_RETURN_IF (adamix_model_hash_begin (e->model));
  return adamix_tokenizer_open (&e->tokenizer, c->model);
}

adamix_err
eval_open_modules (evaluator *e, const eval_config *c, bool experts)
{
  const int64_t modules = EVAL_MODULES - 1 + e->runs.count;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (e->config, modules));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (e->module, modules));
  e->modules = modules;
  for (int m = 0; m <= (experts ? EVAL_EXPERTS : EVAL_MERGED); m++)
    ADAMIX_RETURN_IF (adamix_adapter_open (&e->config[m], &e->module[m], c->adapter, m == EVAL_EXPERTS, e->model));
  return eval_runs_open (e);
}

void
eval_close (evaluator *e)
{
  adamix_dataset_destroy (&e->dataset);
  for (int64_t m = 0; m < e->modules; m++) {
    adamix_module_destroy (&e->module[m]);
    adamix_adapter_config_destroy (&e->config[m]);
  }
  free (e->module);
  free (e->config);
  driver_list_destroy (&e->runs);
  adamix_tokenizer_destroy (e->tokenizer);
  adamix_model_destroy (e->model);
}

int64_t
eval_experts (const evaluator *e)
{
  return e->config[EVAL_EXPERTS].has_bank ? e->config[EVAL_EXPERTS].shape.experts : 0;
}

adamix_err
eval_inference (adamix_inference *out, evaluator *e, int module, const adamix_dataset *other)
{
  adamix_inference_size size = adamix_inference_fit ((adamix_inference_size){ 0 }, &e->dataset);
  if (other) size = adamix_inference_fit (size, other);
  return adamix_comm_agree (e->world, adamix_inference_create (out, e->model, &e->compute, &e->module[module], &size));
}
