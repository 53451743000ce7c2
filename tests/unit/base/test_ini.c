#include "base/scratch.h"

static adamix_ini ini;

static void
end (void)
{
  adamix_ini_destroy (&ini);
  scratch_end ();
}

TestSuite (ini, .init = scratch_begin, .fini = end);

static adamix_err
read_text (const char *text)
{
  return adamix_ini_read (&ini, scratch_file ("a.ini", text, strlen (text)));
}

static void
expect_entry (int64_t i, const char *section, const char *name, const char *value, int line)
{
  const adamix_ini_entry *entry = &ini.entry[i];
  cr_assert_str_eq (entry->section, section);
  cr_assert_eq (entry->line, line);
  cr_assert_eq (entry->name != NULL, name != NULL);
  if (!name) return;
  cr_assert_str_eq (entry->name, name);
  cr_assert_str_eq (entry->value, value);
}

/* Sections without entries, and with names that inih would cut, among them. */
Test (ini, entries_and_sections_in_order)
{
  cr_assert_succeeds (read_text ("\xef\xbb\xbf"
                                 "a = 1 ; why\n\n[empty]\n# comment\n  [run a-name-of-more-than-the-fifty-bytes-that-"
                                 "inih-keeps]\r\n b: 2, 3\r\nc =\n[empty]\nd=4"));
  cr_assert_eq (ini.entries, 7);
  expect_entry (0, "", "a", "1", 1);
  expect_entry (1, "empty", NULL, NULL, 3);
  expect_entry (2, "run a-name-of-more-than-the-fifty-bytes-that-inih-keeps", NULL, NULL, 5);
  expect_entry (3, "run a-name-of-more-than-the-fifty-bytes-that-inih-keeps", "b", "2, 3", 6);
  expect_entry (4, "run a-name-of-more-than-the-fifty-bytes-that-inih-keeps", "c", "", 7);
  expect_entry (5, "empty", NULL, NULL, 8);
  expect_entry (6, "empty", "d", "4", 9);
}

Test (ini, a_section_on_the_first_line_behind_a_mark)
{
  cr_assert_succeeds (read_text ("\xef\xbb\xbf[s]\na = 1\n"));
  cr_assert_eq (ini.entries, 2);
  expect_entry (1, "s", "a", "1", 2);
}

Test (ini, an_empty_file)
{
  cr_assert_succeeds (read_text (""));
  cr_assert_eq (ini.entries, 0);
}

Test (ini, errors_name_file_and_line)
{
  char long_line[400];
  memset (long_line, 'x', sizeof long_line);
  long_line[sizeof long_line - 1] = '\0';
  cr_assert_fails (read_text ("a = 1\nnonsense\n"), ADAMIX_EUSAGE, "a.ini:2: neither");
  cr_assert_fails (read_text ("a = 1\n[open\n"), ADAMIX_EUSAGE, "a.ini:2: neither");
  cr_assert_fails (read_text (long_line), ADAMIX_EUSAGE, "a.ini:1: the line has 399 bytes");
  cr_assert_eq (ini.entries, 0);
  cr_assert_null (ini.entry);
  cr_assert_fails (adamix_ini_read (&ini, scratch_path ("none.ini")), ADAMIX_EIO, "none.ini: cannot be opened");
}
