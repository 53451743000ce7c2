/* Singular value decompositions over process grids, and the merge by them, beside LAPACK's of the whole. */
#include <adamix/merge.h>

#include <float.h>
#include <math.h>

#include "adapt/fixture.h"
#include "merge/draw.h"
#include "merge/merge_private.h"

/* Of numbers of size 1 in fp64; the largest sums here have some hundred terms. */
#define TOLERANCE 1e-10

void dgesvd_ (const char *left, const char *right, const int *m, const int *n, double *a, const int *lda, double *s,
              double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *size, int *info,
              size_t left_length, size_t right_length);

static adamix_matrix
create (int64_t rows, int64_t columns)
{
  return (adamix_matrix){ .rows = rows, .columns = columns, .value = allocate (rows * columns) };
}

/* x y, or x diag (s) y, of the first `inner` columns of x and rows of y. */
static adamix_matrix
multiply (const adamix_matrix *x, const double *s, const adamix_matrix *y, int64_t inner)
{
  adamix_matrix out = create (x->rows, y->columns);
  for (int64_t r = 0; r < x->rows; r++)
    for (int64_t i = 0; i < inner; i++)
      for (int64_t c = 0; c < y->columns; c++)
        out.value[r * y->columns + c] += x->value[r * x->columns + i] * (s ? s[i] : 1) * y->value[i * y->columns + c];
  return out;
}

/* By LAPACK, which reads the transposed matrix. */
static adamix_svd
decompose_whole (const adamix_matrix *a)
{
  const int m = (int) a->columns, n = (int) a->rows, count = m < n ? m : n, size = 10 * (m + n) + 100;
  adamix_svd out = { .count = count, .u = create (n, count), .vt = create (count, m), .s = allocate (count) };
  double *left = allocate (m * n), *work = allocate (size);
  int info;
  memcpy (left, a->value, (size_t) (m * n) * sizeof *left);
  dgesvd_ ("S", "S", &m, &n, left, &m, out.s, out.vt.value, &m, out.u.value, &count, work, &size, &info, 1, 1);
  expect (info == 0, "%d", info);
  free (work);
  free (left);
  return out;
}

static void
expect_close (const char *what, const double *is, const double *should, int64_t count, double tolerance)
{
  double off = 0;
  for (int64_t e = 0; e < count; e++) off = fmax (off, fabs (is[e] - should[e]));
  expect (off <= tolerance, "%s: off by %g of %g", what, off, tolerance);
}

/* The lines of x, rows or columns, are orthonormal. */
static void
expect_orthonormal (const char *what, const adamix_matrix *x, bool columns)
{
  const int64_t lines = columns ? x->columns : x->rows, length = columns ? x->rows : x->columns;
  const int64_t step = columns ? x->columns : 1, next = columns ? 1 : x->columns;
  for (int64_t i = 0; i < lines; i++)
    for (int64_t j = 0; j <= i; j++) {
      double sum = i == j ? -1 : 0;
      for (int64_t e = 0; e < length; e++) sum += x->value[i * next + e * step] * x->value[j * next + e * step];
      expect (fabs (sum) <= TOLERANCE, "%s [%lld,%lld]: %lld and %lld are off by %g", what, (long long) x->rows,
              (long long) x->columns, (long long) i, (long long) j, sum);
    }
}

/* Values, and what is left of `whole` with its `rank` largest. */
static void
expect_svd (adamix_comm *comm, const adamix_svd *got, const adamix_matrix *whole, int64_t rank)
{
  adamix_svd expected = decompose_whole (whole);
  const double largest = expected.s[0];
  expect (got->count >= rank && got->count <= expected.count, "%lld values", (long long) got->count);
  adamix_matrix is = multiply (&got->u, got->s, &got->vt, rank),
                should = multiply (&expected.u, expected.s, &expected.vt, rank);
  expect_close ("singular values", got->s, expected.s, got->count, TOLERANCE * largest);
  expect_close ("the product", is.value, should.value, whole->rows * whole->columns, TOLERANCE * largest);
  expect_orthonormal ("U", &got->u, true);
  expect_orthonormal ("V^T", &got->vt, false);
  must (adamix_comm_same (comm, "U", got->u.value, got->u.rows * got->u.columns * (int64_t) sizeof *got->s));
  must (adamix_comm_same (comm, "V^T", got->vt.value, got->vt.rows * got->vt.columns * (int64_t) sizeof *got->s));
  must (adamix_comm_same (comm, "s", got->s, got->count * (int64_t) sizeof *got->s));
  adamix_matrix_destroy (&should);
  adamix_matrix_destroy (&is);
  adamix_svd_destroy (&expected);
}

static void
decomposes (adamix_comm *comm, int64_t m, int64_t n)
{
  adamix_matrix a = create (m, n);
  adamix_svd svd;
  draw ((uint32_t) (m * 1000 + n), m * n, a.value);
  must (adamix_merge_decompose (comm, &a, &svd));
  expect_svd (comm, &svd, &a, svd.count);
  adamix_svd_destroy (&svd);
  adamix_matrix_destroy (&a);
}

/* Blocks are of 64: less than one, one, several, the last one whole or not; ranks without a block, or without a row. */
static void
decomposes_as_lapack_does (adamix_comm *comm)
{
  const int64_t sizes[][2] = { { 64, 64 },   { 65, 1 },    { 1, 65 },   { 128, 64 }, { 64, 129 },
                               { 130, 200 }, { 200, 130 }, { 257, 48 }, { 48, 257 }, { 192, 192 } };
  for (int64_t m = 1; m <= 5; m++)
    for (int64_t n = 1; n <= 5; n++) decomposes (comm, m, n);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) decomposes (comm, sizes[i][0], sizes[i][1]);
}

