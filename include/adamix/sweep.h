/* adamix/sweep.h - many runs from one INI file: settings x seeds, with names that stay; how far each is, what they will
 * take, and making them, on this machine or as an array job of Slurm.  How a file looks: docs/sweep.md.
 *
 * All functions are Local, and for a process without a launcher.                                                          */
#ifndef ADAMIX_SWEEP_H
#define ADAMIX_SWEEP_H

#include <adamix/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a file says ---------------------------------------------------------------------------------------------- */

/* Keys of a sweep beside those of `adamix train`, filled by adamix_options_store from adamix_sweep_options. */
typedef struct adamix_sweep_config {
  const char *output;   /* folder of the sweep */
  const char *seeds;    /* "0, 1, 5..9" */
  const char *settings; /* "adamix, adapter": those that count; NULL: all */
  int64_t ranks;        /* of a run */
  const char *profile;  /* whose sections "PROFILE: SECTION" count beside those of all; NULL: the file has none */
} adamix_sweep_config;

const adamix_option *adamix_sweep_options (int *count);
/* Does a file or a command line set this option of `adamix train`?  Not those that differ between runs by themselves (seed,
 * output) or are the sweep's affair (resume, force, config).  Pure. */
bool adamix_sweep_takes (const char *train_option);

/* One training.  `name` is made of the name of its setting, of the grid's keys and values as they stand in the file, in
 * their order, and of the seed: "adapter,rank=16,seed=0".  Nothing else goes into it, so that it stays what it is when other
 * values, settings or seeds come or go. */
typedef struct adamix_sweep_run {
  char *name, *setting; /* owned; `setting` is the name without the seed, "" where there is nothing else */
  char *folder, *log;   /* owned; of the run, and the file with what its processes write */
  json_t *varied;       /* {"rank": "16", ...}: keys of the grid and their values, "run" for a named setting; owned */
  int64_t seed;
  adamix_options *options;    /* of `adamix train`, owned; --output and --seed among them */
  adamix_train_config config; /* checked; views into options */
} adamix_sweep_run;

typedef struct adamix_sweep {
  char *path;                 /* of the file; owned */
  adamix_options *options;    /* owned */
  adamix_sweep_config config; /* views into options */
  adamix_sweep_run *run;      /* in the order of the file, seeds last; owned */
  int64_t runs;
} adamix_sweep;

/* Read a file and check every run as `adamix train` would.  `given` (NULL: none) is a command line with rows of
 * adamix_sweep_options and adamix_train_options, which wins over what the file has in common for all runs and for a named
 * setting; what the grid varies it may not set.  Errors: EIO, ENOMEM; EUSAGE with file and line: an unknown key or section,
 * a bad value, an option given twice for a run, runs with one name, a contradiction in a run, which is named. */
adamix_err adamix_sweep_read (adamix_sweep *out, const char *path, const adamix_options *given);
void adamix_sweep_destroy (adamix_sweep *sweep);

/* Numbers of a list such as "0, 1, 5..9"; *out is owned (free).  Errors: EUSAGE, ENOMEM. */
adamix_err adamix_sweep_seeds (const char *text, int64_t **out, int64_t *count);

/* Words of the command that makes a run or goes on with it, from "train" to "--resume"; NULL ends them.  One block, to
 * free.  Errors: ENOMEM. */
adamix_err adamix_sweep_command (const adamix_sweep_run *run, char ***out);

/* ---- how far it is -------------------------------------------------------------------------------------------------- */

/* Told by the folder of a run alone: there is no second book. */
typedef struct adamix_sweep_state {
  bool finished;
  int64_t step; /* of the newest checkpoint, or all steps of a finished run; 0: none */
} adamix_sweep_state;

/* Of all runs; *out [sweep->runs] is owned (free).  Errors: ENOMEM; EUSAGE for a folder that holds a run with other options
 * than the file now has. */
adamix_err adamix_sweep_states (const adamix_sweep *sweep, adamix_sweep_state **out);

/* OUTPUT/sweep.json: these runs and their settings, in their order.  The folder is made.  Errors: EIO, ENOMEM. */
adamix_err adamix_sweep_store (const adamix_sweep *sweep);

/* ---- what they will take -------------------------------------------------------------------------------------------- */

