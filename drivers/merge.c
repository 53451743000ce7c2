#include "driver.h"

#include <math.h>
#include <string.h>

typedef struct merge_config {
  const char *run, *merge, *output;
  bool force;
  adamix_train_config train; /* of it, the rows of train_rows */
} merge_config;

#define AT(member) offsetof (merge_config, member)
static const adamix_option own_rows[] = {
  { "run", ADAMIX_OPTION_STRING, AT (run), NULL, NULL, 0, 0, "DIR,...",
    "folder of a finished run, whose experts are merged; of several, trained apart: each counts as one expert" },
  { "merge", ADAMIX_OPTION_STRING, AT (merge), "average", NULL, 0, 0, "METHOD",
    "a method of train's --merge; all: each that these options allow" },
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "DIR",
    "folder for the module, or with all for a folder a method; none: only the table is printed" },
  { "force", ADAMIX_OPTION_FLAG, AT (force), "false", NULL, 0, 0, NULL, "write over a module in --output" },
};
#define OWN_ROWS ((int) (sizeof own_rows / sizeof *own_rows))

/* Those of the run, unless they are given here; and those of the merge and of this process. */
static const char *const train_rows[] = {
  "allow-router-merge", "merge-weights", "merge-density", "merge-samples", "merge-alpha", "model",   "data",
  "train-file",         "dev-file",      "test-file",     "precision",     "gemm",        "kernels", "threads"
};
#define TRAIN_ROWS ((int) (sizeof train_rows / sizeof *train_rows))

static void
fill_table (adamix_option table[OWN_ROWS + TRAIN_ROWS])
{
  memcpy (table, own_rows, sizeof own_rows);
  driver_train_rows (table + OWN_ROWS, train_rows, TRAIN_ROWS, AT (train));
}

/* With `all` each method takes what it has a use for, so they are not checked against one method. */
static bool
is_for_all (const merge_config *c, const char *name)
{
  return strcmp (c->merge, ADAMIX_MERGE_ALL) == 0 && strncmp (name, "merge", strlen ("merge")) == 0;
}

/* Each of several runs is an expert; and what one of them held out to select by, others were trained on. */
static adamix_err
count_runs (adamix_options *options, int64_t count)
{
  enum { WIDTH = 32 };
  char experts[WIDTH];
  if (count == 1) return ADAMIX_OK;
  snprintf (experts, sizeof experts, "%lld", (long long) count);
  ADAMIX_RETURN_IF (adamix_options_set (options, "experts", experts, ADAMIX_SOURCE_COMMAND_LINE));
  ADAMIX_RETURN_IF (adamix_options_set (options, "experts-per-rank", "1", ADAMIX_SOURCE_COMMAND_LINE));
  return adamix_options_set (options, "select", "last", ADAMIX_SOURCE_COMMAND_LINE);
}

/* The options of the (first) run, and over them those that are given here. */
static adamix_err
recall (adamix_options **out, const adamix_options *given, const merge_config *c, const driver_list *runs,
        adamix_train_config *config)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  ADAMIX_RETURN_IF (adamix_options_create (out, table, count));
  ADAMIX_RETURN_IF (adamix_train_config_recall (*out, runs->item[0]));
  ADAMIX_RETURN_IF (count_runs (*out, runs->count));
  for (int i = 0; i < TRAIN_ROWS; i++)
    if (adamix_options_source (given, train_rows[i]) == ADAMIX_SOURCE_COMMAND_LINE && !is_for_all (c, train_rows[i]))
      ADAMIX_RETURN_IF (adamix_options_set (*out, train_rows[i], adamix_options_value (given, train_rows[i]),
                                            ADAMIX_SOURCE_COMMAND_LINE));
  if (!is_for_all (c, "merge"))
    ADAMIX_RETURN_IF (adamix_options_set (*out, "merge", c->merge, ADAMIX_SOURCE_COMMAND_LINE));
  ADAMIX_RETURN_IF (adamix_options_set (*out, "output", runs->item[0], ADAMIX_SOURCE_COMMAND_LINE));
  ADAMIX_RETURN_IF (adamix_options_store (*out, config));
  const bool held_out = config->hold_out;
  ADAMIX_RETURN_IF (adamix_train_config_check (config, *out));
  config->hold_out = held_out; /* what is implied now was not done then */
  if (runs->count > 1) config->experts = runs->count;
  if (!is_for_all (c, "merge")) return ADAMIX_OK;
  config->merge_weights = c->train.merge_weights;
  config->merge_density = c->train.merge_density;
  config->merge_samples = c->train.merge_samples;
  config->merge_alpha = c->train.merge_alpha;
  return ADAMIX_OK;
}

