/* The linear systems of RegMean over process grids, beside LAPACK's solution of the whole. */
#include "merge/scorer.h"

#include <float.h>
#include <math.h>

#include "merge/draw.h"
#include "merge/merge_private.h"

void dgesv_ (const int *n, const int *m, double *a, const int *lda, int *pivot, double *b, const int *ldb, int *info);

/* By LU factors: rows of b are right-hand sides. */
static void
solve_whole (int64_t n, int64_t m, const double *a, double *b)
{
  const int rows = (int) n, columns = (int) m;
  double *copy = allocate (n * n);
  int *pivot, info;
  must (ADAMIX_ALLOC (pivot, n));
  memcpy (copy, a, (size_t) (n * n) * sizeof *a);
  dgesv_ (&rows, &columns, copy, &rows, pivot, b, &rows, &info);
  expect (info == 0, "%d", info);
  free (pivot);
  free (copy);
}

/* A = X^T X / rows with twice as many rows as columns, what is off the diagonal times 0.9: a condition of about 30. */
static void
draw_gram (int64_t n, double *a)
{
  double *x = allocate (2 * n * n);
  draw (0, 2 * n * n, x);
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c < n; c++) {
      double sum = 0;
      for (int64_t i = 0; i < 2 * n; i++) sum += x[i * n + r] * x[i * n + c];
      a[r * n + c] = sum / (double) (2 * n) * (r == c ? 1 : 0.9);
    }
  free (x);
}

static void
compare (adamix_comm *comm, int64_t n, int64_t m)
{
  double *a = allocate (n * n), *b = allocate (m * n), *expected = allocate (m * n), most = 0, off = 0;
  draw_gram (n, a);
  draw (1, m * n, b);
  memcpy (expected, b, (size_t) (m * n) * sizeof *b);
  solve_whole (n, m, a, expected);
  must (adamix_merge_solve (comm, n, m, a, b));
  for (int64_t e = 0; e < m * n; e++) {
    most = fmax (most, fabs (expected[e]));
    off = fmax (off, fabs (b[e] - expected[e]));
  }
  expect (off <= 1e-10 * most, "[%lld,%lld] x [%lld]: off by %g of %g", (long long) n, (long long) n, (long long) m,
          off, most);
  must (adamix_comm_same (comm, "the solution", b, m * n * (int64_t) sizeof *b));
  free (expected);
  free (b);
  free (a);
}

/* Blocks are of 64: less than one, one, several, the last one whole or not, more ranks than blocks. */
static void
solves_as_lapack_does (adamix_comm *comm)
{
  const int64_t sizes[][2] = { { 1, 1 }, { 5, 3 }, { 64, 64 }, { 65, 1 }, { 130, 200 }, { 257, 48 } };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) compare (comm, sizes[i][0], sizes[i][1]);
}

static void
refuses_a_singular_matrix (adamix_comm *comm)
{
  const int64_t n = 70;
  double *a = allocate (n * n), *b = allocate (n);
  for (int64_t r = 0; r < n - 1; r++) a[r * n + r] = 1;
  expect (adamix_merge_solve (comm, n, 1, a, b) == ADAMIX_ENUMERIC, "A is singular");
  expect (strstr (adamix_err_message (), "row 70; give a smaller --merge-alpha"), "%s", adamix_err_message ());
  free (b);
  free (a);
}

/* ---- the method, with its rows dealt to the ranks ---- */

enum { H = 9, R = 4, M = 3, RAREST = 2 };
#define ALPHA 0.9

static adamix_comm *world;

/* Input RAREST of every projection is 0 in all rows. */
static void
inputs_of_all (const test_scorer *self, int p, int64_t layer, int64_t slot, int64_t n, float *x)
{
  test_scorer_inputs (self, p, layer, slot, n, x);
  for (int64_t r = 0; r < SCORER_ROWS; r++) x[r * n + RAREST] = 0;
}

/* Every W-th row, one at a time. */
static adamix_err
show (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, adamix_activations *activations)
{
  float x[SCORER_ROWS * H];
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < bank->shape.layers; i++) {
      const int64_t n = p == ADAMIX_DOWN ? H : R;
      inputs_of_all ((const test_scorer *) scorer, p, i, slot, n, x);
      for (int64_t r = world->rank; r < SCORER_ROWS; r += world->size)
        ADAMIX_RETURN_IF (activations->see (activations, (adamix_projection) p, i, slot % bank->local[p][i].count,
                                            adamix_view_of (x + r * n, 1, n)));
    }
  return ADAMIX_OK;
}

