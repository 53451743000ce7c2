#include "base/fault.h"
#include "report/report_private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding runs ---- */

static adamix_err
add_run (adamix_report_study *study, int64_t *room, const char *path)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (study->run, room, study->runs + 1));
  adamix_report_run *run = &study->run[study->runs++];
  return adamix_report_run_read (run, path);
}

static int
is_shown (const struct dirent *entry)
{
  return entry->d_name[0] != '.';
}

/* Each folder in it that is one of a run, in the order of their names, numbers by their size. */
static adamix_err
add_folder (adamix_report_study *study, int64_t *room, const char *path)
{
  adamix_err err = ADAMIX_OK;
  struct dirent **entry = NULL;
  char *folder = NULL;
  const int64_t before = study->runs;
  int count = ADAMIX_FAULT (directory_read) ? -1 : scandir (path, &entry, is_shown, versionsort);
  if (count < 0) return adamix_err_set (ADAMIX_EIO, "%s: cannot be listed: %s", path, strerror (errno));
  for (int i = 0; i < count; i++) {
    free (folder);
    folder = NULL;
    ADAMIX_TRY (adamix_path_join (&folder, path, entry[i]->d_name));
    bool is_run;
    ADAMIX_TRY (adamix_report_run_is (folder, &is_run));
    if (is_run)
      ADAMIX_TRY (add_run (study, room, folder));
    else if (adamix_path_is_directory (folder) && strcmp (entry[i]->d_name, "report") != 0)
      ADAMIX_TRY (adamix_report_append (&study->passed_over, ", ", entry[i]->d_name));
  }
  if (study->runs == before)
    err =
        adamix_err_set (ADAMIX_EDATA,
                        "%s: no run: neither the folder nor one in it has run.json, all_results.json or metrics.jsonl; "
                        "give the folder of a run or of a sweep",
                        path);
done:
  for (int i = 0; i < count; i++) free (entry[i]);
  free (entry);
  free (folder);
  return err;
}

static adamix_err
find_runs (adamix_report_study *study, const adamix_report_args *args)
{
  int64_t room = 0, known = 0;
  for (int64_t i = 0; i < args->paths; i++) {
    const char *path = args->path[i];
    if (!adamix_path_is_directory (path))
      return adamix_err_set (ADAMIX_EIO, "%s: %s; give the folder of a run or of a sweep", path,
                             adamix_path_exists (path) ? "not a folder" : "there is no such folder");
    bool is_run;
    ADAMIX_RETURN_IF (adamix_report_run_is (path, &is_run));
    if (args->compare && !is_run)
      return adamix_err_set (ADAMIX_EDATA, "%s: --compare takes two runs, and this is none: it has no run.json", path);
    ADAMIX_RETURN_IF (is_run ? add_run (study, &room, path) : add_folder (study, &room, path));
  }
  for (int64_t i = 0; i < study->runs; i++) known += study->run[i].record != NULL;
  if (known) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA, "no run could be read: %s", study->run[0].trouble);
}

/* ---- tasks ---- */

static adamix_err
add_task (adamix_report_study *study, int64_t *room, const adamix_report_run *run, adamix_report_task **out)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (study->task, room, study->tasks + 1));
  adamix_report_task *task = &study->task[study->tasks++];
  *task = (adamix_report_task){ .reference = -1 };
  *out = task;
  int64_t namesakes = 1;
  for (int64_t t = 0; t < study->tasks - 1; t++) namesakes += strcmp (study->task[t].name, run->task) == 0;
  ADAMIX_RETURN_IF (adamix_format (&task->basis, "%s", run->basis));
  if (namesakes == 1) return adamix_format (&task->name, "%s", run->task);
  return adamix_format (&task->name, "%s (%lld)", run->task, (long long) namesakes);
}

static adamix_err
find_task (adamix_report_study *study, int64_t *room, const adamix_report_run *run, adamix_report_task **out)
{
  for (int64_t t = 0; t < study->tasks; t++) {
    *out = &study->task[t];
    if (strcmp ((*out)->basis, run->basis) == 0 && (*run->basis || strcmp ((*out)->name, run->task) == 0))
      return ADAMIX_OK;
  }
  return add_task (study, room, run, out);
}

