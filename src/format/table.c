#include "base/fault.h"
#include "format/table_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- records ----------------------------------------------------------------------------------------------------- */

/* The first record fixes the columns, and names them if it is the header. */
static adamix_err
fix_columns (table_builder *builder, int64_t line)
{
  static char no_name[] = "";
  adamix_table *table = builder->table;
  if (builder->fields > ADAMIX_TABLE_MAX_COLUMNS)
    return adamix_err_set (ADAMIX_EFORMAT, "%s:%" PRId64 ": %" PRId64 " columns are more than the %d that are read",
                           table->path, line, builder->fields, ADAMIX_TABLE_MAX_COLUMNS);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (table->column, builder->fields));
  for (int64_t i = 0; i < builder->fields; i++)
    table->column[i] = builder->header ? (char *) builder->field[i] : no_name;
  table->columns = builder->fields;
  builder->shaped = true;
  return ADAMIX_OK;
}

static adamix_err
append_row (table_builder *builder, int64_t line)
{
  adamix_table *table = builder->table;
  ADAMIX_RETURN_IF (ADAMIX_GROW (table->line, &builder->line_capacity, table->rows + 1));
  ADAMIX_RETURN_IF (ADAMIX_GROW (table->field, &builder->field_capacity, (table->rows + 1) * table->columns));
  const char **row = table->field + table->rows * table->columns;
  for (int64_t i = 0; i < table->columns; i++) row[i] = i < builder->fields ? builder->field[i] : NULL;
  table->line[table->rows++] = line;
  return ADAMIX_OK;
}

adamix_err
adamix_table_end_record (table_builder *builder, int64_t line)
{
  adamix_err err = ADAMIX_OK;
  bool names = builder->header && !builder->shaped;
  if (!builder->shaped) err = fix_columns (builder, line);
  if (err == ADAMIX_OK && !names) err = append_row (builder, line);
  builder->fields = 0;
  return err;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *ending;
  adamix_err (*parse) (table_builder *builder, char *text, char *end);
} kinds[] = {
  [ADAMIX_TABLE_TSV] = { ".tsv", adamix_table_parse_tsv },
  [ADAMIX_TABLE_CSV] = { ".csv", adamix_table_parse_csv },
  [ADAMIX_TABLE_JSONL] = { ".jsonl", adamix_table_parse_jsonl },
};

static adamix_err
check_text (const char *path, const char *text, size_t size)
{
  size_t bad = adamix_utf8_invalid (text, size);
  int64_t line = 1;
  if (bad == size) return ADAMIX_OK;
  for (size_t i = 0; i < bad; i++) line += text[i] == '\n';
  return adamix_err_set (ADAMIX_EFORMAT, "%s:%" PRId64 ": byte 0x%02x (byte %zu of the file) is %s", path, line,
                         (unsigned) (unsigned char) text[bad], bad,
                         text[bad] ? "not valid UTF-8; convert the file, for example with iconv"
                                   : "not text; is this the right file?");
}

/* A private copy, so that fields can be cut out of it in place. */
static adamix_err
copy_text (adamix_table *table, size_t *size)
{
  adamix_file_map map;
  ADAMIX_RETURN_IF (adamix_file_map_open (&map, table->path));
  adamix_err err = check_text (table->path, map.data, map.size);
  *size = map.size;
  table->text = err == ADAMIX_OK && !ADAMIX_FAULT (alloc) ? malloc (map.size + 1) : NULL;
  if (table->text) {
    memcpy (table->text, map.data, map.size);
    table->text[map.size] = '\0';
  } else if (err == ADAMIX_OK) {
    err = adamix_err_set (ADAMIX_ENOMEM, "%s: out of memory: %zu bytes were refused", table->path, map.size);
  }
  adamix_file_map_close (&map);
  return err;
}

adamix_err
adamix_table_read (adamix_table *out, const char *path, adamix_table_kind kind, bool header)
{
  static const char mark[] = "\xef\xbb\xbf";
  adamix_err err = ADAMIX_OK;
  table_builder *builder = NULL;
  size_t size;
  *out = (adamix_table){ 0 };
  ADAMIX_TRY (ADAMIX_ALLOC (builder, 1));
  builder->table = out;
  builder->header = header || kind == ADAMIX_TABLE_JSONL;
  ADAMIX_TRY (adamix_format (&out->path, "%s", path));
  ADAMIX_TRY (copy_text (out, &size));
  size_t skip = strncmp (out->text, mark, strlen (mark)) == 0 ? strlen (mark) : 0;
  ADAMIX_TRY (kinds[kind].parse (builder, out->text + skip, out->text + size));
done:
  free (builder);
  if (err != ADAMIX_OK) adamix_table_destroy (out);
  return err;
}

adamix_table_kind
adamix_table_kind_of (const char *path)
{
  const char *ending = strrchr (path, '.');
  if (ending && strcmp (ending, ".json") == 0) return ADAMIX_TABLE_JSONL;
  for (size_t i = 0; ending && i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp (ending, kinds[i].ending) == 0) return (adamix_table_kind) i;
  return ADAMIX_TABLE_TSV;
}

void
adamix_table_destroy (adamix_table *table)
{
  if (!table) return;
  free (table->path);
  free (table->column);
  free (table->field);
  free (table->line);
  free (table->text);
  *table = (adamix_table){ 0 };
}

int64_t
adamix_table_column (const adamix_table *table, const char *name)
{
  for (int64_t i = 0; i < table->columns; i++)
    if (strcmp (table->column[i], name) == 0) return i;
  return -1;
}
