#include "driver.h"

#include <string.h>

static const adamix_option *
find_row (const char *name)
{
  int count;
  const adamix_option *row = adamix_train_options (&count);
  while (strcmp (row->name, name) != 0) row++;
  return row;
}

void
driver_train_rows (adamix_option *out, const char *const *names, int count, size_t offset)
{
  for (int i = 0; i < count; i++) {
    out[i] = *find_row (names[i]);
    out[i].offset += offset;
  }
}

/* Strings of defaults are static. */
adamix_err
driver_train_defaults (adamix_train_config *out)
{
  int count;
  adamix_options *options;
  const adamix_option *table = adamix_train_options (&count);
  ADAMIX_RETURN_IF (adamix_options_create (&options, table, count));
  adamix_err err = adamix_options_store (options, out);
  for (int i = 0; i < count && !err; i++)
    if (table[i].kind == ADAMIX_OPTION_STRING)
      *(const char **) ((char *) out + table[i].offset) =
          table[i].fallback && *table[i].fallback ? table[i].fallback : NULL;
  adamix_options_destroy (options);
  return err;
}

/* Options as they are without a command line, but for --share, whose default is the method's; what is not needed gets a name
 * that is never opened. */
adamix_err
driver_train_check (adamix_train_config *c, const adamix_options *options)
{
  adamix_err err = ADAMIX_OK;
  int count;
  adamix_options *defaults = NULL;
  const adamix_option *table = adamix_train_options (&count);
  const adamix_train_config given = *c;
  ADAMIX_TRY (adamix_options_create (&defaults, table, count));
  c->output = "none";
  if (!c->model) c->model = "none";
  if (!c->task && !c->train_file) c->train_file = "none";
  ADAMIX_TRY (adamix_train_config_check (c, defaults));
  c->model = given.model;
  c->train_file = given.train_file;
  if (adamix_options_source (options, "share") != ADAMIX_SOURCE_DEFAULT) c->share = given.share;
done:
  adamix_options_destroy (defaults);
  return err;
}
