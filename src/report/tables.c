#include "report/report_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

adamix_err
adamix_report_name (const char *what, const adamix_report_task *task, char **out)
{
  return adamix_format (out, "%s%s%s", what, *task->slug ? "-" : "", task->slug);
}

/* Begin a table of a task, named "WHAT-SLUG". */
static void
begin (adamix_report_table *table, const char *what, const adamix_report_task *task, const char *caption)
{
  char *name;
  const adamix_err err = adamix_report_name (what, task, &name);
  adamix_report_table_begin (table, err ? what : name, "%s", caption);
  if (err) table->err = err;
  free (name);
}

/* ---- columns of samples and tests ---- */

static void
add_sample_columns (adamix_report_table *t)
{
  adamix_report_table_column (t, true, "n");
  adamix_report_table_column (t, true, "mean");
  adamix_report_table_column (t, true, "deviation");
  adamix_report_table_column (t, true, "\xc2\xb1 95 %");
}

static void
add_sample (adamix_report_table *t, const adamix_sample *s)
{
  enum { DIGITS = 4 };
  adamix_report_table_number (t, (double) s->n, 0);
  adamix_report_table_number (t, s->mean, DIGITS);
  adamix_report_table_number (t, s->deviation, DIGITS);
  adamix_report_table_number (t, s->margin, DIGITS);
}

static void
add_test_columns (adamix_report_table *t)
{
  adamix_report_table_column (t, true, "difference");
  adamix_report_table_column (t, true, "\xc2\xb1 95 %");
  adamix_report_table_column (t, true, "p");
  adamix_report_table_column (t, true, "p (Holm)");
}

/* Without pairs there is no difference to tell. */
static void
add_test (adamix_report_table *t, const adamix_paired *test, double adjusted)
{
  enum { DIGITS = 4 };
  adamix_report_table_number (t, test->difference.mean, DIGITS);
  adamix_report_table_number (t, test->difference.margin, DIGITS);
  adamix_report_table_chance (t, test->p);
  adamix_report_table_chance (t, adjusted);
}

/* ---- results: groups by the main metric ---- */

typedef struct results {
  adamix_sample *sample;   /* [groups] */
  adamix_paired *test;     /* [groups] against the reference */
  double *p, *adjusted;    /* [groups] */
  double *a, *b, *scratch; /* [runs] */
} results;

static void
destroy_results (results *r)
{
  free (r->sample);
  free (r->test);
  free (r->p);
  free (r->adjusted);
  free (r->a);
  free (r->b);
  free (r->scratch);
}

static adamix_err
compute_results (const adamix_report_study *study, const adamix_report_task *task, results *r)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->sample, task->groups));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->test, task->groups));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->p, task->groups));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->adjusted, task->groups));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->a, study->runs));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->b, study->runs));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (r->scratch, study->runs));
  for (int64_t g = 0; g < task->groups; g++) {
    const adamix_report_group *group = &task->group[g];
    const bool tested = task->reference >= 0 && g != task->reference;
    int64_t n = adamix_report_values (study, group, task->metric, r->a);
    r->sample[g] = adamix_metric_sample (n, r->a, REPORT_CONFIDENCE);
    n = tested ? adamix_report_pairs (study, group, &task->group[task->reference], task->metric, r->a, r->b) : 0;
    r->test[g] = adamix_metric_paired (n, r->a, r->b, r->scratch, REPORT_CONFIDENCE);
    r->p[g] = r->test[g].p;
  }
  adamix_metric_holm (task->groups, r->p, r->adjusted);
  return ADAMIX_OK;
}

/* The answer in words. */
static void
say_verdict (adamix_report_page *page, const adamix_report_task *task, const results *r)
{
  const double level = 1 - REPORT_CONFIDENCE;
  const adamix_sample *best = &r->sample[task->reference];
  int64_t tests = 0, apart = 0;
  for (int64_t g = 0; g < task->groups; g++) {
    tests += isfinite (r->adjusted[g]);
    apart += r->adjusted[g] < level;
  }
  adamix_report_page_say (page, "p",
                          task->is_baseline ? "%s: the baseline, %s, has a mean of %.4f (n = %lld)."
                                            : "%s: the best mean is that of %s, %.4f (n = %lld).",
                          task->metric, task->group[task->reference].name, best->mean, (long long) best->n);
  if (tests)
    adamix_report_page_say (
        page, "p", "Tests against it that find a difference with p < 0.05 after Holm's correction: %lld of %lld.",
        (long long) apart, (long long) tests);
  else
    adamix_report_page_say (page, "p",
                            "No test could be made: it takes two common seeds or more, with differences that "
                            "are not all the same.");
}

