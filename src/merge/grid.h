/* grid.h - a grid of all ranks, and matrices that are dealt to it in blocks: what ScaLAPACK works on.  Only in builds that have
 * it. */
#ifndef ADAMIX_MERGE_GRID_H
#define ADAMIX_MERGE_GRID_H

#include <adamix/comm.h>

/* Rows and columns of a block; blocks are dealt to the grid in turns. */
#define ADAMIX_GRID_BLOCK 64

typedef struct adamix_grid {
  adamix_comm *comm;              /* borrowed */
  int system, context;            /* handles of BLACS */
  int rows, columns, row, column; /* its size; this process's place */
} adamix_grid;

/* This process's blocks of a matrix, column by column. */
typedef struct adamix_blocks {
  const adamix_grid *grid; /* borrowed */
  int descriptor[9];       /* of the whole matrix, as ScaLAPACK wants it */
  int rows, columns;       /* of this process */
  double *value;
} adamix_blocks;

/* As near to a square as the ranks of comm can be; they are under MPI.  Collective over comm, as is the end. */
void adamix_grid_open (adamix_grid *out, adamix_comm *comm);
void adamix_grid_close (adamix_grid *grid);

/* Of a matrix [rows, columns]; its values are not set.  Local.  Errors: ENOMEM; destroy it then too. */
adamix_err adamix_blocks_create (adamix_blocks *out, const adamix_grid *grid, int rows, int columns);
void adamix_blocks_destroy (adamix_blocks *blocks);
/* From the whole matrix, column by column.  Local. */
void adamix_blocks_deal (adamix_blocks *blocks, const double *whole);
/* Back to it, the same bits on every rank.  Collective over the grid's comm.  Errors: EMPI. */
adamix_err adamix_blocks_gather (const adamix_blocks *blocks, double *whole);

#endif
