/* base/scratch.h - a temporary folder for one test case. */
#ifndef ADAMIX_TESTS_SCRATCH_H
#define ADAMIX_TESTS_SCRATCH_H

#include <adamix/base.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char scratch_folder[64];

/* For .init and .fini of a test case or suite. */
__attribute__ ((unused)) static void
scratch_begin (void)
{
  strcpy (scratch_folder, "/tmp/adamix-test-XXXXXX");
  cr_assert_not_null (mkdtemp (scratch_folder));
}

__attribute__ ((unused)) static void
scratch_end (void)
{
  cr_assert_eq (adamix_directory_remove (scratch_folder), ADAMIX_OK, "%s", adamix_err_message ());
}

/* Path of a file in the folder; the caller's until the process of the test case ends. */
__attribute__ ((unused)) static char *
scratch_path (const char *name)
{
  char *path;
  cr_assert_eq (adamix_path_join (&path, scratch_folder, name), ADAMIX_OK);
  return path;
}

__attribute__ ((unused)) static char *
scratch_file (const char *name, const void *data, size_t size)
{
  char *path = scratch_path (name);
  FILE *stream = fopen (path, "wb");
  cr_assert_not_null (stream);
  cr_assert_eq (fwrite (data, 1, size, stream), size);
  cr_assert_eq (fclose (stream), 0);
  return path;
}

/* The call fails with `expected` and a message that holds `part`. */
#define cr_assert_fails(call, expected, part)                                                                          \
  do {                                                                                                                 \
    adamix_err got = (call);                                                                                           \
    cr_assert_eq (got, expected, "%s gave %d: %s", #call, (int) got, adamix_err_message ());                           \
    cr_assert_not_null (strstr (adamix_err_message (), part), "no \"%s\" in: %s", part, adamix_err_message ());        \
  } while (0)

#define cr_assert_succeeds(call) cr_assert_eq ((call), ADAMIX_OK, "%s: %s", #call, adamix_err_message ())

#endif