/* Groups that say less than they could. */
static void
miss_repetitions (adamix_report_page *page, const adamix_report_task *task, const results *r)
{
  for (int64_t g = 0; g < task->groups; g++) {
    const char *name = task->group[g].name;
    if (r->sample[g].n == 0)
      adamix_report_page_miss (page, NULL, "%s, %s: no run has %s.", task->name, name, task->metric);
    if (r->sample[g].n == 1)
      adamix_report_page_miss (
          page, NULL, "%s, %s: one run, which gives neither a deviation nor an interval nor a test.", task->name, name);
  }
}

static void
tabulate_results (adamix_report_page *page, const adamix_report_task *task, const results *r)
{
  adamix_report_table t;
  const bool compared = task->groups > 1 && task->reference >= 0;
  char *name = NULL, *caption = NULL;
  if (!page->err) page->err = adamix_report_name ("results", task, &name);
  if (!page->err)
    page->err =
        compared ? adamix_format (&caption,
                                  "%s (%s is better): runs, mean, standard deviation, half-width of the 95 %% "
                                  "confidence interval of the mean; difference to %s over common seeds with its "
                                  "interval; p of Student's paired two-sided test, and Holm-corrected over the table.",
                                  task->metric, task->lower ? "lower" : "higher", task->group[task->reference].name)
                 : adamix_format (&caption,
                                  "%s: runs, mean, standard deviation, half-width of the 95 %% confidence interval of "
                                  "the mean.",
                                  task->metric);
  if (page->err) goto done;
  adamix_report_table_begin (&t, name, "%s", caption);
  adamix_report_table_column (&t, false, "setting");
  add_sample_columns (&t);
  if (compared) add_test_columns (&t);
  for (int64_t g = 0; g < task->groups; g++) {
    adamix_report_table_text (&t, task->group[g].name);
    add_sample (&t, &r->sample[g]);
    if (compared) add_test (&t, &r->test[g], r->adjusted[g]);
  }
  adamix_report_page_table (page, &t, NULL, true);
done:
  free (caption);
  free (name);
}

void
adamix_report_show_results (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  results r = { 0 };
  if (page->err) return;
  if (!task->metric) {
    adamix_report_page_miss (page, NULL, "%s: no run has results.", task->name);
    return;
  }
  page->err = compute_results (study, task, &r);
  if (!page->err) {
    miss_repetitions (page, task, &r);
    if (task->groups > 1 && task->reference >= 0) say_verdict (page, task, &r);
    tabulate_results (page, task, &r);
  }
  destroy_results (&r);
}

/* ---- all metrics ---- */

static bool
is_metric (const char *key)
{
  static const char *const prefixes[] = { "eval_", "test_" }, *const others[] = { "samples", "majority", "flops" };
  bool found = false;
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    found = found || strncmp (key, prefixes[i], strlen (prefixes[i])) == 0;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) found = found && !strstr (key, others[i]);
  return found;
}

/* The members of the results of any of the task's runs that are such; new reference. */
static json_t *
metrics_of (const adamix_report_study *study, const adamix_report_task *task)
{
  json_t *keys = json_object (), *value;
  const char *key;
  for (int64_t g = 0; g < task->groups; g++)
    for (int64_t i = 0; i < task->group[g].runs; i++)
      json_object_foreach (study->run[task->group[g].run[i]].results, key, value) if (is_metric (key))
          adamix_json_put (&keys, key, json_true ());
  return keys;
}

void
adamix_report_show_metrics (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  adamix_report_table t;
  double *value = NULL;
  const char *key;
  json_t *unused, *keys = metrics_of (study, task);
  begin (
      &t, "metrics", task,
      "All metrics of the dev file (eval) and the test file (test): runs, mean, standard deviation, half-width of the "
      "95 % confidence interval of the mean.");
  adamix_report_table_column (&t, false, "metric");
  adamix_report_table_column (&t, false, "setting");
  add_sample_columns (&t);
  if (!keys) t.err = adamix_err_set (ADAMIX_ENOMEM, "no memory for the names of metrics");
  if (!page->err) page->err = ADAMIX_ALLOC (value, study->runs);
  json_object_foreach (keys, key, unused)
  {
    for (int64_t g = 0; g < task->groups && !page->err; g++) {
      const int64_t n = adamix_report_values (study, &task->group[g], key, value);
      const adamix_sample sample = adamix_metric_sample (n, value, REPORT_CONFIDENCE);
      adamix_report_table_text (&t, key);
      adamix_report_table_text (&t, task->group[g].name);
      add_sample (&t, &sample);
    }
  }
  adamix_report_page_table (page, &t, "All metrics", false);
  json_decref (keys);
  free (value);
}

/* ---- overview: groups by task ---- */

static const adamix_report_group *
group_named (const adamix_report_task *task, const char *name)
{
  for (int64_t g = 0; g < task->groups; g++)
    if (strcmp (task->group[g].name, name) == 0) return &task->group[g];
  return NULL;
}

