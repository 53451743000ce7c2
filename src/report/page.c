#include "report/report_private.h"

#include <stdlib.h>
#include <string.h>

/* Wide tables scroll in a box of their own, under a first column that stays; figures stand side by side where there is room.
 * Plots are drawn black on white: in the dark their black takes the colour of the text. */
static const char style[] =
    ":root{color-scheme:light "
    "dark;--text:#1b1e23;--page:#fff;--soft:#f4f5f7;--line:#d5d9df;--dim:#59606b;--note:#9a5b00}\n"
    "@media(prefers-color-scheme:dark){:root{--text:#e4e7eb;--page:#15171b;--soft:#1f2228;--line:#3a3f48;--dim:#a3abb6;"
    "--note:#ffc165}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,"
    "\"DejaVu Sans\",sans-serif;-webkit-text-size-adjust:100%}\n"
    "main{max-width:74rem;margin:0 auto;padding:1rem 1rem 3rem}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:.75rem 0 .5rem;overflow-wrap:anywhere}\n"
    "h2{font-size:1.3rem;line-height:1.3;margin:2.5rem 0 .75rem;padding-top:1.25rem;border-top:1px solid var(--line);"
    "overflow-wrap:anywhere}\n"
    "p,li{max-width:46rem;overflow-wrap:anywhere}\n"
    "p{margin:.5rem 0}\n"
    ".missing{background:var(--soft);border-left:4px solid var(--note);padding:.25rem 1rem .5rem;margin:1.25rem 0}\n"
    ".missing h2{border:0;margin:.5rem 0 .25rem;padding:0;font-size:1.1rem}\n"
    ".missing ul{margin:.25rem 0;padding-left:1.25rem}\n"
    ".scroll{overflow-x:auto;margin:1.25rem 0}\n"
    "table{border-collapse:collapse;font-size:.9375rem;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;padding:0 0 .5rem}\n"
    "caption span{display:block;position:sticky;left:0;width:min(46rem,calc(100vw - 2rem));color:var(--dim);"
    "overflow-wrap:anywhere}\n"
    "th,td{text-align:left;vertical-align:top;padding:.35rem 1.1rem .35rem 0;border-bottom:1px solid var(--line)}\n"
    "thead th{font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--line)}\n"
    "tbody th{font-weight:500;min-width:9rem;max-width:20rem;overflow-wrap:anywhere}\n"
    "tr>:first-child{position:sticky;left:0;background:var(--page)}\n"
    "td{min-width:6rem;max-width:28rem;overflow-wrap:anywhere}\n"
    ".n{text-align:right;white-space:nowrap;min-width:0}\n"
    "code,pre{font:.875em/1.45 ui-monospace,\"DejaVu Sans Mono\",monospace}\n"
    "pre{margin:.25rem 0 1rem;padding:.6rem .8rem;background:var(--soft);border-radius:4px;white-space:pre-wrap;"
    "overflow-wrap:anywhere}\n"
    "details{margin:1rem 0}\n"
    "summary{cursor:pointer;font-weight:500;padding:.25rem 0}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.5rem 2rem;"
    "margin:1.5rem 0}\n"
    "figure{margin:0;max-width:36rem}\n"
    "figcaption{margin-top:.4rem;color:var(--dim);font-size:.9375rem}\n"
    "figure svg{display:block;width:100%;height:auto}\n"
    "svg [color=black]{color:var(--text)}\n"
    "svg [stroke=black]{stroke:var(--text)}\n"
    "svg [fill=black]{fill:var(--text)}\n"
    "svg rect[fill=\"#ffffff\"]{fill:none}\n"
    "svg .gridline{stroke:var(--line)}\n"
    "footer{margin-top:3rem;color:var(--dim);font-size:.9375rem}\n";

/* ---- text ---- */

