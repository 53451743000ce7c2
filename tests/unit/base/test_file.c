#include "base/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite (file, .init = scratch_begin, .fini = scratch_end);

static void
assert_holds (const char *path, const void *data, size_t size)
{
  adamix_file_map map;
  cr_assert_succeeds (adamix_file_map_open (&map, path));
  cr_assert_eq (map.size, size);
  cr_assert_eq (memcmp (map.data, data, size), 0);
  adamix_file_map_close (&map);
}

static int
entries (const char *folder)
{
  int count = 0;
  DIR *stream = opendir (folder);
  while (readdir (stream)) count++;
  closedir (stream);
  return count - 2;
}

Test (file, map_of_nothing_a_folder_and_an_empty_file)
{
  adamix_file_map map;
  cr_assert_fails (adamix_file_map_open (&map, scratch_path ("none")), ADAMIX_EIO, "No such file or directory");
  cr_assert_not_null (strstr (adamix_err_message (), scratch_path ("none")));
  cr_assert_fails (adamix_file_map_open (&map, scratch_folder), ADAMIX_EIO, "not a regular file");
  char *fifo = scratch_path ("fifo");
  cr_assert_eq (mkfifo (fifo, 0600), 0);
  cr_assert_fails (adamix_file_map_open (&map, fifo), ADAMIX_EIO, "not a regular file");
  cr_assert_succeeds (adamix_file_map_open (&map, scratch_file ("empty", "", 0)));
  cr_assert_eq (map.size, 0);
  cr_assert_str_eq (map.data, "");
  adamix_file_map_close (&map);
  adamix_file_map_close (NULL);
}

/* Pages given back are no memory of the process any more, hold the same when they are read again, and none outside the
 * range, or of other memory, is touched. */
Test (file, released_pages_are_read_again)
{
  enum { SIZE = 32 << 20, SLACK = 2 << 20 };
  adamix_file_map map;
  uint64_t sum = 0, again = 0;
  char *data = malloc (SIZE);
  for (int i = 0; i < SIZE; i++) data[i] = (char) (i * 7 + i / 4096);
  cr_assert_succeeds (adamix_file_map_open (&map, scratch_file ("large", data, SIZE)));
  for (int i = 0; i < SIZE; i++) sum += (unsigned char) map.data[i];
  const int64_t touched = adamix_memory_pss ();
  adamix_file_map_release (&map, data, SIZE);
  cr_expect_eq (memcmp (data, map.data, SIZE), 0, "memory outside the map is left alone");
  adamix_file_map_release (&map, map.data + SIZE / 2 + 1, SIZE / 2);
  cr_expect_gt (adamix_memory_pss (), touched - SLACK, "a range that leaves the map is left alone");
  adamix_file_map_release (&map, map.data + 1, SIZE / 2);
  const int64_t left = adamix_memory_pss ();
  cr_expect (left < touched - SIZE / 2 + SLACK && left > touched - SIZE / 2 - SLACK, "%d MB of %d stay",
             (int) (left >> 20), (int) (touched >> 20));
  adamix_file_map_release (&map, map.data, SIZE);
  cr_expect_lt (adamix_memory_pss (), touched - SIZE + SLACK);
  for (int i = 0; i < SIZE; i++) again += (unsigned char) map.data[i];
  cr_expect_eq (sum, again);
  adamix_file_map_close (&map);
  free (data);
}

Test (file, write_replaces_the_whole_file)
{
  char *path = scratch_path ("out");
  cr_assert_succeeds (adamix_file_write (path, "long before", 11));
  cr_assert_succeeds (adamix_file_write (path, "after", 5));
  assert_holds (path, "after", 5);
  adamix_file_piece pieces[] = { { "one ", 4 }, { NULL, 0 }, { "two", 3 } };
  cr_assert_succeeds (adamix_file_write_pieces (path, pieces, 3));
  assert_holds (path, "one two", 7);
  cr_assert_eq (entries (scratch_folder), 1);
}

/* What an earlier process of the same number left behind when it was killed. */
Test (file, write_takes_no_notice_of_an_old_temporary_file)
{
  char name[64];
  snprintf (name, sizeof name, "out.%ld.tmp", (long) getpid ());
  scratch_file (name, "much longer than what follows", 29);
  cr_assert_succeeds (adamix_file_write (scratch_path ("out"), "short", 5));
  assert_holds (scratch_path ("out"), "short", 5);
  cr_assert_eq (entries (scratch_folder), 1);
}

Test (file, write_obeys_the_umask)
{
  struct stat status;
  umask (027);
  cr_assert_succeeds (adamix_file_write (scratch_path ("out"), "x", 1));
  cr_assert_eq (stat (scratch_path ("out"), &status), 0);
  cr_assert_eq (status.st_mode & 0777, 0640);
}

Test (file, write_refuses_what_is_no_file)
{
  cr_assert_fails (adamix_file_write (scratch_path ("no/such/folder"), "x", 1), ADAMIX_EIO, "No such file");
  cr_assert_fails (adamix_file_write (scratch_folder, "x", 1), ADAMIX_EIO, "not a regular file");
  cr_assert_fails (adamix_file_write ("/dev/null", "x", 1), ADAMIX_EIO, "not a regular file");
  cr_assert_eq (entries (scratch_folder), 0);
}

