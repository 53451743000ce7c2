#include "driver.h"

#include <adamix/sweep.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_WORDS = 64 };

typedef struct sweep_config {
  int64_t jobs;
  bool dry_run, slurm;
  adamix_sweep_config sweep;
  adamix_train_config train;
  /* Not of the table. */
  bool jobs_given;
  const char *word[MOST_WORDS], **option; /* FILE and options of sbatch; the latter */
  int options;
} sweep_config;

static const adamix_option own_rows[] = {
  { "dry-run", ADAMIX_OPTION_FLAG, offsetof (sweep_config, dry_run), "false", NULL, 0, 0, NULL,
    "print the runs and what time they will take, and make none" },
  { "jobs", ADAMIX_OPTION_INTEGER, offsetof (sweep_config, jobs), "1", NULL, 1, 1e4, "N",
    "runs at a time, each on its part of the cores" },
  { "slurm", ADAMIX_OPTION_FLAG, offsetof (sweep_config, slurm), "false", NULL, 0, 0, NULL,
    "submit the runs as an array job, and their report behind it; options of sbatch follow after --" },
};
#define OWN_ROWS ((int) (sizeof own_rows / sizeof *own_rows))

/* Own options, those of a sweep, and those of `adamix train` that all runs can have in common. */
enum { MOST_ROWS = 128 };

static void
add_rows (adamix_option *table, int *rows, const adamix_option *from, int count, size_t offset)
{
  for (int i = 0; i < count; i++) {
    if (offset == offsetof (sweep_config, train) && !adamix_sweep_takes (from[i].name)) continue;
    ADAMIX_ASSERT (*rows < MOST_ROWS);
    table[*rows] = from[i];
    table[(*rows)++].offset += offset;
  }
}

static int
fill_table (adamix_option table[MOST_ROWS])
{
  int rows = 0, count;
  add_rows (table, &rows, own_rows, OWN_ROWS, 0);
  const adamix_option *sweep = adamix_sweep_options (&count);
  add_rows (table, &rows, sweep, count, offsetof (sweep_config, sweep));
  const adamix_option *train = adamix_train_options (&count);
  add_rows (table, &rows, train, count, offsetof (sweep_config, train));
  return rows;
}

/* ---- signals ---- */

static volatile sig_atomic_t stop;

/* ---- --dry-run ---- */

static void
print_time (const char *format, double seconds)
{
  enum { MINUTE = 60, HOUR = 3600, WIDTH = 32 };
  char text[WIDTH] = "unknown";
  const long long whole = isfinite (seconds) ? llround (seconds) : 0;
  if (isfinite (seconds) && whole < MINUTE) snprintf (text, sizeof text, "%lld s", whole);
  if (whole >= MINUTE) snprintf (text, sizeof text, "%lld min", (whole + MINUTE / 2) / MINUTE);
  if (whole >= HOUR) snprintf (text, sizeof text, "%lld h %02lld min", whole / HOUR, whole % HOUR / MINUTE);
  printf (format, text);
}

static void
print_run (const adamix_sweep_run *run, const adamix_sweep_state *state, const adamix_sweep_forecast_run *forecast,
           int width)
{
  enum { WIDTH = 32 };
  char step[WIDTH] = "-";
  if (state->finished)
    snprintf (step, sizeof step, "finished");
  else if (state->step)
    snprintf (step, sizeof step, "step %lld", (long long) state->step);
  printf ("%-*s %-12s ", width, run->name, step);
  if (forecast->steps)
    printf ("%8lld ", (long long) forecast->steps);
  else
    printf ("%8s ", "-");
  if (state->finished)
    printf ("%12s\n", "-");
  else
    print_time ("%12s\n", forecast->seconds);
}

static int64_t
count_left (const adamix_sweep *sweep, const adamix_sweep_state *state)
{
  int64_t left = 0;
  for (int64_t i = 0; i < sweep->runs; i++) left += !state[i].finished;
  return left;
}

static void
print_forecast (const adamix_sweep *sweep, const adamix_sweep_state *state, const adamix_sweep_forecast *f,
                int64_t jobs, int threads)
{
  int width = (int) strlen ("run");
  const long long left = count_left (sweep, state);
  for (int64_t i = 0; i < sweep->runs; i++)
    if ((int) strlen (sweep->run[i].name) > width) width = (int) strlen (sweep->run[i].name);
  printf ("%-*s %-12s %8s %12s\n", width, "run", "state", "steps", "time left");
  for (int64_t i = 0; i < sweep->runs; i++) print_run (&sweep->run[i], &state[i], &f->run[i], width);
  printf ("\n%lld runs, %lld to make in %s, %lld at a time; time left: ", (long long) sweep->runs, left,
          sweep->config.output, (long long) jobs);
  print_time ("%s\n", left ? f->seconds : 0);
  if (f->runs_measured && left)
    printf ("by the speed of %lld finished run%s of this sweep\n", (long long) f->runs_measured,
            f->runs_measured == 1 ? "" : "s");
  if (f->tried)
    printf ("by the speed of some steps of %s, made here on %d thread%s; start-up and checkpoints come on top\n",
            f->tried->name, threads, threads == 1 ? "" : "s");
}

