#include "merge/merge_private.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* |A - U diag (s) V^T| is at most this times |A|; rounding leaves it some hundred times below. */
#define TOLERANCE 1e-11

adamix_err
adamix_matrix_create (adamix_matrix *out, int64_t rows, int64_t columns)
{
  *out = (adamix_matrix){ .rows = rows, .columns = columns };
  return ADAMIX_ALLOC (out->value, rows * columns);
}

void
adamix_matrix_destroy (adamix_matrix *matrix)
{
  free (matrix->value);
}

void
adamix_svd_destroy (adamix_svd *svd)
{
  free (svd->s);
  adamix_matrix_destroy (&svd->vt);
  adamix_matrix_destroy (&svd->u);
}

static adamix_err
copy (const adamix_matrix *a, adamix_matrix *out)
{
  ADAMIX_RETURN_IF (adamix_matrix_create (out, a->rows, a->columns));
  memcpy (out->value, a->value, (size_t) (a->rows * a->columns) * sizeof *a->value);
  return ADAMIX_OK;
}

/* c = a b + beta c */
static void
multiply (const adamix_matrix *a, const adamix_matrix *b, double beta, adamix_matrix *c)
{
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) c->rows, (int) c->columns, (int) a->columns, 1,
               a->value, (int) a->columns, b->value, (int) b->columns, beta, c->value, (int) c->columns);
}

/* out = diag (s) V^T */
static adamix_err
scale_rows (const adamix_svd *svd, adamix_matrix *out)
{
  ADAMIX_RETURN_IF (copy (&svd->vt, out));
  for (int64_t e = 0; e < out->rows * out->columns; e++) out->value[e] *= svd->s[e / out->columns];
  return ADAMIX_OK;
}

#ifdef HAVE_SCALAPACK

#include "merge/grid.h"

/* The last arguments of a Fortran routine are the lengths of its texts. */
void dgesvd_ (const char *left, const char *right, const int *m, const int *n, double *a, const int *lda, double *s,
              double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *size, int *info,
              size_t left_length, size_t right_length);
void pdgesvd_ (const char *left, const char *right, const int *m, const int *n, double *a, const int *ia, const int *ja,
               const int *of_a, double *s, double *u, const int *iu, const int *ju, const int *of_u, double *vt,
               const int *ivt, const int *jvt, const int *of_vt, double *work, const int *size, int *info,
               size_t left_length, size_t right_length);

/* Both read column by column: A^T = V diag (s) U^T, so that their left vectors are our right ones.  Asked with no room
 * for work, they tell how much they want. */
static void
call_alone (adamix_matrix *a, adamix_svd *out, double *work, int size)
{
  const int m = (int) a->columns, n = (int) a->rows, count = (int) out->count;
  int info = 0;
  dgesvd_ ("S", "S", &m, &n, a->value, &m, out->s, out->vt.value, &m, out->u.value, &count, work, &size, &info, 1, 1);
}

/* In one process. */
static adamix_err
decompose_alone (const adamix_matrix *a, adamix_svd *out)
{
  double wanted = 0, *work = NULL;
  adamix_matrix left = { 0 };
  call_alone (&(adamix_matrix){ .rows = a->rows, .columns = a->columns }, out, &wanted, -1);
  adamix_err err = copy (a, &left);
  if (!err) err = ADAMIX_ALLOC (work, (int64_t) wanted);
  if (!err) call_alone (&left, out, work, (int) wanted);
  free (work);
  adamix_matrix_destroy (&left);
  return err;
}

/* A^T [m,n] and what it becomes, in blocks. */
typedef struct parts {
  int m, n, count;
  adamix_blocks a, v, ut;
  double *work;
} parts;

static void
call (parts *p, double *s, double *work, int size)
{
  const int one = 1;
  int info = 0;
  pdgesvd_ ("V", "V", &p->m, &p->n, p->a.value, &one, &one, p->a.descriptor, s, p->v.value, &one, &one, p->v.descriptor,
            p->ut.value, &one, &one, p->ut.descriptor, work, &size, &info, 1, 1);
}

