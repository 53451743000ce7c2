#include "tensor/fixture.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <string.h>

static const char *const BACKENDS[] = { "onednn", "blas" };

#define FOR_EACH_BACKEND(backend)                                                                                      \
  const adamix_gemm_backend *backend = NULL;                                                                           \
  for (int b_ = 0; b_ < 2; b_++)                                                                                       \
    if (adamix_gemm_select (&backend, BACKENDS[b_]) == ADAMIX_OK)

/* m, n, k; shapes of modules and heads, and odd ones on both sides of the block sizes. */
static const int64_t SHAPES[][3] = { { 1, 1, 1 },     { 3, 5, 7 },     { 450, 48, 384 }, { 48, 384, 450 },
                                     { 77, 384, 33 }, { 64, 64, 64 },  { 65, 63, 17 },   { 257, 130, 9 },
                                     { 130, 300, 2 }, { 384, 16, 100 } };

static void
check_shape (const adamix_gemm_backend *backend, const int64_t *shape, bool trans_a, bool trans_b, float beta)
{
  int64_t m = shape[0], n = shape[1], k = shape[2], lda = (trans_a ? m : k) + 1, ldb = (trans_b ? k : n) + 2;
  int64_t ldc = n + 3;
  float *a = random_floats (1, (trans_a ? k : m) * lda), *b = random_floats (2, (trans_b ? n : k) * ldb);
  float *c = random_floats (3, m * ldc), *before = random_floats (3, m * ldc);
  if (beta == 0.0f) c[0] = NAN; /* beta 0 means: C is not read */
  adamix_gemm_args args = { .trans_a = trans_a,
                            .trans_b = trans_b,
                            .m = m,
                            .n = n,
                            .k = k,
                            .alpha = 0.5f,
                            .a = a,
                            .lda = lda,
                            .b = b,
                            .ldb = ldb,
                            .beta = beta,
                            .c = c,
                            .ldc = ldc };
  cr_assert_eq (adamix_gemm (backend, &args), ADAMIX_OK);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < ldc; j++) {
      double want = j < n ? 0.0 : (double) before[i * ldc + j], size = 1.0;
      for (int64_t p = 0; p < k && j < n; p++) {
        double term =
            0.5 * (double) a[trans_a ? p * lda + i : i * lda + p] * (double) b[trans_b ? j * ldb + p : p * ldb + j];
        want += term;
        size += fabs (term);
      }
      if (j < n && beta != 0.0f) want += beta * before[i * ldc + j];
      cr_assert (fabs (c[i * ldc + j] - want) <= 6e-7 * size, "%s %dx%dx%d trans %d%d: C[%d,%d] %g, not %g",
                 adamix_gemm_name (backend), (int) m, (int) n, (int) k, trans_a, trans_b, (int) i, (int) j,
                 (double) c[i * ldc + j], want);
    }
  free (a), free (b), free (c), free (before);
}

Test (gemm, agrees_with_a_triple_loop, .timeout = 120)
{
  FOR_EACH_BACKEND (backend)
  for (size_t s = 0; s < sizeof SHAPES / sizeof *SHAPES; s++)
    for (int form = 0; form < 8; form++) check_shape (backend, SHAPES[s], form & 1, form & 2, form & 4 ? 1.0f : 0.0f);
}

Test (gemm, empty_dimensions)
{
  FOR_EACH_BACKEND (backend)
  {
    float c[] = { 1.0f, 2.0f, NAN };
    adamix_gemm_args args = { .m = 1, .n = 2, .k = 0, .alpha = 1.0f, .beta = 0.5f, .c = c, .ldc = 2 };
    cr_assert_eq (adamix_gemm (backend, &args), ADAMIX_OK);
    cr_expect (c[0] == 0.5f && c[1] == 1.0f);
    args = (adamix_gemm_args){ .m = 1, .n = 3, .k = 0, .beta = 0.0f, .c = c, .ldc = 3 };
    cr_assert_eq (adamix_gemm (backend, &args), ADAMIX_OK);
    cr_expect (c[0] == 0.0f && c[2] == 0.0f);
    args.m = 0;
    cr_expect_eq (adamix_gemm (backend, &args), ADAMIX_OK);
  }
}

