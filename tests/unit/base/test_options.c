#include "base/scratch.h"

#include <stddef.h>

typedef struct config {
  const char *model, *output;
  int64_t experts;
  double rate;
  bool force, warm;
  int share;
  int64_t room, left_alone;
} config;

static const adamix_option table[] = {
  { "model", ADAMIX_OPTION_STRING, offsetof (config, model), NULL, NULL, 0, 0, "DIR", "Folder of the model." },
  { "output", ADAMIX_OPTION_STRING, offsetof (config, output), "", NULL, 0, 0, "DIR", "Folder of the run." },
  { "experts", ADAMIX_OPTION_INTEGER, offsetof (config, experts), "4", NULL, 1, 64, "M", "Modules a layer." },
  { "lr", ADAMIX_OPTION_REAL, offsetof (config, rate), "0.001", NULL, 0, 10, "X",
    "Learning rate at the top of the schedule, from which it falls in a straight line to zero." },
  { "force", ADAMIX_OPTION_FLAG, offsetof (config, force), "false", NULL, 0, 0, NULL, "Overwrite." },
  { "warm", ADAMIX_OPTION_FLAG, offsetof (config, warm), "true", NULL, 0, 0, NULL, "Cold start." },
  { "share", ADAMIX_OPTION_CHOICE, offsetof (config, share), "none", "none|up|down|both", 0, 0, NULL,
    "What is shared." },
  { "room", ADAMIX_OPTION_SIZE, offsetof (config, room), "0", NULL, 0, 1e15, "SIZE", "Memory." },
  { "steps", ADAMIX_OPTION_INTEGER, offsetof (config, left_alone), NULL, NULL, 0, 0, "N", "No default." },
};
enum { ROWS = sizeof table / sizeof *table };

static adamix_options *options;
static const char *positional[2];
static int positionals;

static void
begin (void)
{
  scratch_begin ();
  cr_assert_succeeds (adamix_options_create (&options, table, ROWS));
}

static void
end (void)
{
  adamix_options_destroy (options);
  scratch_end ();
}

TestSuite (options, .init = begin, .fini = end);

/* Words of the command line, the command not among them. */
#define parse(...)                                                                                                     \
  ({                                                                                                                   \
    char *argv[] = { "train", __VA_ARGS__ };                                                                           \
    adamix_options_parse (options, (int) (sizeof argv / sizeof *argv), argv, positional, 2, &positionals);             \
  })

static config
stored (void)
{
  config config = { .left_alone = 99 };
  cr_assert_succeeds (adamix_options_store (options, &config));
  return config;
}

static adamix_err
read_ini (const char *text)
{
  return adamix_options_read (options, scratch_file ("run.ini", text, strlen (text)));
}

Test (options, defaults)
{
  config config = stored ();
  cr_assert_null (config.model);
  cr_assert_null (config.output);
  cr_assert (config.experts == 4 && config.rate == 0.001 && !config.force && config.warm && config.share == 0);
  cr_assert_eq (config.left_alone, 99, "an option without a default and a value leaves the struct as it is");
  cr_assert_eq (adamix_options_source (options, "lr"), ADAMIX_SOURCE_DEFAULT);
}

Test (options, command_line)
{
  cr_assert_succeeds (parse ("--model", "dir", "in", "--experts=8", "--force", "--no-warm", "--lr", "-0", "--share",
                             "both", "--steps", "-5", "--", "--out"));
  config config = stored ();
  cr_assert_str_eq (config.model, "dir");
  cr_assert (config.experts == 8 && config.force && !config.warm && config.share == 3 && config.left_alone == -5);
  cr_assert_eq (positionals, 2);
  cr_assert_str_eq (positional[0], "in");
  cr_assert_str_eq (positional[1], "--out");
  cr_assert_eq (adamix_options_source (options, "force"), ADAMIX_SOURCE_COMMAND_LINE);
  cr_assert_str_eq (adamix_options_value (options, "experts"), "8");
}

Test (options, command_line_errors)
{
  cr_assert_fails (parse ("--expert", "8"), ADAMIX_EUSAGE, "did you mean --experts?");
  cr_assert_fails (parse ("--frobnicate"), ADAMIX_EUSAGE, "unknown option --frobnicate; --help");
  cr_assert_fails (parse ("--no-share"), ADAMIX_EUSAGE, "unknown option --no-share");
  cr_assert_fails (parse ("--model"), ADAMIX_EUSAGE, "needs a value: --model DIR");
  cr_assert_fails (parse ("--model", "--force"), ADAMIX_EUSAGE, "--model needs a value");
  cr_assert_fails (parse ("-m", "x"), ADAMIX_EUSAGE, "unknown option -m");
  cr_assert_fails (parse ("a", "b", "c"), ADAMIX_EUSAGE, "unexpected argument \"c\"");
  cr_assert_fails (parse ("--lr", "1", "--lr", "2"), ADAMIX_EUSAGE, "--lr is given twice");
  cr_assert_fails (parse ("--force", "--no-force"), ADAMIX_EUSAGE, "--force is given twice");
}

