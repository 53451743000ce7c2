#include "base/fault.h"
#include "train/train_private.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the optimizer's tensors: "<name>.exp_avg", "<name>.exp_avg_sq" and "<name>.step" of each row ---- */

typedef struct state_kind {
  const char *ending;
  bool per_row;
} state_kind;

static const state_kind kinds[] = { { "exp_avg", false }, { "exp_avg_sq", false }, { "step", true } };
#define KINDS ((int64_t) (sizeof kinds / sizeof *kinds))

static float *
state_of (const adamix_snapshot *s, int64_t kind, int64_t row)
{
  float *array[KINDS] = { s->first, s->second, s->steps };
  return array[kind] + (kinds[kind].per_row ? row : s->all->params.row[row].offset);
}

static adamix_err
write_optimizer (const adamix_snapshot *s, const char *path)
{
  adamix_err err = ADAMIX_OK;
  const int64_t rows = s->all->params.rows;
  adamix_tensor_source *source = NULL;
  char **name = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (source, rows * KINDS));
  ADAMIX_TRY (ADAMIX_ALLOC (name, rows * KINDS));
  for (int64_t i = 0; i < rows * KINDS; i++) {
    const adamix_param *row = &s->all->params.row[i / KINDS];
    const state_kind *kind = &kinds[i % KINDS];
    ADAMIX_TRY (adamix_format (&name[i], "%s.%s", row->name, kind->ending));
    source[i] = (adamix_tensor_source){ .name = name[i],
                                        .dtype = ADAMIX_DTYPE_F32,
                                        .rank = kind->per_row ? 0 : row->rank,
                                        .shape = { row->shape[0], row->shape[1] },
                                        .data = state_of (s, i % KINDS, i / KINDS) };
  }
  ADAMIX_TRY (adamix_safetensors_write (path, source, rows * KINDS, NULL));
done:
  for (int64_t i = 0; name && i < rows * KINDS; i++) free (name[i]);
  free (name);
  free (source);
  return err;
}

static adamix_err
read_optimizer (adamix_snapshot *s, const char *path)
{
  adamix_err err = ADAMIX_OK;
  char *name = NULL;
  adamix_safetensors file = { 0 };
  ADAMIX_TRY (adamix_safetensors_open (&file, path));
  for (int64_t i = 0; i < s->all->params.rows * KINDS; i++) {
    const adamix_param *row = &s->all->params.row[i / KINDS];
    const state_kind *kind = &kinds[i % KINDS];
    int64_t count = kind->per_row ? 1 : row->count;
    free (name);
    name = NULL;
    ADAMIX_TRY (adamix_format (&name, "%s.%s", row->name, kind->ending));
    const adamix_stored_tensor *tensor = adamix_safetensors_find (&file, name);
    if (!tensor || tensor->count != count)
      ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT, "%s: tensor %s is missing or of another size", path, name));
    ADAMIX_TRY (adamix_dtype_to_f32 (tensor->dtype, tensor->data, count, state_of (s, i % KINDS, i / KINDS)));
  }
done:
  adamix_safetensors_close (&file);
  free (name);
  return err;
}

/* ---- state.json ---- */

#define SEAL "sha256"

/* The seal of a state: the SHA-256 of all its other members. */
static adamix_err
seal_of (const json_t *state, adamix_sha256 *out)
{
  enum { DIGITS = 17 };
  json_t *sealed = json_copy ((json_t *) state);
  json_object_del (sealed, SEAL);
  char *text = json_dumps (sealed, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION (DIGITS));
  json_decref (sealed);
  if (!text) return adamix_err_set (ADAMIX_ENOMEM, "no memory for the seal of a checkpoint");
  adamix_err err = adamix_sha256_memory (out, text, strlen (text));
  free (text);
  return err;
}

/* A module of a checkpoint and its file. */
typedef struct module_file {
  const char *name;
  adamix_module *module; /* NULL: the run has none */
} module_file;

#define MODULE_FILES 4

/* Nothing is the best before its first evaluation. */
static void
list_modules (const adamix_snapshot *s, module_file out[MODULE_FILES])
{
  const bool best = s->best_step > 0;
  const module_file list[MODULE_FILES] = { { FILE_EXPERTS, s->all },
                                           { FILE_BEST, best ? s->best : NULL },
                                           { FILE_EMA, s->ema },
                                           { FILE_BEST_EMA, best ? s->best_ema : NULL } };
  memcpy (out, list, sizeof list);
}