/* `path` holds "old" and cannot take a megabyte: it must still hold "old" afterwards, with nothing beside it. */
static void
assert_write_fails_clean (const char *folder, const char *reason)
{
  const size_t size = 1 << 20;
  char *path, *data = calloc (1, size);
  cr_assert_succeeds (adamix_path_join (&path, folder, "file"));
  cr_assert_succeeds (adamix_file_write (path, "old", 3));
  cr_assert_fails (adamix_file_write (path, data, size), ADAMIX_EIO, reason);
  cr_assert_not_null (strstr (adamix_err_message (), path));
  assert_holds (path, "old", 3);
  cr_assert_eq (entries (folder), 1);
  free (data);
  free (path);
}

Test (file, write_beyond_the_size_limit_leaves_the_old_file)
{
  struct rlimit limit = { 65536, 65536 };
  signal (SIGXFSZ, SIG_IGN);
  cr_assert_eq (setrlimit (RLIMIT_FSIZE, &limit), 0);
  assert_write_fails_clean (scratch_folder, strerror (EFBIG));
}

/* The mount belongs to a name space of this process, so that nothing stays behind however the case ends. */
static bool
mount_small (void)
{
  return unshare (CLONE_NEWNS) == 0 && mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount ("adamix-test", scratch_folder, "tmpfs", 0, "size=128k") == 0;
}

Test (file, write_to_a_full_disk_leaves_the_old_file)
{
  if (!mount_small ()) cr_skip_test ("a small file system cannot be mounted without privileges");
  assert_write_fails_clean (scratch_folder, strerror (ENOSPC));
  cr_assert_eq (umount (scratch_folder), 0);
}

Test (file, folders_are_made_and_removed_with_all_in_them)
{
  char *deep = scratch_path ("a/b//c/"), *top = scratch_path ("a");
  cr_assert_succeeds (adamix_directory_make (deep));
  cr_assert_succeeds (adamix_directory_make (deep));
  cr_assert (adamix_path_is_directory (deep));
  scratch_file ("a/b/c/file", "x", 1);
  /* the link leads to a folder of this test, never to one that somebody would miss */
  cr_assert_succeeds (adamix_directory_make (scratch_path ("kept")));
  scratch_file ("kept/file", "x", 1);
  cr_assert_eq (symlink ("../kept", scratch_path ("a/link")), 0);
  cr_assert_fails (adamix_directory_make (scratch_path ("a/b/c/file/d")), ADAMIX_EIO, "a/b/c/file");
  cr_assert_fails (adamix_directory_remove (scratch_path ("a/b/c/file")), ADAMIX_EIO, "not a folder");
  cr_assert_succeeds (adamix_directory_remove (top));
  cr_assert_not (adamix_path_exists (top));
  cr_assert (adamix_path_exists (scratch_path ("kept/file")), "links are removed, not followed");
  cr_assert_succeeds (adamix_directory_remove (top));
}

Test (file, paths_are_joined_with_one_slash)
{
  char *path;
  cr_assert_succeeds (adamix_path_join (&path, "run/", "experts"));
  cr_assert_str_eq (path, "run/experts");
  cr_assert_succeeds (adamix_path_join (&path, "run", "experts"));
  cr_assert_str_eq (path, "run/experts");
  cr_assert_succeeds (adamix_path_join (&path, "", "experts"));
  cr_assert_str_eq (path, "experts");
}

/* The examples of FIPS 180-4. */
Test (file, sha256)
{
  adamix_sha256 hash;
  cr_assert_succeeds (adamix_sha256_memory (&hash, "abc", 3));
  cr_assert_str_eq (hash.hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  cr_assert_succeeds (adamix_sha256_file (&hash, scratch_file ("empty", "", 0)));
  cr_assert_str_eq (hash.hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  cr_assert_succeeds (adamix_sha256_file (&hash, scratch_file ("abc", "abc", 3)));
  cr_assert_str_eq (hash.hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  cr_assert_fails (adamix_sha256_file (&hash, scratch_path ("none")), ADAMIX_EIO, "No such file");
}

/* Longer than a piece, and not a multiple of it. */
#define LONG ((size_t) (3 << 20) + 17)

Test (file, sha256_by_a_thread_is_what_the_caller_finds)
{
  static char text[LONG];
  for (size_t i = 0; i < LONG; i++) text[i] = (char) ((uint32_t) i * 2654435761u >> 24);
  const char *const path[] = { scratch_file ("long", text, LONG), scratch_file ("empty", "", 0),
                               scratch_file ("abc", "abc", 3) };
  enum { FILES = sizeof path / sizeof *path };
  adamix_file_map map[FILES];
  adamix_hashing *hashing;
  for (int i = 0; i < FILES; i++) cr_assert_succeeds (adamix_file_map_open (&map[i], path[i]));
  cr_assert_succeeds (adamix_hashing_begin (&hashing, map, FILES));
  for (int again = 0; again < 2; again++) {
    const adamix_sha256 *hash;
    cr_assert_succeeds (adamix_hashing_end (hashing, &hash));
    for (int i = 0; i < FILES; i++) {
      adamix_sha256 own;
      cr_assert_succeeds (adamix_sha256_file (&own, path[i]));
      cr_expect_str_eq (hash[i].hex, own.hex, "%s", path[i]);
    }
  }
  adamix_hashing_destroy (hashing);
  /* Given up before its end. */
  cr_assert_succeeds (adamix_hashing_begin (&hashing, map, FILES));
  adamix_hashing_destroy (hashing);
  for (int i = 0; i < FILES; i++) adamix_file_map_close (&map[i]);
}
