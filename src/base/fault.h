/* base/fault.h - errors on demand, so that tests reach every error path of memory, files and communication.
 *
 * Only in a build with `./configure --enable-faults`; elsewhere ADAMIX_FAULT (site) is the constant false.  The environment
 * says where a process fails:
 *
 *   ADAMIX_FAULT=SITE:N         the N-th time, from 1, that this process passes a place of SITE
 *   ADAMIX_FAULT=SITE:N@RANK    the same, on one rank of the launcher only
 *   ADAMIX_FAULT=count          nowhere; at its end each process tells how often it passed each site
 *
 * `adamix --faults` prints the table of sites.  A place where a call may fail asks first and then takes the path of the
 * failed call, which was not made; errno is the site's:
 *
 *   if (ADAMIX_FAULT (file_sync) || fsync (descriptor) != 0) return failed (path, "cannot be written");
 *
 * tests/faults walks through all sites and counts.  A new place needs no more than the macro; a new kind of failure is a row
 * of the table.  Not installed: users of the library never see it.                                                        */
#ifndef ADAMIX_BASE_FAULT_H
#define ADAMIX_BASE_FAULT_H

#include <adamix/base.h>

/* The one list of sites: X (name, errno, what the message of the run must name, where). */
#define ADAMIX_FAULT_SITES(X)                                                                                          \
  X (alloc, ENOMEM, "memory", "memory of our own")                                                                     \
  X (json_alloc, ENOMEM, "memory\\|JSON", "memory of JSON values and texts")                                           \
  X (gemm, ENOMEM, "oneDNN", "any call of oneDNN")                                                                     \
  X (hash, EINVAL, "SHA-256", "SHA-256 in libcrypto")                                                                  \
  X (thread, EAGAIN, "nothing", "a thread that hashes: the caller does it itself")                                     \
  X (file_open, EMFILE, "Too many open files", "a file to be read")                                                    \
  X (file_map, ENODEV, "No such device", "a file to be mapped")                                                        \
  X (file_create, ENOSPC, "No space left", "a file to be written")                                                     \
  X (file_write, ENOSPC, "No space left", "a piece of a file")                                                         \
  X (file_sync, EIO, "Input/output error", "a file on its way to the disk")                                            \
  X (file_rename, EIO, "Input/output error", "a file or folder that gets its name")                                    \
  X (directory_make, ENOSPC, "No space left", "a folder to be made")                                                   \
  X (directory_read, EMFILE, "Too many open files", "a folder to be listed")                                           \
  X (directory_remove, EIO, "Input/output error", "a folder to be removed")                                            \
  X (lock, ENOLCK, "No locks", "the lock of a run's folder: a run goes on without")                                    \
  X (stream_open, EMFILE, "Too many open files", "a stream; a run goes on without one of /proc")                       \
  X (stream_read, EIO, "Input/output error", "a line or what there is of a stream")                                    \
  X (stream_write, ENOSPC, "No space left", "a line of a stream, or its end")                                          \
  X (process, EAGAIN, "Resource temporarily unavailable", "a process to be started")                                   \
  X (node_file, ENOSPC, "No space left", "the file of a node's memory: another folder or private memory serves")       \
  X (node_map, ENOMEM, "memory", "the mapping of a node's memory: private memory serves")                              \
  X (mpi_init, 0, "MPI", "MPI_Init_thread")                                                                            \
  X (mpi_dup, 0, "MPI_Comm_dup", "MPI_Comm_dup")                                                                       \
  X (mpi_split, 0, "MPI_Comm_split", "MPI_Comm_split and MPI_Comm_split_type")                                         \
  X (mpi_allreduce, 0, "MPI_Allreduce", "MPI_Allreduce")                                                               \
  X (mpi_bcast, 0, "MPI_Bcast", "MPI_Bcast")                                                                           \
  X (mpi_allgather, 0, "MPI_Allgather", "MPI_Allgather")                                                               \
  X (mpi_barrier, 0, "MPI_Barrier", "MPI_Barrier")                                                                     \
  X (mpi_send, 0, "MPI_Send", "MPI_Send of an ordered sum")                                                            \
  X (mpi_recv, 0, "MPI_Recv", "MPI_Recv of an ordered sum")

#ifdef ADAMIX_FAULTS

typedef enum adamix_fault_site {
#define ADAMIX_FAULT_ENUM(name, number, cause, where) ADAMIX_FAULT_##name,
  ADAMIX_FAULT_SITES (ADAMIX_FAULT_ENUM)
#undef ADAMIX_FAULT_ENUM
} adamix_fault_site;

/* Count a pass through `site`; true, with errno set, if this is where the process is to fail.  Any thread. */
bool adamix_fault_strikes (adamix_fault_site site);
#define ADAMIX_FAULT(site) adamix_fault_strikes (ADAMIX_FAULT_##site)

/* Take ADAMIX_FAULT from the environment of the process of this rank.  A fault that strikes, and the counts, are told on `report` (borrowed for life).
 * Once, before anything else.  Errors: EUSAGE. */
adamix_err adamix_fault_arm (int rank, FILE *report);
/* With ADAMIX_FAULT=count: a line "fault: rank R passed SITE N times" for each site. */
void adamix_fault_tell (void);
/* A line "SITE<tab>CAUSE<tab>WHERE" for each site; false in a build without faults. */
bool adamix_fault_list (FILE *stream);

#else

#define ADAMIX_FAULT(site) false

static inline adamix_err
adamix_fault_arm (int rank, FILE *report)
{
  (void) rank;
  (void) report;
  return ADAMIX_OK;
}

static inline void
adamix_fault_tell (void)
{
}

static inline bool
adamix_fault_list (FILE *stream)
{
  (void) stream;
  return false;
}

#endif
#endif
