/* Random routes as samples of a posterior: how far the probabilities of their mean can be trusted, and whether it knows what
 * it does not know. */
#include "eval_uncertainty.h"

#include <stdlib.h>
#include <string.h>

const char *const eval_predictors[EVAL_PREDICTORS] = { "merged", "ensemble" };

const eval_score_row eval_scores[EVAL_SCORES] = {
  { "merged_entropy", "entropy, merged", EVAL_OF_MERGED },
  { "predictive_entropy", "predictive entropy", EVAL_OF_ENSEMBLE },
  { "mutual_information", "mutual information", EVAL_OF_ENSEMBLE },
};

/* ---- texts from elsewhere ---- */

/* The first text of each record; labels are of another world. */
static adamix_err
choose_foreign (const eval_config *c, adamix_task *task, char **path)
{
  *task = (adamix_task){ .name = "custom", .folder = "", .header = true, .text = c->text_column };
  if (c->ood_file) return adamix_format (path, "%s", c->ood_file);
  const adamix_task *found = adamix_task_find (c->ood_task);
  if (!found)
    return adamix_err_set (ADAMIX_EUSAGE, "--ood-task: there is no task '%s'; choose %s, or give --ood-file FILE",
                           c->ood_task, adamix_task_names ());
  if (!c->data) return adamix_err_set (ADAMIX_EUSAGE, "--ood-task needs --data DIR, the root of the data sets");
  *task = *found;
  task->pair = task->label = NULL;
  for (adamix_split split = ADAMIX_SPLIT_DEV; split < ADAMIX_SPLITS && !*path; split++)
    ADAMIX_RETURN_IF (adamix_task_path (found, c->data, split, path));
  return ADAMIX_OK;
}

static adamix_err
read_foreign (const evaluator *e, const eval_config *c, adamix_dataset *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_task task;
  adamix_labels none = { 0 };
  char *path = NULL;
  if (!c->ood_file && !c->ood_task) return ADAMIX_OK;
  ADAMIX_TRY (choose_foreign (c, &task, &path));
  if (!path || strcmp (path, e->dataset.path) == 0)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "--ood-%s %s: there is no other file than the one evaluated",
                                c->ood_file ? "file" : "task", c->ood_file ? c->ood_file : c->ood_task));
  ADAMIX_TRY (adamix_dataset_read (out, &task, path, e->tokenizer, e->config[EVAL_MERGED].max_length, 0, &none));
done:
  adamix_labels_destroy (&none);
  free (path);
  return err;
}

/* ---- predictions ---- */

static adamix_err
sample_create (eval_sample *out, const adamix_dataset *data, int64_t classes)
{
  *out = (eval_sample){ .data = data, .n = data->examples, .classes = classes };
  for (int p = 0; p < EVAL_PREDICTORS; p++) {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->log_p[p], out->n * classes));
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->predicted[p], out->n));
  }
  for (int s = 0; s < EVAL_SCORES; s++) ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->score[s], out->n));
  return ADAMIX_OK;
}

static void
sample_destroy (eval_sample *sample)
{
  for (int s = 0; s < EVAL_SCORES; s++) free (sample->score[s]);
  for (int p = 0; p < EVAL_PREDICTORS; p++) {
    free (sample->predicted[p]);
    free (sample->log_p[p]);
  }
}

/* Collective. */
static adamix_err
predict (eval_sample *x, adamix_comm *world, adamix_inference *inference, const adamix_inference_route *route)
{
  double **score = x->score;
  if (x->n == 0) return ADAMIX_OK;
  for (int p = 0; p < EVAL_PREDICTORS; p++) {
    double *expected = p == EVAL_OF_ENSEMBLE ? score[EVAL_MUTUAL_INFORMATION] : NULL;
    ADAMIX_RETURN_IF (adamix_inference_predict (world, &inference[p], x->data, &route[p], x->log_p[p], expected));
    adamix_metric_classify (x->n, x->classes, x->log_p[p], x->predicted[p]);
    adamix_metric_entropy (x->n, x->classes, x->log_p[p],
                           score[p == EVAL_OF_ENSEMBLE ? EVAL_PREDICTIVE_ENTROPY : EVAL_MERGED_ENTROPY]);
  }
  adamix_metric_information (x->n, score[EVAL_PREDICTIVE_ENTROPY], score[EVAL_MUTUAL_INFORMATION],
                             score[EVAL_MUTUAL_INFORMATION]);
  return ADAMIX_OK;
}

static adamix_err
judge_predictor (const eval_sample *x, int p, eval_answers *out)
{
  const adamix_forecast forecast = { x->n, x->classes, x->log_p[p], x->data->label };
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->wrong[p], x->n));
  for (int64_t i = 0; i < x->n; i++) out->wrong[p][i] = x->predicted[p][i] != x->data->label[i];
  out->accuracy[p] = 1 - adamix_metric_disagreement (x->n, x->predicted[p], x->data->label);
  out->nll[p] = adamix_metric_nll (&forecast);
  out->brier[p] = adamix_metric_brier (&forecast);
  adamix_metric_reliability (&forecast, &out->reliability[p]);
  return ADAMIX_OK;
}

