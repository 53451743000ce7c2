/* Runs one by one, their speed and memory, what they ran on, how they were started. */
#include "report/report_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers of a run ---- */

/* A row of the table of what runs cost. */
static const struct {
  const char *key, *title;
  double unit;
  int digits;
} costs[] = {
  { "train_tokens_per_second", "tokens/s", 1, 0 },
  { "train_runtime", "training, s", 1, 1 },
  { "startup_seconds", "start, s", 1, 2 },
  { "train_flops", "training, TFLOP", 1e12, 2 },
  { "eval_flops_per_sample", "a dev text, GFLOP", 1e9, 3 },
  { "test_flops_per_sample", "a test text, GFLOP", 1e9, 3 },
  { "memory_bytes", "memory, MB", 1e6, 1 },
  { "peak_rss_bytes", "largest rank, MB", 1e6, 1 },
  { "trainable_parameters", "trained parameters", 1, 0 },
  { "merged_parameters", "merged parameters", 1, 0 },
  { "comm_fraction", "communication", 1, 3 },
  { "wait_fraction", "waiting", 1, 3 },
};
#define COSTS ((int) (sizeof costs / sizeof *costs))

/* Does any run have it, and is it not nothing in all of them? */
static bool
is_known (const adamix_report_study *study, const char *key)
{
  for (int64_t r = 0; r < study->runs; r++) {
    const double value = adamix_report_run_value (&study->run[r], key);
    if (isfinite (value) && value != 0) return true;
  }
  return false;
}

void
adamix_report_show_speed (adamix_report_page *page, const adamix_report_study *study)
{
  adamix_report_table t;
  double *value = NULL;
  adamix_report_table_begin (
      &t, "speed",
      "Means over the runs: real tokens a second in training steps; memory of all ranks together, "
      "shared pages counted once. Runs that shared a machine slowed each other down.");
  adamix_report_table_column (&t, false, "setting");
  if (study->tasks > 1) adamix_report_table_column (&t, false, "task");
  for (int c = 0; c < COSTS; c++)
    if (is_known (study, costs[c].key)) adamix_report_table_column (&t, true, costs[c].title);
  if (!page->err) page->err = ADAMIX_ALLOC (value, study->runs);
  for (int64_t k = 0; k < study->tasks && !page->err; k++)
    for (int64_t g = 0; g < study->task[k].groups; g++) {
      adamix_report_table_text (&t, study->task[k].group[g].name);
      if (study->tasks > 1) adamix_report_table_text (&t, study->task[k].name);
      for (int c = 0; c < COSTS; c++) {
        const int64_t n = adamix_report_values (study, &study->task[k].group[g], costs[c].key, value);
        const double mean = adamix_metric_sample (n, value, REPORT_CONFIDENCE).mean;
        if (is_known (study, costs[c].key)) adamix_report_table_number (&t, mean / costs[c].unit, costs[c].digits);
      }
    }
  adamix_report_page_table (page, &t, NULL, false);
  free (value);
}

static const char *
state_of (const adamix_report_run *run)
{
  if (!run->record) return "unreadable";
  if (run->repeated) return "repeated";
  return run->results ? "finished" : "unfinished";
}

static void
add_run_row (adamix_report_table *t, const adamix_report_study *study, const adamix_report_run *run,
             const adamix_report_task *task, const char *group)
{
  enum { DIGITS = 4 };
  const json_t *seed = adamix_report_member (run->record, "config.seed");
  adamix_report_table_text (t, run->name);
  adamix_report_table_text (t, group);
  if (study->tasks > 1) adamix_report_table_text (t, task ? task->name : NULL);
  adamix_report_table_number (t, seed ? json_number_value (seed) : NAN, 0);
  adamix_report_table_text (t, state_of (run));
  adamix_report_table_number (t, task && task->metric ? adamix_report_run_value (run, task->metric) : NAN, DIGITS);
  adamix_report_table_number (t, adamix_report_run_value (run, "train_loss"), DIGITS);
  adamix_report_table_number (t, run->steps ? run->step[run->steps - 1] : NAN, 0);
  for (int c = 0; c < COSTS; c++)
    if (is_known (study, costs[c].key))
      adamix_report_table_number (t, adamix_report_run_value (run, costs[c].key) / costs[c].unit, costs[c].digits);
}

