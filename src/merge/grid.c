#include "merge/grid.h"

#include <stdlib.h>
#include <string.h>

/* BLACS and ScaLAPACK have no headers of their own. */
int Csys2blacs_handle (MPI_Comm comm);
void Cfree_blacs_system_handle (int handle);
void Cblacs_gridinit (int *context, const char *order, int rows, int columns);
void Cblacs_gridinfo (int context, int *rows, int *columns, int *row, int *column);
void Cblacs_gridexit (int context);
int numroc_ (const int *n, const int *block, const int *coordinate, const int *source, const int *processes);
void descinit_ (int *descriptor, const int *rows, const int *columns, const int *row_block, const int *column_block,
                const int *source_row, const int *source_column, const int *context, const int *leading, int *info);

/* Places of the sizes in a descriptor. */
enum { ROWS = 2, COLUMNS = 3 };

static int
rows_of_grid (int processes)
{
  int rows = 1;
  for (int r = 1; r * r <= processes; r++)
    if (processes % r == 0) rows = r;
  return rows;
}

void
adamix_grid_open (adamix_grid *out, adamix_comm *comm)
{
  const int rows = rows_of_grid (comm->size);
  *out = (adamix_grid){ .comm = comm, .system = Csys2blacs_handle (comm->handle) };
  out->context = out->system;
  Cblacs_gridinit (&out->context, "Row", rows, comm->size / rows);
  Cblacs_gridinfo (out->context, &out->rows, &out->columns, &out->row, &out->column);
}

void
adamix_grid_close (adamix_grid *grid)
{
  Cblacs_gridexit (grid->context);
  Cfree_blacs_system_handle (grid->system);
}

adamix_err
adamix_blocks_create (adamix_blocks *out, const adamix_grid *grid, int rows, int columns)
{
  const int block = ADAMIX_GRID_BLOCK, zero = 0;
  int info;
  *out = (adamix_blocks){ .grid = grid,
                          .rows = numroc_ (&rows, &block, &grid->row, &zero, &grid->rows),
                          .columns = numroc_ (&columns, &block, &grid->column, &zero, &grid->columns) };
  const int leading = out->rows > 1 ? out->rows : 1;
  descinit_ (out->descriptor, &rows, &columns, &block, &block, &zero, &zero, &grid->context, &leading, &info);
  return ADAMIX_ALLOC (out->value, (int64_t) leading * (out->columns > 1 ? out->columns : 1));
}

void
adamix_blocks_destroy (adamix_blocks *blocks)
{
  free (blocks->value);
}

/* The whole matrix's row or column that a process at `coordinate` of `processes` has as its own number `own`. */
static int64_t
global_of (int own, int coordinate, int processes)
{
  return ((int64_t) (own / ADAMIX_GRID_BLOCK) * processes + coordinate) * ADAMIX_GRID_BLOCK + own % ADAMIX_GRID_BLOCK;
}

/* Where column c of the blocks has its row r in the whole matrix. */
static int64_t
place_of (const adamix_blocks *blocks, int r, int c)
{
  const adamix_grid *g = blocks->grid;
  return global_of (c, g->column, g->columns) * blocks->descriptor[ROWS] + global_of (r, g->row, g->rows);
}

void
adamix_blocks_deal (adamix_blocks *blocks, const double *whole)
{
  for (int c = 0; c < blocks->columns; c++)
    for (int r = 0; r < blocks->rows; r++)
      blocks->value[(int64_t) c * blocks->rows + r] = whole[place_of (blocks, r, c)];
}

adamix_err
adamix_blocks_gather (const adamix_blocks *blocks, double *whole)
{
  const int64_t count = (int64_t) blocks->descriptor[ROWS] * blocks->descriptor[COLUMNS];
  memset (whole, 0, (size_t) count * sizeof *whole);
  for (int c = 0; c < blocks->columns; c++)
    for (int r = 0; r < blocks->rows; r++)
      whole[place_of (blocks, r, c)] = blocks->value[(int64_t) c * blocks->rows + r];
  return adamix_comm_sum_f64 (blocks->grid->comm, whole, count);
}