static adamix_err
put_hash (json_t **files, const char *folder, const char *name)
{
  char *path;
  adamix_sha256 hash;
  ADAMIX_RETURN_IF (adamix_path_join (&path, folder, name));
  adamix_err err = adamix_sha256_file (&hash, path);
  free (path);
  ADAMIX_RETURN_IF (err);
  adamix_json_put (files, name, json_string (hash.hex));
  return ADAMIX_OK;
}

/* Names and SHA-256 of the files beside state.json, as a new object. */
static adamix_err
hash_files (json_t **out, const char *folder, const adamix_snapshot *s)
{
  module_file list[MODULE_FILES];
  list_modules (s, list);
  *out = json_object ();
  for (int i = 0; i < MODULE_FILES; i++)
    if (list[i].module) ADAMIX_RETURN_IF (put_hash (out, folder, list[i].name));
  ADAMIX_RETURN_IF (put_hash (out, folder, FILE_OPTIMIZER));
  return *out ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "%s: no memory for the names of its files", folder);
}

/* Write the modules to a folder, or read them. */
static adamix_err
move_modules (const adamix_snapshot *s, const char *folder, bool read)
{
  module_file list[MODULE_FILES];
  list_modules (s, list);
  for (int i = 0; i < MODULE_FILES; i++) {
    char *path;
    if (!list[i].module) continue;
    ADAMIX_RETURN_IF (adamix_path_join (&path, folder, list[i].name));
    adamix_err err = read ? adamix_module_read (list[i].module, path) : adamix_module_write (list[i].module, path);
    free (path);
    ADAMIX_RETURN_IF (err);
  }
  return ADAMIX_OK;
}

/* Steals `files`. */
static adamix_err
write_state (const adamix_snapshot *s, const char *path, const json_t *config, json_t *files)
{
  adamix_sha256 seal;
  json_t *json = json_pack ("{s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:O}", "step", (json_int_t) s->step,
                            "train_seconds", adamix_json_number (s->train_seconds), "train_flops",
                            adamix_json_number (s->flops), "loss_sum", adamix_json_number (s->loss_sum), "loss_steps",
                            (json_int_t) s->loss_steps, "timed_tokens", (json_int_t) s->timed_tokens, "timed_examples",
                            (json_int_t) s->timed_examples, "best_step", (json_int_t) s->best_step, "best_value",
                            adamix_json_number (s->best_value), "files", files, "config", (json_t *) config);
  if (!json) return adamix_err_set (ADAMIX_ENOMEM, "%s: no memory for the state", path);
  adamix_err err = seal_of (json, &seal);
  if (!err) adamix_json_put (&json, SEAL, json_string (seal.hex));
  if (!err) err = adamix_json_store (json, path, false);
  json_decref (json);
  return err;
}

static adamix_err
check_config (const json_t *stored, const json_t *config, const char *path)
{
  const char *key;
  json_t *value;
  json_object_foreach ((json_t *) config, key, value)
  {
    if (json_equal (json_object_get (stored, key), value)) continue;
    return adamix_err_set (
        ADAMIX_EUSAGE, "--resume: --%s is not what %s was made with; give the same options, or --force to start anew",
        key, path);
  }
  return ADAMIX_OK;
}

