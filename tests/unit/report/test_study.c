/* Runs by task and group, their names, what pairs them; means of curves. */
#include "report/report_private.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { MOST = 16 };

static adamix_report_study study;
static adamix_report_args args;

static void
start (void)
{
  study = (adamix_report_study){ 0 };
  args = (adamix_report_args){ 0 };
  cr_assert_eq (ADAMIX_ALLOC (study.run, MOST), ADAMIX_OK);
}

static void
stop (void)
{
  adamix_report_study_destroy (&study);
}

TestSuite (study, .init = start, .fini = stop);

/* A finished run of those settings, "method=adamix rank=16", with eval_accuracy `value`; NaN: an unfinished one. */
static adamix_report_run *
add (const char *task, const char *settings, int seed, double value)
{
  adamix_report_run *run = &study.run[study.runs];
  char key[32], text[32];
  int used;
  run->settings = json_object ();
  for (const char *rest = settings; sscanf (rest, " %31[^=]=%31s%n", key, text, &used) == 2; rest += used)
    json_object_set_new (run->settings, key, json_string (text));
  if (isfinite (value)) run->results = json_pack ("{s:f, s:f}", "eval_accuracy", value, "eval_loss", 1 - value);
  cr_assert_eq (adamix_format (&run->name, "run-%lld", (long long) study.runs), ADAMIX_OK);
  cr_assert_eq (adamix_format (&run->path, "runs/run-%lld", (long long) study.runs), ADAMIX_OK);
  cr_assert_eq (adamix_format (&run->metric, "accuracy"), ADAMIX_OK);
  cr_assert_eq (adamix_format (&run->task, "%s", task), ADAMIX_OK);
  cr_assert_eq (adamix_format (&run->basis, "%s", ""), ADAMIX_OK);
  cr_assert_eq (adamix_format (&run->replicate, "%d data", seed), ADAMIX_OK);
  study.runs++;
  return run;
}

static void
expect_names (const adamix_report_task *task, int64_t groups, const char *const *name)
{
  cr_assert_eq (task->groups, groups, "%lld groups", (long long) task->groups);
  for (int64_t g = 0; g < groups; g++) cr_assert_str_eq (task->group[g].name, name[g]);
}
#define EXPECT_NAMES(task, ...)                                                                                        \
  expect_names (task, sizeof ((const char *const[]){ __VA_ARGS__ }) / sizeof (char *),                                 \
                (const char *const[]){ __VA_ARGS__ })

Test (study, runs_that_differ_in_the_seed_are_a_group)
{
  add ("mrpc", "method=adamix rank=16", 0, 0.8);
  add ("mrpc", "method=adapter rank=16", 0, 0.7);
  add ("mrpc", "method=adamix rank=16", 1, 0.9);
  add ("mrpc", "method=adamix rank=16", 2, NAN);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  cr_assert_eq (study.tasks, 1);
  EXPECT_NAMES (&study.task[0], "adamix", "adapter");
  cr_assert_eq (study.task[0].group[0].runs, 3);
  double value[MOST];
  cr_assert_eq (adamix_report_values (&study, &study.task[0].group[0], "eval_accuracy", value), 2);
  cr_assert (value[0] == 0.8 && value[1] == 0.9);
  cr_assert_str_eq (study.task[0].slug, "");
}

Test (study, names_hold_what_tells_groups_apart_and_no_more)
{
  add ("mrpc", "method=adamix experts=4 rank=16 reproducible=true", 0, 0.8);
  add ("mrpc", "method=adamix experts=4 rank=32 reproducible=true", 0, 0.8);
  add ("mrpc", "method=adapter experts=1 rank=16 reproducible=true", 0, 0.8);
  add ("mrpc", "method=adapter experts=1 rank=16 reproducible=false", 0, 0.8);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  /* The experts go with the method. */
  EXPECT_NAMES (&study.task[0], "adamix, rank 16, reproducible", "adamix, rank 32, reproducible",
                "adapter, rank 16, reproducible", "adapter, rank 16, no reproducible");
}

Test (study, one_method_is_not_named_beside_other_settings)
{
  add ("mrpc", "method=adamix rank=16", 0, 0.8);
  add ("mrpc", "method=adamix rank=32", 0, 0.8);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  EXPECT_NAMES (&study.task[0], "rank 16", "rank 32");
}