Test (options, values_are_checked_where_they_are_given)
{
  cr_assert_fails (parse ("--experts", "65"), ADAMIX_EUSAGE,
                   "option --experts: \"65\" is not allowed; expected an integer "
                   "from 1 to 64");
  cr_assert_fails (parse ("--experts", "4x"), ADAMIX_EUSAGE, "\"4x\"");
  cr_assert_fails (parse ("--experts", ""), ADAMIX_EUSAGE, "\"\"");
  cr_assert_fails (parse ("--steps", "99999999999999999999"), ADAMIX_EUSAGE, "an integer");
  cr_assert_fails (parse ("--lr", "nan"), ADAMIX_EUSAGE, "a number from 0 to 10");
  cr_assert_fails (parse ("--lr", "1e999"), ADAMIX_EUSAGE, "a number");
  cr_assert_fails (parse ("--force=yes"), ADAMIX_EUSAGE, "true or false");
  cr_assert_fails (parse ("--share", "dow"), ADAMIX_EUSAGE, "none|up|down|both");
  cr_assert_fails (parse ("--share", "down|both"), ADAMIX_EUSAGE, "none|up|down|both");
  cr_assert_eq (stored ().experts, 4);
}

static int64_t
size_of (const char *text)
{
  cr_assert_succeeds (adamix_options_set (options, "room", text, ADAMIX_SOURCE_COMMAND_LINE));
  return stored ().room;
}

Test (options, sizes_have_suffixes_in_powers_of_1024)
{
  cr_assert_eq (stored ().room, 0);
  cr_assert_eq (size_of ("123"), 123);
  cr_assert_eq (size_of ("3K"), 3 * 1024);
  cr_assert_eq (size_of ("5M"), 5 << 20);
  cr_assert_eq (size_of ("7G"), (int64_t) 7 << 30);
  const char *wrong[] = {
    "", "K", "1.5M", "3k", "3KB", "3 K", "-1", "-1K", "1000000000G", "99999999999999999999", "x"
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    cr_assert_fails (adamix_options_set (options, "room", wrong[i], ADAMIX_SOURCE_COMMAND_LINE), ADAMIX_EUSAGE,
                     "K, M or G");
}

Test (options, later_sources_win_whatever_the_order)
{
  cr_assert_succeeds (parse ("--experts", "2"));
  cr_assert_succeeds (read_ini ("experts = 3\nshare = up\n"));
  cr_assert_succeeds (adamix_options_set (options, "experts", "5", ADAMIX_SOURCE_RECIPE));
  cr_assert_succeeds (adamix_options_set (options, "share", "both", ADAMIX_SOURCE_RECIPE));
  cr_assert_succeeds (adamix_options_set (options, "lr", "0.5", ADAMIX_SOURCE_RECIPE));
  config config = stored ();
  cr_assert (config.experts == 2 && config.share == 1 && config.rate == 0.5);
  cr_assert_eq (adamix_options_source (options, "share"), ADAMIX_SOURCE_FILE);
}

Test (options, ini_files)
{
  cr_assert_succeeds (read_ini ("\xef\xbb\xbf# comment\n[run]\r\nmodel = /a dir/b\r\n  lr: 0.25 ; why\n\nforce=true"));
  config config = stored ();
  cr_assert_str_eq (config.model, "/a dir/b");
  cr_assert (config.rate == 0.25 && config.force);
}

Test (options, ini_errors_name_file_and_line)
{
  cr_assert_fails (read_ini ("experts = 3\nlayers = 2\n"), ADAMIX_EUSAGE, "run.ini:2: unknown option --layers");
  cr_assert_fails (read_ini ("experts = 3\n\nexperts = x\n"), ADAMIX_EUSAGE, "run.ini:3: option --experts");
  cr_assert_fails (read_ini ("experts = 3\nexperts = 3\n"), ADAMIX_EUSAGE,
                   "run.ini:2: option --experts is given twice");
  cr_assert_fails (read_ini ("experts = 3\nnonsense\nlayers = 2\n"), ADAMIX_EUSAGE, "run.ini:2: neither");
  cr_assert_fails (adamix_options_read (options, scratch_path ("none")), ADAMIX_EIO, "No such file");
  char long_line[400] = "model = ";
  memset (long_line + 8, 'x', sizeof long_line - 9);
  cr_assert_fails (read_ini (long_line), ADAMIX_EUSAGE, "run.ini:1: the line has 399 bytes");
}

Test (options, record_is_typed)
{
  cr_assert_succeeds (parse ("--share", "up", "--model", "m", "--room", "2M"));
  json_t *record = adamix_options_json (options), *expected;
  expected = json_loads ("{\"model\": \"m\", \"output\": null, \"experts\": 4, \"lr\": 0.001, \"force\": false,"
                         " \"warm\": true, \"share\": \"up\", \"room\": 2097152, \"steps\": null}",
                         0, NULL);
  cr_assert (json_equal (record, expected));
  json_decref (record);
  json_decref (expected);
}

Test (options, a_bad_default_is_noticed)
{
  static const adamix_option bad[] = { { "n", ADAMIX_OPTION_INTEGER, 0, "many", NULL, 0, 0, NULL, "" } };
  adamix_options *none;
  cr_assert_fails (adamix_options_create (&none, bad, 1), ADAMIX_EUSAGE, "many");
  cr_assert_null (none);
}

Test (options, help_keeps_to_80_columns_and_shows_the_table)
{
  char *text;
  size_t size;
  FILE *stream = open_memstream (&text, &size);
  adamix_options_help (table, ROWS, stream);
  fclose (stream);
  cr_assert_not_null (strstr (text, "  --experts M             Modules a layer. [4]\n"), "%s", text);
  cr_assert_not_null (strstr (text, "  --no-warm               Cold start.\n"), "%s", text);
  cr_assert_not_null (strstr (text, "  --share none|up|down|both\n                          What is shared. [none]\n"),
                      "%s", text);
  for (char *line = strtok (text, "\n"); line; line = strtok (NULL, "\n"))
    cr_assert_leq (strlen (line), 80, "%s", line);
}
