#include "base/fault.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double
adamix_clock (void)
{
  struct timespec now;
  clock_gettime (CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

/* The 22nd value of /proc/self/stat is the start, in ticks since boot.  The second is a name, which may hold anything but ends
 * with the last ')'; the third is a letter. */
double
adamix_process_age (void)
{
  enum { AFTER_NAME = 3, START = 22 };
  char text[1024];
  FILE *stream = ADAMIX_FAULT (stream_open) ? NULL : fopen ("/proc/self/stat", "re");
  if (!stream) return NAN;
  text[fread (text, 1, sizeof text - 1, stream)] = '\0';
  fclose (stream);
  char *at = strrchr (text, ')');
  for (int value = AFTER_NAME; at && value <= START; value++) at = strchr (at + 1, ' ');
  if (!at) return NAN;
  struct timespec now;
  clock_gettime (CLOCK_BOOTTIME, &now);
  return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec - strtod (at, NULL) / (double) sysconf (_SC_CLK_TCK);
}

static int
compare (const void *a, const void *b)
{
  const double x = *(const double *) a, y = *(const double *) b;
  return (x > y) - (x < y);
}

double
adamix_median (double *value, int64_t n)
{
  qsort (value, (size_t) n, sizeof *value, compare);
  return (value[(n - 1) / 2] + value[n / 2]) / 2;
}

/* Value of a line "Key:   123 kB" of a file of /proc, in bytes; 0 where there is none. */
static int64_t
proc_bytes (const char *path, const char *key)
{
  FILE *stream = ADAMIX_FAULT (stream_open) ? NULL : fopen (path, "re");
  if (!stream) return 0;
  char line[256];
  int64_t kib = 0;
  size_t length = strlen (key);
  while (fgets (line, sizeof line, stream)) {
    if (strncmp (line, key, length) != 0 || line[length] != ':') continue;
    if (sscanf (line + length + 1, "%" SCNd64, &kib) != 1) kib = 0;
    break;
  }
  fclose (stream);
  return kib * 1024;
}

/* Not getrusage(): its maximum survives exec(), so that it may be the one of the shell or launcher. */
int64_t
adamix_memory_peak_rss (void)
{
  return proc_bytes ("/proc/self/status", "VmHWM");
}

int64_t
adamix_memory_pss (void)
{
  return proc_bytes ("/proc/self/smaps_rollup", "Pss");
}

void
adamix_memory_resident (int64_t *own, int64_t *shareable)
{
  *own = proc_bytes ("/proc/self/smaps_rollup", "Anonymous");
  *shareable = proc_bytes ("/proc/self/smaps_rollup", "Rss") - *own;
}