/* Files of one task have no need to tell it. */
static adamix_err
name_slugs (adamix_report_study *study)
{
  for (int64_t t = 0; t < study->tasks; t++) {
    adamix_report_task *task = &study->task[t];
    ADAMIX_RETURN_IF (adamix_format (&task->slug, "%s", study->tasks > 1 ? task->name : ""));
    for (char *c = task->slug; *c; c++)
      if (!isalnum ((unsigned char) *c)) *c = '-';
    bool taken = false;
    for (int64_t before = 0; before < t; before++) taken = taken || !strcmp (study->task[before].slug, task->slug);
    if (!taken) continue;
    free (task->slug);
    task->slug = NULL;
    ADAMIX_RETURN_IF (adamix_format (&task->slug, "task-%lld", (long long) t + 1));
  }
  return ADAMIX_OK;
}

/* ---- groups ---- */

static const json_t *
settings_of (const adamix_report_study *study, const adamix_report_group *group)
{
  return study->run[group->run[0]].settings;
}

static adamix_err
join_group (const adamix_report_study *study, adamix_report_task *task, int64_t *room, int64_t r, bool alone)
{
  adamix_report_group *group = NULL;
  for (int64_t g = 0; g < task->groups && !alone && !group; g++)
    if (json_equal (settings_of (study, &task->group[g]), study->run[r].settings)) group = &task->group[g];
  if (!group) {
    ADAMIX_RETURN_IF (ADAMIX_GROW (task->group, room, task->groups + 1));
    group = &task->group[task->groups++];
    *group = (adamix_report_group){ 0 };
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (group->run, study->runs));
  }
  group->run[group->runs++] = r;
  return ADAMIX_OK;
}

/* Of two finished runs with the same settings, seed and data the second one says nothing new. */
static adamix_err
find_repeated (adamix_report_study *study, const adamix_report_group *group)
{
  for (int64_t i = 1; i < group->runs; i++)
    for (int64_t j = 0; j < i; j++) {
      adamix_report_run *run = &study->run[group->run[i]];
      const adamix_report_run *first = &study->run[group->run[j]];
      if (!run->results || !first->results || run->repeated || strcmp (run->replicate, first->replicate) != 0) continue;
      run->repeated = true;
      ADAMIX_RETURN_IF (
          adamix_report_run_blame (run, "settings, seed and data are those of %s: it counts once", first->name));
    }
  return ADAMIX_OK;
}

/* ---- names of groups ---- */

/* "adamix", "rank 16", "hold-out", "no hold-out". */
static adamix_err
describe_setting (const adamix_report_study *study, const adamix_report_group *group, const char *key, char **out)
{
  const char *text = json_string_value (json_object_get (settings_of (study, group), key));
  const json_t *model = adamix_report_member (study->run[group->run[0]].record, "config.model");
  if (!text) text = "";
  if (strcmp (key, "model") == 0 && json_is_string (model)) {
    const char *path = json_string_value (model), *slash = strrchr (path, '/');
    return adamix_format (out, "%s", slash && slash[1] ? slash + 1 : path);
  }
  if (strcmp (key, "method") == 0) return adamix_format (out, "%s", text);
  if (strcmp (text, "true") == 0) return adamix_format (out, "%s", key);
  if (strcmp (text, "false") == 0) return adamix_format (out, "no %s", key);
  return adamix_format (out, "%s %s", key, *text ? text : "none");
}

/* Does the setting tell apart two groups whose names are still the same? */
static bool
tells (const adamix_report_study *study, const adamix_report_task *task, const char *key)
{
  for (int64_t a = 0; a < task->groups; a++)
    for (int64_t b = 0; b < a; b++) {
      const json_t *of_a = settings_of (study, &task->group[a]), *of_b = settings_of (study, &task->group[b]);
      const char *name = task->group[a].name, *other = task->group[b].name;
      if ((!name || strcmp (name, other) == 0) &&
          !json_equal (json_object_get (of_a, key), json_object_get (of_b, key)))
        return true;
    }
  return false;
}

