#include "report/report_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where there is nothing to tell. */
static const char dash[] = "\xe2\x80\x93";

/* ---- filling ---- */

void
adamix_report_table_begin (adamix_report_table *out, const char *name, const char *format, ...)
{
  *out = (adamix_report_table){ 0 };
  va_list arguments;
  va_start (arguments, format);
  out->err = adamix_format_list (&out->caption, format, arguments);
  va_end (arguments);
  if (!out->err) out->err = adamix_format (&out->name, "%s", name);
}

void
adamix_report_table_destroy (adamix_report_table *table)
{
  for (int64_t c = 0; c < table->columns; c++) free (table->title[c]);
  for (int64_t i = 0; i < table->cells; i++) {
    free (table->cell[i].text);
    free (table->cell[i].exact);
  }
  free (table->title);
  free (table->number);
  free (table->cell);
  free (table->name);
  free (table->caption);
  *table = (adamix_report_table){ 0 };
}

static adamix_err
add_column (adamix_report_table *t, bool number, const char *title)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (t->title, &t->column_room, t->columns + 1));
  ADAMIX_RETURN_IF (ADAMIX_GROW (t->number, &t->number_room, t->columns + 1));
  ADAMIX_RETURN_IF (adamix_format (&t->title[t->columns], "%s", title));
  t->number[t->columns++] = number;
  return ADAMIX_OK;
}

void
adamix_report_table_column (adamix_report_table *table, bool number, const char *title)
{
  if (!table->err) table->err = add_column (table, number, title);
}

static adamix_err
add_cell (adamix_report_table *t, const char *text, const char *exact)
{
  ADAMIX_RETURN_IF (ADAMIX_GROW (t->cell, &t->cell_room, t->cells + 1));
  struct adamix_report_cell *cell = &t->cell[t->cells++];
  *cell = (struct adamix_report_cell){ 0 };
  if (text) ADAMIX_RETURN_IF (adamix_format (&cell->text, "%s", text));
  return exact ? adamix_format (&cell->exact, "%s", exact) : ADAMIX_OK;
}

void
adamix_report_table_text (adamix_report_table *table, const char *text)
{
  if (!table->err) table->err = add_cell (table, text, NULL);
}

/* 12,345,678: whole numbers of five digits or more. */
static void
group_digits (char *text, size_t size)
{
  enum { FEWEST = 5, GROUP = 3 };
  const size_t sign = *text == '-', length = strlen (text), digits = length - sign;
  if (digits < FEWEST || strspn (text + sign, "0123456789") != digits) return;
  const size_t commas = (digits - 1) / GROUP;
  if (length + commas >= size) return;
  char *to = text + length + commas;
  *to-- = '\0';
  for (size_t i = 0; i < digits; i++) {
    if (i > 0 && i % GROUP == 0) *to-- = ',';
    *to-- = text[length - 1 - i];
  }
}

void
adamix_report_table_number (adamix_report_table *table, double value, int digits)
{
  enum { SIZE = 400 };
  char text[SIZE], exact[ADAMIX_NUMBER_TEXT];
  if (table->err) return;
  if (!isfinite (value)) {
    table->err = add_cell (table, NULL, NULL);
    return;
  }
  snprintf (text, sizeof text, "%.*f", digits, value);
  group_digits (text, sizeof text);
  adamix_number_text (exact, value);
  table->err = add_cell (table, text, exact);
}

void
adamix_report_table_chance (adamix_report_table *table, double p)
{
  const double least = 0.001;
  if (isfinite (p) && p < least) {
    char exact[ADAMIX_NUMBER_TEXT];
    adamix_number_text (exact, p);
    if (!table->err) table->err = add_cell (table, "<0.001", exact);
  } else
    adamix_report_table_number (table, p, 3);
}

/* ---- formats ---- */

static const char *
text_of (const adamix_report_table *t, int64_t row, int64_t column)
{
  const char *text = t->cell[row * t->columns + column].text;
  return text ? text : dash;
}

static int64_t
rows_of (const adamix_report_table *t)
{
  return t->columns ? t->cells / t->columns : 0;
}

/* Print a text with some of its characters replaced; a control character becomes a blank, what is no UTF-8 a question mark:
 * names of folders may hold any byte. */
typedef struct replacement {
  char character;
  const char *by;
} replacement;

static void
print_replaced (const char *text, const replacement *table, FILE *out)
{
  const bool valid = adamix_utf8_check (text, strlen (text)) < 0;
  for (; *text; text++) {
    const unsigned char c = (unsigned char) *text;
    const replacement *r = table;
    while (r->character && r->character != *text) r++;
    if (r->character)
      fputs (r->by, out);
    else
      fputc (c < ' ' || c == 0x7f ? ' ' : c >= 0x80 && !valid ? '?' : c, out);
  }
}

static const replacement in_markdown[] = { { '|', "\\|" },   { '*', "\\*" },  { '_', "\\_" },
                                           { '`', "\\`" },   { '<', "&lt;" }, { '&', "&amp;" },
                                           { '\\', "\\\\" }, { '[', "\\[" },  { 0, NULL } };
static const replacement in_latex[] = { { '\\', "\\textbackslash{}" },
                                        { '{', "\\{" },
                                        { '}', "\\}" },
                                        { '$', "\\$" },
                                        { '&', "\\&" },
                                        { '#', "\\#" },
                                        { '%', "\\%" },
                                        { '_', "\\_" },
                                        { '^', "\\textasciicircum{}" },
                                        { '~', "\\textasciitilde{}" },
                                        { '<', "\\textless{}" },
                                        { '>', "\\textgreater{}" },
                                        { 0, NULL } };
static const replacement in_html[] = { { '<', "&lt;" },   { '>', "&gt;" },   { '&', "&amp;" },
                                       { '"', "&quot;" }, { '\'', "&#39;" }, { 0, NULL } };