typedef struct adamix_sweep_forecast_run {
  int64_t steps;  /* in all; 0: the run cannot be made */
  double seconds; /* that are left; 0 for a finished run, NaN: unknown */
  char *trouble;  /* why it cannot be made, NULL: it can; owned */
} adamix_sweep_forecast_run;

/* The work of a run is counted in FLOP (adamix_train_plan_work).  Speeds are those of finished runs, of the same setting
 * before others; where none is finished, that of some steps of the first run that is left, made here. */
typedef struct adamix_sweep_forecast {
  adamix_sweep_forecast_run *run; /* [sweep->runs]; owned */
  double seconds;                 /* of all that is left, `jobs` at a time; NaN: unknown */
  int64_t runs_measured;          /* finished runs that tell a speed */
  const adamix_sweep_run *tried;  /* the run whose steps were made here; NULL: none */
  int64_t troubles;               /* runs that cannot be made */
} adamix_sweep_forecast;

/* `threads` are those of a run here, all ranks together.  Opens models and data, writes nothing.  Errors: ENOMEM; what is
 * wrong with one run is its trouble. */
adamix_err adamix_sweep_foresee (adamix_sweep_forecast *out, const adamix_sweep *sweep, const adamix_sweep_state *state,
                                 int64_t jobs, int threads);
void adamix_sweep_forecast_destroy (adamix_sweep_forecast *forecast, const adamix_sweep *sweep);

/* ---- making them here ------------------------------------------------------------------------------------------------ */

typedef struct adamix_sweep_args {
  const adamix_sweep *sweep;
  const adamix_sweep_state *state;   /* [runs] */
  const char *program;               /* the binary whose command `train` makes a run */
  int64_t jobs;                      /* runs at a time, at least 1 */
  adamix_log *log;                   /* NULL: silence */
  const volatile sig_atomic_t *stop; /* set by a signal handler: let runs write checkpoints, and end with ESTOPPED */
} adamix_sweep_args;

/* What became of the runs. */
typedef struct adamix_sweep_outcome {
  int64_t finished, failed, unfinished; /* unfinished: not begun, or stopped at a checkpoint; sum: sweep->runs */
} adamix_sweep_outcome;

/* Make all runs that are not finished, each by a process of its own (for more than one rank, by mpirun) that goes on from
 * its newest checkpoint.  The cores that this process may use are divided evenly among `jobs` of them, each bound to its
 * own.  A run that fails does not stop the others: it is named, with the last words of its log, where it happens and once
 * more at the end.  Errors: EUSAGE for more ranks and threads than cores; EEXIST if another process makes this sweep;
 * ECHILD if runs failed; ESTOPPED if runs were stopped; EIO, ENOMEM. */
adamix_err adamix_sweep_make (const adamix_sweep_args *args, adamix_sweep_outcome *out);

/* ---- making them on a cluster ---------------------------------------------------------------------------------------- */

typedef struct adamix_sweep_cluster {
  const char *scripts;       /* folder of sweep.sbatch */
  int64_t jobs;              /* runs at a time; 0: as many as Slurm starts */
  const char *const *option; /* [options] of sbatch, borrowed; they win over those of a sweep */
  int options;
  bool dry; /* compose the commands alone: nothing is written or submitted */
} adamix_sweep_cluster;

/* All strings are owned. */
typedef struct adamix_sweep_jobs {
  int64_t tasks;                /* runs that are not finished; 0: there are no jobs */
  char *lines;                  /* file with the command of each of them, a line each; task N makes line N */
  char *array, *report;         /* the two commands, as for a shell */
  char *array_job, *report_job; /* numbers of the jobs; NULL where `dry` */
} adamix_sweep_jobs;

/* Submit what is not finished as one array job, and a job for the report that starts when all of it has ended, well or not.
 * Errors: EUSAGE where there is no sweep.sbatch; ECHILD if sbatch does not take a job; EIO, ENOMEM. */
adamix_err adamix_sweep_submit (adamix_sweep_jobs *out, const adamix_sweep *sweep, const adamix_sweep_state *state,
                                const adamix_sweep_cluster *cluster);
void adamix_sweep_jobs_destroy (adamix_sweep_jobs *jobs);

#ifdef __cplusplus
}
#endif
#endif
