#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "train/train_private.h"

static adamix_options *options;
static adamix_train_config config;

static void
set_up (void)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  cr_assert (eq (int, adamix_options_create (&options, table, count), ADAMIX_OK));
}

static void
tear_down (void)
{
  adamix_options_destroy (options);
}

TestSuite (config, .init = set_up, .fini = tear_down);

static adamix_err
parse (int argc, const char *const *argv)
{
  ADAMIX_RETURN_IF (adamix_options_parse (options, argc, (char **) argv, NULL, 0, NULL));
  ADAMIX_RETURN_IF (adamix_options_store (options, &config));
  return adamix_train_config_check (&config, options);
}
#define PARSE(...)                                                                                                     \
  parse ((int) (sizeof (const char *[]){ "train", __VA_ARGS__ } / sizeof (char *)),                                    \
         (const char *[]){ "train", __VA_ARGS__ })
#define COMPLETE "--model", "m", "--task", "rte", "--data", "d", "--output", "o"

Test (config, has_the_documented_defaults)
{
  cr_assert (eq (int, PARSE (COMPLETE), ADAMIX_OK), "%s", adamix_err_message ());
  cr_assert (eq (str, (char *) config.method, "adamix"));
  cr_assert (eq (i64, config.experts, 4));
  cr_assert (eq (i64, config.rank, 16));
  cr_assert (eq (int, config.share, ADAMIX_SHARE_DOWN));
  cr_assert (eq (dbl, config.consistency, 1));
  cr_assert (eq (i64, config.experts_per_rank, 2));
  cr_assert (eq (dbl, config.epochs, 3));
  cr_assert (eq (i64, config.batch, 32));
  cr_assert (eq (dbl, config.lr, 1e-3));
  cr_assert (eq (i64, config.max_length, 128));
}

/* The driver applies the recipe after the command line, which still wins. */
Test (config, recipe_yields_to_the_command_line)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--epochs", "1"), ADAMIX_OK));
  cr_assert (eq (int, adamix_recipe_apply (options, "support"), ADAMIX_OK));
  cr_assert (eq (int, adamix_options_store (options, &config), ADAMIX_OK));
  cr_assert (eq (str, (char *) config.task, "rte"));
  cr_assert (eq (i64, config.rank, 48));
  cr_assert (eq (dbl, config.lr, 2e-3));
  cr_assert (eq (dbl, config.epochs, 1));
}

Test (config, has_the_papers_recipes)
{
  const struct {
    const char *name;
    int64_t rank, epochs;
    double lr;
  } paper[] = { { "paper-bert-base", 48, 40, 4e-4 }, { "paper-roberta-large", 16, 20, 3e-4 } };
  for (size_t i = 0; i < sizeof paper / sizeof *paper; i++) {
    tear_down ();
    set_up ();
    cr_assert (eq (int, PARSE (COMPLETE), ADAMIX_OK));
    cr_assert (eq (int, adamix_recipe_apply (options, paper[i].name), ADAMIX_OK), "%s", adamix_err_message ());
    cr_assert (eq (int, adamix_options_store (options, &config), ADAMIX_OK));
    cr_assert (eq (i64, config.rank, paper[i].rank));
    cr_assert (eq (i64, (int64_t) config.epochs, paper[i].epochs));
    cr_assert (eq (dbl, config.lr, paper[i].lr));
    cr_assert (eq (i64, config.experts, 4));
    cr_assert (eq (i64, config.batch, 64));
    cr_assert (eq (int, config.share, ADAMIX_SHARE_UP));
    cr_assert (eq (dbl, config.weight_decay, 0.1));
    cr_assert (eq (dbl, config.warmup, 0.06));
    cr_assert (eq (int, config.select, 1), "the best epoch is kept");
  }
}

Test (config, refuses_routes_that_lead_nowhere_or_are_drawn_as_well)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--routes-file", "f", "--method", "head"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--method head"), NULL));
  tear_down ();
  set_up ();
  cr_assert (eq (int, PARSE (COMPLETE, "--routes-file", "f", "--route", "stochastic"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--route "), NULL));
}

Test (config, refuses_passes_without_effect)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--passes", "3", "--consistency", "0"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--passes 3"), NULL));
  tear_down ();
  set_up ();
  cr_assert (eq (int, PARSE (COMPLETE, "--passes", "3", "--consistency", "0", "--task-loss", "all"), ADAMIX_OK));
}

/* What a method has no use for is named once, in one line; what a recipe set is not. */
Test (config, warns_of_options_without_use)
{
  char text[512] = "";
  adamix_log log = { .stream = fmemopen (text, sizeof text, "w"), .level = ADAMIX_LOG_WARN };
  cr_assert (eq (int, PARSE (COMPLETE, "--method", "adapter", "--experts", "8", "--rank", "8"), ADAMIX_OK));
  cr_assert (eq (int, adamix_recipe_apply (options, "paper-bert-base"), ADAMIX_OK));
  adamix_train_config_warn (&config, options, &log);
  fclose (log.stream);
  cr_assert (eq (str, text, "adamix: warning: --method adapter has no use for --experts\n"));
}

Test (config, names_what_contradicts_or_is_missing)
{
  cr_assert (eq (int, PARSE ("--model", "m", "--task", "rte", "--data", "d"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--output"), NULL));
}

Test (config, refuses_two_sources_of_data)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--train-file", "f"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--train-file"), NULL));
}

Test (config, refuses_an_unknown_task_and_lists_those_there_are)
{
  cr_assert (eq (int, PARSE ("--model", "m", "--task", "imdb", "--data", "d", "--output", "o"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "imdb"), NULL));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "banking77"), NULL));
}

Test (config, refuses_resume_with_force)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--resume", "--force"), ADAMIX_EUSAGE));
}

Test (config, refuses_more_experts_a_rank_than_experts)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--experts", "2", "--experts-per-rank", "3"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--experts-per-rank 3"), NULL));
}

Test (config, refuses_a_period_that_is_none)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--save-every", "sometimes"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "sometimes"), NULL));
}

Test (config, lets_one_expert_be_the_only_one_of_a_rank)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--experts", "1"), ADAMIX_OK), "%s", adamix_err_message ());
  cr_assert (eq (i64, config.experts_per_rank, 1));
}

Test (config, refuses_options_of_own_data_beside_a_task)
{
  cr_assert (eq (int, PARSE (COMPLETE, "--text-column", "words"), ADAMIX_EUSAGE));
  cr_assert (ne (ptr, strstr (adamix_err_message (), "--text-column"), NULL));
}