/* The same for names, which may be broken behind their parts. */
static const replacement in_html_names[] = { { '<', "&lt;" },    { '>', "&gt;" },   { '&', "&amp;" },
                                             { '"', "&quot;" },  { '\'', "&#39;" }, { '_', "_<wbr/>" },
                                             { '/', "/<wbr/>" }, { 0, NULL } };

void
adamix_report_escape (const char *text, FILE *out)
{
  print_replaced (text, in_html, out);
}

void
adamix_report_table_markdown (const adamix_report_table *t, FILE *out)
{
  for (int64_t c = 0; c < t->columns; c++) {
    fputs ("| ", out);
    print_replaced (t->title[c], in_markdown, out);
    fputc (' ', out);
  }
  fputs ("|\n", out);
  for (int64_t c = 0; c < t->columns; c++) fputs (t->number[c] ? "|--:" : "|---", out);
  fputs ("|\n", out);
  for (int64_t r = 0; r < rows_of (t); r++) {
    for (int64_t c = 0; c < t->columns; c++) {
      fputs ("| ", out);
      print_replaced (text_of (t, r, c), in_markdown, out);
      fputc (' ', out);
    }
    fputs ("|\n", out);
  }
  fputc ('\n', out);
  print_replaced (t->caption, in_markdown, out);
  fputc ('\n', out);
}

static void
print_field (const char *text, FILE *out)
{
  if (!text[strcspn (text, "\",\r\n")]) {
    fputs (text, out);
    return;
  }
  fputc ('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc ('"', out);
    fputc (*text, out);
  }
  fputc ('"', out);
}

void
adamix_report_table_csv (const adamix_report_table *t, FILE *out)
{
  for (int64_t c = 0; c < t->columns; c++) {
    if (c) fputc (',', out);
    print_field (t->title[c], out);
  }
  fputc ('\n', out);
  for (int64_t i = 0; i < t->cells; i++) {
    const char *text = t->cell[i].exact ? t->cell[i].exact : t->cell[i].text;
    if (text) print_field (text, out);
    fputc ((i + 1) % t->columns ? ',' : '\n', out);
  }
}

void
adamix_report_table_latex (const adamix_report_table *t, FILE *out)
{
  fputs ("% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{", out);
  print_replaced (t->caption, in_latex, out);
  fputs ("}\n\\begin{tabular}{", out);
  for (int64_t c = 0; c < t->columns; c++) fputc (t->number[c] ? 'r' : 'l', out);
  fputs ("}\n\\toprule\n", out);
  for (int64_t c = 0; c < t->columns; c++) {
    if (c) fputs (" & ", out);
    print_replaced (t->title[c], in_latex, out);
  }
  fputs (" \\\\\n\\midrule\n", out);
  for (int64_t r = 0; r < rows_of (t); r++) {
    for (int64_t c = 0; c < t->columns; c++) {
      if (c) fputs (" & ", out);
      print_replaced (text_of (t, r, c), in_latex, out);
    }
    fputs (" \\\\\n", out);
  }
  fputs ("\\bottomrule\n\\end{tabular}\n\\end{table}\n", out);
}

/* The first cell of a row is its head. */
static void
print_row (const adamix_report_table *t, int64_t r, FILE *out)
{
  fputs ("<tr>", out);
  for (int64_t c = 0; c < t->columns; c++) {
    const char *element = c ? "td" : "th";
    fprintf (out, "<%s%s%s>", element, c ? "" : " scope=\"row\"", t->number[c] ? " class=\"n\"" : "");
    print_replaced (text_of (t, r, c), c ? in_html : in_html_names, out);
    fprintf (out, "</%s>", element);
  }
  fputs ("</tr>\n", out);
}

void
adamix_report_table_html (const adamix_report_table *t, FILE *out)
{
  /* What scrolls has to be reached by the keyboard too. */
  fputs ("<div class=\"scroll\" tabindex=\"0\">\n<table>\n<caption><span>", out);
  adamix_report_escape (t->caption, out);
  fprintf (out, " <code>%s</code></span></caption>\n<thead><tr>", t->name);
  for (int64_t c = 0; c < t->columns; c++) {
    fprintf (out, "<th scope=\"col\"%s>", t->number[c] ? " class=\"n\"" : "");
    adamix_report_escape (t->title[c], out);
    fputs ("</th>", out);
  }
  fputs ("</tr></thead>\n<tbody>\n", out);
  for (int64_t r = 0; r < rows_of (t); r++) print_row (t, r, out);
  fputs ("</tbody>\n</table>\n</div>\n", out);
}

/* Characters, not bytes. */
static int64_t
width_of (const char *text)
{
  int64_t width = 0;
  for (; *text; text++) width += (*text & 0xc0) != 0x80;
  return width;
}

static void
print_padded (const char *text, int64_t width, bool right, FILE *out)
{
  const int pad = (int) (width - width_of (text));
  fprintf (out, "%*s%s%*s", right ? pad : 0, "", text, right ? 0 : pad, "");
}

void
adamix_report_table_plain (const adamix_report_table *t, FILE *out)
{
  fprintf (out, "%s\n", t->caption);
  for (int64_t r = -1; r < rows_of (t); r++) {
    for (int64_t c = 0; c < t->columns; c++) {
      int64_t widest = width_of (t->title[c]);
      for (int64_t other = 0; other < rows_of (t); other++) {
        const int64_t width = width_of (text_of (t, other, c));
        if (width > widest) widest = width;
      }
      if (c) fputs ("  ", out);
      print_padded (r < 0 ? t->title[c] : text_of (t, r, c), widest, t->number[c], out);
    }
    fputc ('\n', out);
  }
}
