#include "eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- which there are ---- */

#define MOST_DRAWS 100000

/* A row of the table of modes. */
typedef struct mode_row {
  const char *name; /* "fixed:" is followed by a number from `least` on */
  bool numbered;
  int64_t least;
  int module;
  const char *policy; /* NULL: a fixed route, or without a number the module's own */
  int64_t (*parameters) (const adamix_bank_shape *shape); /* in use */
} mode_row;

#define ROUTER "router"

static const mode_row rows[] = {
  { "merged", false, 0, EVAL_MERGED, NULL, adamix_bank_trainable_parameters },
  { ROUTER, false, 0, EVAL_EXPERTS, NULL, adamix_bank_trainable_parameters },
  { "fixed:", true, 0, EVAL_EXPERTS, NULL, adamix_bank_merged_parameters },
  { "random-sentence", false, 0, EVAL_EXPERTS, "stochastic-sentence", adamix_bank_trainable_parameters },
  { "random-token", false, 0, EVAL_EXPERTS, "stochastic-token", adamix_bank_trainable_parameters },
  { "ensemble:", true, 1, EVAL_EXPERTS, "stochastic", adamix_bank_trainable_parameters },
};
#define ROWS (sizeof rows / sizeof *rows)

/* Does its module go its own way by a learned router? */
static bool
is_router (const evaluator *e, const mode_row *row)
{
  return !row->numbered && !row->policy && e->config[row->module].shape.gating;
}

static bool
is_there (const evaluator *e, const mode_row *row)
{
  if (row->module == EVAL_EXPERTS && eval_experts (e) == 0) return false;
  return strcmp (row->name, ROUTER) != 0 || is_router (e, row);
}

static eval_mode
mode_of (const evaluator *e, const mode_row *row, int64_t number, uint64_t seed)
{
  const adamix_adapter_config *config = &e->config[row->module];
  eval_mode mode = { .module = row->module,
                     .passes = 1,
                     .parameters = config->has_bank ? row->parameters (&config->shape) : 0,
                     .route = { .policy = row->policy ? adamix_route_policy_find (row->policy) : NULL, .seed = seed } };
  if (row->numbered && row->policy) mode.route.draws = mode.passes = number;
  if (row->numbered && !row->policy) mode.route.slot = number;
  if (!row->numbered && !row->policy) mode.route = adamix_inference_own (&e->module[row->module]);
  if (row->numbered)
    snprintf (mode.name, sizeof mode.name, "%s%lld", row->name, (long long) number);
  else
    snprintf (mode.name, sizeof mode.name, "%s", is_router (e, row) ? ROUTER : row->name);
  return mode;
}

static int64_t
most_of (const evaluator *e, const mode_row *row)
{
  return row->policy ? MOST_DRAWS : eval_experts (e) - 1;
}

/* Does `text` name this row, with *number behind it? */
static bool
is_named (const evaluator *e, const mode_row *row, const char *text, int64_t *number)
{
  const size_t length = strlen (row->name);
  const char *digits = text + length;
  if (!is_there (e, row)) return false;
  if (!row->numbered) return strcmp (text, row->name) == 0;
  if (strncmp (text, row->name, length) != 0 || !*digits || digits[strspn (digits, "0123456789")]) return false;
  *number = strtoll (digits, NULL, 10);
  return *number >= row->least && *number <= most_of (e, row);
}

static adamix_err
no_mode (const evaluator *e, const char *text)
{
  if (eval_experts (e) == 0)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--inference: '%s' is not possible, as the module has no experts: merged alone", text);
  return adamix_err_set (
      ADAMIX_EUSAGE,
      "--inference: '%s' is not one of merged, %srandom-sentence, random-token, fixed:0 to fixed:%lld, "
      "ensemble:1 to ensemble:%d, all",
      text, e->config[EVAL_EXPERTS].shape.gating ? ROUTER ", " : "", (long long) eval_experts (e) - 1, MOST_DRAWS);
}

/* Every mode once: each expert, and an ensemble of as many draws as there are experts. */
static int64_t
choose_all (const evaluator *e, uint64_t seed, eval_mode *out)
{
  const int64_t experts = eval_experts (e);
  int64_t count = 0;
  for (size_t r = 0; r < ROWS; r++) {
    const mode_row *row = &rows[r];
    const bool each = row->numbered && !row->policy;
    /* A module to ship that has a router is the experts'. */
    if (!is_there (e, row) || (row->module == EVAL_MERGED && is_router (e, row))) continue;
    for (int64_t j = 0; j < (each ? experts : 1); j++) out[count++] = mode_of (e, row, each ? j : experts, seed);
  }
  return count;
}

adamix_err
eval_modes_choose (const evaluator *e, const char *text, uint64_t seed, eval_mode **out, int64_t *count)
{
  int64_t number = 0;
  *count = 0;
  if (e->runs.count > 1) return eval_runs_choose (e, text, out, count);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*out, eval_experts (e) + (int64_t) ROWS));
  if (strcmp (text, "all") == 0) {
    *count = choose_all (e, seed, *out);
    return ADAMIX_OK;
  }
  for (size_t r = 0; r < ROWS && !*count; r++)
    if (is_named (e, &rows[r], text, &number)) (*out)[(*count)++] = mode_of (e, &rows[r], number, seed);
  return *count ? ADAMIX_OK : no_mode (e, text);
}

