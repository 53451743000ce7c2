#include "base/scratch.h"

#include <adamix/sweep.h>

static adamix_sweep sweep;

static void
end (void)
{
  adamix_sweep_destroy (&sweep);
  scratch_end ();
}

TestSuite (sweep, .init = scratch_begin, .fini = end);

#define COMMON "output = out\nmodel = m\ntask = rte\ndata = d\n"

static adamix_err
read_text (const char *text)
{
  return adamix_sweep_read (&sweep, scratch_file ("s.ini", text, strlen (text)), NULL);
}

/* The names of all runs, a line each. */
static void
expect_names (const char *text, const char *names)
{
  char got[4096] = "";
  cr_assert_succeeds (read_text (text));
  for (int64_t i = 0; i < sweep.runs; i++) {
    strcat (got, sweep.run[i].name);
    strcat (got, "\n");
  }
  cr_assert_str_eq (got, names);
}

static const char *
value_of (int64_t run, const char *option)
{
  return adamix_options_value (sweep.run[run].options, option);
}

Test (sweep, one_setting)
{
  expect_names (COMMON, "seed=0\n");
  cr_assert_str_eq (sweep.run[0].setting, "");
  cr_assert_str_eq (sweep.run[0].folder, "out/seed=0");
  cr_assert_str_eq (sweep.run[0].log, "out/seed=0.log");
  cr_assert_str_eq (value_of (0, "output"), "out/seed=0");
  cr_assert_eq (sweep.config.ranks, 1);
}

Test (sweep, a_grid_is_a_product)
{
  expect_names (COMMON "seeds = 3, 0..1\n[grid]\nlr = 2e-3 , 1e-3\nrank=8,16\n",
                "lr=2e-3,rank=8,seed=3\nlr=2e-3,rank=8,seed=0\nlr=2e-3,rank=8,seed=1\n"
                "lr=2e-3,rank=16,seed=3\nlr=2e-3,rank=16,seed=0\nlr=2e-3,rank=16,seed=1\n"
                "lr=1e-3,rank=8,seed=3\nlr=1e-3,rank=8,seed=0\nlr=1e-3,rank=8,seed=1\n"
                "lr=1e-3,rank=16,seed=3\nlr=1e-3,rank=16,seed=0\nlr=1e-3,rank=16,seed=1\n");
  cr_assert_eq (sweep.run[4].config.rank, 16);
  cr_assert_eq (sweep.run[4].config.seed, 0);
  cr_assert_eq (sweep.run[4].config.lr, 2e-3);
  cr_assert_str_eq (sweep.run[4].setting, "lr=2e-3,rank=16");
  cr_assert_str_eq (json_string_value (json_object_get (sweep.run[4].varied, "rank")), "16");
  cr_assert_null (json_object_get (sweep.run[4].varied, "run"));
}

Test (sweep, a_list_of_settings)
{
  expect_names (COMMON "rank = 4\n[run adamix]\n[run wide]\nmethod = adapter\nrank = 64\n",
                "adamix,seed=0\nwide,seed=0\n");
  cr_assert_eq (sweep.run[0].config.rank, 4);
  cr_assert_eq (sweep.run[1].config.rank, 64);
  cr_assert_str_eq (sweep.run[1].config.method, "adapter");
  cr_assert_str_eq (sweep.run[1].setting, "wide");
  cr_assert_str_eq (json_string_value (json_object_get (sweep.run[1].varied, "run")), "wide");
}

/* The grid is for every setting, a setting's own for it alone. */
Test (sweep, grids_of_settings)
{
  expect_names ("[train]\n" COMMON
                "rank = 4\n[run adamix]\n[grid adamix]\nexperts = 2, 4\n[run adapter]\nmethod = adapter\n"
                "[grid]\nepochs = 1, 2\n",
                "adamix,epochs=1,experts=2,seed=0\nadamix,epochs=1,experts=4,seed=0\n"
                "adamix,epochs=2,experts=2,seed=0\nadamix,epochs=2,experts=4,seed=0\n"
                "adapter,epochs=1,seed=0\nadapter,epochs=2,seed=0\n");
  cr_assert_str_eq (value_of (1, "experts"), "4");
  cr_assert_eq (sweep.run[5].config.epochs, 2);
}

/* What a setting has alone may take the place of what all have. */
Test (sweep, a_setting_wins_over_what_is_common)
{
  expect_names (COMMON "rank = 4\n[grid a]\nrank = 8\n", "a,rank=8,seed=0\n");
  cr_assert_eq (sweep.run[0].config.rank, 8);
}