static adamix_err
lengthen_names (const adamix_report_study *study, adamix_report_task *task, const char *key)
{
  for (int64_t g = 0; g < task->groups; g++) {
    char *setting;
    ADAMIX_RETURN_IF (describe_setting (study, &task->group[g], key, &setting));
    const adamix_err err = adamix_report_append (&task->group[g].name, ", ", setting);
    free (setting);
    ADAMIX_RETURN_IF (err);
  }
  return ADAMIX_OK;
}

/* Letters of SETTING in "SETTING,seed=N", as a sweep calls its runs; 0: it is none of these. */
static int
setting_letters (const char *name)
{
  static const char before_seed[] = ",seed=";
  const char *end = strrchr (name, ',');
  const size_t ahead = sizeof before_seed - 1;
  if (!end || strncmp (end, before_seed, ahead) != 0) return 0;
  const size_t digits = strspn (end + ahead, "0123456789");
  return digits && !end[ahead + digits] ? (int) (end - name) : 0;
}

/* The setting's parts less the one that names the task, where a sweep varies that: "adamix,task=rte" is "adamix". */
static adamix_err
without_task (const char *setting, int letters, const char *task, char **out)
{
  adamix_err err = ADAMIX_OK;
  char *text = NULL, *own = NULL;
  ADAMIX_TRY (adamix_format (&text, "%.*s", letters, setting));
  ADAMIX_TRY (adamix_format (&own, "task=%s", task));
  ADAMIX_TRY (adamix_format (out, "%s", ""));
  for (char *rest = text, *part; (part = strsep (&rest, ","));)
    if (strcmp (part, own) != 0) ADAMIX_TRY (adamix_report_append (out, **out ? "," : "", part));
done:
  free (own);
  free (text);
  return err;
}

/* "" where its runs are not all called by one setting. */
static adamix_err
name_by_setting (const adamix_report_study *study, adamix_report_group *group)
{
  const adamix_report_run *first = &study->run[group->run[0]];
  int letters = setting_letters (first->name);
  for (int64_t i = 1; i < group->runs; i++) {
    const char *name = study->run[group->run[i]].name;
    if (setting_letters (name) != letters || strncmp (name, first->name, (size_t) letters) != 0) letters = 0;
  }
  return without_task (first->name, letters, first->task, &group->name);
}

/* Runs of a sweep go by its settings: *named where that gives every group a name of its own; else no group has one yet. */
static adamix_err
name_by_settings (const adamix_report_study *study, adamix_report_task *task, bool *named)
{
  *named = true;
  for (int64_t g = 0; g < task->groups; g++) {
    ADAMIX_RETURN_IF (name_by_setting (study, &task->group[g]));
    *named = *named && *task->group[g].name;
    for (int64_t before = 0; before < g; before++)
      *named = *named && strcmp (task->group[before].name, task->group[g].name) != 0;
  }
  for (int64_t g = 0; g < task->groups && !*named; g++) {
    free (task->group[g].name);
    task->group[g].name = NULL;
  }
  return ADAMIX_OK;
}

/* Otherwise the method first, even if there is one alone; then settings, in the order of the options, as long as they tell
 * groups apart that are not yet. */
static adamix_err
name_groups (const adamix_report_study *study, adamix_report_task *task)
{
  bool named;
  const char *key;
  json_t *value, *settings = (json_t *) settings_of (study, &task->group[0]);
  ADAMIX_RETURN_IF (name_by_settings (study, task, &named));
  if (named) return ADAMIX_OK;
  if (task->groups == 1 || tells (study, task, "method")) ADAMIX_RETURN_IF (lengthen_names (study, task, "method"));
  json_object_foreach (settings, key, value) if (tells (study, task, key))
      ADAMIX_RETURN_IF (lengthen_names (study, task, key));
  return ADAMIX_OK;
}

/* Two runs side by side go by the names of their folders, or by their paths. */
static adamix_err
name_sides (const adamix_report_study *study, adamix_report_task *task)
{
  const bool same = study->runs == 2 && strcmp (study->run[0].name, study->run[1].name) == 0;
  for (int64_t g = 0; g < task->groups; g++) {
    const adamix_report_run *run = &study->run[task->group[g].run[0]];
    ADAMIX_RETURN_IF (adamix_format (&task->group[g].name, "%s", same ? run->path : run->name));
  }
  return ADAMIX_OK;
}

