#include "report/report_private.h"

#include <stdlib.h>
#include <string.h>

/* One argument of a shell's command line. */
static void
print_quoted (const char *text, FILE *out)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^";
  if (*text && text[strspn (text, plain)] == '\0') {
    fputs (text, out);
    return;
  }
  fputc ('\'', out);
  for (; *text; text++)
    if (*text == '\'')
      fputs ("'\\''", out);
    else
      fputc (*text, out);
  fputc ('\'', out);
}

/* Numbers are compared as numbers: a default "1.0" is not told from 1. */
static bool
is_default (const adamix_option *option, const char *text)
{
  /* What is not given is the method's or the route's, which may not be that of the table. */
  if (strcmp (option->name, "share") == 0 || strcmp (option->name, "merge") == 0) return *text == '\0';
  if (!option->fallback || !*text) return *text == '\0';
  if (strcmp (option->fallback, text) == 0) return true;
  const bool number = option->kind == ADAMIX_OPTION_REAL || option->kind == ADAMIX_OPTION_INTEGER;
  return number && strtod (option->fallback, NULL) == strtod (text, NULL);
}

/* What the record says of the run's end or of its options' origin is none of the command. */
static bool
is_left_out (const adamix_report_run *run, const char *name)
{
  static const char *const origins[] = { "recipe", "config", "resume", "force" };
  for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
    if (strcmp (name, origins[i]) == 0) return true;
  /* One module a layer is what a method without experts has, whatever is asked for. */
  const json_t *method = adamix_report_member (run->record, "config.method");
  const adamix_method *row = json_is_string (method) ? adamix_method_find (json_string_value (method)) : NULL;
  static const char *const of_experts[] = { "experts", "experts-per-rank", "share", "merge" };
  for (size_t i = 0; i < sizeof of_experts / sizeof *of_experts; i++)
    if (row && !row->many && strcmp (name, of_experts[i]) == 0) return true;
  return false;
}

static adamix_err
print_option (const adamix_report_run *run, const adamix_option *option, FILE *out)
{
  char *text;
  const json_t *value = adamix_report_member (json_object_get (run->record, "config"), option->name);
  if (!value || is_left_out (run, option->name)) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_train_option_text (value, &text));
  if (!is_default (option, text)) {
    fprintf (out, " --%s%s", json_is_false (value) ? "no-" : "", option->name);
    if (!json_is_boolean (value)) {
      fputc (' ', out);
      print_quoted (text, out);
    }
  }
  free (text);
  return ADAMIX_OK;
}

/* Steal the text of a draft. */
static adamix_err
take (adamix_draft *draft, char **out)
{
  ADAMIX_RETURN_IF (adamix_draft_end (draft));
  *out = draft->data;
  draft->data = NULL;
  return ADAMIX_OK;
}

adamix_err
adamix_report_command (const adamix_report_run *run, char **out)
{
  adamix_err err = ADAMIX_OK;
  int count;
  const adamix_option *table = adamix_train_options (&count);
  const json_int_t ranks = json_integer_value (json_object_get (run->record, "ranks"));
  adamix_draft draft;
  ADAMIX_TRY (adamix_draft_begin (&draft));
  if (ranks > 1) fprintf (draft.stream, "mpirun -n %lld ", (long long) ranks);
  fputs ("adamix train", draft.stream);
  for (int i = 0; i < count; i++) ADAMIX_TRY (print_option (run, &table[i], draft.stream));
  err = take (&draft, out);
done:
  adamix_draft_destroy (&draft);
  return err;
}

static void
print_argument (const char *option, const char *text, FILE *out)
{
  if (!text) return;
  fprintf (out, " --%s ", option);
  print_quoted (text, out);
}

/* A file of its own needs its columns, those of a task too, whose files are found without. */
static adamix_err
print_columns (const adamix_report_run *run, const adamix_task *task, FILE *out)
{
  static const char *const columns[] = { "text-column", "text-pair-column", "label-column" };
  int count;
  const adamix_option *table = adamix_train_options (&count);
  const char *const of_task[] = { task ? task->text : NULL, task ? task->pair : NULL, task ? task->label : NULL };
  for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
    print_argument (columns[c], of_task[c], out);
    for (int i = 0; i < count && !task; i++)
      if (strcmp (table[i].name, columns[c]) == 0) ADAMIX_RETURN_IF (print_option (run, &table[i], out));
  }
  return ADAMIX_OK;
}

/* The data that the results are of: the test file if there is one. */
static adamix_err
print_data (const adamix_report_run *run, FILE *out)
{
  const json_t *config = json_object_get (run->record, "config");
  const char *name = json_string_value (json_object_get (config, "task"));
  const adamix_task *task = name ? adamix_task_find (name) : NULL;
  const bool test = adamix_report_member (run->record, "data.test");
  const char *file = json_string_value (json_object_get (config, test ? "test-file" : "dev-file"));
  if (file && (!task || task->header)) {
    print_argument ("file", file, out);
    return print_columns (run, task, out);
  }
  print_argument ("data", json_string_value (json_object_get (config, "data")), out);
  if (test) fputs (" --split test", out);
  return ADAMIX_OK;
}

adamix_err
adamix_report_command_of_modes (const adamix_report_run *run, char **out)
{
  adamix_err err = ADAMIX_OK;
  char *file = NULL;
  adamix_draft draft = { 0 };
  const json_t *model = adamix_report_member (run->record, "config.model");
  ADAMIX_TRY (adamix_path_join (&file, run->path, FILE_INFERENCE));
  ADAMIX_TRY (adamix_draft_begin (&draft));
  fputs ("adamix eval", draft.stream);
  print_argument ("model", json_is_string (model) ? json_string_value (model) : "DIR", draft.stream);
  print_argument ("adapter", run->path, draft.stream);
  ADAMIX_TRY (print_data (run, draft.stream));
  fputs (" --inference all", draft.stream);
  print_argument ("output", file, draft.stream);
  err = take (&draft, out);
done:
  adamix_draft_destroy (&draft);
  free (file);
  return err;
}
