#include "base/scratch.h"

#include "format/table_private.h"

TestSuite (table, .init = scratch_begin, .fini = scratch_end);

static adamix_table table;

static adamix_err
read_sized (adamix_table_kind kind, bool header, const char *text, size_t size)
{
  return adamix_table_read (&table, scratch_file ("t", text, size), kind, header);
}

static adamix_err
read_text (adamix_table_kind kind, bool header, const char *text)
{
  return read_sized (kind, header, text, strlen (text));
}

static void
assert_field (int64_t row, int64_t column, const char *expected)
{
  const char *field = table.field[row * table.columns + column];
  if (expected)
    cr_assert_str_eq (field, expected, "row %d, column %d: %s", (int) row, (int) column, field);
  else
    cr_assert_null (field);
}

Test (table, tsv_as_glue_writes_it)
{
  cr_assert_succeeds (read_text (ADAMIX_TABLE_TSV, true,
                                 "\xef\xbb\xbfid\tsentence\tlabel\r\n"
                                 "0\the said \"no\tyes\"\r\n"
                                 "\n"
                                 "1\t\t1\textra\n"
                                 "2\tlast"));
  cr_assert (table.rows == 3 && table.columns == 3);
  cr_assert_eq (adamix_table_column (&table, "id"), 0);
  cr_assert_eq (adamix_table_column (&table, "label"), 2);
  cr_assert_eq (adamix_table_column (&table, "none"), -1);
  assert_field (0, 1, "he said \"no");
  assert_field (0, 2, "yes\"");
  assert_field (1, 1, "");
  assert_field (1, 2, "1");
  assert_field (2, 1, "last");
  assert_field (2, 2, NULL);
  cr_assert (table.line[0] == 2 && table.line[1] == 4 && table.line[2] == 5);
  adamix_table_destroy (&table);
  adamix_table_destroy (NULL);
}

Test (table, without_a_header_columns_have_no_names)
{
  cr_assert_succeeds (read_text (ADAMIX_TABLE_TSV, false, "a\tb\nc\n"));
  cr_assert (table.rows == 2 && table.columns == 2 && table.line[0] == 1);
  cr_assert_str_eq (table.column[1], "");
  assert_field (1, 0, "c");
  assert_field (1, 1, NULL);
}

Test (table, a_blank_line_in_one_column_is_an_empty_text)
{
  cr_assert_succeeds (read_text (ADAMIX_TABLE_TSV, true, "text\na\n\r\nb\n"));
  cr_assert_eq (table.rows, 3);
  assert_field (1, 0, "");
  cr_assert_eq (table.line[2], 4);
  cr_assert_succeeds (read_text (ADAMIX_TABLE_CSV, true, "text\n\n\"\"\nb\n"));
  cr_assert_eq (table.rows, 3);
  assert_field (0, 0, "");
  assert_field (1, 0, "");
  assert_field (2, 0, "b");
}

Test (table, files_without_records)
{
  for (adamix_table_kind kind = ADAMIX_TABLE_TSV; kind <= ADAMIX_TABLE_JSONL; kind++) {
    cr_assert_succeeds (read_text (kind, true, ""));
    cr_assert (table.rows == 0 && table.columns == 0);
    cr_assert_succeeds (read_text (kind, true, "\n\n\r\n"));
    cr_assert_eq (table.rows, 0);
  }
  cr_assert_succeeds (read_text (ADAMIX_TABLE_CSV, true, "text,label\n"));
  cr_assert (table.rows == 0 && table.columns == 2);
  cr_assert_fails (adamix_table_read (&table, scratch_path ("none"), ADAMIX_TABLE_TSV, true), ADAMIX_EIO, "none");
}

Test (table, csv_of_rfc_4180)
{
  cr_assert_succeeds (read_text (ADAMIX_TABLE_CSV, true,
                                 "text,\"the \"\"label\"\"\",n\r\n"
                                 "plain,\"a, b\",1\r\n"
                                 "\"two\r\nlines\",\"\"\"\",\"\"\n"
                                 "\n"
                                 "it\"s,,\n"
                                 "\"end\""));
  cr_assert (table.rows == 4 && table.columns == 3);
  cr_assert_eq (adamix_table_column (&table, "the \"label\""), 1);
  assert_field (0, 1, "a, b");
  assert_field (0, 2, "1");
  assert_field (1, 0, "two\r\nlines");
  assert_field (1, 1, "\"");
  assert_field (1, 2, "");
  assert_field (2, 0, "it\"s");
  assert_field (2, 1, "");
  assert_field (2, 2, "");
  assert_field (3, 0, "end");
  assert_field (3, 1, NULL);
  cr_assert (table.line[0] == 2 && table.line[1] == 3 && table.line[2] == 6 && table.line[3] == 7);
}

Test (table, csv_at_the_end_of_the_file)
{
  cr_assert_succeeds (read_text (ADAMIX_TABLE_CSV, false, "a,\"b\"\r"));
  assert_field (0, 1, "b");
  cr_assert_succeeds (read_text (ADAMIX_TABLE_CSV, false, "a,b\r"));
  assert_field (0, 1, "b");
  cr_assert_succeeds (read_text (ADAMIX_TABLE_CSV, false, "a,"));
  cr_assert_eq (table.columns, 2);
  assert_field (0, 1, "");
}