/* ---- values ---- */

int64_t
adamix_report_values (const adamix_report_study *study, const adamix_report_group *group, const char *key,
                      double *value)
{
  int64_t n = 0;
  for (int64_t i = 0; i < group->runs; i++) {
    const adamix_report_run *run = &study->run[group->run[i]];
    const double found = adamix_report_run_value (run, key);
    if (isfinite (found) && !run->repeated) value[n++] = found;
  }
  return n;
}

int64_t
adamix_report_pairs (const adamix_report_study *study, const adamix_report_group *of_a, const adamix_report_group *of_b,
                     const char *key, double *a, double *b)
{
  int64_t n = 0;
  for (int64_t i = 0; i < of_a->runs; i++)
    for (int64_t j = 0; j < of_b->runs; j++) {
      const adamix_report_run *x = &study->run[of_a->run[i]], *y = &study->run[of_b->run[j]];
      if (x->repeated || y->repeated || strcmp (x->replicate, y->replicate) != 0) continue;
      a[n] = adamix_report_run_value (x, key);
      b[n] = adamix_report_run_value (y, key);
      n += isfinite (a[n]) && isfinite (b[n]);
    }
  return n;
}

/* ---- the metric, and the group that others are tested against ---- */

bool
adamix_report_is_lower_better (const char *key)
{
  static const char *const endings[] = { "loss",     "ece",       "brier", "seconds",
                                         "runtime",  "_bytes",    "flops", "flops_per_sample",
                                         "fraction", "parameters" };
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    const size_t length = strlen (key), ending = strlen (endings[i]);
    if (length >= ending && strcmp (key + length - ending, endings[i]) == 0) return true;
  }
  return false;
}

/* Do all finished runs of the task have such a number, and at least one? */
static bool
all_have (const adamix_report_study *study, const adamix_report_task *task, const char *key)
{
  bool any = false;
  for (int64_t g = 0; g < task->groups; g++)
    for (int64_t i = 0; i < task->group[g].runs; i++) {
      const json_t *results = study->run[task->group[g].run[i]].results;
      if (results && !json_object_get (results, key)) return false;
      any = any || results;
    }
  return any;
}

/* The main one of its runs; NULL: none has any. */
static const char *
metric_of (const adamix_report_study *study, const adamix_report_task *task)
{
  for (int64_t g = 0; g < task->groups; g++)
    for (int64_t i = 0; i < task->group[g].runs; i++)
      if (study->run[task->group[g].run[i]].metric) return study->run[task->group[g].run[i]].metric;
  return NULL;
}

/* Of the test file if all runs have one, else of the dev file. */
static adamix_err
choose_metric (const adamix_report_study *study, adamix_report_task *task, const char *asked)
{
  static const char *const prefixes[] = { "test_", "eval_" };
  const char *own = metric_of (study, task);
  if (asked) ADAMIX_RETURN_IF (adamix_format (&task->metric, "%s", asked));
  for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes && own && !asked; p++) {
    free (task->metric);
    task->metric = NULL;
    ADAMIX_RETURN_IF (adamix_format (&task->metric, "%s%s", prefixes[p], own));
    if (all_have (study, task, task->metric)) break;
  }
  if (!task->metric) return ADAMIX_OK;
  task->lower = adamix_report_is_lower_better (task->metric);
  task->short_metric = task->metric;
  for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++)
    if (strncmp (task->metric, prefixes[p], strlen (prefixes[p])) == 0) task->short_metric += strlen (prefixes[p]);
  return ADAMIX_OK;
}

/* The best one by its mean, or the one that was asked for. */
static adamix_err
choose_reference (const adamix_report_study *study, adamix_report_task *task, const char *baseline)
{
  double best = NAN, *value;
  if (!task->metric) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (value, study->runs));
  for (int64_t g = 0; g < task->groups; g++) {
    const int64_t n = adamix_report_values (study, &task->group[g], task->metric, value);
    const double mean = adamix_metric_sample (n, value, REPORT_CONFIDENCE).mean;
    const bool asked = baseline && strcmp (task->group[g].name, baseline) == 0;
    const bool better = task->lower ? mean < best : mean > best;
    if (n > 0 && !task->is_baseline && (isnan (best) || better || asked)) {
      best = mean;
      task->reference = g;
    }
    task->is_baseline = task->is_baseline || (asked && n > 0);
  }
  free (value);
  return ADAMIX_OK;
}

