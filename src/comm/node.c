#include "comm/pieces.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_SIZE = 256 };

/* Room to leave on the file system for others. */
#define SPARE_BYTES ((size_t) 16 << 20)

static bool
has_room (const char *folder, size_t bytes)
{
  struct statvfs status;
  return statvfs (folder, &status) == 0 && status.f_bavail * status.f_frsize >= bytes + SPARE_BYTES;
}

/* A file of `bytes` whose blocks are there: a later access cannot fail.  -1 if the folder will not do. */
static int
make_file (const char *folder, size_t bytes, char path[PATH_SIZE])
{
  if (!folder || !has_room (folder, bytes)) return -1;
  if (snprintf (path, PATH_SIZE, "%s/adamix.XXXXXX", folder) >= PATH_SIZE) return -1;
  int file = ADAMIX_FAULT (node_file) ? -1 : mkostemp (path, O_CLOEXEC);
  if (file >= 0 && posix_fallocate (file, 0, (off_t) bytes) == 0) return file;
  if (file >= 0) {
    close (file);
    unlink (path);
  }
  return -1;
}

/* Memory first; containers often have little of it there, so then a file on disk, which is as fast once it is cached. */
static int
make_anywhere (size_t bytes, char path[PATH_SIZE])
{
  const char *const folder[] = { "/dev/shm", getenv ("TMPDIR"), "/tmp" };
  int file = -1;
  for (size_t i = 0; i < sizeof folder / sizeof *folder && file < 0; i++) file = make_file (folder[i], bytes, path);
  if (file < 0) path[0] = '\0';
  return file;
}

/* True if this process sees the file and has it in memory. */
static bool
map (adamix_node_memory *memory, int file)
{
  void *data = file < 0 || ADAMIX_FAULT (node_map)
                   ? MAP_FAILED
                   : mmap (NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  memory->shared = data != MAP_FAILED;
  memory->data = memory->shared ? data : NULL;
  return memory->shared;
}

static adamix_err
share (adamix_node_memory *memory)
{
  adamix_comm *node = &memory->node;
  char path[PATH_SIZE] = "";
  int file = node->rank == 0 ? make_anywhere (memory->bytes, path) : -1;
  ADAMIX_RETURN_IF (adamix_comm_broadcast (node, 0, path, sizeof path));
  if (node->rank > 0 && path[0]) file = ADAMIX_FAULT (node_file) ? -1 : open (path, O_RDWR | O_CLOEXEC);
  double failed = !map (memory, file);
  ADAMIX_RETURN_IF (adamix_comm_max_f64 (node, &failed, 1));
  if (node->rank == 0 && path[0]) unlink (path);
  if (file >= 0) close (file);
  if (failed > 0 && memory->shared) {
    munmap (memory->data, memory->bytes);
    memory->shared = false;
  }
  return ADAMIX_OK;
}

adamix_err
adamix_node_memory_create (adamix_node_memory *out, adamix_comm *world, size_t bytes)
{
  *out = (adamix_node_memory){ .bytes = bytes };
  ADAMIX_RETURN_IF (adamix_comm_split_node (&out->node, world));
  if (out->node.size > 1) ADAMIX_RETURN_IF (share (out));
  adamix_err err = out->shared ? ADAMIX_OK : adamix_arena_create (&out->own, bytes);
  if (!out->shared) out->data = out->own.base;
  return adamix_comm_agree (&out->node, err);
}

void
adamix_node_memory_destroy (adamix_node_memory *memory)
{
  if (memory->shared) munmap (memory->data, memory->bytes);
  adamix_arena_destroy (&memory->own);
  if (memory->node.size) adamix_comm_destroy (&memory->node);
  *memory = (adamix_node_memory){ 0 };
}
