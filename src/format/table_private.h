/* format/table_private.h - what the readers of the three kinds of tables share. */
#ifndef ADAMIX_FORMAT_TABLE_PRIVATE_H
#define ADAMIX_FORMAT_TABLE_PRIVATE_H

#include <adamix/format.h>

#define ADAMIX_TABLE_MAX_COLUMNS 4096

/* A table under construction. */
typedef struct table_builder {
  adamix_table *table;
  bool header; /* the next record names the columns */
  bool shaped; /* the number of columns is known */
  int64_t field_capacity, line_capacity;
  const char *field[ADAMIX_TABLE_MAX_COLUMNS]; /* of the record that is being read */
  int64_t fields;                              /* found in it, those beyond the maximum counted */
} table_builder;

static inline void
adamix_table_add_field (table_builder *builder, const char *text)
{
  if (builder->fields < ADAMIX_TABLE_MAX_COLUMNS) builder->field[builder->fields] = text;
  builder->fields++;
}

/* The record that began in `line` is complete.  Errors: EFORMAT, ENOMEM. */
adamix_err adamix_table_end_record (table_builder *builder, int64_t line);

/* Cut the text of the table, which they change, into records.  Errors: EFORMAT, ENOMEM. */
adamix_err adamix_table_parse_tsv (table_builder *builder, char *text, char *end);
adamix_err adamix_table_parse_csv (table_builder *builder, char *text, char *end);
adamix_err adamix_table_parse_jsonl (table_builder *builder, char *text, char *end);

/* The first byte of data[0 .. size - 1] that is not in valid UTF-8 or is NUL; `size` if all is well. */
size_t adamix_utf8_invalid (const char *data, size_t size);

#endif
