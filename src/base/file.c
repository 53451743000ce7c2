#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static adamix_err
failed (const char *path, const char *what)
{
  return adamix_err_set (ADAMIX_EIO, "%s: %s: %s", path, what, strerror (errno));
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static adamix_err
map_descriptor (adamix_file_map *out, const char *path, int descriptor)
{
  struct stat status;
  if (fstat (descriptor, &status) != 0) return failed (path, "cannot be read");
  if (!S_ISREG (status.st_mode))
    return adamix_err_set (ADAMIX_EIO, "%s: cannot be read: not a regular file; give the path of a file", path);
  *out = (adamix_file_map){ .data = "" };
  if (status.st_size == 0) return ADAMIX_OK;
  void *data = ADAMIX_FAULT (file_map) ? MAP_FAILED
                                       : mmap (NULL, (size_t) status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) return failed (path, "cannot be mapped");
  *out = (adamix_file_map){ .data = data, .size = (size_t) status.st_size };
  return ADAMIX_OK;
}

adamix_err
adamix_file_map_open (adamix_file_map *out, const char *path)
{
  *out = (adamix_file_map){ 0 };
  /* O_NONBLOCK: a FIFO without a writer is refused instead of waited for */
  int descriptor = ADAMIX_FAULT (file_open) ? -1 : open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed (path, "cannot be opened");
  adamix_err err = map_descriptor (out, path, descriptor);
  close (descriptor);
  return err;
}

void
adamix_file_map_release (const adamix_file_map *map, const void *data, size_t size)
{
  const uintptr_t page = (uintptr_t) sysconf (_SC_PAGESIZE), begin = (uintptr_t) map->data;
  const uintptr_t first = ((uintptr_t) data + page - 1) / page * page, end = ((uintptr_t) data + size) / page * page;
  if ((uintptr_t) data < begin || (uintptr_t) data + size > begin + map->size || first >= end) return;
  madvise ((void *) first, end - first, MADV_DONTNEED);
}

void
adamix_file_map_close (adamix_file_map *map)
{
  if (!map) return;
  if (map->size) munmap ((void *) map->data, map->size);
  *map = (adamix_file_map){ 0 };
}

bool
adamix_path_exists (const char *path)
{
  struct stat status;
  return stat (path, &status) == 0;
}

bool
adamix_path_is_directory (const char *path)
{
  struct stat status;
  return stat (path, &status) == 0 && S_ISDIR (status.st_mode);
}

adamix_err
adamix_path_join (char **out, const char *folder, const char *name)
{
  size_t length = strlen (folder);
  return adamix_format (out, "%s%s%s", folder, length && folder[length - 1] != '/' ? "/" : "", name);
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

static adamix_err
make_one (const char *path)
{
  if (ADAMIX_FAULT (directory_make)) return failed (path, "cannot be made as a folder");
  int status = mkdir (path, 0777);
  if (status == 0 || adamix_path_is_directory (path)) return ADAMIX_OK;
  return failed (path, "cannot be made as a folder");
}

adamix_err
adamix_directory_make (const char *path)
{
  char *prefix;
  adamix_err err = adamix_format (&prefix, "%s", path);
  if (err != ADAMIX_OK) return err;
  for (char *slash = prefix; *slash && err == ADAMIX_OK;) {
    slash += strspn (slash, "/");
    slash += strcspn (slash, "/");
    char kept = *slash;
    *slash = '\0';
    err = make_one (prefix);
    *slash = kept;
  }
  free (prefix);
  return err;
}

static int
remove_one (const char *path, const struct stat *status, int kind, struct FTW *place)
{
  (void) status;
  (void) kind;
  (void) place;
  return !ADAMIX_FAULT (directory_remove) && remove (path) == 0 ? ADAMIX_OK : (int) failed (path, "cannot be removed");
}

adamix_err
adamix_directory_remove (const char *path)
{
  enum { DESCRIPTORS = 16 };
  if (!adamix_path_exists (path)) return ADAMIX_OK;
  if (!adamix_path_is_directory (path))
    return adamix_err_set (ADAMIX_EIO, "%s: cannot be removed: not a folder; give the path of a folder", path);
  int result = nftw (path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
  return result < 0 ? failed (path, "cannot be removed") : (adamix_err) result;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static adamix_err
write_all (int descriptor, const char *path, const adamix_file_piece *piece)
{
  /* the kernel takes no more than about 2 GiB at once anyway */
  const size_t most = (size_t) 1 << 30;
  const char *data = piece->data;
  for (size_t done = 0; done < piece->size;) {
    size_t left = piece->size - done;
    ssize_t written = ADAMIX_FAULT (file_write) ? -1 : write (descriptor, data + done, left < most ? left : most);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed (path, "cannot be written");
    done += (size_t) written;
  }
  return ADAMIX_OK;
}

static adamix_err
write_synced (const char *temporary, const char *path, const adamix_file_piece *piece, int64_t pieces)
{
  adamix_err err = ADAMIX_OK;
  int descriptor = ADAMIX_FAULT (file_create) ? -1 : open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) return failed (path, "cannot be written");
  for (int64_t i = 0; i < pieces && err == ADAMIX_OK; i++) err = write_all (descriptor, path, &piece[i]);
  if (err == ADAMIX_OK && (ADAMIX_FAULT (file_sync) || fsync (descriptor) != 0))
    err = failed (path, "cannot be written");
  /* some file systems report a full quota only here */
  if (close (descriptor) != 0 && err == ADAMIX_OK) err = failed (path, "cannot be written");
  return err;
}

/* After a power cut the new name is on disk too.  File systems that cannot sync folders are none the worse. */
static void
sync_folder (char *inside)
{
  int descriptor = open (dirname (inside), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync (descriptor);
  close (descriptor);
}

adamix_err
adamix_file_write_pieces (const char *path, const adamix_file_piece *piece, int64_t pieces)
{
  struct stat status;
  if (stat (path, &status) == 0 && !S_ISREG (status.st_mode))
    return adamix_err_set (ADAMIX_EIO, "%s: cannot be written: exists and is not a regular file; choose another path",
                           path);
  char *temporary;
  ADAMIX_RETURN_IF (adamix_format (&temporary, "%s.%ld.tmp", path, (long) getpid ()));
  adamix_err err = write_synced (temporary, path, piece, pieces);
  if (err == ADAMIX_OK && (ADAMIX_FAULT (file_rename) || rename (temporary, path) != 0))
    err = failed (path, "cannot be written");
  if (err == ADAMIX_OK)
    sync_folder (temporary);
  else
    unlink (temporary);
  free (temporary);
  return err;
}

adamix_err
adamix_file_write (const char *path, const void *data, size_t size)
{
  return adamix_file_write_pieces (path, &(adamix_file_piece){ data, size }, 1);
}

adamix_err
adamix_lock_take (int *lock, const char *path)
{
  *lock = ADAMIX_FAULT (file_create) ? -1 : open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (*lock < 0) return failed (path, "cannot be opened");
  if (!ADAMIX_FAULT (lock) && flock (*lock, LOCK_EX | LOCK_NB) == 0) return ADAMIX_OK;
  const bool held = errno == EWOULDBLOCK;
  adamix_lock_release (*lock);
  *lock = -1;
  return held ? adamix_err_set (ADAMIX_EEXIST, "%s is held by another process", path) : ADAMIX_OK;
}

void
adamix_lock_release (int lock)
{
  if (lock >= 0) close (lock);
}
