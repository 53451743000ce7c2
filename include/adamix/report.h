/* adamix/report.h - from the folders of runs to a page to look at, tables and plots.
 *
 * Runs whose settings differ in the seed alone are repetitions and form a group; groups of one task are compared.  What is
 * missing or broken is told, on the page and by warnings, and does not keep the rest from being shown.  Local.            */
#ifndef ADAMIX_REPORT_H
#define ADAMIX_REPORT_H

#include <adamix/train.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct adamix_report_args {
  const char *const *path; /* [paths] folders of runs, or folders that hold those of runs */
  int64_t paths;
  bool compare;         /* two runs, side by side */
  const char *output;   /* folder; NULL: RUN (one run), SWEEP/report (one folder of runs), "report" (several) */
  const char *baseline; /* name of the group that the others are tested against; NULL: the best one */
  const char *metric;   /* member of all_results.json that groups are compared by; NULL: the task's main metric */
  adamix_log *log;      /* NULL: no warnings */
} adamix_report_args;

typedef struct adamix_report_results {
  char *page;    /* path of the page; owned */
  char *summary; /* its main tables as text; owned */
} adamix_report_results;

/* Write OUTPUT/report.html, and beside it each table as .md, .csv and .tex and each figure as .svg and .png with its numbers
 * (.tsv) and its script (.gp); those of a single run without `output` stand in RUN/report.  The page needs no other file.
 * Errors: EUSAGE for a group or metric that there is not; EDATA if there is no run that could be read; EIO; ENOMEM. */
adamix_err adamix_report_write (const adamix_report_args *args, adamix_report_results *out);
void adamix_report_results_destroy (adamix_report_results *results);

#ifdef __cplusplus
}
#endif
#endif
