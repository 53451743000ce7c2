#include "base/fault.h"
#include "train/train_private.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* Options that change neither the numbers nor the order in which they come. */
static const char *const free_options[] = { "model",      "data",   "output",     "train-file", "dev-file",
                                            "test-file",  "resume", "force",      "threads",    "activation-memory",
                                            "log-every",  "keep",   "save-every", "config",     "recipe",
                                            "tensorboard" };

bool
adamix_train_option_counts (const char *name)
{
  bool counts = true;
  for (size_t i = 0; i < sizeof free_options / sizeof *free_options; i++)
    counts = counts && strcmp (free_options[i], name) != 0;
  return counts;
}

json_t *
adamix_record_fixed_options (const adamix_options *options)
{
  json_t *json = adamix_options_json (options);
  for (size_t i = 0; i < sizeof free_options / sizeof *free_options; i++) json_object_del (json, free_options[i]);
  return json;
}

/* ---- run.json ---- */

/* "model name" of the first processor in /proc/cpuinfo; "unknown" elsewhere. */
static json_t *
cpu_json (void)
{
  char line[256], name[256] = "unknown";
  FILE *file = ADAMIX_FAULT (stream_open) ? NULL : fopen ("/proc/cpuinfo", "r");
  while (file && fgets (line, sizeof line, file))
    if (sscanf (line, "model name : %255[^\n]", name) == 1) break;
  if (file) fclose (file);
  return json_pack ("{s:s, s:I}", "name", name, "cores", (json_int_t) sysconf (_SC_NPROCESSORS_ONLN));
}

static json_t *
mpi_json (const adamix_comm *world)
{
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = "none: one process without a launcher";
  int length;
  if (world->handle != MPI_COMM_NULL) MPI_Get_library_version (version, &length);
  version[strcspn (version, ",\n")] = 0;
  return json_string (version);
}

static json_t *
dataset_json (const adamix_dataset *dataset)
{
  if (!dataset->examples) return json_null ();
  const char *name = strrchr (dataset->path, '/');
  return json_pack ("{s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "file", name ? name + 1 : dataset->path, "sha256",
                    dataset->hash.hex, "examples", (json_int_t) dataset->examples, "tokens",
                    (json_int_t) dataset->offset[dataset->examples], "truncated", (json_int_t) dataset->truncated,
                    "empty", (json_int_t) dataset->empty, "substitute", dataset->substitute);
}

/* A file that prescribes something; null without one. */
static json_t *
prescribed_json (const char *path, const adamix_sha256 *hash)
{
  if (!path) return json_null ();
  const char *name = strrchr (path, '/');
  return json_pack ("{s:s, s:s}", "file", name ? name + 1 : path, "sha256", hash->hex);
}

static json_t *
data_json (const adamix_dataset *data)
{
  json_t *json = json_object ();
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++)
    adamix_json_put (&json, adamix_split_of (split)->name, dataset_json (&data[split]));
  return json;
}

static json_t *
model_json (const adamix_model *model, const char *hash)
{
  const adamix_model_config *c = adamix_model_config_of (model);
  return json_pack ("{s:s, s:s, s:I, s:I, s:I}", "architecture", c->architecture, "sha256", hash, "hidden_size",
                    (json_int_t) c->hidden, "num_hidden_layers", (json_int_t) c->layers, "parameters",
                    (json_int_t) adamix_model_parameters (model));
}

/* What the bits of a run depend on beside its options: members of run.json, in an object of it or at its top. */
static const struct {
  const char *object, *key, *what;
} circumstances[] = { { NULL, "revision", "revision" },
                      { "kernels", "isa", "kernels" },
                      { "kernels", "gemm", "GEMM" },
                      { NULL, "ranks", "number of ranks" } };

/* With ordered sums and one group of ranks their number does not show. */
static bool
ranks_show (const adamix_record *r)
{
  return !r->args->config->reproducible || r->placement->groups > 1;
}

