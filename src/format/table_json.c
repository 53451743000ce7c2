#include "format/table_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Decoded texts may be longer than the lines they come from (1e15), so that they go to memory of their own, which
 * moves while it grows: fields are kept as offsets until all is read. */
typedef struct texts {
  char *text;
  int64_t size, capacity;
  int64_t *offset; /* of each field, MISSING where there is none */
  int64_t fields, offset_capacity;
} texts;

enum { MISSING = -1 };

static adamix_err
add_offset (texts *texts, int64_t offset)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (texts->offset, &texts->offset_capacity, texts->fields + 1));
  texts->offset[texts->fields++] = offset;
  return ADAMIX_OK;
}

static adamix_err
add_text (texts *texts, const char *text, size_t length)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (texts->text, &texts->capacity, texts->size + (int64_t) length + 1));
  memcpy (texts->text + texts->size, text, length);
  texts->text[texts->size + (int64_t) length] = '\0';
  ADAMIX_RETURN_IF (add_offset (texts, texts->size));
  texts->size += (int64_t) length + 1;
  return ADAMIX_OK;
}

/* A string is its text; numbers, booleans and nested values are their JSON; null is a missing field. */
static adamix_err
add_value (texts *texts, const json_t *value)
{
  enum { DIGITS = 15 };
  if (!value || json_is_null (value)) return add_offset (texts, MISSING);
  if (json_is_string (value)) return add_text (texts, json_string_value (value), json_string_length (value));
  char *text = json_dumps (value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION (DIGITS));
  if (!text) return adamix_err_set (ADAMIX_ENOMEM, "out of memory while a value was printed");
  adamix_err err = add_text (texts, text, strlen (text));
  free (text);
  return err;
}

static adamix_err
add_names (table_builder *builder, texts *texts, json_t *object)
{
  const char *name;
  json_t *value;
  int64_t columns = (int64_t) json_object_size (object);
  if (columns > ADAMIX_TABLE_MAX_COLUMNS)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: %" PRId64 " keys are more than the %d that are read",
                           builder->table->path, columns, ADAMIX_TABLE_MAX_COLUMNS);
  builder->table->columns = columns;
  json_object_foreach (object, name, value) ADAMIX_RETURN_IF (add_text (texts, name, strlen (name)));
  return ADAMIX_OK;
}

static adamix_err
add_record (table_builder *builder, texts *texts, json_t *object, int64_t line)
{
  adamix_table *table = builder->table;
  if (table->rows == 0) ADAMIX_RETURN_IF (add_names (builder, texts, object));
  for (int64_t i = 0; i < table->columns; i++) {
    const json_t *value = json_object_get (object, texts->text + texts->offset[i]);
    ADAMIX_RETURN_IF (add_value (texts, value));
  }
  ADAMIX_RETURN_IF (ADAMIX_GROW (table->line, &builder->line_capacity, table->rows + 1));
  table->line[table->rows++] = line;
  return ADAMIX_OK;
}

static adamix_err
parse_line (table_builder *builder, texts *texts, const char *at, size_t length, int64_t line)
{
  json_error_t where;
  const char *path = builder->table->path;
  if (strspn (at, " \t\r") >= length) return ADAMIX_OK;
  json_t *object;
  adamix_err err = adamix_json_parse (&object, at, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
  if (err == ADAMIX_ENOMEM)
    adamix_err_prefix (err, "%s:%" PRId64, path, line);
  else if (json_is_object (object))
    err = add_record (builder, texts, object, line);
  else if (object)
    err = adamix_err_set (ADAMIX_EFORMAT, "%s:%" PRId64 ": not a JSON object; each line must be one", path, line);
  else
    err = adamix_err_set (ADAMIX_EFORMAT,
                          "%s:%" PRId64 ": column %d: not valid JSON: %s; each line must be an object of its own", path,
                          line, where.column, where.text);
  json_decref (object);
  return err;
}

/* Hand the texts to the table: the first offsets are the columns' names, the others the rows' fields. */
static adamix_err
give (adamix_table *table, texts *texts)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (table->column, table->columns));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (table->field, table->rows * table->columns));
  for (int64_t i = 0; i < texts->fields; i++) {
    char *text = texts->offset[i] == MISSING ? NULL : texts->text + texts->offset[i];
    if (i < table->columns)
      table->column[i] = text;
    else
      table->field[i - table->columns] = text;
  }
  free (table->text);
  table->text = texts->text;
  texts->text = NULL;
  return ADAMIX_OK;
}

adamix_err
adamix_table_parse_jsonl (table_builder *builder, char *text, char *end)
{
  adamix_err err = ADAMIX_OK;
  texts texts = { 0 };
  int64_t line = 1;
  for (char *at = text, *next; at < end; at = next, line++) {
    char *newline = memchr (at, '\n', (size_t) (end - at));
    next = newline ? newline + 1 : end;
    ADAMIX_TRY (parse_line (builder, &texts, at, (size_t) ((newline ? newline : end) - at), line));
  }
  ADAMIX_TRY (give (builder->table, &texts));
done:
  free (texts.offset);
  free (texts.text);
  return err;
}