/* By its own account pdgesvd wants less than pdormbr, which it calls, says that it needs on a grid that is not square. */
static adamix_err
create_work (parts *p, double *s, int *size)
{
  double wanted = 0;
  call (p, s, &wanted, -1);
  *size = (int) wanted + 2 * ADAMIX_GRID_BLOCK * (p->m + p->n + ADAMIX_GRID_BLOCK);
  return ADAMIX_ALLOC (p->work, *size);
}

static adamix_err
create_parts (parts *p, const adamix_grid *grid)
{
  ADAMIX_RETURN_IF (adamix_blocks_create (&p->a, grid, p->m, p->n));
  ADAMIX_RETURN_IF (adamix_blocks_create (&p->v, grid, p->m, p->count));
  return adamix_blocks_create (&p->ut, grid, p->count, p->n);
}

static adamix_err
decompose_on (const adamix_grid *grid, const adamix_matrix *a, adamix_svd *out)
{
  adamix_err err = ADAMIX_OK;
  int size;
  parts p = { .m = (int) a->columns, .n = (int) a->rows, .count = (int) out->count };
  ADAMIX_TRY (adamix_comm_agree (grid->comm, create_parts (&p, grid)));
  ADAMIX_TRY (adamix_comm_agree (grid->comm, create_work (&p, out->s, &size)));
  adamix_blocks_deal (&p.a, a->value);
  call (&p, out->s, p.work, size);
  ADAMIX_TRY (adamix_blocks_gather (&p.v, out->vt.value));
  ADAMIX_TRY (adamix_blocks_gather (&p.ut, out->u.value));
  /* A rank without a row finds them by another algorithm, and so other last bits. */
  ADAMIX_TRY (adamix_comm_broadcast (grid->comm, 0, out->s, out->count * (int64_t) sizeof *out->s));
done:
  free (p.work);
  adamix_blocks_destroy (&p.ut);
  adamix_blocks_destroy (&p.v);
  adamix_blocks_destroy (&p.a);
  return err;
}

static adamix_err
decompose_among (adamix_comm *comm, const adamix_matrix *a, adamix_svd *out)
{
  adamix_grid grid;
  adamix_grid_open (&grid, comm);
  const adamix_err err = decompose_on (&grid, a, out);
  adamix_grid_close (&grid);
  return err;
}

static adamix_err
create (const adamix_matrix *a, adamix_svd *out)
{
  const int64_t count = a->rows < a->columns ? a->rows : a->columns;
  *out = (adamix_svd){ .count = count };
  if ((count + 4 * ADAMIX_GRID_BLOCK) * (a->rows + a->columns) > INT_MAX / 2)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "svd: ScaLAPACK counts by int, a matrix [%lld,%lld] is too large",
                           (long long) a->rows, (long long) a->columns);
  ADAMIX_RETURN_IF (adamix_matrix_create (&out->u, a->rows, count));
  ADAMIX_RETURN_IF (adamix_matrix_create (&out->vt, count, a->columns));
  return ADAMIX_ALLOC (out->s, count);
}

static double
norm (const adamix_matrix *a)
{
  return cblas_dnrm2 ((int) (a->rows * a->columns), a->value, 1);
}

/* What the routines say of themselves does not tell: pdgesvd forgets that it did not converge, and takes other last bits on a
 * rank without a row for a failure. */
