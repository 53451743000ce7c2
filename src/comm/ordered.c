#include "comm/pieces.h"

#include <string.h>

/* Items that travel at once: while one rank adds its parts to a piece, the next rank has the piece before. */
enum { PIECE = 1 << 14, TAG = 1 };

static void
add (const float *part, int64_t count, float *sum)
{
  for (int64_t i = 0; i < count; i++) sum[i] += part[i];
}

/* One piece on its way along the ranks: what those before have summed comes in, this rank's parts are added in their
 * order, and it goes on. */
static int
pass_on (const adamix_comm *comm, const float *parts, int64_t n, int64_t stride, int count, float *sum)
{
  int code = MPI_SUCCESS;
  if (comm->rank > 0)
    code = ADAMIX_FAULT (mpi_recv)
               ? MPI_ERR_OTHER
               : MPI_Recv (sum, count, MPI_FLOAT, comm->rank - 1, TAG, comm->handle, MPI_STATUS_IGNORE);
  else
    memset (sum, 0, (size_t) count * sizeof *sum);
  for (int64_t k = 0; k < n; k++) add (parts + k * stride, count, sum);
  if (code == MPI_SUCCESS && comm->rank < comm->size - 1)
    code =
        ADAMIX_FAULT (mpi_send) ? MPI_ERR_OTHER : MPI_Send (sum, count, MPI_FLOAT, comm->rank + 1, TAG, comm->handle);
  return code;
}

adamix_err
adamix_comm_sum_ordered_f32 (adamix_comm *comm, const float *parts, int64_t n, int64_t count, float *sum)
{
  int code = MPI_SUCCESS;
  double start = adamix_clock ();
  for (int64_t first = 0; first < count && code == MPI_SUCCESS; first += PIECE)
    code = pass_on (comm, parts + first, n, count, count - first < PIECE ? (int) (count - first) : PIECE, sum + first);
  comm->seconds += adamix_clock () - start;
  ADAMIX_RETURN_IF (adamix_comm_check (comm, "MPI_Send or MPI_Recv of an ordered sum", code));
  return adamix_comm_broadcast (comm, comm->size - 1, sum, count * (int64_t) sizeof *sum);
}
