#include "comm/pieces.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

adamix_err
adamix_comm_check (const adamix_comm *comm, const char *name, int code)
{
  char text[MPI_MAX_ERROR_STRING] = "";
  int length;
  if (code == MPI_SUCCESS) return ADAMIX_OK;
  MPI_Error_string (code, text, &length);
  return adamix_err_set (ADAMIX_EMPI, "%s failed on rank %d of %d: %s", name, comm->rank, comm->size, text);
}

/* ---- communicators ----------------------------------------------------------------------------------------------- */

bool
adamix_comm_launched (void)
{
  return getenv ("OMPI_COMM_WORLD_SIZE") || getenv ("PMIX_RANK");
}

int
adamix_comm_launched_rank (void)
{
  const char *rank = getenv ("OMPI_COMM_WORLD_RANK");
  if (!rank) rank = getenv ("PMIX_RANK");
  return rank ? atoi (rank) : 0;
}

bool
adamix_comm_launched_on_node (void)
{
  const char *ranks = getenv ("OMPI_COMM_WORLD_SIZE"), *here = getenv ("OMPI_COMM_WORLD_LOCAL_SIZE");
  if (ranks) return here && strcmp (ranks, here) == 0;
  const char *nodes = getenv ("PMIX_RANK") ? getenv ("SLURM_STEP_NUM_NODES") : NULL;
  return nodes && strcmp (nodes, "1") == 0;
}

static adamix_err
complete (adamix_comm *comm)
{
  ADAMIX_RETURN_IF (
      adamix_comm_check (comm, "MPI_Comm_set_errhandler", MPI_Comm_set_errhandler (comm->handle, MPI_ERRORS_RETURN)));
  ADAMIX_RETURN_IF (adamix_comm_check (comm, "MPI_Comm_size", MPI_Comm_size (comm->handle, &comm->size)));
  return adamix_comm_check (comm, "MPI_Comm_rank", MPI_Comm_rank (comm->handle, &comm->rank));
}

adamix_err
adamix_comm_create (adamix_comm *out, MPI_Comm parent)
{
  *out = (adamix_comm){ .handle = MPI_COMM_NULL, .size = 1 };
  if (parent == MPI_COMM_NULL) return ADAMIX_OK;
  /* So that a failure is told with the right rank. */
  ADAMIX_RETURN_IF (adamix_comm_check (out, "MPI_Comm_size", MPI_Comm_size (parent, &out->size)));
  ADAMIX_RETURN_IF (adamix_comm_check (out, "MPI_Comm_rank", MPI_Comm_rank (parent, &out->rank)));
  ADAMIX_RETURN_IF (adamix_comm_check (out, "MPI_Comm_dup",
                                       ADAMIX_FAULT (mpi_dup) ? MPI_ERR_OTHER : MPI_Comm_dup (parent, &out->handle)));
  return complete (out);
}

adamix_err
adamix_comm_split (adamix_comm *out, const adamix_comm *parent, int color)
{
  *out = (adamix_comm){ .handle = MPI_COMM_NULL, .size = 1 };
  if (parent->handle == MPI_COMM_NULL) return ADAMIX_OK;
  int code =
      ADAMIX_FAULT (mpi_split) ? MPI_ERR_OTHER : MPI_Comm_split (parent->handle, color, parent->rank, &out->handle);
  ADAMIX_RETURN_IF (adamix_comm_check (parent, "MPI_Comm_split", code));
  return complete (out);
}

adamix_err
adamix_comm_split_node (adamix_comm *out, const adamix_comm *parent)
{
  *out = (adamix_comm){ .handle = MPI_COMM_NULL, .size = 1 };
  if (parent->handle == MPI_COMM_NULL) return ADAMIX_OK;
  int code = ADAMIX_FAULT (mpi_split) ? MPI_ERR_OTHER
                                      : MPI_Comm_split_type (parent->handle, MPI_COMM_TYPE_SHARED, parent->rank,
                                                             MPI_INFO_NULL, &out->handle);
  ADAMIX_RETURN_IF (adamix_comm_check (parent, "MPI_Comm_split_type", code));
  return complete (out);
}