static adamix_err
check_seal (const json_t *state, const char *path)
{
  adamix_sha256 seal;
  const char *stored = json_string_value (json_object_get (state, SEAL));
  ADAMIX_RETURN_IF (seal_of (state, &seal));
  if (stored && strcmp (stored, seal.hex) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s is damaged: its contents do not match their SHA-256", path);
}

/* *out is a new reference to what state.json holds, whole and made with the options of `config`. */
static adamix_err
load_state (json_t **out, const char *path, const json_t *config)
{
  ADAMIX_RETURN_IF (adamix_json_load (out, path));
  ADAMIX_RETURN_IF (check_seal (*out, path));
  return check_config (json_object_get (*out, "config"), config, path);
}

static adamix_err
read_state (adamix_snapshot *s, const char *path, const json_t *config)
{
  adamix_err err = ADAMIX_OK;
  json_t *json = NULL;
  ADAMIX_TRY (load_state (&json, path, config));
  const struct {
    const char *key;
    int64_t *to;
  } integers[] = { { "step", &s->step },
                   { "loss_steps", &s->loss_steps },
                   { "timed_tokens", &s->timed_tokens },
                   { "timed_examples", &s->timed_examples },
                   { "best_step", &s->best_step } };
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
    ADAMIX_TRY (adamix_json_integer (json, path, integers[i].key, true, 0, INT64_MAX, integers[i].to));
  ADAMIX_TRY (adamix_json_real (json, path, "train_seconds", true, &s->train_seconds));
  ADAMIX_TRY (adamix_json_real (json, path, "loss_sum", true, &s->loss_sum));
  s->flops = NAN;
  ADAMIX_TRY (adamix_json_real (json, path, "train_flops", false, &s->flops));
  ADAMIX_TRY (adamix_json_real (json, path, "best_value", true, &s->best_value));
done:
  json_decref (json);
  return err;
}

/* ---- folders ---- */

static adamix_err
folder_of (char **out, const char *run, int64_t step)
{
  return adamix_format (out, "%s/" FOLDER_CHECKPOINTS "/step-%lld", run, (long long) step);
}

static int
newest_first (const void *a, const void *b)
{
  int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
  return (x < y) - (x > y);
}

/* Steps of the checkpoints in RUN, newest first; *out is owned (free). */
static adamix_err
list_steps (const char *run, int64_t **out, int64_t *count)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  int64_t capacity = 0;
  DIR *folder = NULL;
  *out = NULL;
  *count = 0;
  ADAMIX_TRY (adamix_path_join (&path, run, FOLDER_CHECKPOINTS));
  folder = ADAMIX_FAULT (directory_read) ? NULL : opendir (path);
  if (!folder && errno != ENOENT)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "cannot list %s: %s", path, strerror (errno)));
  for (struct dirent *entry; folder && (entry = readdir (folder));) {
    long long found;
    int end = 0;
    if (sscanf (entry->d_name, "step-%lld%n", &found, &end) != 1 || entry->d_name[end] || found < 1) continue;
    ADAMIX_TRY (ADAMIX_GROW (*out, &capacity, *count + 1));
    (*out)[(*count)++] = found;
  }
  if (*count) qsort (*out, (size_t) *count, sizeof **out, newest_first);
done:
  if (folder) closedir (folder);
  free (path);
  return err;
}

/* Keep the newest ones up to `written`.  What lies beyond it a run has left that went on from an earlier step. */
static adamix_err
prune (const char *run, int64_t written, int64_t keep)
{
  adamix_err err = ADAMIX_OK;
  int64_t count, *step = NULL;
  char *path = NULL;
  ADAMIX_TRY (list_steps (run, &step, &count));
  int64_t first = 0;
  while (first < count && step[first] > written) first++;
  for (int64_t i = 0; i < count; i++) {
    if (i >= first && i < first + keep) continue;
    free (path);
    path = NULL;
    ADAMIX_TRY (folder_of (&path, run, step[i]));
    ADAMIX_TRY (adamix_directory_remove (path));
  }
done:
  free (path);
  free (step);
  return err;
}

adamix_err
adamix_checkpoint_write (const char *run, const adamix_snapshot *snapshot, const json_t *config, int64_t keep)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *temporary = NULL, *optimizer = NULL, *state = NULL;
  json_t *files = NULL;
  ADAMIX_TRY (folder_of (&folder, run, snapshot->step));
  ADAMIX_TRY (adamix_format (&temporary, "%s.tmp", folder));
  ADAMIX_TRY (adamix_directory_remove (temporary));
  ADAMIX_TRY (adamix_directory_make (temporary));
  ADAMIX_TRY (adamix_path_join (&optimizer, temporary, FILE_OPTIMIZER));
  ADAMIX_TRY (adamix_path_join (&state, temporary, FILE_STATE));
  ADAMIX_TRY (move_modules (snapshot, temporary, false));
  ADAMIX_TRY (write_optimizer (snapshot, optimizer));
  ADAMIX_TRY (hash_files (&files, temporary, snapshot));
  ADAMIX_TRY (write_state (snapshot, state, config, json_incref (files)));
  ADAMIX_TRY (adamix_directory_remove (folder));
  if (ADAMIX_FAULT (file_rename) || rename (temporary, folder) != 0)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EIO, "cannot rename %s to %s: %s", temporary, folder, strerror (errno)));
  ADAMIX_TRY (prune (run, snapshot->step, keep));