Test (gemm, threads_change_no_bit)
{
  enum { M = 450, N = 384, K = 48 };
  float *a = random_floats (1, M * K), *b = random_floats (2, N * K), *c[2];
  FOR_EACH_BACKEND (backend)
  {
    for (int t = 0; t < 2; t++) {
      adamix_compute compute;
      cr_assert_eq (adamix_compute_select (&compute, adamix_gemm_name (backend), NULL, t + 1), ADAMIX_OK);
      c[t] = zero_floats (M * N);
      adamix_gemm_args args = {
        .trans_b = true, .m = M, .n = N, .k = K, .alpha = 1.0f, .a = a, .lda = K, .b = b, .ldb = K, .c = c[t], .ldc = N
      };
      cr_assert_eq (adamix_gemm (backend, &args), ADAMIX_OK);
    }
    cr_expect (memcmp (c[0], c[1], M * N * sizeof (float)) == 0, "%s", adamix_gemm_name (backend));
    free (c[0]), free (c[1]);
  }
  free (a), free (b);
}

/* Threads that this program has started, whoever asked for them. */
static int started;

int
pthread_create (pthread_t *thread, const pthread_attr_t *attr, void *(*start) (void *), void *arg)
{
  int (*create) (pthread_t *, const pthread_attr_t *, void *(*) (void *), void *);
  *(void **) &create = dlsym (RTLD_NEXT, "pthread_create");
#pragma omp atomic update
  started++;
  return create (thread, attr, start, arg);
}

static adamix_err
multiply_zeros (const adamix_gemm_backend *backend, int64_t rows)
{
  enum { N = 48, K = 384 };
  float *a = zero_floats (rows * K), *b = zero_floats (N * K), *c = zero_floats (rows * N);
  adamix_err err = adamix_gemm (backend, &(adamix_gemm_args){ .trans_b = true,
                                                              .m = rows,
                                                              .n = N,
                                                              .k = K,
                                                              .alpha = 1,
                                                              .a = a,
                                                              .lda = K,
                                                              .b = b,
                                                              .ldb = K,
                                                              .c = c,
                                                              .ldc = N });
  free (a), free (b), free (c);
  return err;
}

/* One query's rows are too few for a parallel region; neither may the library make one, with threads that live for one call. */
Test (gemm, products_start_no_threads_of_their_own)
{
  FOR_EACH_BACKEND (backend)
  {
    adamix_compute compute;
    cr_assert_eq (adamix_compute_select (&compute, adamix_gemm_name (backend), NULL, 2), ADAMIX_OK);
    cr_assert_eq (multiply_zeros (backend, 450), ADAMIX_OK);
    cr_assert_gt (started, 0); /* OpenMP's, which stay */
    const int before = started;
    for (int64_t rows = 1; rows < 500; rows += 8) cr_assert_eq (multiply_zeros (backend, rows), ADAMIX_OK);
    cr_expect_eq (started, before, "%s started %d threads", adamix_gemm_name (backend), started - before);
    cr_expect_eq (omp_get_max_threads (), 2);
  }
}

Test (gemm, backends_are_chosen_by_name)
{
  const adamix_gemm_backend *backend = NULL;
  cr_assert_eq (adamix_gemm_select (&backend, "blas"), ADAMIX_OK);
  cr_expect_str_eq (adamix_gemm_name (backend), "blas");
  cr_assert_eq (adamix_gemm_select (&backend, "auto"), ADAMIX_OK);
  cr_expect_eq (adamix_gemm_select (&backend, "mkl"), ADAMIX_EUSAGE);
  cr_expect_not_null (strstr (adamix_err_message (), "mkl"));

  adamix_compute compute;
  cr_assert_eq (adamix_compute_select (&compute, "auto", "auto", 1), ADAMIX_OK);
  cr_expect_eq (compute.threads, 1);
  cr_expect_eq (omp_get_max_threads (), 1);
  cr_expect_eq (adamix_compute_select (&compute, "auto", "vax", 1), ADAMIX_EUSAGE);
}
