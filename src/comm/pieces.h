/* comm/pieces.h - collectives on more items than MPI's int can count.  The public functions pass INT_MAX as `limit`. */
#ifndef ADAMIX_COMM_PIECES_H
#define ADAMIX_COMM_PIECES_H

#include <adamix/comm.h>

#include "base/fault.h"

/* What all ranks do with `count` items from `data` on, at most the limit at once; returns MPI's code. */
typedef struct adamix_comm_operation {
  int (*call) (void *data, int count, const struct adamix_comm_operation *operation, MPI_Comm handle);
  MPI_Datatype type;
  size_t item; /* bytes */
  MPI_Op op;   /* of a reduction */
  int root;    /* of a broadcast */
  const char *name;
} adamix_comm_operation;

/* Collective over comm, in place on data.  Errors: EMPI. */
adamix_err adamix_comm_pieces (adamix_comm *comm, const adamix_comm_operation *operation, void *data, int64_t count,
                               int limit);

int adamix_comm_call_reduce (void *data, int count, const adamix_comm_operation *operation, MPI_Comm handle);
int adamix_comm_call_broadcast (void *data, int count, const adamix_comm_operation *operation, MPI_Comm handle);

/* EMPI with MPI's own text for `code`, ADAMIX_OK for MPI_SUCCESS. */
adamix_err adamix_comm_check (const adamix_comm *comm, const char *name, int code);

#endif
