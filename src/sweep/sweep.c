#include "sweep/sweep_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static adamix_err
take_given (adamix_sweep *out, const adamix_options *given)
{
  int count;
  const adamix_option *table = adamix_sweep_options (&count);
  for (int i = 0; given && i < count; i++)
    if (adamix_options_source (given, table[i].name) == ADAMIX_SOURCE_COMMAND_LINE)
      ADAMIX_RETURN_IF (adamix_options_set (out->options, table[i].name, adamix_options_value (given, table[i].name),
                                            ADAMIX_SOURCE_COMMAND_LINE));
  ADAMIX_RETURN_IF (adamix_options_store (out->options, &out->config));
  if (out->config.output && strstr (out->config.output, SWEEP_SEED_MARK))
    return adamix_err_set (ADAMIX_EUSAGE,
                           "%s: output is the folder of all runs, \"%s\" has a " SWEEP_SEED_MARK " in it", out->path,
                           out->config.output);
  if (out->config.output) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE,
                         "%s: output is missing, the folder of the sweep: add output = DIR above all "
                         "sections, or give --output",
                         out->path);
}

adamix_err
adamix_sweep_read (adamix_sweep *out, const char *path, const adamix_options *given)
{
  adamix_err err = ADAMIX_OK;
  sweep_file file = { 0 };
  *out = (adamix_sweep){ 0 };
  ADAMIX_TRY (adamix_format (&out->path, "%s", path));
  ADAMIX_TRY (sweep_file_read (&file, path, given ? adamix_options_value (given, "profile") : NULL));
  out->options = file.options;
  file.options = NULL;
  ADAMIX_TRY (take_given (out, given));
  ADAMIX_TRY (sweep_expand (out, &file, given));
done:
  sweep_file_destroy (&file);
  if (err) adamix_sweep_destroy (out);
  return err;
}

void
adamix_sweep_destroy (adamix_sweep *sweep)
{
  if (!sweep) return;
  for (int64_t i = 0; i < sweep->runs; i++) {
    adamix_sweep_run *run = &sweep->run[i];
    adamix_options_destroy (run->options);
    json_decref (run->varied);
    free (run->log);
    free (run->folder);
    free (run->setting);
    free (run->name);
  }
  free (sweep->run);
  adamix_options_destroy (sweep->options);
  free (sweep->path);
  *sweep = (adamix_sweep){ 0 };
}

/* ---- the command of a run ---------------------------------------------------------------------------------------- */

/* One word of a command at `out`, or with NULL nothing; returns its bytes. */
static size_t
write_word (char *out, size_t size, const adamix_option *option, const char *text)
{
  const bool flag = option->kind == ADAMIX_OPTION_FLAG, off = flag && strcmp (text, "false") == 0;
  return 1 +
         (size_t) snprintf (out, size, "--%s%s%s%s", off ? "no-" : "", option->name, flag ? "" : "=", flag ? "" : text);
}

/* The words of the options that a file or the command line sets, in the order of the table.  Returns their number; *bytes is
 * their size.  With `words` NULL they are only counted. */
static int64_t
write_words (const adamix_options *options, char **words, char *text, size_t *bytes)
{
  int count;
  int64_t n = 0;
  const adamix_option *table = adamix_train_options (&count);
  size_t used = 0;
  for (int i = 0; i < count; i++) {
    if (adamix_options_source (options, table[i].name) < ADAMIX_SOURCE_FILE) continue;
    const char *value = adamix_options_value (options, table[i].name);
    const size_t size = write_word (NULL, 0, &table[i], value);
    if (words) {
      words[n] = text + used;
      write_word (words[n], size, &table[i], value);
    }
    used += size;
    n++;
  }
  *bytes = used;
  return n;
}

adamix_err
adamix_sweep_command (const adamix_sweep_run *run, char ***out)
{
  static char train[] = "train", resume[] = "--resume";
  enum { OTHERS = 3 }; /* the command, --resume and NULL */
  size_t bytes;
  const int64_t n = write_words (run->options, NULL, NULL, &bytes);
  const size_t pointers = (size_t) (n + OTHERS) * sizeof (char *);
  char *block;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (block, (int64_t) (pointers + bytes)));
  char **words = (char **) block;
  words[0] = train;
  write_words (run->options, words + 1, block + pointers, &bytes);
  words[n + 1] = resume;
  words[n + 2] = NULL;
  *out = words;
  return ADAMIX_OK;
}

/* ---- sweep.json -------------------------------------------------------------------------------------------------- */

/* The options that the file or the command line sets, as text. */
static json_t *
given_json (const adamix_options *options)
{
  int count;
  const adamix_option *table = adamix_train_options (&count);
  json_t *json = json_object ();
  for (int i = 0; i < count; i++)
    if (adamix_options_source (options, table[i].name) >= ADAMIX_SOURCE_FILE)
      adamix_json_put (&json, table[i].name, json_string (adamix_options_value (options, table[i].name)));
  return json;
}

adamix_err
adamix_sweep_store (const adamix_sweep *sweep)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  const char *slash = strrchr (sweep->path, '/');
  json_t *runs = json_array (), *json = NULL;
  for (int64_t i = 0; i < sweep->runs; i++) {
    const adamix_sweep_run *run = &sweep->run[i];
    adamix_json_append (&runs, json_pack ("{s:s, s:s, s:I, s:O, s:o}", "name", run->name, "setting", run->setting,
                                          "seed", (json_int_t) run->seed, "varied", run->varied, "options",
                                          given_json (run->options)));
  }
  json = json_pack ("{s:s, s:s, s:I, s:o}", "version", adamix_version (), "file", slash ? slash + 1 : sweep->path,
                    "ranks", (json_int_t) sweep->config.ranks, "runs", runs);
  ADAMIX_TRY (adamix_directory_make (sweep->config.output));
  ADAMIX_TRY (adamix_path_join (&path, sweep->config.output, FILE_SWEEP));
  ADAMIX_TRY (adamix_json_store (json, path, false));
done:
  free (path);
  json_decref (json);
  return err;
}