/* ---- results ---- */

adamix_err
eval_mode_evaluate (evaluator *e, eval_mode *mode, double *log_p)
{
  adamix_err err = ADAMIX_OK;
  adamix_inference inference = { 0 };
  ADAMIX_TRY (eval_inference (&inference, e, mode->module, NULL));
  ADAMIX_TRY (adamix_evaluate (e->world, &inference, &e->dataset, e->config[EVAL_MERGED].metrics, &mode->route,
                               &mode->result, log_p));
done:
  adamix_inference_destroy (&inference);
  return err;
}

adamix_err
eval_modes_evaluate (evaluator *e, eval_mode *mode, int64_t count)
{
  if (e->runs.count > 1) return eval_runs_evaluate (e, mode, count);
  for (int64_t m = 0; m < count; m++) ADAMIX_RETURN_IF (eval_mode_evaluate (e, &mode[m], NULL));
  return ADAMIX_OK;
}

/* Merging, or the first of several runs, may lose: say by how much, in the task's main metric. */
static void
print_best (const evaluator *e, const eval_mode *mode, int64_t count)
{
  const char *metric = e->config[EVAL_MERGED].metric;
  const double first = adamix_evaluation_value (&mode[0].result, metric);
  double best = first;
  const char *name = NULL;
  for (int64_t m = 1; m < count; m++) {
    const double value = adamix_evaluation_value (&mode[m].result, metric);
    if (!(value > best)) continue;
    best = value;
    name = mode[m].name;
  }
  if (name)
    printf ("%s: %s is best with %.4f; %s has %.4f\n", metric, name, best, mode[0].name, first);
  else if (isfinite (first))
    printf ("%s: none is better than %s with %.4f\n", metric, mode[0].name, first);
}

enum { NARROW = 9, WIDE = 16 };

static int
width_of (const char *name)
{
  const int length = (int) strlen (name);
  return length > NARROW ? length : NARROW;
}

static void
print_row (const eval_mode *mode, int wide, bool classes)
{
  const adamix_evaluation *r = &mode->result;
  printf ("%-*s", wide, mode->name);
  for (int64_t i = 0; i < r->metrics; i++) printf (" %*.4f", width_of (r->name[i]), r->value[i]);
  printf (" %*.4f", NARROW, r->loss);
  if (classes) printf (" %*.4f %*.4f", NARROW, r->ece, NARROW, r->brier);
  printf (" %*lld %10lld %*.2f\n", NARROW, (long long) mode->passes, (long long) mode->parameters, NARROW, r->seconds);
}

void
eval_modes_print (const evaluator *e, const eval_mode *mode, int64_t count)
{
  const adamix_evaluation *first = &mode[0].result;
  const bool classes = e->config[EVAL_MERGED].type == ADAMIX_TASK_CLASSIFICATION;
  int wide = WIDE;
  for (int64_t m = 0; m < count; m++)
    if ((int) strlen (mode[m].name) > wide) wide = (int) strlen (mode[m].name);
  printf ("%s: %lld examples", e->dataset.path, (long long) first->examples);
  if (isfinite (first->majority)) printf (", majority class %.4f", first->majority);
  printf ("\n%-*s", wide, "inference");
  for (int64_t i = 0; i < first->metrics; i++) printf (" %*s", width_of (first->name[i]), first->name[i]);
  printf (" %*s", NARROW, classes ? "nll" : "mse");
  if (classes) printf (" %*s %*s", NARROW, "ece", NARROW, "brier");
  printf (" %*s %10s %*s\n", NARROW, "passes", "parameters", NARROW, "seconds");
  for (int64_t m = 0; m < count; m++) print_row (&mode[m], wide, classes);
  if (count > 1) print_best (e, mode, count);
}

/* Whatever the file, its numbers are those of an evaluation; MNLI's mismatched ones are told apart. */
adamix_err
eval_modes_store (const eval_mode *mode, int64_t count, adamix_split split, const char *path)
{
  const bool mismatched = split == ADAMIX_SPLIT_DEV_MISMATCHED;
  const char *pattern = adamix_split_of (mismatched ? split : ADAMIX_SPLIT_DEV)->key;
  json_t *list = json_array ();
  for (int64_t m = 0; m < count; m++) {
    json_t *row = json_pack ("{s:s}", "inference", mode[m].name);
    adamix_evaluation_put (&row, pattern, &mode[m].result);
    adamix_json_put (&row, "forward_passes", json_integer (mode[m].passes));
    adamix_json_put (&row, "parameters", json_integer (mode[m].parameters));
    adamix_json_append (&list, row);
  }
  adamix_err err = adamix_json_store (count == 1 ? json_array_get (list, 0) : list, path, false);
  json_decref (list);
  return err;
}
