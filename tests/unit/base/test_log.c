#include "base/scratch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static char *
logged (adamix_log_level level)
{
  char *text;
  size_t size;
  FILE *stream = open_memstream (&text, &size);
  adamix_log log = { .stream = stream, .level = level };
  adamix_log_warn (&log, "w%d", 1);
  adamix_log_info (&log, "i%d", 2);
  adamix_log_debug (&log, "d%d", 3);
  fclose (stream);
  return text;
}

Test (log, levels_drop_what_is_above_them)
{
  cr_assert_str_eq (logged (ADAMIX_LOG_QUIET), "");
  cr_assert_str_eq (logged (ADAMIX_LOG_WARN), "adamix: warning: w1\n");
  cr_assert_str_eq (logged (ADAMIX_LOG_INFO), "adamix: warning: w1\nadamix: i2\n");
  cr_assert_str_eq (logged (ADAMIX_LOG_DEBUG), "adamix: warning: w1\nadamix: i2\nadamix: debug: d3\n");
}

Test (log, null_is_silence)
{
  adamix_log_warn (NULL, "nobody hears");
  adamix_progress progress;
  adamix_progress_begin (&progress, NULL, 10, 0);
  adamix_progress_update (&progress, 5, "note");
  adamix_progress_end (&progress);
  cr_assert_not (progress.active);
}

Test (progress, nothing_is_drawn_into_a_file)
{
  char *text;
  size_t size;
  FILE *stream = open_memstream (&text, &size);
  adamix_log log = { .stream = stream, .level = ADAMIX_LOG_INFO };
  adamix_progress progress;
  adamix_progress_begin (&progress, &log, 10, 0);
  adamix_progress_update (&progress, 10, "note");
  adamix_progress_end (&progress);
  fclose (stream);
  cr_assert_str_eq (text, "");
}

/* A terminal of our own: what is written to the returned stream is read from *other. */
static FILE *
open_terminal (int *other)
{
  *other = posix_openpt (O_RDWR | O_NOCTTY);
  if (*other < 0 || grantpt (*other) != 0 || unlockpt (*other) != 0) cr_skip_test ("no pseudo-terminals here");
  FILE *stream = fopen (ptsname (*other), "w");
  cr_assert_not_null (stream);
  return stream;
}

/* A terminal hands its text over in pieces; it has said all when it falls silent. */
static void
read_terminal (int other, char *text, size_t size)
{
  enum { SILENCE = 500 }; /* milliseconds */
  struct pollfd waiting = { .fd = other, .events = POLLIN };
  size_t length = 0;
  while (length + 1 < size && poll (&waiting, 1, SILENCE) > 0) {
    ssize_t piece = read (other, text + length, size - 1 - length);
    if (piece <= 0) break;
    length += (size_t) piece;
  }
  text[length] = '\0';
}

Test (progress, bar_on_a_terminal_ends_before_a_message)
{
  int other;
  char text[4096];
  FILE *terminal = open_terminal (&other);
  adamix_log log = { .stream = terminal, .level = ADAMIX_LOG_INFO };
  adamix_progress progress;
  adamix_progress_begin (&progress, &log, 200, 100);
  adamix_progress_update (&progress, 100, "loss 1.5");
  adamix_progress_update (&progress, 101, "too soon");
  adamix_log_warn (&log, "heads up");
  adamix_progress_update (&progress, 200, "loss 0.5");
  adamix_progress_end (&progress);
  fflush (terminal);
  read_terminal (other, text, sizeof text);
  cr_assert_not_null (strstr (text, "100/200  50%  --:-- left  loss 1.5\033[K\r\nadamix: warning: heads up\r\n"), "%s",
                      text);
  cr_assert_null (strstr (text, "too soon"), "drawn more than ten times a second");
  cr_assert_not_null (strstr (text, "[########################] 200/200 100%  00:00 left  loss 0.5\033[K\r\n"), "%s",
                      text);
}

Test (progress, shows_the_share_alone)
{
  int other;
  char text[4096];
  FILE *terminal = open_terminal (&other);
  adamix_log log = { .stream = terminal, .level = ADAMIX_LOG_INFO };
  adamix_progress progress;
  adamix_progress_begin (&progress, &log, 3000, 0);
  progress.share_alone = true;
  adamix_progress_update (&progress, 1500, "2 running");
  adamix_progress_end (&progress);
  fflush (terminal);
  read_terminal (other, text, sizeof text);
  cr_assert_not_null (strstr (text, "[############............]  50%  00:00 left  2 running\033[K\r\n"), "%s", text);
}

Test (clock, is_monotonic_and_memory_is_told)
{
  double before = adamix_clock ();
  usleep (2000);
  double passed = adamix_clock () - before;
  cr_assert (passed >= 0.002 && passed < 60, "%g seconds", passed);
  cr_assert_gt (adamix_memory_peak_rss (), 100000);
  cr_assert_gt (adamix_memory_pss (), 10000);
}

Test (clock, peak_counts_touched_memory)
{
  const size_t block = (size_t) 64 << 20;
  int64_t before = adamix_memory_peak_rss ();
  char *memory = malloc (block);
  memset (memory, 1, block);
  cr_assert_geq (adamix_memory_peak_rss () - before, (int64_t) block / 2);
  cr_assert_geq (adamix_memory_pss (), (int64_t) block / 2);
  free (memory);
}
