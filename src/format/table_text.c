#include "format/table_private.h"

#include <inttypes.h>
#include <string.h>

/* A blank line is an empty text where there is one column, nothing where there are more or it is the first line. */
static bool
is_skipped (const table_builder *builder, const char *line, const char *end)
{
  bool blank = line == end || (end - line == 1 && *line == '\r');
  return blank && (!builder->shaped || builder->table->columns > 1);
}

/* ---- TSV --------------------------------------------------------------------------------------------------------- */

static void
split_at_tabs (table_builder *builder, char *at, char *end)
{
  if (end > at && end[-1] == '\r') end--;
  *end = '\0';
  for (;;) {
    char *tab = memchr (at, '\t', (size_t) (end - at));
    adamix_table_add_field (builder, at);
    if (!tab) return;
    *tab = '\0';
    at = tab + 1;
  }
}

adamix_err
adamix_table_parse_tsv (table_builder *builder, char *text, char *end)
{
  int64_t line = 1;
  for (char *at = text, *next; at < end; at = next, line++) {
    char *newline = memchr (at, '\n', (size_t) (end - at));
    char *stop = newline ? newline : end;
    next = newline ? newline + 1 : end;
    if (is_skipped (builder, at, stop)) continue;
    split_at_tabs (builder, at, stop);
    ADAMIX_RETURN_IF (adamix_table_end_record (builder, line));
  }
  return ADAMIX_OK;
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

/* A place in the text; a field's end is only terminated after the byte there has been looked at. */
typedef struct cursor {
  char *at, *end;
  int64_t line;
} cursor;

/* Read on behind the opening quote; the field's text is moved together over doubled quotes.  Returns the text's end, or
 * NULL if the closing quote is missing. */
static char *
unquote (cursor *cursor)
{
  char *write = cursor->at;
  while (cursor->at < cursor->end) {
    char *quote = memchr (cursor->at, '"', (size_t) (cursor->end - cursor->at));
    if (!quote) return NULL;
    for (char *byte = cursor->at; byte < quote; byte++) {
      cursor->line += *byte == '\n';
      *write++ = *byte;
    }
    cursor->at = quote + 1;
    if (cursor->at == cursor->end || *cursor->at != '"') return write;
    *write++ = '"';
    cursor->at++;
  }
  return NULL;
}

/* The field's text up to where it is to be terminated; the cursor stands on what follows it. */
static char *
read_plain (cursor *cursor)
{
  char *field = cursor->at;
  while (cursor->at < cursor->end && *cursor->at != ',' && *cursor->at != '\n') cursor->at++;
  bool carriage_return = *cursor->at != ',' && cursor->at > field && cursor->at[-1] == '\r';
  return cursor->at - carriage_return;
}

/* The text behind the table ends with a NUL, so that the byte at the end of the records may be looked at. */
static char *
read_quoted (cursor *cursor)
{
  char *field_end = unquote (cursor);
  if (field_end && *cursor->at == '\r' && (cursor->at[1] == '\n' || cursor->at + 1 == cursor->end)) cursor->at++;
  return field_end;
}

/* One field; *terminator is what follows it: ',', '\n', or 0 at the end of the text. */
static adamix_err
read_field (table_builder *builder, cursor *cursor, char *terminator)
{
  int64_t line = cursor->line;
  bool quoted = cursor->at < cursor->end && *cursor->at == '"';
  cursor->at += quoted;
  char *field = cursor->at, *field_end = quoted ? read_quoted (cursor) : read_plain (cursor);
  if (!field_end)
    return adamix_err_set (ADAMIX_EFORMAT, "%s:%" PRId64 ": a quoted field does not end; close it with a double quote",
                           builder->table->path, line);
  *terminator = cursor->at < cursor->end ? *cursor->at : '\0';
  if (*terminator && *terminator != ',' && *terminator != '\n')
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s:%" PRId64 ": text follows the closing quote of a field; double the quotes inside quoted "
                           "fields",
                           builder->table->path, cursor->line);
  cursor->at += *terminator != '\0';
  *field_end = '\0';
  adamix_table_add_field (builder, field);
  return ADAMIX_OK;
}

adamix_err
adamix_table_parse_csv (table_builder *builder, char *text, char *end)
{
  cursor cursor = { .at = text, .end = end, .line = 1 };
  while (cursor.at < end) {
    int64_t line = cursor.line;
    char terminator = ',';
    char *newline = memchr (cursor.at, '\n', (size_t) (end - cursor.at));
    bool skipped = is_skipped (builder, cursor.at, newline ? newline : end);
    if (skipped) cursor.at = newline ? newline + 1 : end;
    while (!skipped && terminator == ',') ADAMIX_RETURN_IF (read_field (builder, &cursor, &terminator));
    cursor.line += skipped || terminator == '\n';
    if (!skipped) ADAMIX_RETURN_IF (adamix_table_end_record (builder, line));
  }
  return ADAMIX_OK;
}
