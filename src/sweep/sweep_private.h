/* sweep_private.h - what the files of this room share. */
#ifndef ADAMIX_SWEEP_PRIVATE_H
#define ADAMIX_SWEEP_PRIVATE_H

#include <adamix/sweep.h>

#include <sched.h>
#include <sys/types.h>

/* Files of a sweep's folder. */
#define FILE_SWEEP "sweep.json"
#define FILE_LOCK  ".lock"
#define ENDING_LOG ".log"
/* Of a run's. */
#define FILE_RESULTS "all_results.json"
/* Stands in the values of options for the seed of a run. */
#define SWEEP_SEED_MARK "{seed}"

/* A line of a file that was read. */
typedef struct origin {
  const char *path; /* view into the sweep_file */
  int line;
} origin;

/* An option and what the file has for it: one value, or those of a grid. */
typedef struct axis {
  const char *option; /* view into the table of `adamix train` */
  char **value;       /* [values]; owned */
  int64_t values;
  bool named; /* part of a run's name */
  origin at;
} axis;

typedef struct axes {
  axis *axis; /* owned */
  int64_t count, capacity;
} axes;

/* What [run NAME] and [grid NAME] say of a setting. */
typedef struct setting {
  char *name; /* "" for the one of a file without such sections; owned */
  origin at;
  char *seeds; /* of its own; NULL: those of the sweep; owned */
  axes fixed, grid;
} setting;

/* A file, parsed: every key and value on its own is as it should be. */
typedef struct sweep_file {
  const char *path;        /* borrowed */
  char *included;          /* path of the file that it includes, NULL: none; owned */
  adamix_options *options; /* of the sweep itself; owned */
  axes common, grid;
  setting *setting; /* at least one; owned */
  int64_t settings, capacity;
} sweep_file;

/* read.c */
/* `profile` NULL: the file's own choice. */
adamix_err sweep_file_read (sweep_file *out, const char *path, const char *profile);
void sweep_file_destroy (sweep_file *file);
/* NULL: the file has no setting of this name. */
setting *sweep_find_setting (const sweep_file *file, const char *name);
/* The next item of a list, to free; *rest moves behind its comma and is NULL behind the last.  Blanks around it are left
 * out.  Errors: EUSAGE for an empty item, ENOMEM. */
adamix_err sweep_next_item (const char **rest, char **out);

/* expand.c: settings x grids x seeds, each with its options; out->config is there. */
adamix_err sweep_expand (adamix_sweep *out, const sweep_file *file, const adamix_options *given);

/* state.c: of one run.  Errors: as adamix_sweep_states. */
adamix_err sweep_state_read (const adamix_sweep_run *run, adamix_sweep_state *out);
/* How much of it is done, from 0 to 1, by the last line of its metrics. */
double sweep_state_share (const adamix_sweep_run *run);

/* child.c: a process that makes a run. */
typedef struct child {
  const adamix_sweep_run *run; /* NULL: none */
  pid_t process;
  cpu_set_t cores;
  int64_t ranks, threads; /* of the run; of a rank */
  off_t log_start;        /* of what it writes, in the run's log */
  double begun;
} child;

/* Start it on child->cores; the signal SIGUSR1 asks it for a checkpoint, and is what it gets if this process dies.
 * Errors: EIO, ENOMEM. */
adamix_err child_start (child *child, const char *program);
/* Why it did not reach its end: its status and the last words of its log; owned by the caller.  Errors: ENOMEM. */
adamix_err child_reason (const child *child, int status, char **out);

#endif