/* Does `score` tell errors? */
static adamix_err
find_errors (const double *score, const double *wrong, int64_t n, double *auroc)
{
  double *part;
  int64_t right = 0, errors = 0;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (part, n));
  for (int64_t i = 0; i < n; i++) part[wrong[i] > 0 ? n - ++errors : right++] = score[i];
  const adamix_err err = adamix_metric_auroc (part, right, part + right, errors, auroc);
  free (part);
  return err;
}

static adamix_err
judge_score (const eval_study *s, int k, eval_answers *out)
{
  const eval_sample *x = &s->known;
  const double *score = x->score[k], *wrong = out->wrong[eval_scores[k].predictor];
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->risk[k], x->n));
  ADAMIX_RETURN_IF (adamix_metric_risk (x->n, score, wrong, out->risk[k]));
  ADAMIX_RETURN_IF (find_errors (score, wrong, x->n, &out->errors_auroc[k]));
  return adamix_metric_auroc (score, x->n, s->foreign.score[k], s->foreign.n, &out->ood_auroc[k]);
}

static adamix_err
judge (const eval_study *s, eval_answers *out)
{
  const int64_t n = s->known.n;
  for (int p = 0; p < EVAL_PREDICTORS; p++) ADAMIX_RETURN_IF (judge_predictor (&s->known, p, out));
  for (int k = 0; k < EVAL_SCORES; k++) ADAMIX_RETURN_IF (judge_score (s, k, out));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->least, n));
  return adamix_metric_risk (n, out->wrong[EVAL_OF_ENSEMBLE], out->wrong[EVAL_OF_ENSEMBLE], out->least);
}

static void
answers_destroy (eval_answers *answers)
{
  free (answers->least);
  for (int s = 0; s < EVAL_SCORES; s++) free (answers->risk[s]);
  for (int p = 0; p < EVAL_PREDICTORS; p++) free (answers->wrong[p]);
}

/* ---- all of it ---- */

/* Predictions of both modules, collective; what follows is for the rank that prints. */
static adamix_err
predict_all (evaluator *e, const eval_config *c, eval_study *s)
{
  adamix_err err = ADAMIX_OK;
  adamix_inference inference[EVAL_PREDICTORS] = { 0 };
  const adamix_inference_route route[EVAL_PREDICTORS] = {
    [EVAL_OF_MERGED] = adamix_inference_own (&e->module[EVAL_MERGED]),
    [EVAL_OF_ENSEMBLE] = { .policy = adamix_route_policy_find ("stochastic"),
                           .draws = s->draws,
                           .seed = (uint64_t) c->seed },
  };
  static const int module[EVAL_PREDICTORS] = { EVAL_MERGED, EVAL_EXPERTS };
  for (int p = 0; p < EVAL_PREDICTORS; p++) ADAMIX_TRY (eval_inference (&inference[p], e, module[p], s->foreign.data));
  ADAMIX_TRY (predict (&s->known, e->world, inference, route));
  ADAMIX_TRY (predict (&s->foreign, e->world, inference, route));
done:
  for (int p = 0; p < EVAL_PREDICTORS; p++) adamix_inference_destroy (&inference[p]);
  return err;
}

static adamix_err
conclude (eval_study *s, const eval_config *c, const eval_report *report)
{
  ADAMIX_RETURN_IF (judge (s, &s->answers));
  eval_uncertainty_print (s);
  if (!report->folder) return ADAMIX_OK;
  ADAMIX_RETURN_IF (eval_report_json (report, "uncertainty.json", eval_uncertainty_json (s, c->seed)));
  return eval_uncertainty_draw (s, report);
}

adamix_err
eval_uncertainty (evaluator *e, const eval_config *c, const eval_report *report)
{
  adamix_err err = ADAMIX_OK;
  adamix_dataset foreign = { 0 };
  eval_study s = { .draws = c->uncertainty };
  const int64_t classes = adamix_adapter_outputs (&e->config[EVAL_EXPERTS]);
  ADAMIX_TRY (adamix_comm_agree (e->world, read_foreign (e, c, &foreign)));
  err = sample_create (&s.known, &e->dataset, classes);
  if (!err) err = sample_create (&s.foreign, &foreign, classes);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
  ADAMIX_TRY (predict_all (e, c, &s));
  if (e->world->rank == 0) err = conclude (&s, c, report);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
done:
  answers_destroy (&s.answers);
  sample_destroy (&s.foreign);
  sample_destroy (&s.known);
  adamix_dataset_destroy (&foreign);
  return err;
}