static adamix_err
check (const adamix_matrix *a, const adamix_svd *svd)
{
  adamix_matrix rest = { 0 }, scaled = { 0 };
  adamix_err err = copy (a, &rest);
  if (!err) err = scale_rows (svd, &scaled);
  if (!err) {
    multiply (&svd->u, &scaled, -1, &rest);
    const double off = norm (&rest), whole = norm (a);
    if (!(off <= TOLERANCE * whole))
      err = adamix_err_set (
          ADAMIX_ENUMERIC,
          "svd: the singular values of a matrix [%lld,%lld] of norm %g came out wrong by %g; choose another "
          "--merge, or merge with another number of ranks",
          (long long) a->rows, (long long) a->columns, whole, off);
  }
  adamix_matrix_destroy (&scaled);
  adamix_matrix_destroy (&rest);
  return err;
}

/* out = A^T */
static adamix_err
transpose (const adamix_matrix *a, adamix_matrix *out)
{
  ADAMIX_RETURN_IF (adamix_matrix_create (out, a->columns, a->rows));
  for (int64_t r = 0; r < a->rows; r++)
    for (int64_t c = 0; c < a->columns; c++) out->value[c * a->rows + r] = a->value[r * a->columns + c];
  return ADAMIX_OK;
}

/* Of an A that is not tall, so that A^T, which ScaLAPACK sees, is not wide: on two ranks pdgesvd never returns from a [1,2]. */
static adamix_err
decompose_wide (adamix_comm *comm, const adamix_matrix *a, adamix_svd *out)
{
  ADAMIX_RETURN_IF (adamix_comm_agree (comm, create (a, out)));
  return comm->handle == MPI_COMM_NULL ? decompose_alone (a, out) : decompose_among (comm, a, out);
}

/* A^T = V diag (s) U^T */
static adamix_err
decompose_tall (adamix_comm *comm, const adamix_matrix *a, adamix_svd *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_matrix turned = { 0 };
  adamix_svd svd = { 0 };
  ADAMIX_TRY (adamix_comm_agree (comm, transpose (a, &turned)));
  ADAMIX_TRY (decompose_wide (comm, &turned, &svd));
  err = transpose (&svd.vt, &out->u);
  if (!err) err = transpose (&svd.u, &out->vt);
  out->count = svd.count;
  out->s = svd.s;
  svd.s = NULL;
  ADAMIX_TRY (adamix_comm_agree (comm, err));
done:
  adamix_svd_destroy (&svd);
  adamix_matrix_destroy (&turned);
  return err;
}

adamix_err
adamix_merge_decompose (adamix_comm *comm, const adamix_matrix *a, adamix_svd *out)
{
  *out = (adamix_svd){ 0 };
  ADAMIX_RETURN_IF (a->rows > a->columns ? decompose_tall (comm, a, out) : decompose_wide (comm, a, out));
  return adamix_comm_agree (comm, check (a, out));
}

#else

adamix_err
adamix_merge_decompose (adamix_comm *comm, const adamix_matrix *a, adamix_svd *out)
{
  (void) comm, (void) a;
  *out = (adamix_svd){ 0 };
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "svd needs ScaLAPACK, which this build lacks");
}

#endif

adamix_err
adamix_merge_decompose_product (adamix_comm *comm, const adamix_matrix *b, const adamix_matrix *a, adamix_svd *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_svd left = { 0 };
  adamix_matrix weighted = { 0 }, core = { 0 }, u = { 0 };
  *out = (adamix_svd){ 0 };
  ADAMIX_TRY (adamix_merge_decompose (comm, b, &left));
  err = scale_rows (&left, &weighted);
  if (!err) err = adamix_matrix_create (&core, left.count, a->columns);
  ADAMIX_TRY (adamix_comm_agree (comm, err));
  multiply (&weighted, a, 0, &core);
  ADAMIX_TRY (adamix_merge_decompose (comm, &core, out));
  ADAMIX_TRY (adamix_comm_agree (comm, adamix_matrix_create (&u, b->rows, out->count)));
  multiply (&left.u, &out->u, 0, &u);
  adamix_matrix_destroy (&out->u);
  out->u = u;
done:
  adamix_matrix_destroy (&core);
  adamix_matrix_destroy (&weighted);
  adamix_svd_destroy (&left);
  return err;
}