Test (table, csv_errors_name_the_line)
{
  cr_assert_fails (read_text (ADAMIX_TABLE_CSV, true, "a,b\n1,\"x\ny\n"), ADAMIX_EFORMAT,
                   "t:2: a quoted field does not");
  cr_assert_fails (read_text (ADAMIX_TABLE_CSV, true, "a,b\n\"x\ny\"z,1\n"), ADAMIX_EFORMAT, "t:3: text follows");
  cr_assert_fails (read_text (ADAMIX_TABLE_CSV, true, "a,b\n1,\""), ADAMIX_EFORMAT, "t:2: a quoted field");
}

Test (table, json_lines)
{
  cr_assert_succeeds (read_text (ADAMIX_TABLE_JSONL, false,
                                 "{\"text\": \"caf\\u00e9 \\\"x\\\"\", \"label\": 3, \"score\": 0.1}\n"
                                 "\n"
                                 "{\"label\": true, \"other\": 1, \"text\": null}\r\n"
                                 "{\"text\": {\"a\": [1]}, \"score\": 1e15}"));
  cr_assert (table.rows == 3 && table.columns == 3);
  cr_assert_eq (adamix_table_column (&table, "score"), 2);
  assert_field (0, 0, "café \"x\"");
  assert_field (0, 1, "3");
  assert_field (0, 2, "0.1");
  assert_field (1, 0, NULL);
  assert_field (1, 1, "true");
  assert_field (1, 2, NULL);
  assert_field (2, 0, "{\"a\":[1]}");
  cr_assert_eq (strtod (table.field[2 * 3 + 2], NULL), 1e15);
  cr_assert (table.line[1] == 3 && table.line[2] == 4);
}

Test (table, json_errors_name_the_line)
{
  cr_assert_fails (read_text (ADAMIX_TABLE_JSONL, false, "{\"a\": 1}\n{\"a\": }\n"), ADAMIX_EFORMAT, "t:2: column 7");
  cr_assert_fails (read_text (ADAMIX_TABLE_JSONL, false, "[\n{\"a\": 1}\n]\n"), ADAMIX_EFORMAT, "t:1:");
  cr_assert_fails (read_text (ADAMIX_TABLE_JSONL, false, "{\"a\": 1}\n[1]\n"), ADAMIX_EFORMAT,
                   "t:2: not a JSON object");
  cr_assert_fails (read_text (ADAMIX_TABLE_JSONL, false, "{\"a\": 1, \"a\": 2}\n"), ADAMIX_EFORMAT, "duplicate");
}

Test (table, text_that_is_not_utf8)
{
  static const char *const bad[] = { "\xff",
                                     "\x80",
                                     "\xc0\xaf",
                                     "\xc1\xbf",
                                     "\xc3",
                                     "\xe0\x80\xaf",
                                     "\xed\xa0\x80",
                                     "\xe2\x82",
                                     "\xf0\x80\x80\x80",
                                     "\xf4\x90\x80\x80",
                                     "\xf5\x80\x80\x80",
                                     "\xe2\x28\xa1" };
  static const char *const good[] = { "\x7f",         "\xc2\x80",         "\xdf\xbf",
                                      "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
                                      "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
  char text[64];
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    for (int before = 0; before < 9; before++) {
      snprintf (text, sizeof text, "a\n%.*s%s, and on it goes\n", before, "12345678", bad[i]);
      cr_assert_fails (read_text (ADAMIX_TABLE_TSV, true, text), ADAMIX_EFORMAT, "t:2: byte 0x");
    }
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    snprintf (text, sizeof text, "a\n%s", good[i]);
    cr_assert_succeeds (read_text (ADAMIX_TABLE_TSV, true, text));
  }
  for (size_t at = 0; at < 16; at++) {
    memcpy (text, "0123456789abcdef", 16);
    text[at] = '\0';
    cr_assert_fails (read_sized (ADAMIX_TABLE_TSV, true, text, 16), ADAMIX_EFORMAT, "t:1: byte 0x00");
  }
}

Test (table, a_sequence_cut_by_the_end_is_not_completed_by_what_lies_behind)
{
  cr_assert_eq (adamix_utf8_invalid ("\xe2\x82\xac", 2), 0);
  cr_assert_eq (adamix_utf8_invalid ("\xe2\x82\xac", 3), 3);
}

Test (table, too_many_columns)
{
  char tabs[5001];
  memset (tabs, '\t', sizeof tabs - 1);
  tabs[sizeof tabs - 1] = '\0';
  cr_assert_fails (read_text (ADAMIX_TABLE_TSV, true, tabs), ADAMIX_EFORMAT, "5001 columns");
  tabs[0] = 'a';
  tabs[1] = '\n';
  cr_assert_succeeds (read_text (ADAMIX_TABLE_TSV, true, tabs));
  cr_assert (table.rows == 1 && table.columns == 1);
}

Test (table, kinds_by_the_ending)
{
  cr_assert_eq (adamix_table_kind_of ("x/train.csv"), ADAMIX_TABLE_CSV);
  cr_assert_eq (adamix_table_kind_of ("train.jsonl"), ADAMIX_TABLE_JSONL);
  cr_assert_eq (adamix_table_kind_of ("train.json"), ADAMIX_TABLE_JSONL);
  cr_assert_eq (adamix_table_kind_of ("train.tsv"), ADAMIX_TABLE_TSV);
  cr_assert_eq (adamix_table_kind_of ("train.txt"), ADAMIX_TABLE_TSV);
  cr_assert_eq (adamix_table_kind_of ("a.csv/train"), ADAMIX_TABLE_TSV);
}
