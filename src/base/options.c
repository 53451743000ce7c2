#include "base/options.h"

#include <stdlib.h>
#include <string.h>

adamix_err
adamix_options_create (adamix_options **out, const adamix_option *table, int count)
{
  adamix_err err = ADAMIX_OK;
  adamix_options *options = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (options, 1));
  options->table = table;
  ADAMIX_TRY (ADAMIX_ALLOC (options->value, count));
  options->count = count;
  for (int i = 0; i < count; i++) {
    if (!table[i].fallback) continue;
    ADAMIX_TRY (adamix_options_set (options, table[i].name, table[i].fallback, ADAMIX_SOURCE_DEFAULT));
  }
done:
  if (err != ADAMIX_OK) {
    adamix_options_destroy (options);
    options = NULL;
  }
  *out = options;
  return err;
}

void
adamix_options_destroy (adamix_options *options)
{
  if (!options) return;
  for (int i = 0; i < options->count; i++) free (options->value[i].text);
  free (options->value);
  free (options);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Row of the name `name[0 .. length - 1]`, or -1. */
static int
find (const adamix_options *options, const char *name, size_t length)
{
  for (int i = 0; i < options->count; i++)
    if (strncmp (options->table[i].name, name, length) == 0 && !options->table[i].name[length]) return i;
  return -1;
}

/* Levenshtein distance; names longer than NAME_MAX_LENGTH are compared by their beginnings. */
static int
distance (const char *a, const char *b)
{
  enum { NAME_MAX_LENGTH = 63 };
  int row[NAME_MAX_LENGTH + 1];
  int columns = (int) strnlen (b, NAME_MAX_LENGTH), rows = (int) strnlen (a, NAME_MAX_LENGTH);
  for (int j = 0; j <= columns; j++) row[j] = j;
  for (int i = 1; i <= rows; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= columns; j++) {
      int replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      int moved = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      row[j] = replaced < moved ? replaced : moved;
    }
  }
  return row[columns];
}

static adamix_err
unknown (const adamix_options *options, const char *name)
{
  const char *nearest = NULL;
  int least = 0;
  for (int i = 0; i < options->count; i++) {
    int apart = distance (name, options->table[i].name);
    if (nearest && apart >= least) continue;
    nearest = options->table[i].name;
    least = apart;
  }
  /* A name that shares less than half of its letters is no help. */
  if (nearest && 2 * (size_t) least <= strlen (nearest))
    return adamix_err_set (ADAMIX_EUSAGE, "unknown option --%s; did you mean --%s?", name, nearest);
  return adamix_err_set (ADAMIX_EUSAGE, "unknown option --%s; --help lists all", name);
}

/* ---- setting ----------------------------------------------------------------------------------------------------- */

static adamix_err
set_row (adamix_options *options, int row, const char *text, adamix_option_source source)
{
  adamix_option_converted converted;
  ADAMIX_RETURN_IF (adamix_option_convert (&options->table[row], text, &converted));
  value *value = &options->value[row];
  if (source < value->source) return ADAMIX_OK;
  char *copy;
  ADAMIX_RETURN_IF (adamix_format (&copy, "%s", text));
  free (value->text);
  value->text = copy;
  value->source = source;
  return ADAMIX_OK;
}

adamix_err
adamix_options_set (adamix_options *options, const char *name, const char *text, adamix_option_source source)
{
  int row = find (options, name, strlen (name));
  return row < 0 ? unknown (options, name) : set_row (options, row, text, source);
}

/* Set a row that must not have been given before in the same command line or file. */
static adamix_err
set_once (adamix_options *options, int row, const char *text, adamix_option_source source)
{
  if (options->value[row].seen)
    return adamix_err_set (ADAMIX_EUSAGE, "option --%s is given twice; give it once", options->table[row].name);
  options->value[row].seen = true;
  return set_row (options, row, text, source);
}

static void
forget_seen (adamix_options *options)
{
  for (int i = 0; i < options->count; i++) options->value[i].seen = false;
}

/* ---- command line ------------------------------------------------------------------------------------------------ */

/* `--no-flag` names a flag to be switched off; its row or -1. */
static int
find_negated (const adamix_options *options, const char *name)
{
  static const char prefix[] = "no-";
  size_t skip = sizeof prefix - 1;
  if (strncmp (name, prefix, skip) != 0) return -1;
  int row = find (options, name + skip, strlen (name + skip));
  return row >= 0 && options->table[row].kind == ADAMIX_OPTION_FLAG ? row : -1;
}

/* One option at argv[*at]; *at moves on to a value that is an argument of its own. */
static adamix_err
parse_option (adamix_options *options, int argc, char **argv, int *at)
{
  const adamix_option_source source = ADAMIX_SOURCE_COMMAND_LINE;
  const char *name = argv[*at] + strlen ("--");
  size_t length = strcspn (name, "=");
  int row = find (options, name, length);
  if (row < 0) {
    row = name[length] ? -1 : find_negated (options, name);
    if (row >= 0) return set_once (options, row, "false", source);
    char bare[64];
    snprintf (bare, sizeof bare, "%.*s", (int) length, name);
    return unknown (options, bare);
  }
  if (name[length]) return set_once (options, row, name + length + 1, source);
  if (options->table[row].kind == ADAMIX_OPTION_FLAG) return set_once (options, row, "true", source);
  if (*at + 1 >= argc || strncmp (argv[*at + 1], "--", 2) == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "option --%s needs a value: --%s %s", name, name,
                           options->table[row].argument ? options->table[row].argument : "VALUE");
  *at += 1;
  return set_once (options, row, argv[*at], source);
}

adamix_err
adamix_options_parse (adamix_options *options, int argc, char **argv, const char **positional, int max_positional,
                      int *n_positional)
{
  bool only_positional = false;
  int found = 0;
  forget_seen (options);
  for (int at = 1; at < argc; at++) {
    if (!only_positional && strcmp (argv[at], "--") == 0) {
      only_positional = true;
    } else if (!only_positional && strncmp (argv[at], "--", 2) == 0) {
      ADAMIX_RETURN_IF (parse_option (options, argc, argv, &at));
    } else if (!only_positional && argv[at][0] == '-' && argv[at][1]) {
      return adamix_err_set (ADAMIX_EUSAGE, "unknown option %s; options begin with two dashes, --help lists all",
                             argv[at]);
    } else if (found == max_positional) {
      return adamix_err_set (ADAMIX_EUSAGE, "unexpected argument \"%s\"; --help shows the use of the command",
                             argv[at]);
    } else {
      positional[found++] = argv[at];
    }
  }
  if (n_positional) *n_positional = found;
  return ADAMIX_OK;
}

/* ---- INI --------------------------------------------------------------------------------------------------------- */

static adamix_err
set_from_ini (adamix_options *options, const adamix_ini_entry *entry)
{
  int row = find (options, entry->name, strlen (entry->name));
  return row < 0 ? unknown (options, entry->name) : set_once (options, row, entry->value, ADAMIX_SOURCE_FILE);
}

adamix_err
adamix_options_read (adamix_options *options, const char *path)
{
  adamix_err err = ADAMIX_OK;
  adamix_ini ini;
  ADAMIX_RETURN_IF (adamix_ini_read (&ini, path));
  forget_seen (options);
  for (int64_t i = 0; i < ini.entries && !err; i++) {
    if (!ini.entry[i].name) continue;
    err = set_from_ini (options, &ini.entry[i]);
    if (err) adamix_err_prefix (err, "%s:%d", path, ini.entry[i].line);
  }
  adamix_ini_destroy (&ini);
  return err;
}
