#include "driver.h"

#include <adamix/sweep.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct sweep_config {
  int64_t jobs;
  bool dry_run;
  adamix_sweep_config sweep;
  adamix_train_config train;
} sweep_config;

static const adamix_option own_rows[] = {
  { "dry-run", ADAMIX_OPTION_FLAG, offsetof (sweep_config, dry_run), "false", NULL, 0, 0, NULL,
    "print the runs and what time they will take, and make none" },
  { "jobs", ADAMIX_OPTION_INTEGER, offsetof (sweep_config, jobs), "1", NULL, 1, 1e4, "N",
    "runs at a time, each on its part of the cores" },
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

/* A second interrupt ends the sweep at once, and its runs stop at their next step. */
static void
ask_to_stop (int number)
{
  stop = 1;
  if (number == SIGINT) signal (SIGINT, SIG_DFL);
}

static void
catch_signals (void)
{
  const int signals[] = { SIGTERM, SIGUSR1, SIGINT };
  const struct sigaction action = { .sa_handler = ask_to_stop };
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction (signals[i], &action, NULL);
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
  catch_signals ();
  ADAMIX_RETURN_IF (adamix_sweep_make (&args, &outcome));
  printf ("%lld runs are finished: %s\n", (long long) outcome.finished, sweep->config.output);
  return ADAMIX_OK;
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
  const char *file = NULL;
  const int rows = fill_table (table);
  if (driver_help (self, table, rows, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, false));
  ADAMIX_TRY (adamix_options_create (&options, table, rows));
  ADAMIX_TRY (adamix_options_parse (options, argc, argv, &file, 1, NULL));
  ADAMIX_TRY (adamix_options_store (options, &config));
  if (!file) ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "which FILE? see 'adamix sweep --help'"));
  if (adamix_comm_launched ())
    ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "a sweep starts its runs itself: call it without mpirun or srun"));
  ADAMIX_TRY (adamix_sweep_read (&sweep, file, options));
  ADAMIX_TRY (adamix_sweep_states (&sweep, &state));
  ADAMIX_TRY (make (&sweep, state, &config, &session));
done:
  free (state);
  adamix_sweep_destroy (&sweep);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
