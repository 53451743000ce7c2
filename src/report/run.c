#include "base/fault.h"
#include "report/report_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILE_RECORD  "run.json"
#define FILE_RESULTS "all_results.json"
#define FILE_METRICS "metrics.jsonl"

static const char *const files_of_runs[] = { FILE_RECORD, FILE_RESULTS, FILE_METRICS };

/* ---- small things ---- */

const json_t *
adamix_report_member (const json_t *object, const char *path)
{
  enum { LONGEST = 64 };
  char key[LONGEST];
  for (const char *rest = path; object && *rest;) {
    const size_t length = strcspn (rest, ".");
    snprintf (key, sizeof key, "%.*s", (int) length, rest);
    object = json_object_get (object, key);
    rest += length + (rest[length] == '.');
  }
  return json_is_null (object) ? NULL : object;
}

adamix_err
adamix_report_append (char **text, const char *separator, const char *more)
{
  char *all;
  ADAMIX_RETURN_IF (*text ? adamix_format (&all, "%s%s%s", *text, separator, more) : adamix_format (&all, "%s", more));
  free (*text);
  *text = all;
  return ADAMIX_OK;
}

adamix_err
adamix_report_run_blame (adamix_report_run *run, const char *format, ...)
{
  char *more = NULL;
  va_list arguments;
  va_start (arguments, format);
  adamix_err err = adamix_format_list (&more, format, arguments);
  va_end (arguments);
  if (!err) err = adamix_report_append (&run->trouble, "; ", more);
  free (more);
  return err;
}

adamix_err
adamix_report_run_is (const char *path, bool *out)
{
  *out = false;
  for (size_t i = 0; i < sizeof files_of_runs / sizeof *files_of_runs && !*out; i++) {
    char *file;
    ADAMIX_RETURN_IF (adamix_path_join (&file, path, files_of_runs[i]));
    *out = adamix_path_exists (file);
    free (file);
  }
  return ADAMIX_OK;
}

double
adamix_report_run_value (const adamix_report_run *run, const char *key)
{
  const json_t *value = json_object_get (run->results, key);
  return json_is_number (value) ? json_number_value (value) : NAN;
}

/* ---- JSON files ---- */

/* A file of the folder; NULL where it is missing, or broken, which is trouble. */
static adamix_err
load (adamix_report_run *run, const char *name, json_t **out)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  *out = NULL;
  ADAMIX_TRY (adamix_path_join (&path, run->path, name));
  if (!adamix_path_exists (path)) goto done;
  err = adamix_json_load (out, path);
  if (err && err != ADAMIX_ENOMEM) err = adamix_report_run_blame (run, "%s", adamix_err_message ());
done:
  free (path);
  return err;
}

static adamix_err
load_object (adamix_report_run *run, const char *name, json_t **out)
{
  ADAMIX_RETURN_IF (load (run, name, out));
  if (!*out || json_is_object (*out)) return ADAMIX_OK;
  json_decref (*out);
  *out = NULL;
  return adamix_report_run_blame (run, "%s/%s: not an object", run->path, name);
}

/* A single mode is stored without the list around it. */
static adamix_err
load_modes (adamix_report_run *run)
{
  json_t *found;
  ADAMIX_RETURN_IF (load (run, FILE_INFERENCE, &found));
  if (!found) return ADAMIX_OK;
  if (json_is_array (found)) {
    run->modes = found;
    return ADAMIX_OK;
  }
  run->modes = json_array ();
  adamix_json_append (&run->modes, found);
  return run->modes ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for the modes of inference");
}

/* ---- metrics.jsonl ---- */

static double
number_of (const json_t *value)
{
  return json_is_number (value) ? json_number_value (value) : NAN;
}

/* Of an evaluation's numbers the main metric is the first. */
static const json_t *
main_metric (json_t *line)
{
  const char *key;
  json_t *value;
  json_object_foreach (line, key, value) if (strncmp (key, "eval_", 5) == 0) return value;
  return NULL;
}

/* A line's step and its values of all curves; *good is false for what is none. */
static adamix_err
read_line (const char *line, size_t length, double *step, double value[ADAMIX_REPORT_CURVES], bool *good)
{
  json_t *json;
  json_error_t where;
  if (adamix_json_parse (&json, line, length, JSON_REJECT_DUPLICATES, &where) == ADAMIX_ENOMEM) return ADAMIX_ENOMEM;
  const json_t *of_step = json_object_get (json, "step"), *of_loss = json_object_get (json, "loss");
  *good = json_is_integer (of_step) && (json_is_number (of_loss) || json_is_null (of_loss));
  *step = json_number_value (of_step);
  value[ADAMIX_REPORT_LOSS] = number_of (of_loss);
  value[ADAMIX_REPORT_DEV] = number_of (main_metric (json));
  json_decref (json);
  return ADAMIX_OK;
}