void
adamix_report_show_runs (adamix_report_page *page, const adamix_report_study *study)
{
  static const char *const after_state[] = { "training loss", "step" };
  adamix_report_table t;
  const bool one = study->tasks == 1 && study->task[0].metric;
  adamix_report_table_begin (&t, "runs", "All runs, with the step that each has reached.");
  adamix_report_table_column (&t, false, "run");
  adamix_report_table_column (&t, false, "setting");
  if (study->tasks > 1) adamix_report_table_column (&t, false, "task");
  adamix_report_table_column (&t, true, "seed");
  adamix_report_table_column (&t, false, "state");
  adamix_report_table_column (&t, true, one ? study->task[0].metric : "main metric");
  for (size_t i = 0; i < sizeof after_state / sizeof *after_state; i++)
    adamix_report_table_column (&t, true, after_state[i]);
  for (int c = 0; c < COSTS; c++)
    if (is_known (study, costs[c].key)) adamix_report_table_column (&t, true, costs[c].title);
  for (int64_t k = 0; k < study->tasks; k++)
    for (int64_t g = 0; g < study->task[k].groups; g++)
      for (int64_t i = 0; i < study->task[k].group[g].runs; i++)
        add_run_row (&t, study, &study->run[study->task[k].group[g].run[i]], &study->task[k],
                     study->task[k].group[g].name);
  for (int64_t r = 0; r < study->runs; r++)
    if (!study->run[r].settings) add_run_row (&t, study, &study->run[r], NULL, NULL);
  adamix_report_page_table (page, &t, study->runs > 12 ? "All runs" : NULL, false);
}

/* ---- environment ---- */

const adamix_report_item adamix_report_circumstance[] = {
  { "adamix", "version" },
  { "git revision", "revision" },
  { "processor", "cpu.name" },
  { "cores of the machine", "cpu.cores" },
  { "kernels", "kernels.isa" },
  { "GEMM", "kernels.gemm" },
  { "precision", "kernels.precision" },
  { "MPI", "mpi" },
  { "ranks", "ranks" },
  { "groups of ranks", "groups" },
  { "threads a rank", "threads" },
  { "encoder", "model.architecture" },
  { "encoder's layers", "model.num_hidden_layers" },
  { "encoder's width", "model.hidden_size" },
  { "encoder's parameters", "model.parameters" },
  { "encoder's SHA-256", "model.sha256" },
  { "training file", "data.train.file" },
  { "training examples", "data.train.examples" },
  { "training file's SHA-256", "data.train.sha256" },
  { "dev file", "data.dev.file" },
  { "dev file's SHA-256", "data.dev.sha256" },
  { "test file", "data.test.file" },
  { "test file's SHA-256", "data.test.sha256" },
};
const int64_t adamix_report_circumstances = sizeof adamix_report_circumstance / sizeof *adamix_report_circumstance;

/* A row for each value that the runs have, with how many have it. */
static adamix_err
add_circumstance (adamix_report_table *t, const adamix_report_study *study, const adamix_report_item *item)
{
  adamix_err err = ADAMIX_OK;
  const char *text;
  json_t *count, *values = json_object ();
  for (int64_t r = 0; r < study->runs; r++) {
    char *key;
    const json_t *value = adamix_report_member (study->run[r].record, item->path);
    if (!value) continue;
    ADAMIX_TRY (adamix_train_option_text (value, &key));
    adamix_json_put (&values, key, json_integer (1 + json_integer_value (json_object_get (values, key))));
    free (key);
  }
  if (!values) ADAMIX_TRY (adamix_err_set (ADAMIX_ENOMEM, "no memory for the environment of the runs"));
  json_object_foreach (values, text, count)
  {
    adamix_report_table_text (t, item->name);
    adamix_report_table_text (t, text);
    if (study->runs > 1) adamix_report_table_number (t, (double) json_integer_value (count), 0);
  }
done:
  json_decref (values);
  return err ? err : t->err;
}

void
adamix_report_show_environment (adamix_report_page *page, const adamix_report_study *study)
{
  adamix_report_table t;
  adamix_report_table_begin (&t, "environment", "What the runs ran on, and with what.");
  adamix_report_table_column (&t, false, "item");
  adamix_report_table_column (&t, false, "value");
  if (study->runs > 1) adamix_report_table_column (&t, true, "runs");
  for (int64_t i = 0; i < adamix_report_circumstances && !t.err; i++)
    t.err = add_circumstance (&t, study, &adamix_report_circumstance[i]);
  adamix_report_page_table (page, &t, NULL, false);
}

/* ---- commands ---- */

static adamix_err
show_command (adamix_report_page *page, const adamix_report_run *run, FILE *script)
{
  char *command;
  ADAMIX_RETURN_IF (adamix_report_command (run, &command));
  adamix_report_page_say (page, "p", "%s", run->name);
  adamix_report_page_say (page, "pre", "%s", command);
  fprintf (script, "%s\n", command);
  free (command);
  return page->err;
}

void
adamix_report_show_commands (adamix_report_page *page, const adamix_report_study *study)
{
  adamix_draft script = { 0 };
  if (!page->err) page->err = adamix_draft_begin (&script);
  if (page->err) return;
  fputs ("# The runs, one a line.\n", script.stream);
  adamix_report_page_say (page, "p", "What run.json recorded, as command lines: all that is not a default.");
  adamix_report_page_put (page, study->runs > 2 ? "<details>\n<summary>All command lines</summary>\n" : "");
  for (int64_t r = 0; r < study->runs && !page->err; r++)
    if (study->run[r].settings) page->err = show_command (page, &study->run[r], script.stream);
  adamix_report_page_put (page, study->runs > 2 ? "</details>\n" : "");
  if (!page->err) page->err = adamix_draft_store (&script, page->folder, "commands.sh");
  adamix_draft_destroy (&script);
}
