#include "eval.h"

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

adamix_err
eval_text_begin (eval_text *out)
{
  *out = (eval_text){ 0 };
  out->stream = ADAMIX_FAULT (stream_open) ? NULL : open_memstream (&out->data, &out->size);
  return out->stream ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for a report: %s", strerror (errno));
}

void
eval_text_destroy (eval_text *text)
{
  if (text->stream) fclose (text->stream);
  free (text->data);
  *text = (eval_text){ 0 };
}

static adamix_err
end_text (eval_text *text)
{
  const bool whole = !ferror (text->stream) && fclose (text->stream) == 0;
  text->stream = NULL;
  return whole ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for a report");
}

adamix_err
eval_text_store (eval_text *text, const eval_report *report, const char *name)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (end_text (text));
  ADAMIX_TRY (adamix_path_join (&path, report->folder, name));
  ADAMIX_TRY (adamix_file_write (path, text->data, text->size));
done:
  free (path);
  eval_text_destroy (text);
  return err;
}

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
eval_report_plot (const eval_report *report, const char *name, int width, int height, eval_text *text)
{
  adamix_err err = ADAMIX_OK;
  bool drawn;
  ADAMIX_TRY (end_text (text));
  ADAMIX_TRY (adamix_plot_draw (report->folder, name, width, height, text->data, &drawn));
  if (!drawn)
    adamix_log_warn (report->log,
                     "%s.svg is missing, as gnuplot is not installed or failed; its numbers are there, and "
                     "'gnuplot %s.gp' in %s draws it",
                     name, name, report->folder);
done:
  eval_text_destroy (text);
  return err;
}
