#include <adamix/base.h>

#include <string.h>

enum { PAGE = 80, MARGIN = 26, HEAD = 256, BODY = 512 };

static void
format_head (char *out, const adamix_option *option)
{
  const char *argument = option->argument ? option->argument : option->allowed;
  bool switches_off = option->kind == ADAMIX_OPTION_FLAG && option->fallback && strcmp (option->fallback, "true") == 0;
  if (option->kind == ADAMIX_OPTION_FLAG)
    snprintf (out, HEAD, "  --%s%s", switches_off ? "no-" : "", option->name);
  else
    snprintf (out, HEAD, "  --%s %s", option->name, argument ? argument : "VALUE");
}

static void
format_body (char *out, const adamix_option *option)
{
  bool has_default = option->fallback && *option->fallback && option->kind != ADAMIX_OPTION_FLAG;
  /* With an argument name of its own a choice still has to say what is allowed. */
  bool names_allowed = option->allowed && option->argument;
  snprintf (out, BODY, "%s%s%s%s%s%s%s", option->help, names_allowed ? " (" : "", names_allowed ? option->allowed : "",
            names_allowed ? ")" : "", has_default ? " [" : "", has_default ? option->fallback : "",
            has_default ? "]" : "");
}

/* Words of `text` in lines from MARGIN to PAGE; the cursor stands in `column`. */
static void
print_wrapped (const char *text, int column, FILE *stream)
{
  bool first = true;
  for (const char *word = text; *word;) {
    int length = (int) strcspn (word, " ");
    if (!first && column + 1 + length > PAGE) {
      fprintf (stream, "\n%*s", MARGIN, "");
      column = MARGIN;
      first = true;
    }
    fprintf (stream, "%s%.*s", first ? "" : " ", length, word);
    column += length + !first;
    first = false;
    word += length;
    word += strspn (word, " ");
  }
  fputc ('\n', stream);
}

void
adamix_options_help (const adamix_option *table, int count, FILE *stream)
{
  for (int i = 0; i < count; i++) {
    char head[HEAD], body[BODY];
    format_head (head, &table[i]);
    format_body (body, &table[i]);
    int width = (int) strlen (head);
    if (width + 2 > MARGIN)
      fprintf (stream, "%s\n%*s", head, MARGIN, "");
    else
      fprintf (stream, "%-*s", MARGIN, head);
    print_wrapped (body, MARGIN, stream);
  }
}