/* A run that goes on under other circumstances than it began with is right, but has other bits. */
static void
warn_changes (const adamix_record *r, const char *path, const json_t *now)
{
  json_t *before;
  if (adamix_json_load (&before, path) != ADAMIX_OK) return;
  for (size_t i = 0; i < sizeof circumstances / sizeof *circumstances; i++) {
    const char *object = circumstances[i].object, *key = circumstances[i].key;
    const json_t *old = json_object_get (object ? json_object_get (before, object) : before, key);
    const json_t *new = json_object_get (object ? json_object_get (now, object) : now, key);
    if (!old || json_equal (old, new) || (strcmp (key, "ranks") == 0 && !ranks_show (r))) continue;
    char *was = json_dumps (old, JSON_ENCODE_ANY), *is = json_dumps (new, JSON_ENCODE_ANY);
    if (was && is)
      adamix_log_warn (r->args->log,
                       "--resume: the %s is %s now and was %s: the numbers will not be those of an "
                       "uninterrupted run to the last bit",
                       circumstances[i].what, is, was);
    free (was);
    free (is);
  }
  json_decref (before);
}

/* What the options left to the method or the machine stands there as it was used. */
static json_t *
config_json (const adamix_train_args *args)
{
  json_t *json = adamix_options_json (args->options);
  adamix_json_put (&json, "lr", json_real (args->config->lr));
  adamix_json_put (&json, "share", json_string (adamix_share_name ((adamix_share) args->config->share)));
  adamix_json_put (&json, "route", json_string (args->config->route));
  adamix_json_put (&json, "merge", json_string (args->config->merge));
  adamix_json_put (&json, "experts", json_integer (args->config->experts));
  adamix_json_put (&json, "experts-per-rank", json_integer (args->config->experts_per_rank));
  adamix_json_put (&json, "threads", json_integer (args->threads));
  adamix_json_put (&json, "hold-out", json_boolean (args->config->hold_out));
  return json;
}

adamix_err
adamix_record_write (const adamix_record *r)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  const char *hash;
  ADAMIX_RETURN_IF (adamix_model_hash (r->model, &hash));
  json_t *json = json_pack (
      "{s:s, s:s, s:o, s:o, s:{s:s, s:s, s:s}, s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "version", adamix_version (),
      "revision", adamix_revision (), "config", config_json (r->args), "cpu", cpu_json (), "kernels", "isa",
      r->compute->kernels->isa, "gemm", adamix_gemm_name (r->compute->gemm), "precision",
      adamix_gemm_precision (r->compute->frozen), "mpi", mpi_json (r->args->world), "ranks", r->args->world->size,
      "groups", r->placement->groups, "threads", r->args->threads, "model", model_json (r->model, hash), "data",
      data_json (r->data), "order", prescribed_json (r->args->config->order_file, r->order), "routes",
      prescribed_json (r->args->config->routes_file, r->routes));
  if (!json) ADAMIX_TRY (adamix_err_set (ADAMIX_ENOMEM, "no memory for the record of the run"));
  ADAMIX_TRY (adamix_path_join (&path, r->args->config->output, FILE_RUN_RECORD));
  if (r->resumed) warn_changes (r, path, json);
  ADAMIX_TRY (adamix_json_store (json, path, false));
done:
  free (path);
  json_decref (json);
  return err;
}

/* ---- the options of a run that was made before ---- */

/* Options that say how a process works, not what the run is; and those of its merge, which may be made in other ways. */
static const char *const own_options[] = { "threads", "precision", "gemm",         "kernels",    "activation-memory",
                                           "resume",  "force",     "reproducible", "order-file", "routes-file" };

static bool
is_recalled (const char *name)
{
  bool recalled = strncmp (name, "merge", strlen ("merge")) != 0;
  for (size_t i = 0; i < sizeof own_options / sizeof *own_options; i++)
    recalled = recalled && strcmp (name, own_options[i]) != 0;
  return recalled;
}

adamix_err
adamix_train_option_text (const json_t *value, char **out)
{
  char number[ADAMIX_NUMBER_TEXT];
  if (json_is_string (value)) return adamix_format (out, "%s", json_string_value (value));
  if (json_is_integer (value)) return adamix_format (out, "%lld", (long long) json_integer_value (value));
  if (json_is_real (value)) {
    adamix_number_text (number, json_real_value (value));
    return adamix_format (out, "%s", number);
  }
  return adamix_format (out, "%s", json_is_boolean (value) ? json_is_true (value) ? "true" : "false" : "");
}