static adamix_err
no_baseline (const adamix_report_study *study, const char *baseline)
{
  adamix_err err = ADAMIX_OK;
  char *names = NULL;
  for (int64_t t = 0; t < study->tasks; t++)
    for (int64_t g = 0; g < study->task[t].groups; g++)
      ADAMIX_TRY (adamix_report_append (&names, "\", \"", study->task[t].group[g].name));
  err =
      adamix_err_set (ADAMIX_EUSAGE, "--baseline \"%s\" is no group with results; groups are \"%s\"", baseline, names);
done:
  free (names);
  return err;
}

/* What was asked for has to be there in one task at least. */
static adamix_err
check_asked (const adamix_report_study *study, const adamix_report_args *args)
{
  bool has_metric = !args->metric, has_baseline = !args->baseline;
  for (int64_t r = 0; r < study->runs && args->metric; r++)
    has_metric = has_metric || isfinite (adamix_report_run_value (&study->run[r], args->metric));
  if (!has_metric)
    return adamix_err_set (
        ADAMIX_EUSAGE, "--metric %s: no run has such a number in its all_results.json; try eval_loss", args->metric);
  for (int64_t t = 0; t < study->tasks; t++) has_baseline = has_baseline || study->task[t].is_baseline;
  return has_baseline ? ADAMIX_OK : no_baseline (study, args->baseline);
}

/* ---- the whole ---- */

static adamix_err
deal_runs (adamix_report_study *study, bool compare)
{
  adamix_err err = ADAMIX_OK;
  int64_t tasks_room = 0, *groups_room = NULL;
  adamix_report_task *task;
  ADAMIX_TRY (ADAMIX_ALLOC (groups_room, study->runs));
  for (int64_t r = 0; r < study->runs; r++) {
    if (!study->run[r].settings) continue;
    ADAMIX_TRY (find_task (study, &tasks_room, &study->run[r], &task));
    ADAMIX_TRY (join_group (study, task, &groups_room[task - study->task], r, compare));
  }
done:
  free (groups_room);
  return err;
}

adamix_err
adamix_report_study_deal (adamix_report_study *study, const adamix_report_args *args)
{
  ADAMIX_RETURN_IF (deal_runs (study, args->compare));
  ADAMIX_RETURN_IF (name_slugs (study));
  for (int64_t t = 0; t < study->tasks; t++) {
    adamix_report_task *task = &study->task[t];
    for (int64_t g = 0; g < task->groups; g++) ADAMIX_RETURN_IF (find_repeated (study, &task->group[g]));
    ADAMIX_RETURN_IF (args->compare ? name_sides (study, task) : name_groups (study, task));
    ADAMIX_RETURN_IF (choose_metric (study, task, args->metric));
    ADAMIX_RETURN_IF (choose_reference (study, task, args->baseline));
  }
  return check_asked (study, args);
}

adamix_err
adamix_report_study_read (adamix_report_study *out, const adamix_report_args *args)
{
  *out = (adamix_report_study){ 0 };
  ADAMIX_RETURN_IF (find_runs (out, args));
  return adamix_report_study_deal (out, args);
}

void
adamix_report_study_destroy (adamix_report_study *study)
{
  for (int64_t t = 0; t < study->tasks; t++) {
    adamix_report_task *task = &study->task[t];
    for (int64_t g = 0; g < task->groups; g++) {
      free (task->group[g].name);
      free (task->group[g].run);
    }
    free (task->name);
    free (task->basis);
    free (task->slug);
    free (task->metric);
    free (task->group);
  }
  for (int64_t r = 0; r < study->runs; r++) adamix_report_run_destroy (&study->run[r]);
  free (study->task);
  free (study->run);
  free (study->passed_over);
  *study = (adamix_report_study){ 0 };
}
