/* driver.h - what the commands share: start and end of a process, options, messages. */
#ifndef ADAMIX_DRIVER_H
#define ADAMIX_DRIVER_H

#include <adamix/train.h>
#include <signal.h>

#include "base/fault.h"

/* A row of the table of commands. */
typedef struct driver_command {
  const char *name, *arguments, *help;
  int (*main) (const struct driver_command *self, int argc, char **argv);
} driver_command;

int driver_train (const driver_command *self, int argc, char **argv);
int driver_eval (const driver_command *self, int argc, char **argv);
int driver_predict (const driver_command *self, int argc, char **argv);
int driver_merge (const driver_command *self, int argc, char **argv);
int driver_inspect (const driver_command *self, int argc, char **argv);
int driver_encode (const driver_command *self, int argc, char **argv);
int driver_sweep (const driver_command *self, int argc, char **argv);
int driver_report (const driver_command *self, int argc, char **argv);
int driver_bench (const driver_command *self, int argc, char **argv);

/* A process of the binary, one of many under a launcher. */
typedef struct driver_session {
  adamix_comm world; /* size 1 without MPI */
  adamix_log log;    /* standard error */
  int cores; /* of this process: those it may run on, shared with the ranks of the node that may run there too */
  bool mpi;
} driver_session;

/* `communicate`: initialise MPI if a launcher started this process. */
adamix_err driver_session_start (driver_session *session, bool communicate);
/* Where this process may log: its log on rank 0, NULL elsewhere. */
adamix_log *driver_session_log (driver_session *session);
/* Print the error, if any, on one rank; end MPI; return the exit status. */
int driver_session_end (driver_session *session, adamix_err err);

/* "--help" among the arguments prints usage and the table; true then. */
bool driver_help (const driver_command *command, const adamix_option *table, int count, int argc, char **argv);
/* Parse a command line without positional arguments into `config`; *options stays alive while its strings are used. */
adamix_err driver_parse (adamix_options **options, const adamix_option *table, int count, int argc, char **argv,
                         void *config);
/* EUSAGE that names a missing option. */
adamix_err driver_require (const driver_command *command, const char *option, const char *value);

/* The items of a list "A,B,C".  Names may have commas: what names a file or folder as it stands is one item, the longest such
 * text first. */
typedef struct driver_list {
  char **item; /* [count] */
  int64_t count;
  char *text; /* what the items are parts of */
} driver_list;

/* Errors: EUSAGE that names the option of an empty item; ENOMEM. */
adamix_err driver_list_create (driver_list *out, const char *option, const char *text);
void driver_list_destroy (driver_list *list);

/* Commands that stand for a training without doing it take some options of `adamix train`: copy its rows of these names, for a
 * config that holds an adamix_train_config at `offset`. */
void driver_train_rows (adamix_option *out, const char *const *names, int count, size_t offset);
/* All its defaults, those of other rows too.  Call it first.  Errors: ENOMEM. */
adamix_err driver_train_defaults (adamix_train_config *out);
/* The checks of `adamix train`, but for what it needs and such a command does not: a folder for the run, a model and data.
 * `options`: of the command; whether it gives --share, whose default is the method's.  Errors: EUSAGE. */
adamix_err driver_train_check (adamix_train_config *config, const adamix_options *options);

/* What a training has in memory, for `adamix inspect`: fill an object, or print the table of it. */
adamix_err driver_plan_memory (const adamix_train_args *args, int ranks, json_t **out);
void driver_print_memory (const json_t *memory);

/* Open FILE or, for "-" or NULL, standard input.  Errors: EIO. */
adamix_err driver_open_input (FILE **out, const char *path);
/* EUSAGE if both paths are one file: opening the output would destroy the input.  NULL and "-" are no files. */
adamix_err driver_refuse_same (const char *input, const char *output);

/* Let SIGTERM, SIGUSR1 and SIGINT set *stop (borrowed for good); a second SIGINT ends the process at once.  `flags`: those of
 * sigaction, SA_RESTART where calls are to go on, beside the handler's own stack. */
void driver_catch_signals (volatile sig_atomic_t *stop, int flags);

#endif
