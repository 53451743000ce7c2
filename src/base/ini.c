#include <adamix/base.h>

#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* What the reader of lines and the taker of entries share. */
typedef struct reading {
  adamix_ini *ini;
  int64_t capacity;
  const char *path, *next, *end;
  int line;
  char *section; /* of the line at hand; owned */
  adamix_err err;
} reading;

/* ---- entries ----------------------------------------------------------------------------------------------------- */

/* `name` NULL: the line that opens a section. */
static adamix_err
append (reading *r, const char *name, const char *text)
{
  adamix_ini *ini = r->ini;
  ADAMIX_RETURN_IF (ADAMIX_GROW (ini->entry, &r->capacity, ini->entries + 1));
  adamix_ini_entry *entry = &ini->entry[ini->entries++];
  *entry = (adamix_ini_entry){ .line = r->line };
  ADAMIX_RETURN_IF (adamix_format (&entry->section, "%s", r->section ? r->section : ""));
  if (name) ADAMIX_RETURN_IF (adamix_format (&entry->name, "%s", name));
  return name ? adamix_format (&entry->value, "%s", text) : ADAMIX_OK;
}

/* inih cuts long names of sections and does not tell of empty ones, so its view of them is not used. */
static adamix_err
open_section (reading *r, const char *line)
{
  const char *end = strchr (line, ']');
  if (*line != '[' || !end) return ADAMIX_OK;
  free (r->section);
  r->section = NULL;
  ADAMIX_RETURN_IF (adamix_format (&r->section, "%.*s", (int) (end - line - 1), line + 1));
  return append (r, NULL, NULL);
}

static int
take_entry (void *user, const char *section, const char *name, const char *text)
{
  const int accepted = 1;
  reading *r = user;
  (void) section;
  if (r->err == ADAMIX_OK) r->err = append (r, name, text);
  return accepted;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void
skip_mark (reading *r)
{
  static const char mark[] = "\xef\xbb\xbf";
  const size_t length = sizeof mark - 1;
  if ((size_t) (r->end - r->next) >= length && memcmp (r->next, mark, length) == 0) r->next += length;
}

/* Hands inih a line without its leading blanks, which inih would take for the continuation of the line before. */
static char *
next_line (char *out, int size, void *user)
{
  reading *r = user;
  if (r->err != ADAMIX_OK || r->next == r->end) return NULL;
  if (r->line++ == 0) skip_mark (r);
  while (r->next < r->end && (*r->next == ' ' || *r->next == '\t')) r->next++;
  const char *newline = memchr (r->next, '\n', (size_t) (r->end - r->next));
  size_t length = (size_t) ((newline ? newline : r->end) - r->next);
  if (length + 1 > (size_t) size) {
    r->err =
        adamix_err_set (ADAMIX_EUSAGE,
                        "%s:%d: the line has %zu bytes, more than the %d that can be read; shorten it, or give this "
                        "option on the command line",
                        r->path, r->line, length, size - 1);
    return NULL;
  }
  memcpy (out, r->next, length);
  out[length] = '\0';
  r->next += length + (newline != NULL);
  r->err = open_section (r, out);
  return r->err == ADAMIX_OK ? out : NULL;
}

adamix_err
adamix_ini_read (adamix_ini *out, const char *path)
{
  adamix_file_map map;
  *out = (adamix_ini){ 0 };
  ADAMIX_RETURN_IF (adamix_file_map_open (&map, path));
  reading r = { .ini = out, .path = path, .next = map.data, .end = map.data + map.size };
  int bad_line = ini_parse_stream (next_line, &r, take_entry, &r);
  adamix_file_map_close (&map);
  free (r.section);
  if (bad_line > 0 && (r.err == ADAMIX_OK || bad_line < r.line))
    r.err = adamix_err_set (ADAMIX_EUSAGE, "%s:%d: neither \"option = value\" nor \"[section]\"; correct the line",
                            path, bad_line);
  if (r.err != ADAMIX_OK) adamix_ini_destroy (out);
  return r.err;
}

void
adamix_ini_destroy (adamix_ini *ini)
{
  if (!ini) return;
  for (int64_t i = 0; i < ini->entries; i++) {
    free (ini->entry[i].section);
    free (ini->entry[i].name);
    free (ini->entry[i].value);
  }
  free (ini->entry);
  *ini = (adamix_ini){ 0 };
}
