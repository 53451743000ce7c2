#include "base/fault.h"
#include "sweep/sweep_private.h"

#include <stdlib.h>
#include <string.h>

#define FILE_RUN_RECORD "run.json"
#define FILE_METRICS    "metrics.jsonl"

/* A run that was cut off before its first step has left no record. */
static adamix_err
read_unfinished (const char *folder, adamix_sweep_state *out)
{
  adamix_err err = ADAMIX_OK;
  char *record = NULL;
  adamix_run_state state = { 0 };
  ADAMIX_TRY (adamix_path_join (&record, folder, FILE_RUN_RECORD));
  if (!adamix_path_exists (record)) goto done;
  ADAMIX_TRY (adamix_run_state_read (&state, folder, NULL));
  out->step = state.step;
done:
  adamix_run_state_destroy (&state);
  free (record);
  return err;
}

adamix_err
sweep_state_read (const adamix_sweep_run *run, adamix_sweep_state *out)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  json_t *results = NULL;
  *out = (adamix_sweep_state){ 0 };
  err = adamix_train_config_compare (&run->config, run->options);
  if (err == ADAMIX_EUSAGE)
    return adamix_err_prefix (err, "run %s has other settings than before; give another output, or remove %s",
                              run->name, run->folder);
  ADAMIX_RETURN_IF (err);
  ADAMIX_TRY (adamix_path_join (&path, run->folder, FILE_RESULTS));
  out->finished = adamix_path_exists (path);
  if (out->finished) {
    ADAMIX_TRY (adamix_json_load (&results, path));
    ADAMIX_TRY (adamix_json_integer (results, path, "steps", true, 0, INT64_MAX, &out->step));
  } else {
    ADAMIX_TRY (read_unfinished (run->folder, out));
  }
done:
  json_decref (results);
  free (path);
  return err;
}

/* ---- while it runs ----------------------------------------------------------------------------------------------- */

/* The number behind "KEY": in the last of the lines; -1 if there is none. */
static double
last_number (const char *lines, const char *key)
{
  double value = -1;
  for (const char *at = lines; (at = strstr (at, key)); at += strlen (key)) value = strtod (at + strlen (key), NULL);
  return value;
}

double
sweep_state_share (const adamix_sweep_run *run)
{
  enum { TAIL = 2048 }; /* some lines of metrics.jsonl */
  char tail[TAIL + 1] = "", *path;
  if (adamix_path_join (&path, run->folder, FILE_METRICS)) return 0;
  FILE *file = ADAMIX_FAULT (stream_open) ? NULL : fopen (path, "r");
  free (path);
  if (!file) return 0;
  if (fseek (file, -TAIL, SEEK_END) != 0) rewind (file);
  tail[fread (tail, 1, TAIL, file)] = '\0';
  fclose (file);
  const adamix_train_config *c = &run->config;
  const double share = c->max_steps ? last_number (tail, "\"step\": ") / (double) c->max_steps
                                    : last_number (tail, "\"epoch\": ") / c->epochs;
  return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* ---- all runs ---------------------------------------------------------------------------------------------------- */

adamix_err
adamix_sweep_states (const adamix_sweep *sweep, adamix_sweep_state **out)
{
  adamix_err err = ADAMIX_ALLOC (*out, sweep->runs);
  for (int64_t i = 0; i < sweep->runs && !err; i++) err = sweep_state_read (&sweep->run[i], &(*out)[i]);
  if (err) {
    free (*out);
    *out = NULL;
  }
  return err;
}