/* A += G;  B += W G, the columns of both that belong to the input that never was by hand. */
static void
add_expert (const test_scorer *scorer, const adamix_bank *all, int p, int64_t layer, int64_t j, double *a, double *b)
{
  float x[SCORER_ROWS * H];
  const adamix_param *w = test_tensor (all, p, layer, j, false);
  const int64_t n = w->shape[1], m = w->shape[0];
  inputs_of_all (scorer, p, layer, j, n, x);
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c < n; c++) {
      double g = 0;
      for (int64_t i = 0; i < SCORER_ROWS; i++) g += (double) x[i * n + r] * x[i * n + c];
      if (r != c) g *= ALPHA;
      if (r == RAREST && c == RAREST) g = 1;
      a[r * n + c] += g;
      for (int64_t o = 0; o < m; o++) b[o * n + c] += w->value[o * n + r] * g;
    }
}

/* Values of size 1 are rounded to fp32 once. */
static void
expect_solved (const test_scorer *scorer, const adamix_bank *all, const adamix_bank *merged, int p, int64_t layer)
{
  const adamix_param *to = test_tensor (merged, p, layer, 0, false), *bias = test_tensor (merged, p, layer, 0, true);
  double a[H * H] = { 0 }, b[H * R] = { 0 };
  for (int64_t j = 0; j < M; j++) add_expert (scorer, all, p, layer, j, a, b);
  solve_whole (to->shape[1], to->shape[0], a, b);
  for (int64_t e = 0; e < to->count; e++)
    expect (fabs (to->value[e] - b[e]) < 4 * FLT_EPSILON, "%d %lld: %g, not %g", p, (long long) e,
            (double) to->value[e], b[e]);
  for (int64_t e = 0; e < bias->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < M; j++) sum += (double) test_tensor (all, p, layer, j, true)->value[e];
    expect (bias->value[e] == (float) (sum / M), "bias %g", (double) bias->value[e]);
  }
}

static void
merges (adamix_comm *comm, adamix_share share)
{
  bank_fixture all, merged;
  test_scorer scorer;
  const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                    .layers = 2,
                                    .hidden = H,
                                    .bottleneck = R,
                                    .experts = M,
                                    .share = share };
  const adamix_bank_shape one = adamix_merge_shape (&shape);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&merged, &one, NULL);
  bank_fixture_randomise (&all, 1);
  test_scorer_open (&scorer, NULL);
  world = scorer.scorer.comm = comm;
  scorer.scorer.show = show;
  const adamix_merge_args args = { .all = all.bank, .alpha = ALPHA, .scorer = &scorer.scorer };
  must (adamix_merge_method_find ("regmean")->merge (&args, merged.bank));
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < shape.layers; i++) {
      const adamix_param *from = test_tensor (all.bank, p, i, 0, false),
                         *to = test_tensor (merged.bank, p, i, 0, false);
      if (all.bank->local[p][i].count == 1)
        expect (memcmp (from->value, to->value, (size_t) to->count * sizeof *to->value) == 0, "a shared projection");
      else
        expect_solved (&scorer, all.bank, merged.bank, p, i);
    }
  bank_fixture_close (&merged);
  bank_fixture_close (&all);
}

int
main (void)
{
  adamix_comm comm, alone = { .handle = MPI_COMM_NULL, .size = 1 };
  MPI_Init (NULL, NULL);
  must (adamix_comm_create (&comm, MPI_COMM_WORLD));
  solves_as_lapack_does (&comm);
  solves_as_lapack_does (&alone);
  refuses_a_singular_matrix (&comm);
  refuses_a_singular_matrix (&alone);
  merges (&comm, ADAMIX_SHARE_NONE);
  merges (&comm, ADAMIX_SHARE_DOWN);
  merges (&alone, ADAMIX_SHARE_UP);
  adamix_comm_destroy (&comm);
  MPI_Finalize ();
  return 0;
}
