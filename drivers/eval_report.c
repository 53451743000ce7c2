#include "eval.h"

#include <stdlib.h>

adamix_err
eval_report_json (const eval_report *report, const char *name, json_t *json)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (adamix_path_join (&path, report->folder, name));
  ADAMIX_TRY (adamix_json_store (json, path, false));
done:
  json_decref (json);
  free (path);
  return err;
}

adamix_err
eval_report_figure (const eval_report *report, const char *name, int width, int height, adamix_figure *figure)
{
  bool drawn;
  ADAMIX_RETURN_IF (adamix_figure_draw (figure, report->folder, name, width, height, &drawn));
  if (!drawn)
    adamix_log_warn (report->log,
                     "%s.svg is missing, as gnuplot is not installed or failed; its numbers are there, and "
                     "'gnuplot %s.gp' in %s draws it",
                     name, name, report->folder);
  return ADAMIX_OK;
}