Test (sweep, names_are_safe_for_files)
{
  expect_names ("output = o\nmodel = m\n[grid]\ntrain-file = a b/c.tsv, ../d\n",
                "train-file=a_b_c.tsv,seed=0\ntrain-file=.._d,seed=0\n");
  cr_assert_str_eq (value_of (0, "train-file"), "a b/c.tsv");
}

/* A name does not depend on what else there is. */
Test (sweep, names_stay)
{
  expect_names (COMMON "[grid]\nrank = 8, 16\n", "rank=8,seed=0\nrank=16,seed=0\n");
  adamix_sweep_destroy (&sweep);
  expect_names (COMMON "seeds = 1, 0\n[grid]\nrank = 16\n[run a]\n[run b]\n",
                "a,rank=16,seed=1\na,rank=16,seed=0\nb,rank=16,seed=1\nb,rank=16,seed=0\n");
  adamix_sweep_destroy (&sweep);
  expect_names (COMMON "[grid]\nrank = 32, 16\n", "rank=32,seed=0\nrank=16,seed=0\n");
}

Test (sweep, a_recipe_stands_below_all)
{
  expect_names (COMMON "recipe = support\n[run a]\nepochs = 9\n[run b]\n", "a,seed=0\nb,seed=0\n");
  cr_assert_eq (sweep.run[0].config.epochs, 9);
  cr_assert_eq (sweep.run[1].config.epochs, 4);
  cr_assert_eq (sweep.run[1].config.rank, 48);
  cr_assert_str_eq (sweep.run[1].config.task, "rte");
}

Test (sweep, files_of_each_seed)
{
  expect_names (
      "output = o\nmodel = m\nseeds = 13, 21\ntrain-file = {seed}/k-{seed}.tsv\n[grid]\ndev-file = {seed}, d\n",
      "dev-file=_seed_,seed=13\ndev-file=_seed_,seed=21\ndev-file=d,seed=13\ndev-file=d,seed=21\n");
  cr_assert_str_eq (sweep.run[0].config.train_file, "13/k-13.tsv");
  cr_assert_str_eq (sweep.run[3].config.train_file, "21/k-21.tsv");
  cr_assert_str_eq (sweep.run[1].config.dev_file, "21");
}

Test (sweep, the_command_of_a_run)
{
  char **word, all[1024] = "";
  expect_names (COMMON "threads = 2\nreproducible = true\nhold-out = false\n[run a]\nrank = 4\n", "a,seed=0\n");
  cr_assert_succeeds (adamix_sweep_command (&sweep.run[0], &word));
  for (int i = 0; word[i]; i++) {
    strcat (all, word[i]);
    strcat (all, " ");
  }
  cr_assert_str_eq (
      all, "train --model=m --task=rte --data=d --output=out/a,seed=0 --rank=4 --no-hold-out --seed=0 --threads=2 "
           "--reproducible --resume ");
  free (word);
}