/* The line that a training is writing is not whole yet: it is passed over, and so is what goes back in steps. */
static adamix_err
read_curve (adamix_report_run *run, FILE *file)
{
  adamix_err err = ADAMIX_OK;
  char *line = NULL;
  size_t room = 0;
  int64_t steps_room = 0, room_of[ADAMIX_REPORT_CURVES] = { 0 }, broken = 0;
  ssize_t length;
  while ((length = ADAMIX_FAULT (stream_read) ? -1 : getline (&line, &room, file)) > 0) {
    double step, value[ADAMIX_REPORT_CURVES];
    bool good;
    if (line[length - 1] != '\n') break;
    ADAMIX_TRY (read_line (line, (size_t) length, &step, value, &good));
    if (!good || (run->steps && step <= run->step[run->steps - 1])) {
      broken++;
      continue;
    }
    ADAMIX_TRY (ADAMIX_GROW (run->step, &steps_room, run->steps + 1));
    for (int c = 0; c < ADAMIX_REPORT_CURVES; c++) {
      ADAMIX_TRY (ADAMIX_GROW (run->curve[c], &room_of[c], run->steps + 1));
      run->curve[c][run->steps] = value[c];
    }
    run->step[run->steps++] = step;
  }
  if (length < 0 && !feof (file))
    ADAMIX_TRY (adamix_report_run_blame (run, "%s/" FILE_METRICS ": cannot be read: %s", run->path, strerror (errno)));
  if (broken)
    ADAMIX_TRY (adamix_report_run_blame (run, "%s/" FILE_METRICS ": %lld lines are none of a step", run->path,
                                         (long long) broken));
done:
  free (line);
  return err;
}

static adamix_err
load_curve (adamix_report_run *run)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  FILE *file = NULL;
  ADAMIX_TRY (adamix_path_join (&path, run->path, FILE_METRICS));
  file = ADAMIX_FAULT (stream_open) ? NULL : fopen (path, "re");
  if (file)
    err = read_curve (run, file);
  else
    err = adamix_report_run_blame (run, "%s: cannot be read: %s", path, strerror (errno));
done:
  if (file) fclose (file);
  free (path);
  return err;
}

/* ---- what run.json says ---- */

/* Settings that are no options: what stands elsewhere in run.json. */
static const struct {
  const char *name, *path;
} other_settings[] = { { "model", "model.sha256" }, { "ranks", "ranks" } };

static adamix_err
put_setting (json_t **settings, const char *name, const json_t *value)
{
  char *text;
  ADAMIX_RETURN_IF (adamix_train_option_text (value, &text));
  adamix_json_put (settings, name, json_string (text));
  free (text);
  return ADAMIX_OK;
}

static adamix_err
read_settings (adamix_report_run *run)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  const json_t *config = json_object_get (run->record, "config");
  json_t *settings = json_object ();
  adamix_err err = ADAMIX_OK;
  for (int i = 0; i < count && !err; i++) {
    const char *name = table[i].name;
    if (!adamix_train_option_counts (name) || strcmp (name, "task") == 0 || strcmp (name, "seed") == 0) continue;
    err = put_setting (&settings, name, json_object_get (config, name));
  }
  for (size_t i = 0; i < sizeof other_settings / sizeof *other_settings && !err; i++)
    err = put_setting (&settings, other_settings[i].name, adamix_report_member (run->record, other_settings[i].path));
  run->settings = settings;
  if (!err && !settings) err = adamix_err_set (ADAMIX_ENOMEM, "no memory for the settings of a run");
  return err;
}

static const char *
text_or (const json_t *value, const char *otherwise)
{
  return json_is_string (value) ? json_string_value (value) : otherwise;
}

