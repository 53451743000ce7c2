#include "merge/merge_private.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_SCALAPACK

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Rows and columns of a block; blocks are dealt to the process grid in turns. */
#define BLOCK 64

/* BLACS and ScaLAPACK have no headers of their own.  The last argument of a Fortran routine is the length of its text. */
int Csys2blacs_handle (MPI_Comm comm);
void Cfree_blacs_system_handle (int handle);
void Cblacs_gridinit (int *context, const char *order, int rows, int columns);
void Cblacs_gridinfo (int context, int *rows, int *columns, int *row, int *column);
void Cblacs_gridexit (int context);
int numroc_ (const int *n, const int *block, const int *coordinate, const int *source, const int *processes);
void descinit_ (int *descriptor, const int *rows, const int *columns, const int *row_block, const int *column_block,
                const int *source_row, const int *source_column, const int *context, const int *leading, int *info);
void pdposv_ (const char *half, const int *n, const int *m, double *a, const int *ia, const int *ja, const int *of_a,
              double *b, const int *ib, const int *jb, const int *of_b, int *info, size_t half_length);
void dposv_ (const char *half, const int *n, const int *m, double *a, const int *lda, double *b, const int *ldb,
             int *info, size_t half_length);

static adamix_err
check (int64_t n, int info)
{
  if (info == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_ENUMERIC,
                         "regmean: the Gram matrix [%lld,%lld] of a projection's inputs is singular at row %d; give a "
                         "smaller --merge-alpha or more --merge-samples",
                         (long long) n, (long long) n, info);
}

/* ---- one process ---- */

static adamix_err
solve_alone (int64_t n, int64_t m, const double *a, double *b)
{
  double *factor = NULL;
  const int rows = (int) n, columns = (int) m;
  int info;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (factor, n * n));
  memcpy (factor, a, (size_t) (n * n) * sizeof *a);
  dposv_ ("U", &rows, &columns, factor, &rows, b, &rows, &info, 1);
  free (factor);
  return check (n, info);
}

/* ---- a grid of processes ---- */

typedef struct grid {
  int context, rows, columns, row, column; /* its size; this process's place */
} grid;

/* This process's blocks of a matrix, column by column. */
typedef struct blocks {
  int descriptor[9], rows, columns; /* of its own */
  double *value;
} blocks;

/* As near to a square as W processes can be. */
static int
rows_of_grid (int processes)
{
  int rows = 1;
  for (int r = 1; r * r <= processes; r++)
    if (processes % r == 0) rows = r;
  return rows;
}

/* The whole matrix's row or column that a process at `coordinate` of `processes` has as its own number `own`. */
static int64_t
global_of (int own, int coordinate, int processes)
{
  return ((int64_t) (own / BLOCK) * processes + coordinate) * BLOCK + own % BLOCK;
}

/* Of a matrix [rows, columns]; its values are not set. */
static adamix_err
blocks_create (blocks *out, const grid *g, int rows, int columns)
{
  const int block = BLOCK, zero = 0;
  int info;
  out->rows = numroc_ (&rows, &block, &g->row, &zero, &g->rows);
  out->columns = numroc_ (&columns, &block, &g->column, &zero, &g->columns);
  const int leading = out->rows > 1 ? out->rows : 1;
  descinit_ (out->descriptor, &rows, &columns, &block, &block, &zero, &zero, &g->context, &leading, &info);
  return ADAMIX_ALLOC (out->value, (int64_t) leading * (out->columns > 1 ? out->columns : 1));
}

/* To or from the whole matrix, whose columns have n values. */
static void
copy_blocks (const blocks *own, const grid *g, int64_t n, double *whole, bool back)
{
  for (int c = 0; c < own->columns; c++)
    for (int r = 0; r < own->rows; r++) {
      double *to = &whole[global_of (c, g->column, g->columns) * n + global_of (r, g->row, g->rows)];
      double *at = &own->value[(int64_t) c * own->rows + r];
      *(back ? to : at) = *(back ? at : to);
    }
}

/* Blocks of both sides are solved in place, and each process tells its part of the solution. */
static adamix_err
solve_on (const grid *g, adamix_comm *comm, int64_t n, int64_t m, const double *a, double *b)
{
  adamix_err err = ADAMIX_OK;
  blocks left = { 0 }, right = { 0 };
  const int rows = (int) n, columns = (int) m, one = 1;
  int info = 0;
  err = blocks_create (&left, g, rows, rows);
  if (!err) err = blocks_create (&right, g, rows, columns);
  ADAMIX_TRY (adamix_comm_agree (comm, err));
  copy_blocks (&left, g, n, (double *) a, false);
  copy_blocks (&right, g, n, b, false);
  pdposv_ ("U", &rows, &columns, left.value, &one, &one, left.descriptor, right.value, &one, &one, right.descriptor,
           &info, 1);
  ADAMIX_TRY (adamix_comm_agree (comm, check (n, info)));
  memset (b, 0, (size_t) (n * m) * sizeof *b);
  copy_blocks (&right, g, n, b, true);
  ADAMIX_TRY (adamix_comm_sum_f64 (comm, b, n * m));
done:
  free (right.value);
  free (left.value);
  return err;
}

adamix_err
adamix_merge_solve (adamix_comm *comm, int64_t n, int64_t m, const double *a, double *b)
{
  if (n > INT_MAX || m > INT_MAX)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "regmean: ScaLAPACK counts rows by int, %lld are too many",
                           (long long) (n > m ? n : m));
  if (comm->handle == MPI_COMM_NULL) return solve_alone (n, m, a, b);
  grid g = { .rows = rows_of_grid (comm->size) };
  const int system = Csys2blacs_handle (comm->handle);
  g.context = system;
  Cblacs_gridinit (&g.context, "Row", g.rows, comm->size / g.rows);
  Cblacs_gridinfo (g.context, &g.rows, &g.columns, &g.row, &g.column);
  const adamix_err err = solve_on (&g, comm, n, m, a, b);
  Cblacs_gridexit (g.context);
  Cfree_blacs_system_handle (system);
  return err;
}

#else

adamix_err
adamix_merge_solve (adamix_comm *comm, int64_t n, int64_t m, const double *a, double *b)
{
  (void) comm, (void) n, (void) m, (void) a, (void) b;
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "regmean needs ScaLAPACK, which this build lacks");
}

#endif