void
adamix_comm_destroy (adamix_comm *comm)
{
  if (!comm) return;
  if (comm->handle != MPI_COMM_NULL) MPI_Comm_free (&comm->handle);
  *comm = (adamix_comm){ .handle = MPI_COMM_NULL };
}

/* ---- collectives ------------------------------------------------------------------------------------------------- */

int
adamix_comm_call_reduce (void *data, int count, const adamix_comm_operation *operation, MPI_Comm handle)
{
  if (ADAMIX_FAULT (mpi_allreduce)) return MPI_ERR_OTHER;
  return MPI_Allreduce (MPI_IN_PLACE, data, count, operation->type, operation->op, handle);
}

int
adamix_comm_call_broadcast (void *data, int count, const adamix_comm_operation *operation, MPI_Comm handle)
{
  if (ADAMIX_FAULT (mpi_bcast)) return MPI_ERR_OTHER;
  return MPI_Bcast (data, count, operation->type, operation->root, handle);
}

adamix_err
adamix_comm_pieces (adamix_comm *comm, const adamix_comm_operation *operation, void *data, int64_t count, int limit)
{
  int code = MPI_SUCCESS;
  if (comm->handle == MPI_COMM_NULL) return ADAMIX_OK;
  double start = adamix_clock ();
  for (int64_t done = 0; done < count && code == MPI_SUCCESS; done += limit) {
    int piece = count - done < limit ? (int) (count - done) : limit;
    code = operation->call ((char *) data + (size_t) done * operation->item, piece, operation, comm->handle);
  }
  comm->seconds += adamix_clock () - start;
  return adamix_comm_check (comm, operation->name, code);
}

/* A reduction gives the same bits on every rank, since each element is added up along one tree or in trees that differ
 * only in the order of two operands. */
static adamix_err
reduce (adamix_comm *comm, void *data, int64_t count, MPI_Datatype type, size_t item, MPI_Op op)
{
  adamix_comm_operation operation = {
    .call = adamix_comm_call_reduce, .type = type, .item = item, .op = op, .name = "MPI_Allreduce"
  };
  return adamix_comm_pieces (comm, &operation, data, count, INT_MAX);
}

adamix_err
adamix_comm_sum_f32 (adamix_comm *comm, float *data, int64_t count)
{
  return reduce (comm, data, count, MPI_FLOAT, sizeof *data, MPI_SUM);
}

adamix_err
adamix_comm_sum_f64 (adamix_comm *comm, double *data, int64_t count)
{
  return reduce (comm, data, count, MPI_DOUBLE, sizeof *data, MPI_SUM);
}

adamix_err
adamix_comm_max_f64 (adamix_comm *comm, double *data, int64_t count)
{
  return reduce (comm, data, count, MPI_DOUBLE, sizeof *data, MPI_MAX);
}

adamix_err
adamix_comm_broadcast (adamix_comm *comm, int root, void *data, int64_t bytes)
{
  adamix_comm_operation operation = {
    .call = adamix_comm_call_broadcast, .type = MPI_BYTE, .item = 1, .root = root, .name = "MPI_Bcast"
  };
  return adamix_comm_pieces (comm, &operation, data, bytes, INT_MAX);
}

adamix_err
adamix_comm_arrive (adamix_comm *comm)
{
  if (comm->handle == MPI_COMM_NULL) return ADAMIX_OK;
  double start = adamix_clock ();
  int code = ADAMIX_FAULT (mpi_barrier) ? MPI_ERR_OTHER : MPI_Barrier (comm->handle);
  double waited = adamix_clock () - start;
  comm->seconds += waited;
  comm->waited += waited;
  return adamix_comm_check (comm, "MPI_Barrier", code);
}
