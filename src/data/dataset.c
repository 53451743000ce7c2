#include "data/data_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void
adamix_dataset_destroy (adamix_dataset *dataset)
{
  if (!dataset) return;
  free (dataset->line);
  free (dataset->target);
  free (dataset->label);
  free (dataset->type);
  free (dataset->id);
  free (dataset->offset);
  free (dataset->path);
  *dataset = (adamix_dataset){ 0 };
}

size_t
adamix_dataset_bytes (const adamix_dataset *d)
{
  const size_t tokens = d->examples ? (size_t) d->offset[d->examples] : 0, examples = (size_t) d->examples;
  return tokens * (sizeof *d->id + sizeof *d->type) +
         examples * (sizeof *d->offset + sizeof *d->line + (d->label ? sizeof *d->label : 0) +
                     (d->target ? sizeof *d->target : 0));
}

static adamix_err
read_target (const adamix_table *table, int64_t row, int64_t column, float *out)
{
  const char *text = table->field[row * table->columns + column];
  char *end = NULL;
  double value = text ? strtod (text, &end) : NAN;
  bool whole = text && end != text && end[strspn (end, " \r")] == '\0';
  *out = (float) value;
  if (whole && isfinite (*out)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA, "%s:%" PRId64 ": the label \"%s\" is not a finite number, as a regression needs",
                         table->path, table->line[row], text ? text : "");
}

static adamix_err
read_targets (adamix_dataset *out, const adamix_table *table, int64_t column)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->target, out->examples));
  for (int64_t row = 0; row < out->examples; row++)
    ADAMIX_RETURN_IF (read_target (table, row, column, &out->target[row]));
  return ADAMIX_OK;
}

static adamix_err
read_labels (adamix_dataset *out, const adamix_task *task, const adamix_table *table, int64_t column,
             adamix_labels *labels)
{
  if (column < 0) return ADAMIX_OK;
  if (task->type == ADAMIX_TASK_REGRESSION) return read_targets (out, table, column);
  /* The labels are those of the whole file, also where only its first records are used. */
  if (labels->count == 0) ADAMIX_RETURN_IF (adamix_labels_define (labels, task, table, column));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->label, out->examples));
  return adamix_labels_read (labels, table, column, out->examples, out->label);
}

adamix_err
adamix_dataset_read (adamix_dataset *out, const adamix_task *task, const char *path, const adamix_tokenizer *tokenizer,
                     int64_t max_length, int64_t limit, adamix_labels *labels)
{
  adamix_err err = ADAMIX_OK;
  adamix_table table = { 0 };
  adamix_data_columns columns;
  *out = (adamix_dataset){ .substitute = adamix_task_substitutes (task, path) };
  ADAMIX_TRY (adamix_table_read (&table, path, adamix_table_kind_of (path), task->header));
  if (table.rows == 0)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EDATA, "%s: the file has no records%s", path,
                                table.columns > 0 ? " after its header line" : ""));
  ADAMIX_TRY (adamix_data_columns_find (&columns, task, &table));
  ADAMIX_TRY (adamix_format (&out->path, "%s", path));
  ADAMIX_TRY (adamix_sha256_file (&out->hash, path));
  out->examples = limit > 0 && limit < table.rows ? limit : table.rows;
  ADAMIX_TRY (read_labels (out, task, &table, columns.label, labels));
  ADAMIX_TRY (adamix_data_encode (out, &table, &columns, tokenizer, max_length));
done:
  adamix_table_destroy (&table);
  if (err != ADAMIX_OK) adamix_dataset_destroy (out);
  return err;
}

double
adamix_dataset_majority (const adamix_dataset *dataset)
{
  int64_t *count = NULL, classes = 0, largest = 0;
  for (int64_t i = 0; dataset->label && i < dataset->examples; i++)
    if (dataset->label[i] >= classes) classes = (int64_t) dataset->label[i] + 1;
  if (classes == 0 || ADAMIX_ALLOC (count, classes) != ADAMIX_OK) return NAN;
  for (int64_t i = 0; i < dataset->examples; i++)
    if (++count[dataset->label[i]] > largest) largest = count[dataset->label[i]];
  free (count);
  return (double) largest / (double) dataset->examples;
}