Test (study, tasks_are_apart)
{
  add ("mrpc", "method=adamix lr=0.1", 0, 0.8);
  add ("sst2", "method=adamix lr=0.2", 0, 0.8);
  add ("own data.tsv", "method=adamix lr=0.2", 0, 0.8);
  free (add ("own data.tsv", "method=adamix lr=0.2", 0, 0.8)->basis);
  cr_assert_eq (adamix_format (&study.run[3].basis, "another hash"), ADAMIX_OK);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  cr_assert_eq (study.tasks, 4);
  for (int t = 0; t < 4; t++) EXPECT_NAMES (&study.task[t], "adamix");
  cr_assert_str_eq (study.task[2].slug, "own-data-tsv");
  cr_assert_str_eq (study.task[3].name, "own data.tsv (2)");
  cr_assert_str_neq (study.task[3].slug, study.task[2].slug);
}

Test (study, the_same_run_counts_once)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adamix", 1, 0.9);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  double value[MOST];
  cr_assert_eq (adamix_report_values (&study, &study.task[0].group[0], "eval_accuracy", value), 2);
  cr_assert (study.run[1].repeated && strstr (study.run[1].trouble, "run-0"));
}

Test (study, pairs_have_seed_and_data_in_common)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adamix", 2, 0.9);
  add ("mrpc", "method=adamix", 3, NAN);
  add ("mrpc", "method=adapter", 3, 0.5);
  add ("mrpc", "method=adapter", 2, 0.6);
  add ("mrpc", "method=adapter", 1, 0.7);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  double a[MOST], b[MOST];
  const adamix_report_group *group = study.task[0].group;
  cr_assert_eq (adamix_report_pairs (&study, &group[0], &group[1], "eval_accuracy", a, b), 1);
  cr_assert (a[0] == 0.9 && b[0] == 0.6);
}

Test (study, the_reference_is_the_best_or_the_baseline)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adapter", 0, 0.9);
  add ("mrpc", "method=head", 0, NAN);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  cr_assert_eq (study.task[0].reference, 1);
  cr_assert_str_eq (study.task[0].metric, "eval_accuracy");
  cr_assert_str_eq (study.task[0].short_metric, "accuracy");
}

Test (study, a_baseline_is_taken_whatever_it_reaches)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adapter", 0, 0.9);
  args.baseline = "adamix";
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  cr_assert (study.task[0].reference == 0 && study.task[0].is_baseline);
}

Test (study, a_loss_is_best_where_it_is_least)
{
  add ("mrpc", "method=adapter", 0, 0.9);
  add ("mrpc", "method=adamix", 0, 0.8);
  args.metric = "eval_loss";
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  cr_assert (study.task[0].lower && study.task[0].reference == 0);
  cr_assert (adamix_report_is_lower_better ("memory_bytes") && !adamix_report_is_lower_better ("test_f1"));
}

Test (study, the_test_file_counts_where_all_have_it)
{
  json_object_set_new (add ("mrpc", "method=adamix", 0, 0.8)->results, "test_accuracy", json_real (0.5));
  adamix_report_run *second = add ("mrpc", "method=adapter", 0, 0.9);
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  cr_assert_str_eq (study.task[0].metric, "eval_accuracy");
  json_object_set_new (second->results, "test_accuracy", json_real (0.6));
  adamix_report_study again = { .run = study.run, .runs = study.runs };
  cr_assert_eq (adamix_report_study_deal (&again, &args), ADAMIX_OK);
  cr_assert_str_eq (again.task[0].metric, "test_accuracy");
  again.runs = 0;
  again.run = NULL;
  adamix_report_study_destroy (&again);
}

Test (study, what_there_is_not_is_named)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adapter", 0, 0.8);
  args.baseline = "head";
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_EUSAGE);
  cr_assert (strstr (adamix_err_message (), "\"head\"") && strstr (adamix_err_message (), "\"adamix\", \"adapter\""));
}

Test (study, a_metric_of_no_run_is_refused)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  args.metric = "eval_bleu";
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_EUSAGE);
  cr_assert (strstr (adamix_err_message (), "eval_bleu"));
}

Test (study, two_runs_side_by_side_are_groups_even_if_alike)
{
  add ("mrpc", "method=adamix", 0, 0.8);
  add ("mrpc", "method=adamix", 1, 0.8);
  args.compare = true;
  cr_assert_eq (adamix_report_study_deal (&study, &args), ADAMIX_OK);
  EXPECT_NAMES (&study.task[0], "run-0", "run-1");
}

Test (study, curves_are_means_over_bins)
{
  double step[] = { 1, 2, 3, 4, 7 }, loss[] = { 1, 3, NAN, 5, 9 }, mean[4];
  const adamix_report_run run = { .step = step, .curve = { [ADAMIX_REPORT_LOSS] = loss }, .steps = 5 };
  adamix_report_bin (&run, ADAMIX_REPORT_LOSS, 2, 4, mean);
  cr_assert (mean[0] == 2 && mean[1] == 5 && isnan (mean[2]) && mean[3] == 9);
}
