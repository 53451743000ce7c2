#include "merge/merge_private.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_SCALAPACK

#include "merge/grid.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The last argument of a Fortran routine is the length of its text. */
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

/* In one process. */
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

/* Blocks of both sides are solved in place, and each process tells its part of the solution. */
static adamix_err
solve_on (const adamix_grid *grid, int64_t n, int64_t m, const double *a, double *b)
{
  adamix_err err = ADAMIX_OK;
  adamix_blocks left = { 0 }, right = { 0 };
  const int rows = (int) n, columns = (int) m, one = 1;
  int info = 0;
  err = adamix_blocks_create (&left, grid, rows, rows);
  if (!err) err = adamix_blocks_create (&right, grid, rows, columns);
  ADAMIX_TRY (adamix_comm_agree (grid->comm, err));
  adamix_blocks_deal (&left, a);
  adamix_blocks_deal (&right, b);
  pdposv_ ("U", &rows, &columns, left.value, &one, &one, left.descriptor, right.value, &one, &one, right.descriptor,
           &info, 1);
  ADAMIX_TRY (adamix_comm_agree (grid->comm, check (n, info)));
  ADAMIX_TRY (adamix_blocks_gather (&right, b));
done:
  adamix_blocks_destroy (&right);
  adamix_blocks_destroy (&left);
  return err;
}

adamix_err
adamix_merge_solve (adamix_comm *comm, int64_t n, int64_t m, const double *a, double *b)
{
  if (n > INT_MAX || m > INT_MAX)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "regmean: ScaLAPACK counts rows by int, %lld are too many",
                           (long long) (n > m ? n : m));
  if (comm->handle == MPI_COMM_NULL) return solve_alone (n, m, a, b);
  adamix_grid grid;
  adamix_grid_open (&grid, comm);
  const adamix_err err = solve_on (&grid, n, m, a, b);
  adamix_grid_close (&grid);
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