/* A row of the table, or for own data the file that the results are of. */
static adamix_err
read_task (adamix_report_run *run)
{
  static const char *const splits[] = { "data.test", "data.dev", "data.train" };
  const json_t *data = NULL;
  const char *task = text_or (adamix_report_member (run->record, "config.task"), NULL);
  if (task) {
    ADAMIX_RETURN_IF (adamix_format (&run->basis, "%s", ""));
    return adamix_format (&run->task, "%s", task);
  }
  for (size_t i = 0; i < sizeof splits / sizeof *splits && !data; i++)
    data = adamix_report_member (run->record, splits[i]);
  ADAMIX_RETURN_IF (adamix_format (&run->basis, "%s", text_or (json_object_get (data, "sha256"), "")));
  return adamix_format (&run->task, "%s", text_or (json_object_get (data, "file"), "unknown data"));
}

static adamix_err
read_replicate (adamix_report_run *run)
{
  const json_t *seed = adamix_report_member (run->record, "config.seed");
  return adamix_format (&run->replicate, "%lld %s", (long long) json_integer_value (seed),
                        text_or (adamix_report_member (run->record, "data.train.sha256"), ""));
}

/* The module knows it; without one it is the first that the results have. */
static adamix_err
read_metric (adamix_report_run *run)
{
  static const char *const prefixes[] = { "test_", "eval_" };
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  json_t *config = NULL, *value;
  const char *key;
  ADAMIX_TRY (adamix_path_join (&path, run->path, "merged/adamix_config.json"));
  if (adamix_path_exists (path)) err = adamix_json_load (&config, path);
  if (err == ADAMIX_ENOMEM) goto done;
  err = ADAMIX_OK;
  if (json_is_string (json_object_get (config, "metric")))
    ADAMIX_TRY (adamix_format (&run->metric, "%s", json_string_value (json_object_get (config, "metric"))));
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && !run->metric; i++)
    json_object_foreach (run->results, key,
                         value) if (!run->metric && strncmp (key, prefixes[i], strlen (prefixes[i])) == 0)
        ADAMIX_TRY (adamix_format (&run->metric, "%s", key + strlen (prefixes[i])));
done:
  json_decref (config);
  free (path);
  return err;
}

/* ---- the whole ---- */

static adamix_err
name_run (adamix_report_run *run, const char *path)
{
  ADAMIX_RETURN_IF (adamix_format (&run->path, "%s", path));
  for (size_t n = strlen (run->path); n > 1 && run->path[n - 1] == '/'; n--) run->path[n - 1] = '\0';
  const char *slash = strrchr (run->path, '/');
  return adamix_format (&run->name, "%s", slash && slash[1] ? slash + 1 : run->path);
}

/* How far an unfinished run is. */
static adamix_err
blame_unfinished (adamix_report_run *run)
{
  if (!run->steps) return adamix_report_run_blame (run, "no " FILE_RESULTS ": not finished, and no step was made");
  return adamix_report_run_blame (run, "no " FILE_RESULTS ": not finished, step %.0f is the last one",
                                  run->step[run->steps - 1]);
}

adamix_err
adamix_report_run_read (adamix_report_run *out, const char *path)
{
  *out = (adamix_report_run){ 0 };
  ADAMIX_RETURN_IF (name_run (out, path));
  ADAMIX_RETURN_IF (load_object (out, FILE_RECORD, &out->record));
  if (!out->record && !out->trouble) ADAMIX_RETURN_IF (adamix_report_run_blame (out, "no " FILE_RECORD));
  ADAMIX_RETURN_IF (load_object (out, FILE_RESULTS, &out->results));
  const bool broken = out->trouble;
  ADAMIX_RETURN_IF (load_curve (out));
  if (!out->results && !broken) ADAMIX_RETURN_IF (blame_unfinished (out));
  ADAMIX_RETURN_IF (load_modes (out));
  ADAMIX_RETURN_IF (read_metric (out));
  if (!out->record) return ADAMIX_OK;
  if (!json_is_object (json_object_get (out->record, "config")))
    ADAMIX_RETURN_IF (adamix_report_run_blame (out, "%s/" FILE_RECORD ": \"config\" is missing", out->path));
  ADAMIX_RETURN_IF (read_settings (out));
  ADAMIX_RETURN_IF (read_task (out));
  return read_replicate (out);
}

void
adamix_report_run_destroy (adamix_report_run *run)
{
  json_decref (run->record);
  json_decref (run->results);
  json_decref (run->modes);
  json_decref (run->settings);
  free (run->path);
  free (run->name);
  free (run->metric);
  free (run->trouble);
  free (run->task);
  free (run->basis);
  free (run->replicate);
  free (run->step);
  for (int c = 0; c < ADAMIX_REPORT_CURVES; c++) free (run->curve[c]);
  *run = (adamix_report_run){ 0 };
}