static void
print_table (const adamix_merging_results *r)
{
  enum { WIDTH = 16 };
  const adamix_evaluation *first = &r->row[0].evaluation;
  int width = WIDTH;
  for (int64_t m = 0; m < r->count; m++)
    if ((int) strlen (r->row[m].method) > width) width = (int) strlen (r->row[m].method);
  if (r->path) printf ("%s: %lld examples", r->path, (long long) first->examples);
  if (r->path && isfinite (first->majority)) printf (", majority class %.4f", first->majority);
  printf ("%s%-*s", r->path ? "\n" : "", width, "merge");
  for (int64_t i = 0; i < first->metrics; i++) printf (" %20s", first->name[i]);
  printf (" %9s %12s %9s\n", "loss", "parameters", "seconds");
  for (int64_t m = 0; m < r->count; m++) {
    const adamix_evaluation *e = &r->row[m].evaluation;
    printf ("%-*s", width, r->row[m].method);
    for (int64_t i = 0; i < e->metrics; i++) printf (" %20.4f", e->value[i]);
    printf (" %9.4f %12lld %9.2f\n", r->path ? e->loss : NAN, (long long) r->row[m].parameters, r->row[m].seconds);
  }
}

typedef struct merge_options {
  adamix_options *given, *run;
  driver_list runs;
} merge_options;

static adamix_err
parse (const driver_command *self, merge_options *options, const adamix_option *table, int argc, char **argv,
       merge_config *config, adamix_train_config *run)
{
  ADAMIX_RETURN_IF (driver_parse (&options->given, table, OWN_ROWS + TRAIN_ROWS, argc, argv, config));
  ADAMIX_RETURN_IF (driver_require (self, "run", config->run));
  ADAMIX_RETURN_IF (driver_list_create (&options->runs, "run", config->run));
  return recall (&options->run, options->given, config, &options->runs, run);
}

int
driver_merge (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  adamix_option table[OWN_ROWS + TRAIN_ROWS];
  merge_config config = { 0 };
  merge_options options = { 0 };
  adamix_train_config run;
  adamix_merging_results results = { 0 };
  fill_table (table);
  if (driver_help (self, table, OWN_ROWS + TRAIN_ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  ADAMIX_TRY (adamix_comm_agree (&session.world, parse (self, &options, table, argc, argv, &config, &run)));
  const bool several = options.runs.count > 1;
  const adamix_merging_args args = { .train = { .config = &run,
                                                .options = options.run,
                                                .world = &session.world,
                                                .log = driver_session_log (&session),
                                                .threads = run.threads ? (int) run.threads : session.cores },
                                     .method = config.merge,
                                     .output = config.output,
                                     .force = config.force,
                                     .runs = several ? (const char *const *) options.runs.item : NULL,
                                     .count = several ? options.runs.count : 0 };
  ADAMIX_TRY (adamix_train_merge (&args, &results));
  if (session.world.rank == 0) print_table (&results);
done:
  adamix_merging_results_destroy (&results);
  driver_list_destroy (&options.runs);
  adamix_options_destroy (options.run);
  adamix_options_destroy (options.given);
  return driver_session_end (&session, err);
}
