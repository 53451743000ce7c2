/* src/data/data_private.h - what the files of this room share. */
#ifndef ADAMIX_DATA_PRIVATE_H
#define ADAMIX_DATA_PRIVATE_H

#include <adamix/data.h>

/* Is the file of this path one that stands in for the task's official one? */
bool adamix_task_substitutes (const adamix_task *task, const char *path);

/* The columns of a task in a table; -1: none. */
typedef struct adamix_data_columns {
  int64_t text, pair, label;
} adamix_data_columns;

/* Find the task's columns.  Errors: EDATA lists the columns there are. */
adamix_err adamix_data_columns_find (adamix_data_columns *out, const adamix_task *task, const adamix_table *table);

/* Fill out->id, type, offset, line and the counts with the first out->examples records, by all threads; the result does
 * not depend on their number.  Errors: EDATA with file and line, ENOMEM. */
adamix_err adamix_data_encode (adamix_dataset *out, const adamix_table *table, const adamix_data_columns *columns,
                               const adamix_tokenizer *tokenizer, int64_t max_length);

/* Define the labels of a run by the task, or by all records of a table.  Errors: EDATA, ENOMEM. */
adamix_err adamix_labels_define (adamix_labels *out, const adamix_task *task, const adamix_table *table,
                                 int64_t column);
/* label[0..n) = ids of the first n records.  Errors: EDATA names file, line and label, and the known ones. */
adamix_err adamix_labels_read (const adamix_labels *labels, const adamix_table *table, int64_t column, int64_t n,
                               int32_t *label);

#endif