adamix_err
adamix_train_config_recall (adamix_options *options, const char *run)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL, *text = NULL;
  json_t *record = NULL, *value;
  const char *name;
  ADAMIX_TRY (adamix_path_join (&path, run, FILE_RUN_RECORD));
  ADAMIX_TRY (adamix_json_load (&record, path));
  json_object_foreach (json_object_get (record, "config"), name, value)
  {
    if (!is_recalled (name) || json_is_null (value)) continue;
    free (text);
    text = NULL;
    ADAMIX_TRY (adamix_train_option_text (value, &text));
    /* What nobody gave then is not given now: some options may not stand beside others.  The default of share is the
     * method's, so that the table's may well have been given. */
    const char *fallback = adamix_options_value (options, name);
    if (fallback && strcmp (fallback, text) == 0 && strcmp (name, "share") != 0) continue;
    err = adamix_options_set (options, name, text, ADAMIX_SOURCE_FILE);
    if (err) {
      adamix_err_prefix (err, "%s", path);
      goto done;
    }
  }
done:
  json_decref (record);
  free (text);
  free (path);
  return err;
}

/* What changes the numbers, as it is used. */
static json_t *
fixed_json (const adamix_train_args *args)
{
  json_t *json = config_json (args);
  for (size_t i = 0; i < sizeof free_options / sizeof *free_options; i++) json_object_del (json, free_options[i]);
  return json;
}

static adamix_err
compare_options (const json_t *stored, const json_t *now, const char *path)
{
  const char *name;
  json_t *value;
  json_object_foreach ((json_t *) now, name, value)
  {
    const json_t *before = json_object_get (stored, name);
    if (!before || json_equal (before, value)) continue;
    char *was = json_dumps (before, JSON_ENCODE_ANY), *is = json_dumps (value, JSON_ENCODE_ANY);
    adamix_err_set (ADAMIX_EUSAGE, "--%s is %s now, but %s was made with %s", name, is ? is : "another", path,
                    was ? was : "another");
    free (was);
    free (is);
    return ADAMIX_EUSAGE;
  }
  return ADAMIX_OK;
}

/* Options that name what a run reads: paths may change, what is read there may not. */
static const struct {
  const char *option;
  adamix_split split;
} own_files[] = { { "train-file", ADAMIX_SPLIT_TRAIN },
                  { "dev-file", ADAMIX_SPLIT_DEV },
                  { "test-file", ADAMIX_SPLIT_TEST } };

static bool
is_same (const char *a, const char *b)
{
  return a == b || (a && b && strcmp (a, b) == 0);
}

/* The option names something else than what the run of `path` was made with. */
static adamix_err
report_source (const char *option, const char *now, const char *before, const char *path)
{
  return adamix_err_set (ADAMIX_EUSAGE, "--%s is %s now, but %s was made with %s%s", option, now ? now : "not given",
                         path, before ? before : "none", now && before ? ", which holds something else" : "");
}

static adamix_err
compare_model (const json_t *record, const char *now, const char *path)
{
  adamix_sha256 hash;
  const char *before = json_string_value (json_object_get (json_object_get (record, "config"), "model"));
  const char *recorded = json_string_value (json_object_get (json_object_get (record, "model"), "sha256"));
  if (!recorded || is_same (before, now)) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_model_hash_folder (now, &hash));
  return strcmp (hash.hex, recorded) == 0 ? ADAMIX_OK : report_source ("model", now, before, path);
}

/* Of one split: row `row` of own_files names its file, or else there is one of the task below --data. */
static adamix_err
compare_split (const json_t *record, const adamix_train_config *config, const adamix_options *options, size_t row,
               const char *path)
{
  adamix_err err = ADAMIX_OK;
  char *file = NULL;
  adamix_sha256 hash;
  const json_t *then = json_object_get (record, "config");
  const json_t *data = json_object_get (json_object_get (record, "data"), adamix_split_of (own_files[row].split)->name);
  const char *recorded = json_string_value (json_object_get (data, "sha256"));
  const char *option = own_files[row].option, *now = adamix_options_value (options, option);
  const char *before = json_string_value (json_object_get (then, option));
  const bool of_task = !now;
  if (of_task != !before) return report_source (option, now, before, path);
  if (of_task) {
    option = "data";
    now = config->data;
    before = json_string_value (json_object_get (then, option));
  }
  if (!recorded || is_same (now, before)) return ADAMIX_OK;
  if (of_task)
    ADAMIX_TRY (adamix_task_path (adamix_task_find (config->task), now, own_files[row].split, &file));
  else
    ADAMIX_TRY (adamix_format (&file, "%s", now));
  if (!file) goto done; /* what a held out part of the training file stood for */
  ADAMIX_TRY (adamix_sha256_file (&hash, file));
  if (strcmp (hash.hex, recorded) != 0) ADAMIX_TRY (report_source (option, now, before, path));
done:
  free (file);
  return err;
}

