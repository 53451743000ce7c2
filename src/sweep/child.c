#include "base/fault.h"
#include "sweep/sweep_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* What stands ahead of the words of a run, and the threads behind them. */
typedef struct command {
  char **word;  /* [count] and NULL; owned, the words are views */
  char **train; /* words of the run; owned */
  char ranks[24], threads[40];
} command;

/* mpirun would bind a rank to one core; adamix itself divides the cores of a node among its ranks. */
static adamix_err
compose (command *out, const child *child, const char *program)
{
  enum { MPIRUN = 6, OTHERS = 3 };
  static char mpirun[] = "mpirun", hardware[] = "--use-hwthread-cpus", bind[] = "--bind-to", none[] = "none",
              n[] = "-n";
  int64_t words = 0, at = 0;
  *out = (command){ 0 };
  ADAMIX_RETURN_IF (adamix_sweep_command (child->run, &out->train));
  while (out->train[words]) words++;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->word, MPIRUN + words + OTHERS));
  snprintf (out->ranks, sizeof out->ranks, "%lld", (long long) child->ranks);
  snprintf (out->threads, sizeof out->threads, "--threads=%lld", (long long) child->threads);
  char *const launcher[MPIRUN] = { mpirun, hardware, bind, none, n, out->ranks };
  for (int i = 0; i < MPIRUN && child->ranks > 1; i++) out->word[at++] = launcher[i];
  out->word[at++] = (char *) program;
  for (int64_t i = 0; i < words; i++) out->word[at++] = out->train[i];
  if (!child->run->config.threads) out->word[at++] = out->threads;
  return ADAMIX_OK;
}

static void
destroy_command (command *command)
{
  free (command->word);
  free (command->train);
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

/* Between fork and exec; does not return.  A group of its own: the keys that interrupt a terminal reach the sweep alone,
 * which then asks each run once. */
static void
become (const child *child, char *const *word, int log)
{
  const int null = open ("/dev/null", O_RDONLY);
  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGUSR1);
  sched_setaffinity (0, sizeof child->cores, &child->cores);
  dup2 (null, STDIN_FILENO);
  dup2 (log, STDOUT_FILENO);
  dup2 (log, STDERR_FILENO);
  execvp (word[0], word);
  dprintf (STDERR_FILENO, "adamix: error: cannot start %s: %s\n", word[0], strerror (errno));
  _exit (127);
}

static adamix_err
open_log (const adamix_sweep_run *run, char *const *word, int *log, off_t *start)
{
  *log = ADAMIX_FAULT (file_create) ? -1 : open (run->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  *start = *log < 0 ? -1 : lseek (*log, 0, SEEK_END);
  bool written = *start >= 0;
  for (int i = 0; word[i] && written; i++) written = dprintf (*log, "%s%s", i ? " " : "$ ", word[i]) > 0;
  written = written && dprintf (*log, "\n") > 0;
  if (written) return ADAMIX_OK;
  const adamix_err err = adamix_err_set (ADAMIX_EIO, "%s cannot be written: %s", run->log, strerror (errno));
  if (*log >= 0) close (*log);
  *log = -1;
  return err;
}

adamix_err
child_start (child *child, const char *program)
{
  adamix_err err = ADAMIX_OK;
  command command;
  int log = -1;
  ADAMIX_TRY (compose (&command, child, program));
  ADAMIX_TRY (open_log (child->run, command.word, &log, &child->log_start));
  child->begun = adamix_clock ();
  child->process = ADAMIX_FAULT (process) ? -1 : fork ();
  if (child->process == 0) become (child, command.word, log);
  if (child->process < 0)
    err = adamix_err_set (ADAMIX_EIO, "cannot start a process for the run %s: %s", child->run->name, strerror (errno));
done:
  if (log >= 0) close (log);
  destroy_command (&command);
  return err;
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

#define ERROR_MARK "adamix: error: "

/* Frames of dashes say nothing. */
static bool
has_words (const char *line, size_t length)
{
  for (size_t i = 0; i < length; i++)
    if (isalnum ((unsigned char) line[i])) return true;
  return false;
}

/* The last line of `text` with words that begins so; the length of its rest, 0 if there is none. */
static size_t
last_line (const char *text, size_t size, const char *beginning, const char **line)
{
  size_t found = 0;
  const size_t length = strlen (beginning);
  for (const char *at = text, *end = text + size; at < end;) {
    const char *newline = memchr (at, '\n', (size_t) (end - at)), *stop = newline ? newline : end;
    if ((size_t) (stop - at) > length && memcmp (at, beginning, length) == 0 && has_words (at, (size_t) (stop - at))) {
      *line = at + length;
      found = (size_t) (stop - at) - length;
    }
    at = stop + 1;
  }
  return found;
}

adamix_err
child_reason (const child *child, int status, char **out)
{
  enum { MOST = 400, ENDING = 64 };
  char ending[ENDING];
  adamix_file_map map = { .data = "" };
  const char *line = "";
  if (WIFSIGNALED (status))
    snprintf (ending, sizeof ending, "killed by signal %d", WTERMSIG (status));
  else
    snprintf (ending, sizeof ending, "exit status %d", WEXITSTATUS (status));
  /* What cannot be read any more is left out: the status tells. */
  if (adamix_file_map_open (&map, child->run->log)) map = (adamix_file_map){ .data = "" };
  const size_t start = (size_t) child->log_start < map.size ? (size_t) child->log_start : map.size;
  size_t length = last_line (map.data + start, map.size - start, ERROR_MARK, &line);
  if (!length) length = last_line (map.data + start, map.size - start, "", &line);
  if (length && *line == '$') length = 0; /* the command itself: nothing was said */
  const adamix_err err =
      adamix_format (out, "%s%s%.*s", ending, length ? ": " : "", (int) (length < MOST ? length : MOST), line);
  adamix_file_map_close (&map);
  return err;
}
