#include "driver.h"

#include <math.h>
#include <string.h>

static volatile sig_atomic_t stop;

/* Recipe, then file, then command line: each later source wins whatever the order of the calls. */
static adamix_err
parse (adamix_options **options, int argc, char **argv, adamix_train_config *config)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  ADAMIX_RETURN_IF (adamix_options_create (options, table, count));
  ADAMIX_RETURN_IF (adamix_options_parse (*options, argc, argv, NULL, 0, NULL));
  const char *file = adamix_options_value (*options, "config");
  if (file && *file) ADAMIX_RETURN_IF (adamix_options_read (*options, file));
  const char *recipe = adamix_options_value (*options, "recipe");
  if (recipe && *recipe) ADAMIX_RETURN_IF (adamix_recipe_apply (*options, recipe));
  ADAMIX_RETURN_IF (adamix_options_store (*options, config));
  return adamix_train_config_check (config, *options);
}

static void
print_evaluation (const char *split, const adamix_evaluation *e)
{
  printf ("%-5s", split);
  for (int64_t i = 0; i < e->metrics; i++) printf (" %s %.4f", e->name[i], e->value[i]);
  printf (" (%lld examples", (long long) e->examples);
  if (isfinite (e->majority)) printf (", majority class %.4f", e->majority);
  printf (")\n");
}

static void
print_results (const adamix_train_results *r)
{
  if (r->was_finished) return;
  printf ("trained %lld steps", (long long) r->steps);
  /* The first steps of a process are not timed: a very short run has no speed to tell. */
  if (isfinite (r->tokens_per_second)) printf (" in %.0f s, %.0f tokens/s", r->train_seconds, r->tokens_per_second);
  putchar ('\n');
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++)
    if (r->evaluation[split].examples) print_evaluation (adamix_split_of (split)->name, &r->evaluation[split]);
  printf ("merged module: %s (%lld bytes; %lld parameters and %lld of the head)\n", r->merged,
          (long long) r->merged_bytes, (long long) r->merged_parameters, (long long) r->head_parameters);
}

int
driver_train (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  int count;
  driver_session session;
  adamix_options *options = NULL;
  adamix_train_config config;
  adamix_train_results results = { 0 };
  const adamix_option *table = adamix_train_options (&count);
  if (driver_help (self, table, count, argc, argv)) return 0;
  /* Before MPI starts: a job may be told to stop while its ranks still look for each other. */
  driver_catch_signals (&stop, SA_RESTART);
  ADAMIX_TRY (driver_session_start (&session, true));
  /* A --config file may be missing on one node. */
  ADAMIX_TRY (adamix_comm_agree (&session.world, parse (&options, argc, argv, &config)));
  adamix_train_args args = { .config = &config,
                             .options = options,
                             .world = &session.world,
                             .log = driver_session_log (&session),
                             .stop = &stop,
                             .threads = config.threads ? (int) config.threads : session.cores };
  if (args.threads > session.cores)
    adamix_log_warn (args.log, "--threads %d is more than the %d cores a rank has: expect it to be slower",
                     args.threads, session.cores);
  ADAMIX_TRY (adamix_train_run (&args, &results));
  if (session.world.rank == 0) print_results (&results);
done:
  adamix_train_results_destroy (&results);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