adamix_err
adamix_train_config_compare (const adamix_train_config *config, const adamix_options *options)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  json_t *record = NULL, *now = NULL;
  const adamix_train_args args = { .config = config, .options = options };
  ADAMIX_TRY (adamix_path_join (&path, config->output, FILE_RUN_RECORD));
  if (!adamix_path_exists (path)) goto done;
  ADAMIX_TRY (adamix_json_load (&record, path));
  now = fixed_json (&args);
  if (!now) ADAMIX_TRY (adamix_err_set (ADAMIX_ENOMEM, "no memory for the options of a run"));
  ADAMIX_TRY (compare_options (json_object_get (record, "config"), now, path));
  ADAMIX_TRY (compare_model (record, config->model, path));
  for (size_t row = 0; row < sizeof own_files / sizeof *own_files; row++)
    ADAMIX_TRY (compare_split (record, config, options, row, path));
done:
  json_decref (now);
  json_decref (record);
  free (path);
  return err;
}

/* ---- metrics.jsonl ---- */

/* Bytes of the lines whose step is at most `step`; -1 if the file cannot be read. */
static off_t
bytes_up_to (FILE *file, int64_t step)
{
  char *line = NULL;
  size_t capacity = 0;
  off_t keep = 0;
  long long found;
  ssize_t n;
  for (; (n = ADAMIX_FAULT (stream_read) ? -1 : getline (&line, &capacity, file)) > 0; keep += n)
    if (sscanf (line, "{\"step\": %lld", &found) != 1 || found > step || line[n - 1] != '\n') break;
  const bool failed = n < 0 && !feof (file);
  free (line);
  return failed ? -1 : keep;
}

adamix_err
adamix_metrics_open (FILE **out, const char *run, int64_t step)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (adamix_path_join (&path, run, FILE_METRICS));
  FILE *file = ADAMIX_FAULT (stream_open) ? NULL : fopen (path, step > 0 ? "r+" : "w+");
  if (!file && step > 0 && errno == ENOENT) file = fopen (path, "w+");
  if (!file) ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "cannot write %s: %s", path, strerror (errno)));
  off_t keep = bytes_up_to (file, step);
  if (keep < 0 || ftruncate (fileno (file), keep) != 0 || fseeko (file, keep, SEEK_SET) != 0) {
    err = adamix_err_set (ADAMIX_EIO, "cannot cut %s behind step %lld: %s", path, (long long) step, strerror (errno));
    fclose (file);
    goto done;
  }
  *out = file;
done:
  free (path);
  return err;
}

/* ---- the folder of a run ---- */

#define WRITE_TEST ".write-test"

/* What a run leaves in its folder, in the order in which --force removes it.  The mark of a finished run goes first and the
 * record last: what is left by a crash midway is an unfinished run, which the next --force removes. */
static const struct {
  const char *name;
  bool folder;
} leavings[] = { { FILE_RESULTS, false },   { FOLDER_CHECKPOINTS, true }, { FOLDER_EXPERTS, true },
                 { FOLDER_MERGED, true },   { FOLDER_TENSORBOARD, true }, { FILE_METRICS, false },
                 { FILE_RUN_RECORD, false } };
#define LEAVINGS (sizeof leavings / sizeof *leavings)

static adamix_err
remove_run (const char *run)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  for (size_t i = 0; i < LEAVINGS; i++) {
    ADAMIX_TRY (adamix_path_join (&path, run, leavings[i].name));
    if (leavings[i].folder)
      ADAMIX_TRY (adamix_directory_remove (path));
    else if (unlink (path) != 0 && errno != ENOENT)
      ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "--force: cannot remove %s: %s", path, strerror (errno)));
    free (path);
    path = NULL;
  }
