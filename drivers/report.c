#include "driver.h"

#include <stdlib.h>

#include <adamix/report.h>

typedef struct report_config {
  const char *output, *baseline, *metric;
  bool compare;
} report_config;

#define AT(member) offsetof (report_config, member)
static const adamix_option table[] = {
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "DIR",
    "folder for the page, tables and plots; default: RUN/report.html and RUN/report, SWEEP/report, or report for "
    "several" },
  { "compare", ADAMIX_OPTION_FLAG, AT (compare), "false", NULL, 0, 0, NULL,
    "two runs side by side: settings, results, curves" },
  { "baseline", ADAMIX_OPTION_STRING, AT (baseline), NULL, NULL, 0, 0, "NAME",
    "setting that the others are tested against, by the name that the report gives it; default: the best one" },
  { "metric", ADAMIX_OPTION_STRING, AT (metric), NULL, NULL, 0, 0, "KEY",
    "number of all_results.json to compare by, such as eval_loss; default: the task's main metric, of the test file if "
    "there is one" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

static adamix_err
parse (adamix_options **options, int argc, char **argv, report_config *config, const char **path, int *paths)
{
  ADAMIX_RETURN_IF (adamix_options_create (options, table, ROWS));
  ADAMIX_RETURN_IF (adamix_options_parse (*options, argc, argv, path, argc, paths));
  ADAMIX_RETURN_IF (adamix_options_store (*options, config));
  if (*paths == 0) return adamix_err_set (ADAMIX_EUSAGE, "which RUN or SWEEP? see 'adamix report --help'");
  if (config->compare && *paths != 2)
    return adamix_err_set (ADAMIX_EUSAGE, "--compare takes two runs, and there are %d", *paths);
  return ADAMIX_OK;
}

int
driver_report (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  report_config config = { 0 };
  adamix_options *options = NULL;
  adamix_report_results results = { 0 };
  const char **path = NULL;
  int paths = 0;
  if (driver_help (self, table, ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, false));
  ADAMIX_TRY (ADAMIX_ALLOC (path, argc));
  ADAMIX_TRY (parse (&options, argc, argv, &config, path, &paths));
  const adamix_report_args args = { .path = path,
                                    .paths = paths,
                                    .compare = config.compare,
                                    .output = config.output,
                                    .baseline = config.baseline,
                                    .metric = config.metric,
                                    .log = &session.log };
  ADAMIX_TRY (adamix_report_write (&args, &results));
  printf ("%s\nreport: %s\n", results.summary, results.page);
done:
  adamix_report_results_destroy (&results);
  free (path);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
