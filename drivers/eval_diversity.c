/* How far experts are apart: in their weights, their outputs, their predictions, and in the loss between two of them. */
#include "eval_diversity.h"

#include <stdlib.h>
#include <string.h>

adamix_err
eval_measure_add (eval_diversity_study *s, const char *name, const char *of, int64_t layer, double **value)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (s->measure, &s->capacity, s->measures + 1));
  eval_measure *added = &s->measure[s->measures];
  *added = (eval_measure){ .name = name, .layer = layer };
  snprintf (added->of, sizeof added->of, "%s", of);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (added->value, s->pairs));
  s->measures++;
  *value = added->value;
  return ADAMIX_OK;
}

static void
study_destroy (eval_diversity_study *s)
{
  for (int64_t i = 0; i < s->measures; i++) free (s->measure[i].value);
  free (s->measure);
  free (s->disagreement);
  free (s->fixed);
}

/* ---- weights ---- */

/* The seed of the run that a module folder belongs to; *found is false where the run's record is not beside it. */
static adamix_err
read_seed (const char *adapter, bool *found, int64_t *seed)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *file = NULL, *path = NULL;
  json_t *run = NULL;
  *found = false;
  ADAMIX_TRY (adamix_adapter_locate (adapter, true, &folder, &file));
  ADAMIX_TRY (adamix_path_join (&path, folder, "../run.json"));
  if (!adamix_path_exists (path)) goto done;
  ADAMIX_TRY (adamix_json_load (&run, path));
  const json_t *value = json_object_get (json_object_get (run, "config"), "seed");
  *found = json_is_integer (value);
  *seed = json_integer_value (value);
done:
  json_decref (run);
  free (path);
  free (file);
  free (folder);
  return err;
}

static adamix_err
compare_weights (eval_diversity_study *s, const evaluator *e, const eval_config *c)
{
  adamix_err err = ADAMIX_OK;
  adamix_module initial = { 0 };
  const adamix_adapter_config *config = &e->config[EVAL_EXPERTS];
  int64_t seed = 0;
  ADAMIX_TRY (read_seed (c->adapter, &s->changes, &seed));
  if (s->changes) {
    const adamix_module_form form = adamix_adapter_form (config, &config->shape);
    ADAMIX_TRY (adamix_module_create (&initial, e->model, &form));
    adamix_bank_initialise (initial.bank, (uint64_t) seed);
  }
  ADAMIX_TRY (eval_diversity_weights (s, &e->module[EVAL_EXPERTS].params, s->changes ? &initial.params : NULL));
done:
  adamix_module_destroy (&initial);
  return err;
}

/* ---- predictions ---- */

static adamix_err
compare_answers (eval_diversity_study *s, const int32_t *predicted, int64_t n)
{
  double *value;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (s->disagreement, s->pairs));
  value = s->disagreement;
  for (int64_t j = 0; j < s->experts; j++)
    for (int64_t k = j + 1; k < s->experts; k++)
      *value++ = adamix_metric_disagreement (n, predicted + j * n, predicted + k * n);
  return ADAMIX_OK;
}

/* Each expert in all layers.  Collective. */
static adamix_err
compare_predictions (eval_diversity_study *s, evaluator *e)
{
  adamix_err err = ADAMIX_OK;
  adamix_inference inference = { 0 };
  const int64_t n = e->dataset.examples, outputs = adamix_adapter_outputs (&e->config[EVAL_EXPERTS]);
  double *log_p = NULL;
  int32_t *predicted = NULL;
  ADAMIX_TRY (eval_inference (&inference, e, EVAL_EXPERTS, NULL));
  err = ADAMIX_ALLOC (log_p, n * outputs);
  if (!err) err = ADAMIX_ALLOC (predicted, s->experts * n);
  if (!err) err = ADAMIX_ALLOC (s->fixed, s->experts);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
  for (int64_t j = 0; j < s->experts; j++) {
    const adamix_inference_route route = { .slot = j };
    ADAMIX_TRY (adamix_evaluate (e->world, &inference, &e->dataset, e->config[EVAL_MERGED].metrics, &route,
                                 &s->fixed[j], log_p));
    adamix_metric_classify (n, outputs, log_p, predicted + j * n);
  }
  if (e->dataset.label) err = compare_answers (s, predicted, n);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
done:
  free (predicted);
  free (log_p);
  adamix_inference_destroy (&inference);
  return err;
}

/* ---- the line between two ---- */

