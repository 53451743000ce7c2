#include "data/data_private.h"

#include <stdlib.h>
#include <string.h>

/* "#8" counts from 0, "#-1" from the end; -1 if the name has another form or there is no such column. */
static int64_t
numbered_column (const adamix_table *table, const char *name)
{
  char *end;
  if (name[0] != '#') return -1;
  long number = strtol (name + 1, &end, 10);
  if (end == name + 1 || *end != '\0') return -1;
  int64_t column = number < 0 ? table->columns + number : number;
  return column >= 0 && column < table->columns ? column : -1;
}

/* The columns that there are, for a message. */
static adamix_err
list_columns (const adamix_table *table, char **out)
{
  bool named = false;
  for (int64_t i = 0; i < table->columns; i++) named = named || table->column[i][0] != '\0';
  if (!named) return adamix_format (out, "%lld without names", (long long) table->columns);
  ADAMIX_RETURN_IF (adamix_format (out, "%s", ""));
  for (int64_t i = 0; i < table->columns; i++) {
    char *longer;
    adamix_err err = adamix_format (&longer, "%s%s\"%s\"", *out, i > 0 ? ", " : "", table->column[i]);
    free (*out);
    *out = longer;
    if (err != ADAMIX_OK) return err;
  }
  return ADAMIX_OK;
}

static adamix_err
find_column (const adamix_table *table, const char *name, const char *what, int64_t *out)
{
  *out = -1;
  if (!name) return ADAMIX_OK;
  *out = adamix_table_column (table, name);
  if (*out < 0) *out = numbered_column (table, name);
  if (*out >= 0) return ADAMIX_OK;
  char *list = NULL;
  adamix_err err = list_columns (table, &list);
  if (err == ADAMIX_OK)
    err = adamix_err_set (ADAMIX_EDATA, "%s: there is no %s column \"%s\"; the columns are %s", table->path, what, name,
                          list);
  free (list);
  return err;
}

adamix_err
adamix_data_columns_find (adamix_data_columns *out, const adamix_task *task, const adamix_table *table)
{
  ADAMIX_RETURN_IF (find_column (table, task->text, "text", &out->text));
  ADAMIX_RETURN_IF (find_column (table, task->pair, "second text", &out->pair));
  return find_column (table, task->label, "label", &out->label);
}