done:
  free (path);
  return err;
}

/* "NAME.PID.tmp" or "step-N.tmp" */
static bool
is_temporary (const char *name)
{
  static const char digits[] = "0123456789";
  const char *ending = strrchr (name, '.');
  if (!ending || strcmp (ending, ".tmp") != 0) return false;
  const char *number = ending;
  while (number > name && strchr (digits, number[-1])) number--;
  return number < ending && number > name && (number[-1] == '.' || number[-1] == '-');
}

/* In the folder of the run itself others may write as well. */
static bool
is_of_run (const char *name)
{
  bool found = strncmp (name, WRITE_TEST, strlen (WRITE_TEST)) == 0;
  for (size_t i = 0; i < LEAVINGS && !found; i++)
    found = !leavings[i].folder && strncmp (name, leavings[i].name, strlen (leavings[i].name)) == 0;
  return found;
}

/* What a process that was killed did not come to rename. */
static adamix_err
remove_temporaries (const char *run, const char *sub)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *path = NULL;
  DIR *list = NULL;
  ADAMIX_TRY (adamix_path_join (&folder, run, sub));
  list = ADAMIX_FAULT (directory_read) ? NULL : opendir (folder);
  if (!list && errno != ENOENT)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "cannot list %s: %s", folder, strerror (errno)));
  for (struct dirent *entry; list && (entry = readdir (list));) {
    if (!is_temporary (entry->d_name) || (!*sub && !is_of_run (entry->d_name))) continue;
    free (path);
    path = NULL;
    ADAMIX_TRY (adamix_path_join (&path, folder, entry->d_name));
    if (adamix_path_is_directory (path))
      ADAMIX_TRY (adamix_directory_remove (path));
    else
      unlink (path);
  }
done:
  if (list) closedir (list);
  free (path);
  free (folder);
  return err;
}

/* A run that cannot store its result should say so before it trains. */
static adamix_err
try_write (const char *run)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (adamix_path_join (&path, run, WRITE_TEST));
  err = adamix_file_write (path, "", 0);
  if (err)
    adamix_err_prefix (err, "--output %s is not writable", run);
  else
    unlink (path);
done:
  free (path);
  return err;
}

adamix_err
adamix_run_folder_prepare (const adamix_train_config *config, bool *finished, int *lock)
{
  adamix_err err = ADAMIX_OK;
  const char *run = config->output;
  char *record = NULL, *results = NULL, *guard = NULL;
  ADAMIX_TRY (adamix_path_join (&record, run, FILE_RUN_RECORD));
  ADAMIX_TRY (adamix_path_join (&results, run, FILE_RESULTS));
  const bool had_results = adamix_path_exists (results);
  *finished = had_results;
  bool started = adamix_path_exists (record);
  if (adamix_path_exists (run) && !adamix_path_is_directory (run))
    ADAMIX_TRY (adamix_err_set (ADAMIX_EEXIST, "--output %s exists and is not a folder; give another", run));
  if (config->resume && *finished) goto done;
  if ((*finished || started) && !config->resume && !config->force)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EEXIST,
                                "--output %s already holds a %s run; give another folder, %s--force to replace it", run,
                                *finished ? "finished" : "started", *finished ? "or " : "--resume to go on or "));
  *finished = false;
  ADAMIX_TRY (adamix_directory_make (run));
  ADAMIX_TRY (try_write (run));
  ADAMIX_TRY (adamix_path_join (&guard, run, FILE_LOCK));
  err = adamix_lock_take (lock, guard);
  if (err) {
    adamix_err_prefix (err, "--output %s: another training is at work there; wait for its end or give another folder",
                       run);
    goto done;
  }
  if (config->force && (had_results || started)) ADAMIX_TRY (remove_run (run));
  ADAMIX_TRY (remove_temporaries (run, ""));
  for (size_t i = 0; i < LEAVINGS; i++)
    if (leavings[i].folder) ADAMIX_TRY (remove_temporaries (run, leavings[i].name));
done:
  free (guard);
  free (results);
  free (record);
  return err;
}
