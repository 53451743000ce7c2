#include <adamix/base.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
say (adamix_log *log, adamix_log_level level, const char *kind, const char *format, va_list arguments)
{
  if (!log || !log->stream || log->level < level) return;
  if (log->bar_open) fputc ('\n', log->stream);
  log->bar_open = false;
  fprintf (log->stream, "adamix: %s", kind);
  vfprintf (log->stream, format, arguments);
  fputc ('\n', log->stream);
  fflush (log->stream);
}

void
adamix_log_warn (adamix_log *log, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  say (log, ADAMIX_LOG_WARN, "warning: ", format, arguments);
  va_end (arguments);
}

void
adamix_log_info (adamix_log *log, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  say (log, ADAMIX_LOG_INFO, "", format, arguments);
  va_end (arguments);
}

void
adamix_log_debug (adamix_log *log, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  say (log, ADAMIX_LOG_DEBUG, "debug: ", format, arguments);
  va_end (arguments);
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

/* Open MPI's mpirun forwards standard error through a pipe, so it is mpirun's own, the parent's, that tells whether
 * somebody is looking.  srun leaves that to its option --pty. */
static bool
on_terminal (FILE *stream)
{
  struct stat status;
  if (isatty (fileno (stream))) return true;
  if (!getenv ("OMPI_COMM_WORLD_SIZE") || fstat (fileno (stream), &status) != 0 || !S_ISFIFO (status.st_mode))
    return false;
  char path[64];
  snprintf (path, sizeof path, "/proc/%ld/fd/%d", (long) getppid (), STDERR_FILENO);
  int parent = open (path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (parent < 0) return false;
  bool answer = isatty (parent);
  close (parent);
  return answer;
}

void
adamix_progress_begin (adamix_progress *progress, adamix_log *log, int64_t total, int64_t first)
{
  bool shown = log && log->stream && log->level >= ADAMIX_LOG_INFO && on_terminal (log->stream);
  *progress =
      (adamix_progress){ .log = log, .total = total, .first = first, .start = adamix_clock (), .active = shown };
}

static void
format_left (char *out, size_t size, const adamix_progress *progress, int64_t done, double now)
{
  enum { MINUTE = 60, HOUR = 3600 };
  if (done <= progress->first) {
    snprintf (out, size, "--:--");
    return;
  }
  double each = (now - progress->start) / (double) (done - progress->first);
  long long left = (long long) (each * (double) (progress->total - done) + 0.5);
  if (left >= HOUR)
    snprintf (out, size, "%lld:%02lld:%02lld", left / HOUR, left % HOUR / MINUTE, left % MINUTE);
  else
    snprintf (out, size, "%02lld:%02lld", left / MINUTE, left % MINUTE);
}

void
adamix_progress_update (adamix_progress *progress, int64_t done, const char *note)
{
  enum { WIDTH = 24 };
  const double interval = 0.1;
  double now = adamix_clock ();
  if (!progress->active) return;
  if (done < progress->total && progress->drawn > 0 && now - progress->drawn < interval) return;
  progress->drawn = now;
  char bar[WIDTH + 1], left[32], count[64] = "";
  double share = progress->total > 0 ? (double) done / (double) progress->total : 1.0;
  for (int i = 0; i < WIDTH; i++) bar[i] = (double) i < share * WIDTH ? '#' : '.';
  bar[WIDTH] = '\0';
  if (!progress->share_alone)
    snprintf (count, sizeof count, " %lld/%lld", (long long) done, (long long) progress->total);
  format_left (left, sizeof left, progress, done, now);
  /* "erase to the end of the line" clears what a longer note left behind */
  fprintf (progress->log->stream, "\r[%s]%s %3.0f%%  %s left  %s\033[K", bar, count, 100.0 * share, left,
           note ? note : "");
  fflush (progress->log->stream);
  progress->log->bar_open = true;
}

void
adamix_progress_end (adamix_progress *progress)
{
  if (progress->active && progress->log->bar_open) {
    fputc ('\n', progress->log->stream);
    fflush (progress->log->stream);
    progress->log->bar_open = false;
  }
  progress->active = false;
}