static void
decomposes_nothing (adamix_comm *comm)
{
  adamix_matrix a = create (70, 8);
  adamix_svd svd;
  must (adamix_merge_decompose (comm, &a, &svd));
  expect_svd (comm, &svd, &a, svd.count);
  adamix_svd_destroy (&svd);
  adamix_matrix_destroy (&a);
}

/* Factors b [m,k] and a [k,n], with the first `same` columns and rows in the place of the others too: of rank `same`. */
static void
decomposes_product (adamix_comm *comm, int64_t m, int64_t k, int64_t n, int64_t same, int64_t rank)
{
  adamix_matrix b = create (m, k), a = create (k, n);
  adamix_svd svd;
  draw (1, m * k, b.value);
  draw (2, k * n, a.value);
  for (int64_t e = 0; e < m * k; e++) b.value[e] = b.value[e - e % k + e % k % same];
  for (int64_t e = same * n; e < k * n; e++) a.value[e] = a.value[e - same * n];
  adamix_matrix whole = multiply (&b, NULL, &a, k);
  must (adamix_merge_decompose_product (comm, &b, &a, &svd));
  expect_svd (comm, &svd, &whole, rank);
  adamix_matrix_destroy (&whole);
  adamix_svd_destroy (&svd);
  adamix_matrix_destroy (&a);
  adamix_matrix_destroy (&b);
}

/* One block and several, wider factors than the product, fewer values than are asked for of it. */
static void
decomposes_products_as_lapack_does (adamix_comm *comm)
{
  decomposes_product (comm, 96, 24, 96, 24, 8);
  decomposes_product (comm, 96, 24, 96, 8, 8);
  decomposes_product (comm, 150, 140, 70, 140, 35);
  decomposes_product (comm, 20, 48, 30, 48, 16);
  decomposes_product (comm, 3, 2, 3, 2, 1);
}

/* ---- the method ---- */

enum { H = 70, R = 4, M = 3, L = 1 };

/* 1/M sum_j B_j A_j */
static adamix_matrix
mean_product (const adamix_bank *all, int64_t site)
{
  adamix_matrix mean = create (H, H);
  for (int64_t j = 0; j < M; j++) {
    const float *a = all->local[ADAMIX_DOWN][site].expert[j].weight->value,
                *b = all->local[ADAMIX_UP][site].expert[j].weight->value;
    for (int64_t e = 0; e < H * H; e++)
      for (int64_t r = 0; r < R; r++) mean.value[e] += (double) b[e / H * R + r] * a[r * H + e % H] / M;
  }
  return mean;
}

/* Both factors of each of R terms are rounded to fp32 once: |B' A'| is off by at most 2 R eps / 2 times the largest. */
static void
expect_cut (const adamix_bank *all, const adamix_bank *merged, int64_t site, double norms[2])
{
  adamix_matrix mean = mean_product (all, site);
  adamix_svd whole = decompose_whole (&mean);
  adamix_matrix expected = multiply (&whole.u, whole.s, &whole.vt, R), is = create (H, H);
  const float *a = merged->local[ADAMIX_DOWN][site].expert[0].weight->value,
              *b = merged->local[ADAMIX_UP][site].expert[0].weight->value;
  for (int64_t e = 0; e < H * H; e++)
    for (int64_t r = 0; r < R; r++) is.value[e] += (double) b[e / H * R + r] * a[r * H + e % H];
  expect_close ("the merged product", is.value, expected.value, H * H, R * FLT_EPSILON * whole.s[0]);
  for (int64_t r = 0; r < whole.count; r++) norms[r < R] += whole.s[r] * whole.s[r];
  adamix_matrix_destroy (&is);
  adamix_matrix_destroy (&expected);
  adamix_svd_destroy (&whole);
  adamix_matrix_destroy (&mean);
}

static void
merges (adamix_comm *comm)
{
  bank_fixture all, merged;
  double kept = -1, norms[2] = { 0 };
  const adamix_bank_shape shape = { .kind = ADAMIX_LORA,
                                    .places = ADAMIX_PLACES_LINEAR,
                                    .layers = L,
                                    .hidden = H,
                                    .bottleneck = R,
                                    .experts = M,
                                    .scale = 2 };
  const adamix_bank_shape one = adamix_merge_shape (&shape);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&merged, &one, NULL);
  bank_fixture_randomise (&all, 1);
  const adamix_merge_args args = { .all = all.bank, .comm = comm, .kept = &kept };
  must (adamix_merge_method_find ("svd")->merge (&args, merged.bank));
  for (int64_t i = 0; i < adamix_bank_sites (&shape); i++) expect_cut (all.bank, merged.bank, i, norms);
  expect (fabs (kept - sqrt (norms[1] / (norms[0] + norms[1]))) < TOLERANCE, "%g", kept);
  must (adamix_comm_same (comm, "the module", merged.experts.values,
                          merged.experts.count * (int64_t) sizeof *merged.experts.values));
  bank_fixture_close (&merged);
  bank_fixture_close (&all);
}

int
main (void)
{
  adamix_comm comm, alone = { .handle = MPI_COMM_NULL, .size = 1 };
  MPI_Init (NULL, NULL);
  must (adamix_comm_create (&comm, MPI_COMM_WORLD));
  adamix_comm *const both[] = { &comm, &alone };
  for (int i = 0; i < 2; i++) {
    decomposes_as_lapack_does (both[i]);
    decomposes_nothing (both[i]);
    decomposes_products_as_lapack_does (both[i]);
    merges (both[i]);
  }
  adamix_comm_destroy (&comm);
  MPI_Finalize ();
  return 0;
}
