/* Tables in all formats: escapes, numbers, what is empty. */
#include "report/report_private.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static adamix_report_table table;
static adamix_draft draft;

static void
start (void)
{
  adamix_report_table_begin (&table, "results", "Caption %d & more", 1);
  adamix_report_table_column (&table, false, "a_name");
  adamix_report_table_column (&table, true, "value");
  cr_assert_eq (adamix_draft_begin (&draft), ADAMIX_OK);
}

static void
stop (void)
{
  cr_assert_eq (table.err, ADAMIX_OK);
  adamix_draft_destroy (&draft);
  adamix_report_table_destroy (&table);
}

TestSuite (table, .init = start, .fini = stop);

static const char *
printed (void (*print) (const adamix_report_table *, FILE *))
{
  print (&table, draft.stream);
  cr_assert_eq (adamix_draft_end (&draft), ADAMIX_OK);
  return draft.data;
}

Test (table, html_is_escaped)
{
  adamix_report_table_text (&table, "<script>alert(\"x\" & 'y')</script>");
  adamix_report_table_number (&table, 0.25, 2);
  const char *text = printed (adamix_report_table_html);
  cr_assert (strstr (text, "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/<wbr/>script&gt;"), "%s", text);
  cr_assert (!strstr (text, "<script"));
  cr_assert (strstr (text, "<td class=\"n\">0.25</td>") && strstr (text, "Caption 1 &amp; more"), "%s", text);
  cr_assert (strstr (text, "scope=\"row\"") && strstr (text, "scope=\"col\""));
}

Test (table, markdown_is_escaped)
{
  adamix_report_table_text (&table, "a|b_c\n<d>");
  adamix_report_table_number (&table, NAN, 2);
  cr_assert_str_eq (printed (adamix_report_table_markdown),
                    "| a\\_name | value |\n|---|--:|\n| a\\|b\\_c &lt;d> | \xe2\x80\x93 |\n"
                    "\nCaption 1 &amp; more\n");
}

Test (table, csv_is_quoted_and_exact)
{
  adamix_report_table_text (&table, "a,\"b\"");
  adamix_report_table_number (&table, 0.1, 0);
  adamix_report_table_text (&table, NULL);
  adamix_report_table_number (&table, INFINITY, 0);
  adamix_report_table_text (&table, "small");
  adamix_report_table_chance (&table, 1.25e-7);
  cr_assert_str_eq (printed (adamix_report_table_csv), "a_name,value\n\"a,\"\"b\"\"\",0.1\n,\nsmall,1.25e-07\n");
}

Test (table, latex_is_escaped)
{
  adamix_report_table_text (&table, "50 % of $x_1 & {y}\\z");
  adamix_report_table_chance (&table, 0.0004);
  const char *text = printed (adamix_report_table_latex);
  cr_assert (strstr (text, "50 \\% of \\$x\\_1 \\& \\{y\\}\\textbackslash{}z & \\textless{}0.001 \\\\\n"), "%s", text);
  cr_assert (strstr (text, "\\caption{Caption 1 \\& more}") && strstr (text, "\\begin{tabular}{lr}"), "%s", text);
}

Test (table, numbers_can_be_read)
{
  static const struct {
    double value;
    int digits;
    const char *text;
  } rows[] = { { 1234, 0, "1234" },      { 12345, 0, "12,345" },    { 123456789, 0, "123,456,789" },
               { -54321, 0, "-54,321" }, { 12345.5, 1, "12345.5" }, { 0.98765, 3, "0.988" },
               { -1234, 0, "-1234" } };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    adamix_report_table_text (&table, "x");
    adamix_report_table_number (&table, rows[i].value, rows[i].digits);
    cr_assert_str_eq (table.cell[table.cells - 1].text, rows[i].text);
  }
}

Test (table, plain_columns_stand_under_each_other)
{
  adamix_report_table_text (&table, "\xc2\xb1");
  adamix_report_table_number (&table, 12345, 0);
  cr_assert_str_eq (printed (adamix_report_table_plain), "Caption 1 & more\na_name   value\n\xc2\xb1       12,345\n");
}

Test (table, bytes_that_are_no_text_are_replaced)
{
  adamix_report_escape ("caf\xe9 \x01<", draft.stream);
  cr_assert_eq (adamix_draft_end (&draft), ADAMIX_OK);
  cr_assert_str_eq (draft.data, "caf?  &lt;");
}
