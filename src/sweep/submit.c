#include "base/fault.h"
#include "sweep/sweep_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SCRIPT "sweep.sbatch"

/* Runs that an array can have by the default of Slurm's MaxArraySize, which counts from 0. */
#define USUAL_ARRAY 1000

/* ---- text that grows --------------------------------------------------------------------------------------------- */

typedef struct text {
  char *data; /* owned; ends with '\0' */
  int64_t length, capacity;
} text;

static adamix_err
add (text *out, const char *piece, size_t size)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (out->data, &out->capacity, out->length + (int64_t) size + 1));
  memcpy (out->data + out->length, piece, size);
  out->length += (int64_t) size;
  out->data[out->length] = '\0';
  return ADAMIX_OK;
}

/* A word, quoted where a shell or xargs would not take it as it is, and the blank ahead of it. */
static adamix_err
add_word (text *out, const char *word)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=,-/:%@";
  if (out->length && out->data[out->length - 1] != '\n') ADAMIX_RETURN_IF (add (out, " ", 1));
  if (*word && !word[strspn (word, plain)]) return add (out, word, strlen (word));
  ADAMIX_RETURN_IF (add (out, "'", 1));
  for (const char *at = word; *at; at++) ADAMIX_RETURN_IF (*at == '\'' ? add (out, "'\\''", 4) : add (out, at, 1));
  return add (out, "'", 1);
}

static adamix_err
add_words (text *out, const char *const *word, int count)
{
  for (int i = 0; i < count; i++) ADAMIX_RETURN_IF (add_word (out, word[i]));
  return ADAMIX_OK;
}

/* ---- the lines of the array -------------------------------------------------------------------------------------- */

/* A line for each run that is not finished: arrays have an upper bound, whatever was made before. */
static adamix_err
write_lines (const adamix_sweep *sweep, const adamix_sweep_state *state, text *out, int64_t *tasks)
{
  *tasks = 0;
  for (int64_t i = 0; i < sweep->runs; i++) {
    char **word;
    if (state[i].finished) continue;
    ADAMIX_RETURN_IF (adamix_sweep_command (&sweep->run[i], &word));
    adamix_err err = ADAMIX_OK;
    for (int w = 0; word[w] && !err; w++) err = add_word (out, word[w]);
    free (word);
    ADAMIX_RETURN_IF (err);
    ADAMIX_RETURN_IF (add (out, "\n", 1));
    ++*tasks;
  }
  return ADAMIX_OK;
}

/* Tasks that wait read their line when they start, so other lines are another file. */
static adamix_err
name_lines (const adamix_sweep *sweep, const text *lines, char **path)
{
  enum { DIGITS = 12 };
  adamix_sha256 hash;
  ADAMIX_RETURN_IF (adamix_sha256_memory (&hash, lines->data, (size_t) lines->length));
  const char *folder = sweep->config.output;
  return adamix_format (path, "%s%slines-%.*s", folder, folder[strlen (folder) - 1] == '/' ? "" : "/", DIGITS,
                        hash.hex);
}

/* ---- the commands ------------------------------------------------------------------------------------------------ */

static adamix_err
compose_array (const adamix_sweep *sweep, const adamix_sweep_cluster *c, const char *script, adamix_sweep_jobs *out)
{
  adamix_err err = ADAMIX_OK;
  text command = { 0 };
  char *list = NULL, *log = NULL, ranks[40], most[40] = "";
  if (c->jobs) snprintf (most, sizeof most, "%%%lld", (long long) c->jobs);
  snprintf (ranks, sizeof ranks, "--ntasks=%lld", (long long) sweep->config.ranks);
  ADAMIX_TRY (adamix_format (&list, "--array=1-%lld%s", (long long) out->tasks, most));
  ADAMIX_TRY (adamix_format (&log, "--output=%s/slurm-%%A_%%a.out", sweep->config.output));
  const char *const first[] = { "sbatch", "--parsable", "--job-name=adamix-sweep", list, log, ranks };
  const char *const last[] = { script, out->lines };
  ADAMIX_TRY (add_words (&command, first, sizeof first / sizeof *first));
  ADAMIX_TRY (add_words (&command, c->option, c->options));
  ADAMIX_TRY (add_words (&command, last, sizeof last / sizeof *last));
  out->array = command.data;
  command.data = NULL;
done:
  free (command.data);
  free (log);
  free (list);
  return err;
}