static adamix_err
choose_line (const char *text, int64_t experts, eval_line *out)
{
  int behind = 0;
  long long a, b;
  if (text && sscanf (text, "%lld,%lld%n", &a, &b, &behind) == 2 && !text[behind] && a >= 0 && b >= 0 && a < experts &&
      b < experts && a != b) {
    *out = (eval_line){ .a = a, .b = b };
    return ADAMIX_OK;
  }
  return adamix_err_set (ADAMIX_EUSAGE, "--line: '%s' is not two experts of 0 to %lld, as in 0,1", text ? text : "",
                         (long long) experts - 1);
}

/* Evaluated at 11 points, an eighth apart, from one before the one end to one behind the other.  Collective. */
static adamix_err
walk_line (eval_line *line, evaluator *e)
{
  adamix_err err = ADAMIX_OK;
  const adamix_adapter_config *config = &e->config[EVAL_EXPERTS];
  const adamix_bank_shape shape = adamix_merge_shape (&config->shape);
  const adamix_inference_route route = { 0 };
  adamix_module point = { 0 };
  adamix_inference inference = { 0 };
  const adamix_inference_size size = adamix_inference_fit ((adamix_inference_size){ 0 }, &e->dataset);
  const adamix_module_form form = adamix_adapter_form (config, &shape);
  err = adamix_module_create (&point, e->model, &form);
  if (!err) err = adamix_inference_create (&inference, e->model, &e->compute, &point, &size);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
  for (int i = 0; i < EVAL_LINE_POINTS; i++) {
    adamix_evaluation result;
    line->t[i] = (i - 1) / (EVAL_LINE_POINTS - 3.0);
    err = eval_line_point (line, line->t[i], &e->module[EVAL_EXPERTS].params, &point.params);
    ADAMIX_TRY (adamix_comm_agree (e->world, err));
    ADAMIX_TRY (
        adamix_evaluate (e->world, &inference, &e->dataset, e->config[EVAL_MERGED].metrics, &route, &result, NULL));
    line->loss[i] = result.loss;
    line->metric[i] = adamix_evaluation_value (&result, e->config[EVAL_MERGED].metric);
  }
  line->barrier = adamix_metric_barrier (EVAL_LINE_POINTS, line->t, line->loss, &line->at);
done:
  adamix_inference_destroy (&inference);
  adamix_module_destroy (&point);
  return err;
}

/* Less than a fiftieth of the ends' mean loss is taken for none. */
void
eval_line_verdict (const eval_line *line, char *text, size_t size)
{
  enum { FIRST = 1, LAST = EVAL_LINE_POINTS - 2 };
  const double ends = (line->loss[FIRST] + line->loss[LAST]) / 2, share = line->barrier / ends;
  const long long a = line->a, b = line->b;
  if (share <= 0.02)
    snprintf (text, size,
              "no barrier: between experts %lld and %lld the loss rises at most %.4f (%.1f %%) above the straight line "
              "between its ends",
              a, b, line->barrier, 100 * share);
  else
    snprintf (
        text, size,
        "a barrier: between experts %lld and %lld the loss rises %.4f (%.1f %%) above the straight line between its "
        "ends, at t = %.3f",
        a, b, line->barrier, 100 * share, line->at);
}

/* ---- all of it ---- */

static adamix_err
conclude (const eval_diversity_study *s, const eval_report *report)
{
  eval_diversity_print (s);
  if (!s->changes)
    adamix_log_warn (report->log,
                     "there is no run.json beside the experts: their changes from the initial values are not "
                     "compared");
  if (!report->folder) return ADAMIX_OK;
  ADAMIX_RETURN_IF (eval_report_json (report, "diversity.json", eval_diversity_json (s)));
  return eval_diversity_draw (s, report);
}

adamix_err
eval_diversity (evaluator *e, const eval_config *c, const eval_report *report)
{
  adamix_err err = ADAMIX_OK;
  const int64_t M = eval_experts (e);
  eval_diversity_study s = { .evaluator = e, .experts = M, .pairs = M * (M - 1) / 2 };
  ADAMIX_TRY (choose_line (c->line, M, &s.line));
  ADAMIX_TRY (adamix_comm_agree (e->world, compare_weights (&s, e, c)));
  ADAMIX_TRY (eval_diversity_outputs (&s, e));
  ADAMIX_TRY (compare_predictions (&s, e));
  ADAMIX_TRY (walk_line (&s.line, e));
  if (e->world->rank == 0) err = conclude (&s, report);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
done:
  study_destroy (&s);
  return err;
}
