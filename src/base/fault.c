#include "base/fault.h"

#ifdef ADAMIX_FAULTS

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  int number;
  const char *cause, *where;
} rows[] = {
#define FAULT_ROW(name, number, cause, where) { #name, number, cause, where },
  ADAMIX_FAULT_SITES (FAULT_ROW)
#undef FAULT_ROW
};
enum { SITES = sizeof rows / sizeof *rows, NOWHERE = SITES };

/* Of the process: faults are told of by its environment. */
static struct {
  FILE *report;
  int rank, site;
  long count;
  bool tell;
  long passed[SITES];
} armed = { .site = NOWHERE };

bool
adamix_fault_strikes (adamix_fault_site site)
{
  const long pass = __atomic_add_fetch (&armed.passed[site], 1, __ATOMIC_RELAXED);
  if ((int) site != armed.site || pass != armed.count) return false;
  fprintf (armed.report, "fault: rank %d fails at %s:%ld\n", armed.rank, rows[site].name, pass);
  errno = rows[site].number;
  return true;
}

static void *
allocate_json (size_t size)
{
  return ADAMIX_FAULT (json_alloc) ? NULL : malloc (size);
}

static int
find (const char *name, size_t length)
{
  for (int i = 0; i < SITES; i++)
    if (strlen (rows[i].name) == length && strncmp (rows[i].name, name, length) == 0) return i;
  return NOWHERE;
}

/* "" or "@RANK" */
static bool
ends_well (const char *text)
{
  return !*text || (*text == '@' && text[1] && text[1 + strspn (text + 1, "0123456789")] == '\0');
}

adamix_err
adamix_fault_arm (int rank, FILE *report)
{
  const char *text = getenv ("ADAMIX_FAULT");
  char *end = NULL;
  armed.report = report;
  armed.rank = rank;
  json_set_alloc_funcs (allocate_json, free);
  if (!text || !*text) return ADAMIX_OK;
  armed.tell = strcmp (text, "count") == 0;
  if (armed.tell) return ADAMIX_OK;
  const size_t length = strcspn (text, ":");
  const int site = find (text, length);
  if (site != NOWHERE && text[length]) armed.count = strtol (text + length + 1, &end, 10);
  if (armed.count < 1 || !ends_well (end))
    return adamix_err_set (ADAMIX_EUSAGE,
                           "ADAMIX_FAULT=%s is not SITE:N or SITE:N@RANK with a site of 'adamix --faults' and N of at "
                           "least 1, nor count",
                           text);
  if (!*end || atoi (end + 1) == rank) armed.site = site;
  return ADAMIX_OK;
}

void
adamix_fault_tell (void)
{
  for (int i = 0; armed.tell && i < SITES; i++)
    fprintf (armed.report, "fault: rank %d passed %s %ld times\n", armed.rank, rows[i].name, armed.passed[i]);
}

bool
adamix_fault_list (FILE *stream)
{
  for (int i = 0; i < SITES; i++) fprintf (stream, "%s\t%s\t%s\n", rows[i].name, rows[i].cause, rows[i].where);
  return true;
}

/* In place of the C library's: the leak sanitizer names modules at the end of the process, when MPI would have unloaded its
 * own, and tells leaks of theirs from ours by the name. */
int
dlclose (void *handle)
{
  (void) handle;
  return 0;
}

#else

/* ISO C wants something in every file. */
typedef int adamix_fault_none;

#endif