void
adamix_report_page_begin (adamix_report_page *out, const char *folder, const char *title, adamix_log *log)
{
  *out = (adamix_report_page){ .folder = folder, .log = log };
  out->err = adamix_draft_begin (&out->head);
  if (!out->err) out->err = adamix_draft_begin (&out->missing);
  if (!out->err) out->err = adamix_draft_begin (&out->body);
  if (!out->err) out->err = adamix_draft_begin (&out->summary);
  if (out->err) return;
  FILE *head = out->head.stream;
  fputs (
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
      head);
  adamix_report_escape (title, head);
  fprintf (head, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>", style);
  adamix_report_escape (title, head);
  fputs ("</h1>\n", head);
}

/* An element with escaped text, and a command inside of it. */
static adamix_err
print_element (FILE *out, const char *tag, const char *command, const char *format, va_list arguments)
{
  char *text;
  ADAMIX_RETURN_IF (adamix_format_list (&text, format, arguments));
  fprintf (out, "<%s>", tag);
  adamix_report_escape (text, out);
  if (command) {
    fputs ("<pre>", out);
    adamix_report_escape (command, out);
    fputs ("</pre>", out);
  }
  fprintf (out, "</%s>\n", tag);
  free (text);
  return ADAMIX_OK;
}

void
adamix_report_page_lead (adamix_report_page *page, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  if (!page->err) page->err = print_element (page->head.stream, "p", NULL, format, arguments);
  va_end (arguments);
}

void
adamix_report_page_miss (adamix_report_page *page, const char *command, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  if (!page->err) page->err = print_element (page->missing.stream, "li", command, format, arguments);
  va_end (arguments);
}

void
adamix_report_page_say (adamix_report_page *page, const char *tag, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  if (!page->err) page->err = print_element (page->body.stream, tag, NULL, format, arguments);
  va_end (arguments);
}

void
adamix_report_page_put (adamix_report_page *page, const char *html)
{
  if (!page->err) fputs (html, page->body.stream);
}

/* ---- tables ---- */

/* A row of the table of formats. */
static const struct {
  const char *ending;
  void (*print) (const adamix_report_table *table, FILE *out);
} formats[] = { { "md", adamix_report_table_markdown },
                { "csv", adamix_report_table_csv },
                { "tex", adamix_report_table_latex } };

static adamix_err
store_table (const adamix_report_page *page, const adamix_report_table *table)
{
  adamix_err err = ADAMIX_OK;
  char *file = NULL;
  adamix_draft text = { 0 };
  for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
    free (file);
    file = NULL;
    ADAMIX_TRY (adamix_format (&file, "%s.%s", table->name, formats[f].ending));
    ADAMIX_TRY (adamix_draft_begin (&text));
    formats[f].print (table, text.stream);
    ADAMIX_TRY (adamix_draft_store (&text, page->folder, file));
  }
done:
  adamix_draft_destroy (&text);
  free (file);
  return err;
}

void
adamix_report_page_table (adamix_report_page *page, adamix_report_table *table, const char *details, bool summary)
{
  if (!page->err) page->err = table->err;
  if (!page->err) page->err = store_table (page, table);
  if (!page->err) {
    FILE *body = page->body.stream;
    if (details) fprintf (body, "<details>\n<summary>%s</summary>\n", details);
    adamix_report_table_html (table, body);
    if (details) fputs ("</details>\n", body);
    if (summary && ftell (page->summary.stream) > 0) fputc ('\n', page->summary.stream);
    if (summary) adamix_report_table_plain (table, page->summary.stream);
  }
  adamix_report_table_destroy (table);
}

/* ---- figures ---- */

/* Names inside of a plot are those of all plots: give each page's plot a set of its own. */
static void
print_svg (const char *svg, int64_t number, FILE *out)
{
  static const char *const marks[] = { "id='", "id=\"", "href='#", "url(#" };
  while (*svg) {
    size_t length = 0;
    for (size_t m = 0; m < sizeof marks / sizeof *marks && !length; m++)
      if (strncmp (svg, marks[m], strlen (marks[m])) == 0) length = strlen (marks[m]);
    fwrite (svg, 1, length ? length : 1, out);
    if (length) fprintf (out, "f%lld-", (long long) number);
    svg += length ? length : 1;
  }
}