done:
  if (err && temporary) {
    /* The first failure is what the user must read, not that of the clean-up. */
    char *message = strdup (adamix_err_message ());
    adamix_directory_remove (temporary);
    if (message) adamix_err_set (err, "%s", message);
    free (message);
  }
  json_decref (files);
  free (state);
  free (optimizer);
  free (temporary);
  free (folder);
  return err;
}

adamix_err
adamix_checkpoint_newest (const char *run, int64_t *step)
{
  int64_t count, *steps = NULL;
  adamix_err err = list_steps (run, &steps, &count);
  *step = !err && count ? steps[0] : 0;
  free (steps);
  return err;
}

static adamix_err
check_files (const json_t *files, const char *folder)
{
  const char *name;
  json_t *stored;
  json_object_foreach ((json_t *) files, name, stored)
  {
    char *path;
    adamix_sha256 hash;
    ADAMIX_RETURN_IF (adamix_path_join (&path, folder, name));
    adamix_err err = adamix_sha256_file (&hash, path);
    if (!err && strcmp (hash.hex, json_string_value (stored)) != 0)
      err = adamix_err_set (ADAMIX_EFORMAT, "%s is damaged: its SHA-256 is not the one of " FILE_STATE, path);
    free (path);
    ADAMIX_RETURN_IF (err);
  }
  return ADAMIX_OK;
}

adamix_err
adamix_checkpoint_check (const char *run, int64_t step, const json_t *config)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *path = NULL;
  json_t *json = NULL;
  ADAMIX_TRY (folder_of (&folder, run, step));
  ADAMIX_TRY (adamix_path_join (&path, folder, FILE_STATE));
  ADAMIX_TRY (load_state (&json, path, config));
  ADAMIX_TRY (check_files (json_object_get (json, "files"), folder));
done:
  json_decref (json);
  free (path);
  free (folder);
  return err;
}

adamix_err
adamix_checkpoint_choose (const char *run, const json_t *config, adamix_log *log, int64_t *step)
{
  int64_t count, *steps;
  adamix_err err = list_steps (run, &steps, &count);
  *step = 0;
  for (int64_t i = 0; !err && i < count; i++) {
    err = adamix_checkpoint_check (run, steps[i], config);
    if (!err) {
      *step = steps[i];
      break;
    }
    /* Only what is wrong with the files speaks against them. */
    if ((err != ADAMIX_EFORMAT && err != ADAMIX_EIO) || i == count - 1) break;
    adamix_log_warn (log, "the checkpoint of step %lld cannot be used, the one before it is tried: %s",
                     (long long) steps[i], adamix_err_message ());
    err = ADAMIX_OK;
  }
  free (steps);
  if (err && err != ADAMIX_EUSAGE)
    return adamix_err_prefix (err, "--resume: no checkpoint of %s can be used; --force starts anew", run);
  return err;
}

adamix_err
adamix_run_state_read (adamix_run_state *out, const char *run, adamix_log *log)
{
  adamix_err err = ADAMIX_OK;
  char *results = NULL;
  *out = (adamix_run_state){ 0 };
  ADAMIX_TRY (adamix_path_join (&results, run, FILE_RESULTS));
  out->finished = adamix_path_exists (results);
  if (adamix_checkpoint_choose (run, NULL, log, &out->step)) adamix_log_warn (log, "%s", adamix_err_message ());
  if (out->step) ADAMIX_TRY (folder_of (&out->checkpoint, run, out->step));
done:
  free (results);
  return err;
}

void
adamix_run_state_destroy (adamix_run_state *state)
{
  if (!state) return;
  free (state->checkpoint);
  *state = (adamix_run_state){ 0 };
}

adamix_err
adamix_checkpoint_read (const char *run, int64_t step, adamix_snapshot *snapshot, const json_t *config)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *optimizer = NULL, *state = NULL;
  ADAMIX_TRY (folder_of (&folder, run, step));
  ADAMIX_TRY (adamix_path_join (&optimizer, folder, FILE_OPTIMIZER));
  ADAMIX_TRY (adamix_path_join (&state, folder, FILE_STATE));
  ADAMIX_TRY (read_state (snapshot, state, config));
  ADAMIX_TRY (move_modules (snapshot, folder, true));
  ADAMIX_TRY (read_optimizer (snapshot, optimizer));
done:
  free (state);
  free (optimizer);
  free (folder);
  return err;
}