Test (sweep, errors_name_file_and_line)
{
  static const struct {
    const char *text, *message;
  } bad[] = {
    { "modle = m\n", "s.ini:1: unknown option --modle; did you mean --model?" },
    { COMMON "rank = many\n", "s.ini:5: option --rank: \"many\"" },
    { COMMON "rank = 4\nrank = 4\n", "s.ini:6: option --rank is given twice, in line 5 too" },
    { COMMON "output = b\n", "s.ini:5: output is given twice" },
    { COMMON "[gird]\nrank = 4\n", "s.ini:5: [gird] is no section" },
    { COMMON "[run]\nrank = 4\n", "s.ini:5: [run] is no section" },
    { COMMON "[run a/b]\n", "s.ini:5: \"a/b\" cannot be the name" },
    { COMMON "[run ..]\n", "s.ini:5: \"..\" cannot be the name" },
    { COMMON "[grid]\nrank = 4,,8\n", "s.ini:6: a value is missing" },
    { COMMON "[grid]\nrank = 4, 8,\n", "s.ini:6: a value is missing" },
    { COMMON "[grid]\nrank = 4, x\n", "s.ini:6: option --rank: \"x\"" },
    { COMMON "[grid]\nrank = 4, 8, 4\n", "s.ini:6: option --rank has the value 4 twice" },
    { COMMON "[grid]\nrnak = 4\n", "s.ini:6: unknown option --rnak" },
    { COMMON "[grid]\nseed = 4\n", "s.ini:6: seed is of one run; list the seeds" },
    { COMMON "[grid]\nseeds = 4\n", "s.ini:6: seeds is one for all runs" },
    { COMMON "[run a]\noutput = 4\n", "s.ini:6: output is one for all runs" },
    { COMMON "resume = true\n", "s.ini:5: resume cannot be given" },
    { COMMON "config = x.ini\n", "s.ini:5: config cannot be given" },
    { COMMON "seeds = 4..2\n", "s.ini:5: option --seeds: \"4..2\"" },
    { COMMON "seeds = 1, two\n", "s.ini:5: option --seeds: \"two\"" },
    { COMMON "seeds = -1\n", "s.ini:5: option --seeds: \"-1\"" },
    { COMMON "seeds = 1, 0..2\n", "two runs have the name seed=1" },
    { COMMON "ranks = 0\n", "s.ini:5: option --ranks: \"0\"" },
    { COMMON "rank = 4\n[grid]\nrank = 4\n", "s.ini:7: option --rank is given in line 5 too, for the same runs" },
    { COMMON "[grid]\nrank = 4\n[run a]\nrank = 8\n", "s.ini:8: option --rank is given in line 6 too" },
    { COMMON "[grid a]\nrank = 4\n[run a]\nrank = 8\n", "s.ini:8: option --rank is given in line 6 too" },
    { "output = o\nmodel = m\n[grid]\ntrain-file = a/b, a_b\n", "two runs have the name train-file=a_b,seed=0" },
    { "model = m\ntask = rte\ndata = d\n", "s.ini: output is missing" },
    { "output = o\ntask = rte\ndata = d\n", "s.ini:1: run seed=0: --model is missing" },
    { COMMON "[run a]\nmethod = adapter\n[run b]\nmethod = adaptor\n", "s.ini:7: run b,seed=0: --method: 'adaptor'" },
    { COMMON "[grid]\nexperts = 1, 4\nexperts-per-rank = 2\nmerge = average, weighted\n",
      "s.ini:6: run experts=1,experts-per-rank=2,merge=weighted,seed=0: --merge weighted" },
    { COMMON "nonsense\n", "s.ini:5: neither" },
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_assert_fails (read_text (bad[i].text), ADAMIX_EUSAGE, bad[i].message);
}

Test (sweep, too_many_runs)
{
  cr_assert_fails (read_text (COMMON "seeds = 0..10000\n"), ADAMIX_EUSAGE, "more than 10000 runs");
  cr_assert_fails (read_text (COMMON "seeds = 0..99999999\n"), ADAMIX_EUSAGE, "option --seeds");
}

/* ---- a command line over the file -------------------------------------------------------------------------------------- */

static adamix_options *
command_line (const adamix_option *table, int count, const char *name, const char *value)
{
  adamix_options *options;
  cr_assert_succeeds (adamix_options_create (&options, table, count));
  cr_assert_succeeds (adamix_options_set (options, name, value, ADAMIX_SOURCE_COMMAND_LINE));
  return options;
}

static adamix_err
read_over (const char *text, const char *name, const char *value, bool own)
{
  int count;
  const adamix_option *table = own ? adamix_sweep_options (&count) : adamix_train_options (&count);
  if (!own) adamix_train_options (&count);
  adamix_options *given = command_line (table, count, name, value);
  adamix_err err = adamix_sweep_read (&sweep, scratch_file ("s.ini", text, strlen (text)), given);
  adamix_options_destroy (given);
  return err;
}

Test (sweep, the_command_line_wins)
{
  const char *text = COMMON "rank = 4\n[run a]\nrank = 8\n[grid]\nepochs = 1, 2\n";
  cr_assert_succeeds (read_over (text, "rank", "16", false));
  cr_assert_eq (sweep.run[0].config.rank, 16);
  adamix_sweep_destroy (&sweep);
  cr_assert_succeeds (read_over (text, "seeds", "7", true));
  cr_assert_str_eq (sweep.run[0].name, "a,epochs=1,seed=7");
  adamix_sweep_destroy (&sweep);
  cr_assert_succeeds (read_over (text, "output", "else", true));
  cr_assert_str_eq (sweep.run[0].folder, "else/a,epochs=1,seed=0");
  adamix_sweep_destroy (&sweep);
  cr_assert_fails (read_over (text, "epochs", "3", false), ADAMIX_EUSAGE, "--epochs is what the grid of");
}
