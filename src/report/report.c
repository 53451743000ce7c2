#include "report/report_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

/* The folder of tables and figures, and the page. */
static adamix_err
choose_places (const adamix_report_args *args, char **folder, char **page)
{
  const char *first = args->path[0];
  const bool alone = args->paths == 1;
  bool one_run;
  ADAMIX_RETURN_IF (adamix_report_run_is (first, &one_run));
  ADAMIX_RETURN_IF (args->output ? adamix_format (folder, "%s", args->output)
                    : alone      ? adamix_path_join (folder, first, "report")
                                 : adamix_format (folder, "report"));
  return adamix_path_join (page, alone && one_run && !args->output ? first : *folder, "report.html");
}

static adamix_err
choose_title (const adamix_report_args *args, const adamix_report_study *study, char **out)
{
  if (args->compare) return adamix_format (out, "%s and %s", study->run[0].name, study->run[1].name);
  if (args->paths > 1) return adamix_format (out, "%lld runs", (long long) study->runs);
  if (study->runs == 1) return adamix_format (out, "%s", study->run[0].name);
  size_t length = strlen (args->path[0]);
  while (length > 1 && args->path[0][length - 1] == '/') length--;
  size_t begin = length;
  while (begin > 0 && args->path[0][begin - 1] != '/') begin--;
  return adamix_format (out, "%.*s", (int) (length - begin), args->path[0] + begin);
}

/* ---- what is missing ---- */

static void
lead_in (adamix_report_page *page, const adamix_report_study *study)
{
  int64_t finished = 0, groups = 0;
  for (int64_t r = 0; r < study->runs; r++) finished += study->run[r].results != NULL;
  for (int64_t t = 0; t < study->tasks; t++) groups += study->task[t].groups;
  if (study->runs == 1)
    adamix_report_page_lead (page, "A run of adamix on %s, %sfinished.", study->task[0].name, finished ? "" : "not ");
  else if (study->tasks == 1)
    adamix_report_page_lead (page, "%lld runs of adamix on %s, %lld of them finished; settings: %lld.",
                             (long long) study->runs, study->task[0].name, (long long) finished, (long long) groups);
  else
    adamix_report_page_lead (page, "%lld runs of adamix on %lld tasks, %lld of them finished.", (long long) study->runs,
                             (long long) study->tasks, (long long) finished);
}

static void
miss_runs (adamix_report_page *page, const adamix_report_study *study)
{
  for (int64_t r = 0; r < study->runs; r++) {
    if (!study->run[r].trouble) continue;
    adamix_report_page_miss (page, NULL, "%s: %s", study->run[r].name, study->run[r].trouble);
    adamix_log_warn (page->log, "%s: %s", study->run[r].name, study->run[r].trouble);
  }
  if (study->passed_over)
    adamix_report_page_miss (page, NULL, "Folders that hold no run and were passed over: %s.", study->passed_over);
}

/* Finished runs that have experts to choose from. */
static bool
wants_modes (const adamix_report_run *run)
{
  const json_t *method = adamix_report_member (run->record, "config.method");
  const adamix_method *row = json_is_string (method) ? adamix_method_find (json_string_value (method)) : NULL;
  return run->results && row && row->many;
}

static adamix_err
miss_modes (adamix_report_page *page, const adamix_report_study *study)
{
  char *command;
  int64_t wanted = 0, missing = 0;
  const adamix_report_run *first = NULL;
  for (int64_t r = 0; r < study->runs; r++) {
    const adamix_report_run *run = &study->run[r];
    wanted += wants_modes (run);
    if (!wants_modes (run) || run->modes) continue;
    missing++;
    if (!first) first = run;
  }
  if (!first) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_report_command_of_modes (first, &command));
  adamix_report_page_miss (
      page, command,
      "Single routes against the merged module: %lld of %lld runs with experts have no " FILE_INFERENCE
      ". This makes that of %s:",
      (long long) missing, (long long) wanted, first->name);
  free (command);
  return page->err;
}

static void
miss_plots (adamix_report_page *page)
{
  if (!page->plots_missing) return;
  adamix_report_page_miss (
      page, "apt-get install gnuplot-nox",
      "All plots: gnuplot is not installed or failed. Install it and make the report again, on Debian by");
  adamix_log_warn (page->log, "plots are missing, as gnuplot is not installed or failed; the tables are there");
}

/* ---- the page ---- */

static void
show_task (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task, bool compare)
{
  adamix_report_page_say (page, "h2", "%s", task->name);
  if (!compare) adamix_report_show_results (page, study, task);
  adamix_report_page_put (page, "<div class=\"figures\">\n");
  if (!compare && study->runs > 1) adamix_report_draw_results (page, study, task);
  adamix_report_draw_modes (page, study, task);
  for (int curve = 0; curve < ADAMIX_REPORT_CURVES; curve++)
    adamix_report_draw_curve (page, study, task, (adamix_report_curve) curve);
  adamix_report_page_put (page, "</div>\n");
  adamix_report_show_modes (page, study, task);
  if (compare) return;
  adamix_report_show_metrics (page, study, task);
  if (task->groups > 1) adamix_report_show_settings (page, study, task);
}

static void
show_all (adamix_report_page *page, const adamix_report_study *study, bool compare)
{
  if (compare) adamix_report_show_sides (page, study);
  if (!compare && study->tasks > 1) adamix_report_show_overview (page, study);
  for (int64_t t = 0; t < study->tasks; t++) show_task (page, study, &study->task[t], compare);
  adamix_report_page_say (page, "h2", "Runs");
  adamix_report_show_runs (page, study);
  adamix_report_page_say (page, "h2", "Speed and memory");
  adamix_report_show_speed (page, study);
  adamix_report_page_say (page, "h2", "Environment");
  adamix_report_show_environment (page, study);
  adamix_report_page_say (page, "h2", "Commands");
  adamix_report_show_commands (page, study);
  adamix_report_page_put (page, "<footer>\n");
  adamix_report_page_say (
      page, "p",
      "Made by adamix report %s (%s). The word behind a caption is the name of files in the folder of this "
      "report: tables as .md, .csv and .tex, plots as .svg and .png with their numbers (.tsv) and script "
      "(.gp); command lines are in commands.sh.",
      adamix_version (), adamix_revision ());
  adamix_report_page_put (page, "</footer>\n");
}

static adamix_err
write_page (const adamix_report_args *args, const adamix_report_study *study, const char *folder,
            adamix_report_results *out)
{
  adamix_report_page page;
  char *title;
  ADAMIX_RETURN_IF (choose_title (args, study, &title));
  adamix_report_page_begin (&page, folder, title, args->log);
  free (title);
  lead_in (&page, study);
  miss_runs (&page, study);
  if (!page.err) page.err = miss_modes (&page, study);
  show_all (&page, study, args->compare);
  miss_plots (&page);
  return adamix_report_page_end (&page, out->page, &out->summary);
}

adamix_err
adamix_report_write (const adamix_report_args *args, adamix_report_results *out)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL;
  adamix_report_study study = { 0 };
  *out = (adamix_report_results){ 0 };
  ADAMIX_TRY (adamix_report_study_read (&study, args));
  ADAMIX_TRY (choose_places (args, &folder, &out->page));
  ADAMIX_TRY (adamix_directory_make (folder));
  ADAMIX_TRY (write_page (args, &study, folder, out));
done:
  free (folder);
  adamix_report_study_destroy (&study);
  if (err) adamix_report_results_destroy (out);
  return err;
}

void
adamix_report_results_destroy (adamix_report_results *results)
{
  free (results->page);
  free (results->summary);
  *results = (adamix_report_results){ 0 };
}
