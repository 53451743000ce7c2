#include "comm/pieces.h"

#include <string.h>

enum { MESSAGE_SIZE = 1024 };

typedef struct failure {
  adamix_err code;
  char message[MESSAGE_SIZE];
} failure;

static adamix_err
minimum (adamix_comm *comm, int *value)
{
  adamix_comm_operation operation = {
    .call = adamix_comm_call_reduce, .type = MPI_INT, .item = sizeof *value, .op = MPI_MIN, .name = "MPI_Allreduce"
  };
  return adamix_comm_pieces (comm, &operation, value, 1, 1);
}

/* Every rank takes over the failure of rank `root`. */
static adamix_err
adopt (adamix_comm *comm, adamix_err local, int root)
{
  failure mine = { .code = local }, adopted;
  if (local != ADAMIX_OK) snprintf (mine.message, sizeof mine.message, "%s", adamix_err_message ());
  adopted = mine;
  ADAMIX_RETURN_IF (adamix_comm_broadcast (comm, root, &adopted, sizeof adopted));
  int alike = adopted.code == mine.code && strcmp (adopted.message, mine.message) == 0;
  ADAMIX_RETURN_IF (minimum (comm, &alike));
  if (alike) return adamix_err_set (adopted.code, "%s", adopted.message);
  return adamix_err_set (adopted.code, "rank %d: %s", root, adopted.message);
}

adamix_err
adamix_comm_agree (adamix_comm *comm, adamix_err local)
{
  if (comm->handle == MPI_COMM_NULL || local == ADAMIX_EMPI) return local;
  int first = local == ADAMIX_OK ? comm->size : comm->rank;
  ADAMIX_RETURN_IF (minimum (comm, &first));
  return first == comm->size ? ADAMIX_OK : adopt (comm, local, first);
}