/* Options for the array, then those of one process: the later ones hold. */
static adamix_err
compose_report (const adamix_sweep *sweep, const adamix_sweep_cluster *c, const char *job, const char *script,
                adamix_sweep_jobs *out)
{
  adamix_err err = ADAMIX_OK;
  text command = { 0 };
  char *after = NULL, *log = NULL;
  ADAMIX_TRY (adamix_format (&after, "--dependency=afterany:%s", job));
  ADAMIX_TRY (adamix_format (&log, "--output=%s/slurm-%%j.out", sweep->config.output));
  const char *const first[] = { "sbatch", "--parsable" };
  const char *const last[] = {
    "--job-name=adamix-report", after, log, "--nodes=1", "--ntasks=1", script, "--report", out->lines,
    sweep->config.output
  };
  free (out->report);
  out->report = NULL;
  ADAMIX_TRY (add_words (&command, first, sizeof first / sizeof *first));
  ADAMIX_TRY (add_words (&command, c->option, c->options));
  ADAMIX_TRY (add_words (&command, last, sizeof last / sizeof *last));
  out->report = command.data;
  command.data = NULL;
done:
  free (command.data);
  free (log);
  free (after);
  return err;
}

/* ---- submitting -------------------------------------------------------------------------------------------------- */

/* *job is the number that sbatch prints, without the name of a cluster behind it. */
static adamix_err
submit (const char *command, char **job)
{
  enum { WIDTH = 128 };
  char answer[WIDTH] = "";
  FILE *stream = ADAMIX_FAULT (process) ? NULL : popen (command, "r");
  if (!stream) return adamix_err_set (ADAMIX_EIO, "cannot start sbatch: %s", strerror (errno));
  const bool read = fgets (answer, sizeof answer, stream) != NULL;
  const int status = pclose (stream);
  answer[strcspn (answer, ";\n")] = '\0';
  if (status != 0 || !read || !*answer)
    return adamix_err_set (ADAMIX_ECHILD, "sbatch has not taken the job, exit status %d: %s",
                           WIFEXITED (status) ? WEXITSTATUS (status) : status, command);
  return adamix_format (job, "%s", answer);
}

static adamix_err
find_script (const adamix_sweep_cluster *c, char **script)
{
  ADAMIX_RETURN_IF (adamix_path_join (script, c->scripts, SCRIPT));
  if (adamix_path_exists (*script)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE,
                         "--slurm: there is no %s; go to the folder above the job scripts, or name theirs: "
                         ". slurm/site.env, or ADAMIX_SLURM=DIR",
                         *script);
}

static adamix_err
submit_both (const adamix_sweep *sweep, const adamix_sweep_cluster *c, const text *lines, const char *script,
             adamix_sweep_jobs *out)
{
  ADAMIX_RETURN_IF (adamix_sweep_store (sweep));
  ADAMIX_RETURN_IF (adamix_file_write (out->lines, lines->data, (size_t) lines->length));
  const adamix_err array = submit (out->array, &out->array_job);
  if (array && out->tasks > USUAL_ARRAY)
    return adamix_err_prefix (array,
                              "%lld runs are more than the %d of an array by Slurm's default MaxArraySize; submit "
                              "some settings at a time, --settings",
                              (long long) out->tasks, USUAL_ARRAY);
  ADAMIX_RETURN_IF (array);
  ADAMIX_RETURN_IF (compose_report (sweep, c, out->array_job, script, out));
  const adamix_err err = submit (out->report, &out->report_job);
  return err ? adamix_err_prefix (err, "the runs are submitted as job %s, but not their report", out->array_job)
             : ADAMIX_OK;
}

adamix_err
adamix_sweep_submit (adamix_sweep_jobs *out, const adamix_sweep *sweep, const adamix_sweep_state *state,
                     const adamix_sweep_cluster *cluster)
{
  adamix_err err = ADAMIX_OK;
  text lines = { 0 };
  char *script = NULL;
  *out = (adamix_sweep_jobs){ 0 };
  ADAMIX_TRY (find_script (cluster, &script));
  ADAMIX_TRY (write_lines (sweep, state, &lines, &out->tasks));
  if (!out->tasks) goto done;
  ADAMIX_TRY (name_lines (sweep, &lines, &out->lines));
  ADAMIX_TRY (compose_array (sweep, cluster, script, out));
  ADAMIX_TRY (compose_report (sweep, cluster, "JOB", script, out));
  if (!cluster->dry) ADAMIX_TRY (submit_both (sweep, cluster, &lines, script, out));
done:
  free (script);
  free (lines.data);
  if (err) adamix_sweep_jobs_destroy (out);
  return err;
}

void
adamix_sweep_jobs_destroy (adamix_sweep_jobs *jobs)
{
  if (!jobs) return;
  free (jobs->report_job);
  free (jobs->array_job);
  free (jobs->report);
  free (jobs->array);
  free (jobs->lines);
  *jobs = (adamix_sweep_jobs){ 0 };
}