static adamix_err
dry_run (const adamix_sweep *sweep, const adamix_sweep_state *state, const sweep_config *config,
         driver_session *session)
{
  const int64_t left = count_left (sweep, state), jobs = left && left < config->jobs ? left : config->jobs;
  const int threads = session->cores / jobs > 1 ? (int) (session->cores / jobs) : 1;
  adamix_sweep_forecast forecast;
  ADAMIX_RETURN_IF (adamix_sweep_foresee (&forecast, sweep, state, jobs, threads));
  print_forecast (sweep, state, &forecast, jobs, threads);
  for (int64_t i = 0; i < sweep->runs; i++)
    if (forecast.run[i].trouble)
      adamix_log_warn (driver_session_log (session), "%s: %s", sweep->run[i].name, forecast.run[i].trouble);
  const long long troubles = forecast.troubles;
  adamix_sweep_forecast_destroy (&forecast, sweep);
  if (!troubles) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA, "%lld of %lld runs cannot be made, as told above", troubles,
                         (long long) sweep->runs);
}

/* ---- --slurm ---- */

static adamix_err
submit (const adamix_sweep *sweep, const adamix_sweep_state *state, const sweep_config *config, driver_session *session)
{
  const char *scripts = getenv ("ADAMIX_SLURM");
  const adamix_sweep_cluster cluster = { .scripts = scripts && *scripts ? scripts : "slurm",
                                         .jobs = config->jobs_given ? config->jobs : 0,
                                         .option = config->option,
                                         .options = config->options,
                                         .dry = config->dry_run };
  adamix_sweep_jobs jobs;
  ADAMIX_RETURN_IF (adamix_sweep_submit (&jobs, sweep, state, &cluster));
  if (!jobs.tasks)
    adamix_log_info (driver_session_log (session), "all %lld runs of %s are finished, there is nothing to do",
                     (long long) sweep->runs, sweep->config.output);
  else if (config->dry_run)
    printf ("%s\n%s\n", jobs.array, jobs.report);
  else
    printf ("job %s: %lld runs (%s)\njob %s: their report\n", jobs.array_job, (long long) jobs.tasks, jobs.lines,
            jobs.report_job);
  adamix_sweep_jobs_destroy (&jobs);
  return ADAMIX_OK;
}

/* ---- the command ---- */

static adamix_err
make (const adamix_sweep *sweep, const adamix_sweep_state *state, const sweep_config *config, driver_session *session)
{
  char program[PATH_MAX] = "";
  adamix_sweep_outcome outcome;
  if (readlink ("/proc/self/exe", program, sizeof program - 1) < 0)
    return adamix_err_set (ADAMIX_EIO, "cannot find out where this program is: %s", strerror (errno));
  const adamix_sweep_args args = { .sweep = sweep,
                                   .state = state,
                                   .program = program,
                                   .jobs = config->jobs,
                                   .log = driver_session_log (session),
                                   .stop = &stop };
  driver_catch_signals (&stop, 0);
  ADAMIX_RETURN_IF (adamix_sweep_make (&args, &outcome));
  printf ("%lld runs are finished: %s\n", (long long) outcome.finished, sweep->config.output);
  return ADAMIX_OK;
}

static adamix_err
parse (adamix_options **options, const adamix_option *table, int rows, int argc, char **argv, sweep_config *config)
{
  int words = 0;
  ADAMIX_RETURN_IF (adamix_options_create (options, table, rows));
  ADAMIX_RETURN_IF (adamix_options_parse (*options, argc, argv, config->word, MOST_WORDS, &words));
  ADAMIX_RETURN_IF (adamix_options_store (*options, config));
  config->jobs_given = adamix_options_source (*options, "jobs") == ADAMIX_SOURCE_COMMAND_LINE;
  config->option = config->word + 1;
  config->options = words - 1;
  if (!words) return adamix_err_set (ADAMIX_EUSAGE, "which FILE? see 'adamix sweep --help'");
  if (words > 1 && !config->slurm)
    return adamix_err_set (ADAMIX_EUSAGE, "unexpected argument \"%s\"; options of sbatch go with --slurm",
                           config->word[1]);
  if (!adamix_comm_launched ()) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "a sweep starts its runs itself: call it without mpirun or srun");
}

int
driver_sweep (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  sweep_config config = { 0 };
  adamix_option table[MOST_ROWS];
  adamix_options *options = NULL;
  adamix_sweep sweep = { 0 };
  adamix_sweep_state *state = NULL;
  const int rows = fill_table (table);
  if (driver_help (self, table, rows, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, false));
  ADAMIX_TRY (parse (&options, table, rows, argc, argv, &config));
  ADAMIX_TRY (adamix_sweep_read (&sweep, config.word[0], options));
  ADAMIX_TRY (adamix_sweep_states (&sweep, &state));
  ADAMIX_TRY ((config.slurm ? submit : config.dry_run ? dry_run : make) (&sweep, state, &config, &session));
done:
  free (state);
  adamix_sweep_destroy (&sweep);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