/* The plot less what stands before it, its title (browsers show "Gnuplot" over the whole plot) and description. */
static adamix_err
embed (adamix_report_page *page, const char *name, const char *caption)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL, *text = NULL;
  adamix_file_map map = { 0 };
  ADAMIX_TRY (adamix_format (&path, "%s/%s.svg", page->folder, name));
  ADAMIX_TRY (adamix_file_map_open (&map, path));
  ADAMIX_TRY (adamix_format (&text, "%.*s", (int) map.size, map.data));
  const char *begin = strstr (text, "<svg"), *canvas = strstr (text, "<g id=\"gnuplot_canvas\">");
  if (!begin || !canvas) ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT, "%s: not a plot of gnuplot", path));
  const char *tag = begin + strlen ("<svg"), *end = strchr (tag, '>');
  FILE *body = page->body.stream;
  fputs ("<svg role=\"img\" aria-label=\"", body);
  adamix_report_escape (caption, body);
  fprintf (body, "\"%.*s>\n", (int) (end - tag), tag);
  print_svg (canvas, ++page->figures, body);
done:
  adamix_file_map_close (&map);
  free (text);
  free (path);
  return err;
}

static adamix_err
show_figure (adamix_report_page *page, adamix_figure *figure, const char *name, int height, const char *caption)
{
  bool drawn;
  ADAMIX_RETURN_IF (adamix_figure_draw (figure, page->folder, name, REPORT_FIGURE_WIDTH, height, &drawn));
  FILE *body = page->body.stream;
  fputs ("<figure>\n", body);
  if (drawn)
    ADAMIX_RETURN_IF (embed (page, name, caption));
  else
    fprintf (body, "<p>The plot is missing; <code>gnuplot %s.gp</code> draws it.</p>\n", name);
  page->plots_missing = page->plots_missing || !drawn;
  fputs ("<figcaption>", body);
  adamix_report_escape (caption, body);
  fprintf (body, " <code>%s</code></figcaption>\n</figure>\n", name);
  return ADAMIX_OK;
}

void
adamix_report_page_figure (adamix_report_page *page, adamix_figure *figure, const char *name, int height,
                           const char *caption)
{
  if (!page->err) page->err = show_figure (page, figure, name, height, caption);
  adamix_figure_destroy (figure);
}

/* ---- the end ---- */

static const char missing_begin[] = "<section class=\"missing\">\n<h2>What is missing</h2>\n<ul>\n";
static const char missing_end[] = "</ul>\n</section>\n";
static const char all_end[] = "</main>\n</body>\n</html>\n";

static adamix_err
write_page (adamix_report_page *page, const char *path)
{
  adamix_draft *const draft[] = { &page->head, &page->missing, &page->body };
  for (size_t i = 0; i < sizeof draft / sizeof *draft; i++) ADAMIX_RETURN_IF (adamix_draft_end (draft[i]));
  const size_t missing = page->missing.size;
  const adamix_file_piece piece[] = {
    { page->head.data, page->head.size }, { missing_begin, missing ? strlen (missing_begin) : 0 },
    { page->missing.data, missing },      { missing_end, missing ? strlen (missing_end) : 0 },
    { page->body.data, page->body.size }, { all_end, strlen (all_end) }
  };
  return adamix_file_write_pieces (path, piece, sizeof piece / sizeof *piece);
}

adamix_err
adamix_report_page_end (adamix_report_page *page, const char *path, char **summary)
{
  adamix_err err = page->err;
  *summary = NULL;
  if (!err) err = write_page (page, path);
  if (!err) err = adamix_draft_end (&page->summary);
  if (!err) {
    *summary = page->summary.data;
    page->summary.data = NULL;
  }
  adamix_draft_destroy (&page->head);
  adamix_draft_destroy (&page->missing);
  adamix_draft_destroy (&page->body);
  adamix_draft_destroy (&page->summary);
  return err;
}