static void
add_overview_cell (adamix_report_table *t, const adamix_report_study *study, const adamix_report_task *task,
                   const char *name, double *value)
{
  char text[64];
  const adamix_report_group *group = group_named (task, name);
  const int64_t n = group && task->metric ? adamix_report_values (study, group, task->metric, value) : 0;
  const adamix_sample s = adamix_metric_sample (n, value, REPORT_CONFIDENCE);
  if (n > 1)
    snprintf (text, sizeof text, "%.4f \xc2\xb1 %.4f (%lld)", s.mean, s.deviation, (long long) n);
  else
    snprintf (text, sizeof text, "%.4f (1)", s.mean);
  adamix_report_table_text (t, n ? text : NULL);
}

/* Is it the first task that has a group of that name? */
static bool
is_first (const adamix_report_study *study, int64_t task, const char *name)
{
  for (int64_t t = 0; t < task; t++)
    if (group_named (&study->task[t], name)) return false;
  return true;
}

void
adamix_report_show_overview (adamix_report_page *page, const adamix_report_study *study)
{
  adamix_report_table t;
  double *value = NULL;
  char title[128];
  adamix_report_table_begin (&t, "overview", "Main metrics of all tasks: mean, standard deviation (n).");
  adamix_report_table_column (&t, false, "setting");
  for (int64_t k = 0; k < study->tasks; k++) {
    const adamix_report_task *task = &study->task[k];
    snprintf (title, sizeof title, "%s, %s", task->name, task->metric ? task->metric : "no results");
    adamix_report_table_column (&t, true, title);
  }
  if (!page->err) page->err = ADAMIX_ALLOC (value, study->runs);
  for (int64_t k = 0; k < study->tasks && !page->err; k++)
    for (int64_t g = 0; g < study->task[k].groups; g++) {
      const char *name = study->task[k].group[g].name;
      if (!is_first (study, k, name)) continue;
      adamix_report_table_text (&t, name);
      for (int64_t other = 0; other < study->tasks; other++)
        add_overview_cell (&t, study, &study->task[other], name, value);
    }
  adamix_report_page_table (page, &t, NULL, true);
  free (value);
}

/* ---- ways of using the experts ---- */

double
adamix_report_mode_value (const adamix_report_run *run, const adamix_report_task *task, const char *mode)
{
  size_t i;
  const json_t *row;
  char key[128];
  snprintf (key, sizeof key, "eval_%s", task->short_metric);
  json_array_foreach (run->modes, i, row)
  {
    const char *name = json_string_value (json_object_get (row, "inference"));
    const json_t *value = json_object_get (row, key);
    if (name && strcmp (name, mode) == 0 && json_is_number (value)) return json_number_value (value);
  }
  return NAN;
}

const char *
adamix_report_own_mode (const adamix_report_run *run)
{
  size_t i;
  const json_t *row;
  json_array_foreach (run->modes, i, row)
  {
    const char *name = json_string_value (json_object_get (row, "inference"));
    if (name && strcmp (name, "merged") == 0) return "merged";
  }
  return "router";
}

json_t *
adamix_report_modes (const adamix_report_study *study, const adamix_report_group *group)
{
  size_t i;
  json_t *modes = json_object (), *row;
  for (int64_t r = 0; r < group->runs; r++) json_array_foreach (study->run[group->run[r]].modes, i, row)
    {
      const char *name = json_string_value (json_object_get (row, "inference"));
      if (name) adamix_json_put (&modes, name, json_true ());
    }
  return modes;
}

/* Of a mode in all runs of a group that count, and its difference to what the same runs ship. */
typedef struct mode_row {
  const adamix_report_group *group;
  const char *mode;
  adamix_sample sample;
  adamix_paired test;
} mode_row;

static mode_row
measure_mode (const adamix_report_study *study, const adamix_report_task *task, const adamix_report_group *group,
              const char *mode, double *scratch[3])
{
  mode_row out = { .group = group, .mode = mode };
  double *x = scratch[0], *own = scratch[1];
  int64_t n = 0, pairs = 0;
  for (int64_t i = 0; i < group->runs; i++) {
    const adamix_report_run *run = &study->run[group->run[i]];
    x[n] = adamix_report_mode_value (run, task, mode);
    n += !run->repeated && isfinite (x[n]);
  }
  out.sample = adamix_metric_sample (n, x, REPORT_CONFIDENCE);
  for (int64_t i = 0; i < group->runs; i++) {
    const adamix_report_run *run = &study->run[group->run[i]];
    if (run->repeated || strcmp (mode, adamix_report_own_mode (run)) == 0) continue;
    x[pairs] = adamix_report_mode_value (run, task, mode);
    own[pairs] = adamix_report_mode_value (run, task, adamix_report_own_mode (run));
    pairs += isfinite (x[pairs]) && isfinite (own[pairs]);
  }
  out.test = adamix_metric_paired (pairs, x, own, scratch[2], REPORT_CONFIDENCE);
  return out;
}

