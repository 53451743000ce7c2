#include "comm/pieces.h"

#include <stdlib.h>
#include <string.h>

/* offsets[r + 1] of all ranks from the size that each gives. */
static adamix_err
exchange_sizes (adamix_comm *comm, int64_t bytes, int64_t *offsets)
{
  offsets[0] = 0;
  offsets[1] = bytes;
  if (comm->handle != MPI_COMM_NULL) {
    double start = adamix_clock ();
    int code = ADAMIX_FAULT (mpi_allgather)
                   ? MPI_ERR_OTHER
                   : MPI_Allgather (&bytes, 1, MPI_INT64_T, offsets + 1, 1, MPI_INT64_T, comm->handle);
    comm->seconds += adamix_clock () - start;
    ADAMIX_RETURN_IF (adamix_comm_check (comm, "MPI_Allgather", code));
  }
  for (int r = 0; r < comm->size; r++) offsets[r + 1] += offsets[r];
  return ADAMIX_OK;
}

/* By a broadcast from each rank: unlike MPI_Allgatherv it has no limit of 2 GiB in total, and gathers are rare. */
adamix_err
adamix_comm_gather_all (adamix_comm *comm, const void *data, int64_t bytes, void **out, int64_t *offsets)
{
  adamix_err err = ADAMIX_OK;
  char *all = NULL;
  *out = NULL;
  ADAMIX_TRY (exchange_sizes (comm, bytes, offsets));
  ADAMIX_TRY (adamix_comm_agree (comm, ADAMIX_ALLOC (all, offsets[comm->size])));
  if (bytes) memcpy (all + offsets[comm->rank], data, (size_t) bytes);
  for (int r = 0; r < comm->size; r++)
    ADAMIX_TRY (adamix_comm_broadcast (comm, r, all + offsets[r], offsets[r + 1] - offsets[r]));
  *out = all;
  all = NULL;
done:
  free (all);
  return err;
}
