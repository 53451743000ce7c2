#include "data/data_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_LABELS 8 /* in a message */

void
adamix_labels_destroy (adamix_labels *labels)
{
  if (!labels) return;
  for (int64_t i = 0; i < labels->count; i++) free (labels->name[i]);
  free (labels->name);
  *labels = (adamix_labels){ 0 };
}

int64_t
adamix_labels_find (const adamix_labels *labels, const char *name)
{
  for (int64_t i = 0; i < labels->count; i++)
    if (strcmp (labels->name[i], name) == 0) return i;
  return -1;
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static adamix_err
append_label (adamix_labels *out, int64_t *capacity, const char *name, size_t bytes)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (out->name, capacity, out->count + 1));
  ADAMIX_RETURN_IF (adamix_format (&out->name[out->count], "%.*s", (int) bytes, name));
  out->count++;
  return ADAMIX_OK;
}

static adamix_err
define_by_list (adamix_labels *out, const char *list)
{
  int64_t capacity = 0;
  for (size_t bytes; *list; list += bytes + (list[bytes] != '\0')) {
    bytes = strcspn (list, "|");
    ADAMIX_RETURN_IF (append_label (out, &capacity, list, bytes));
  }
  return ADAMIX_OK;
}

static adamix_err
check_label (const adamix_table *table, int64_t row, const char *label)
{
  if (label && *label) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA, "%s:%" PRId64 ": the record has no label", table->path, table->line[row]);
}

static adamix_err
define_by_table (adamix_labels *out, const adamix_table *table, int64_t column)
{
  adamix_err err = ADAMIX_OK;
  const char **all = NULL;
  int64_t capacity = 0;
  ADAMIX_TRY (ADAMIX_ALLOC (all, table->rows));
  for (int64_t row = 0; row < table->rows; row++) {
    all[row] = table->field[row * table->columns + column];
    ADAMIX_TRY (check_label (table, row, all[row]));
  }
  qsort (all, (size_t) table->rows, sizeof *all, compare_names);
  for (int64_t row = 0; row < table->rows; row++)
    if (row == 0 || strcmp (all[row], all[row - 1]) != 0)
      ADAMIX_TRY (append_label (out, &capacity, all[row], strlen (all[row])));
  if (out->count < 2)
    err = adamix_err_set (ADAMIX_EDATA, "%s: all labels are \"%s\"; a classification needs two at least", table->path,
                          out->name[0]);
done:
  free (all);
  return err;
}

adamix_err
adamix_labels_define (adamix_labels *out, const adamix_task *task, const adamix_table *table, int64_t column)
{
  adamix_err err = task->labels ? define_by_list (out, task->labels) : define_by_table (out, table, column);
  if (err != ADAMIX_OK) adamix_labels_destroy (out);
  return err;
}

/* "a, b, c and 74 more" */
static adamix_err
list_labels (const adamix_labels *labels, char **out)
{
  int64_t shown = labels->count < SHOWN_LABELS ? labels->count : SHOWN_LABELS;
  ADAMIX_RETURN_IF (adamix_format (out, "%s", ""));
  for (int64_t i = 0; i <= shown; i++) {
    char *longer = NULL;
    adamix_err err = ADAMIX_OK;
    if (i < shown)
      err = adamix_format (&longer, "%s%s\"%s\"", *out, i > 0 ? ", " : "", labels->name[i]);
    else if (labels->count > shown)
      err = adamix_format (&longer, "%s and %" PRId64 " more", *out, labels->count - shown);
    else
      return ADAMIX_OK;
    free (*out);
    *out = longer;
    if (err != ADAMIX_OK) return err;
  }
  return ADAMIX_OK;
}

static adamix_err
unknown_label (const adamix_labels *labels, const adamix_table *table, int64_t row, const char *label)
{
  char *list = NULL;
  adamix_err err = list_labels (labels, &list);
  if (err == ADAMIX_OK)
    err = adamix_err_set (ADAMIX_EDATA, "%s:%" PRId64 ": label \"%s\" is unknown; the labels in training are %s",
                          table->path, table->line[row], label, list);
  free (list);
  return err;
}

/* A label and its id, sorted by name for the search. */
typedef struct known_label {
  const char *name;
  int32_t id;
} known_label;

adamix_err
adamix_labels_read (const adamix_labels *labels, const adamix_table *table, int64_t column, int64_t n, int32_t *label)
{
  adamix_err err = ADAMIX_OK;
  known_label *known = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (known, labels->count));
  for (int64_t i = 0; i < labels->count; i++) known[i] = (known_label){ labels->name[i], (int32_t) i };
  qsort (known, (size_t) labels->count, sizeof *known, compare_names);
  for (int64_t row = 0; row < n; row++) {
    known_label wanted = { .name = table->field[row * table->columns + column] };
    ADAMIX_TRY (check_label (table, row, wanted.name));
    const known_label *found = bsearch (&wanted, known, (size_t) labels->count, sizeof *known, compare_names);
    if (!found) ADAMIX_TRY (unknown_label (labels, table, row, wanted.name));
    label[row] = found->id;
  }
done:
  free (known);
  return err;
}