static adamix_err
measure_modes (const adamix_report_study *study, const adamix_report_task *task, json_t *const *modes, mode_row *row)
{
  adamix_err err = ADAMIX_OK;
  double *scratch[3] = { NULL, NULL, NULL };
  const char *mode;
  json_t *unused;
  for (int i = 0; i < 3; i++) ADAMIX_TRY (ADAMIX_ALLOC (scratch[i], study->runs));
  for (int64_t g = 0; g < task->groups; g++)
    json_object_foreach (modes[g], mode, unused) *row++ = measure_mode (study, task, &task->group[g], mode, scratch);
done:
  for (int i = 0; i < 3; i++) free (scratch[i]);
  return err;
}

static adamix_err
tabulate_modes (const adamix_report_study *study, const adamix_report_task *task, json_t *const *modes, int64_t rows,
                adamix_report_table *t)
{
  adamix_err err = ADAMIX_OK;
  mode_row *row = NULL;
  double *p = NULL, *adjusted = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (row, rows));
  ADAMIX_TRY (ADAMIX_ALLOC (p, rows));
  ADAMIX_TRY (ADAMIX_ALLOC (adjusted, rows));
  ADAMIX_TRY (measure_modes (study, task, modes, row));
  for (int64_t i = 0; i < rows; i++) p[i] = row[i].test.p;
  adamix_metric_holm (rows, p, adjusted);
  for (int64_t i = 0; i < rows; i++) {
    adamix_report_table_text (t, row[i].mode);
    if (task->groups > 1) adamix_report_table_text (t, row[i].group->name);
    add_sample (t, &row[i].sample);
    add_test (t, &row[i].test, adjusted[i]);
  }
done:
  free (adjusted);
  free (p);
  free (row);
  return err;
}

static adamix_err
show_modes (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  adamix_err err = ADAMIX_OK;
  int64_t rows = 0;
  json_t **modes = NULL;
  adamix_report_table t = { 0 };
  ADAMIX_TRY (ADAMIX_ALLOC (modes, task->groups));
  for (int64_t g = 0; g < task->groups; g++) {
    modes[g] = adamix_report_modes (study, &task->group[g]);
    if (!modes[g]) ADAMIX_TRY (adamix_err_set (ADAMIX_ENOMEM, "no memory for the modes of inference"));
    rows += (int64_t) json_object_size (modes[g]);
  }
  if (!rows) goto done;
  begin (&t, "routes", task,
         "Ways of using the experts, in the task's metric: runs, mean, standard deviation, half-width of the 95 % "
         "confidence "
         "interval of the mean; difference to the module that the same runs ship (merged, or all experts with their "
         "learned "
         "router) with its interval; p of Student's paired two-sided test, and Holm-corrected over the table.");
  adamix_report_table_column (&t, false, "inference");
  if (task->groups > 1) adamix_report_table_column (&t, false, "setting");
  add_sample_columns (&t);
  add_test_columns (&t);
  ADAMIX_TRY (tabulate_modes (study, task, modes, rows, &t));
  adamix_report_page_table (page, &t, "Single routes and the merged module", false);
done:
  adamix_report_table_destroy (&t);
  for (int64_t g = 0; g < task->groups && modes; g++) json_decref (modes[g]);
  free (modes);
  return err ? err : page->err;
}

void
adamix_report_show_modes (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  if (!page->err && task->metric) page->err = show_modes (page, study, task);
}

/* ---- settings ---- */

static bool
differs (const adamix_report_study *study, const adamix_report_task *task, const char *key)
{
  const json_t *first = json_object_get (study->run[task->group[0].run[0]].settings, key);
  for (int64_t g = 1; g < task->groups; g++)
    if (!json_equal (first, json_object_get (study->run[task->group[g].run[0]].settings, key))) return true;
  return false;
}

void
adamix_report_show_settings (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  adamix_report_table t;
  const char *key;
  json_t *value, *settings = study->run[task->group[0].run[0]].settings;
  begin (&t, "settings", task, "Settings in which runs of this task differ, besides the seed.");
  adamix_report_table_column (&t, false, "setting");
  json_object_foreach (settings, key, value) if (differs (study, task, key))
      adamix_report_table_column (&t, false, key);
  for (int64_t g = 0; g < task->groups; g++) {
    const json_t *own = study->run[task->group[g].run[0]].settings;
    adamix_report_table_text (&t, task->group[g].name);
    json_object_foreach (settings, key, value)
    {
      const char *text = json_string_value (json_object_get (own, key));
      if (differs (study, task, key)) adamix_report_table_text (&t, text && *text ? text : NULL);
    }
  }
  adamix_report_page_table (page, &t, "Settings that differ", false);
}
