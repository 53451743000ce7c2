#include "tensor/fixture.h"

#include <omp.h>
#include <string.h>

static const char *const BACKENDS[] = { "onednn", "blas" };

#define FOR_EACH_BACKEND(backend)                                                                                      \
  const adamix_gemm_backend *backend = NULL;                                                                           \
  for (int b_ = 0; b_ < 2; b_++)                                                                                       \
    if (adamix_gemm_select (&backend, BACKENDS[b_]) == ADAMIX_OK)

static int64_t
with_room (int64_t rows)
{
  return (rows + ADAMIX_ROW_BLOCK - 1) / ADAMIX_ROW_BLOCK * ADAMIX_ROW_BLOCK;
}

/* Largest difference between y and x W^T + b (or, backward, x W) in units of the terms' size. */
static double
distance (const float *y, const float *x, const float *w, const float *bias, int64_t rows, int64_t n, int64_t k,
          bool backward)
{
  double worst = 0.0;
  int64_t outputs = backward ? k : n, inner = backward ? n : k;
  for (int64_t t = 0; t < rows; t++)
    for (int64_t o = 0; o < outputs; o++) {
      double want = bias != NULL ? (double) bias[o] : 0.0, size = 1.0 + fabs (want);
      for (int64_t i = 0; i < inner; i++) {
        double term = (double) x[t * inner + i] * (double) (backward ? w[i * k + o] : w[o * k + i]);
        want += term;
        size += fabs (term);
      }
      worst = fmax (worst, fabs (y[t * outputs + o] - want) / size);
    }
  return worst;
}

/* A matrix and what a backend makes of it before it multiplies. */
static float *
operand (const adamix_gemm_backend *backend, uint32_t seed, int64_t count)
{
  float *x = random_floats (seed, count);
  const bool bf16 = strcmp (adamix_gemm_precision (backend), "bf16") == 0;
  for (int64_t i = 0; bf16 && i < count; i++) x[i] = nearest_bf16 (x[i]);
  return x;
}

static void
check_layer (const adamix_gemm_backend *backend, int64_t rows, int64_t n, int64_t k)
{
  float *w = random_floats (1, n * k), *bias = random_floats (2, n), *x = random_floats (3, with_room (rows) * k);
  float *dy = random_floats (4, with_room (rows) * n), *y = zero_floats (with_room (rows) * n);
  float *dx = zero_floats (with_room (rows) * k);
  float *w_used = operand (backend, 1, n * k), *x_used = operand (backend, 3, rows * k);
  float *dy_used = operand (backend, 4, rows * n);
  const char *name = adamix_gemm_name (backend), *precision = adamix_gemm_precision (backend);
  void *narrow = malloc (1 + adamix_gemm_narrow_bytes (backend, rows, n > k ? n : k));
  adamix_linear_source source = { .blocks = 1, .weight = { w }, .bias = { bias }, .rows = { n }, .cols = k };
  adamix_linear *linear = NULL;
  cr_assert_eq (adamix_linear_create (&linear, backend, &source, true), ADAMIX_OK, "%s", adamix_err_message ());
  cr_assert_eq (adamix_linear_forward (linear, adamix_view_of (x, rows, k), adamix_view_of (y, rows, n), narrow),
                ADAMIX_OK);
  cr_assert_eq (
      adamix_linear_backward_input (linear, adamix_view_of (dy, rows, n), adamix_view_of (dx, rows, k), narrow),
      ADAMIX_OK);
  cr_expect_lt (distance (y, x_used, w_used, bias, rows, n, k, false), 6e-7, "%s %s: forward of %d rows %d -> %d", name,
                precision, (int) rows, (int) k, (int) n);
  cr_expect_lt (distance (dx, dy_used, w_used, NULL, rows, n, k, true), 6e-7, "%s %s: backward of %d rows %d -> %d",
                name, precision, (int) rows, (int) n, (int) k);
  adamix_linear_destroy (linear);
  free (w), free (bias), free (x), free (dy), free (y), free (dx);
  free (w_used), free (x_used), free (dy_used), free (narrow);
}

Test (linear, forward_and_backward_agree_with_a_triple_loop, .timeout = 120)
{
  const int64_t rows[] = { 0, 1, 15, 16, 33, 64, 65, 150 };
  const int64_t shapes[][2] = { { 5, 3 }, { 77, 384 }, { 384, 96 }, { 400, 31 }, { 576, 192 } };
  FOR_EACH_BACKEND (backend)
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      check_layer (backend, rows[r], shapes[s][0], shapes[s][1]);
}

/* Rounding apart, bf16 is as exact as fp32: products of two bf16 numbers are, and are summed in fp32. */
Test (linear, bf16_multiplies_rounded_operands, .timeout = 120)
{
  const int64_t rows[] = { 1, 16, 33, 64, 150 };
  const int64_t shapes[][2] = { { 77, 384 }, { 384, 96 }, { 400, 31 }, { 576, 192 } };
  adamix_compute compute;
  cr_assert_eq (adamix_compute_select (&compute, "auto", NULL, 1), ADAMIX_OK);
  if (adamix_compute_precision (&compute, "bf16") != ADAMIX_OK) {
    cr_expect_not_null (strstr (adamix_err_message (), "--precision fp32"));
    cr_skip_test ("this CPU or build has no bf16 GEMM");
  }
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      check_layer (compute.frozen, rows[r], shapes[s][0], shapes[s][1]);
}

Test (linear, a_precision_that_is_not_there_is_refused)
{
  adamix_compute compute;
  cr_assert_eq (adamix_compute_select (&compute, "blas", NULL, 1), ADAMIX_OK);
  cr_expect_eq (adamix_compute_precision (&compute, "bf16"), ADAMIX_EUNSUPPORTED);
  cr_expect_not_null (strstr (adamix_err_message (), "blas"));
  cr_expect_eq (adamix_compute_precision (&compute, "fp8"), ADAMIX_EUSAGE);
  cr_expect_eq (adamix_compute_precision (&compute, "fp32"), ADAMIX_OK);
  cr_expect_eq (compute.frozen, compute.gemm);
}

/* Query, key and value of unequal heights below each other, one without a bias; then other weights. */
Test (linear, stacked_blocks_and_repacking)
{
  enum { T = 21, K = 40, N1 = 24, N2 = 16, N3 = 9, N = N1 + N2 + N3 };
  float *w = random_floats (1, N * K), *bias = random_floats (2, N), *x = random_floats (3, with_room (T) * K);
  float *y = zero_floats (with_room (T) * N), *separate = random_floats (1, N * K);
  for (int i = 0; i < N2; i++) bias[N1 + i] = 0.0f;
  adamix_linear_source source = { .blocks = 3,
                                  .weight = { separate, separate + N1 * K, separate + (N1 + N2) * K },
                                  .bias = { bias, NULL, bias + N1 + N2 },
                                  .rows = { N1, N2, N3 },
                                  .cols = K };
  FOR_EACH_BACKEND (backend)
  {
    adamix_linear *linear = NULL;
    cr_assert_eq (adamix_linear_create (&linear, backend, &source, false), ADAMIX_OK);
    for (int round = 0; round < 2; round++) {
      cr_assert_eq (adamix_linear_forward (linear, adamix_view_of (x, T, K), adamix_view_of (y, T, N), NULL),
                    ADAMIX_OK);
      cr_expect_lt (distance (y, x, w, bias, T, N, K, false), 6e-7, "%s round %d", adamix_gemm_name (backend), round);
      for (int i = 0; i < N * K; i++) w[i] = separate[i] = -2.0f * w[i];
      cr_assert_eq (adamix_linear_repack (linear, &source), ADAMIX_OK);
    }
    /* Biases alone: weights that were not packed again stay. */
    for (int i = 0; i < N; i++) bias[i] = i < N1 || i >= N1 + N2 ? bias[i] - 3 : 0;
    for (int i = 0; i < N * K; i++) separate[i] = NAN;
    cr_assert_eq (adamix_linear_set_biases (linear, &source), ADAMIX_OK);
    cr_assert_eq (adamix_linear_forward (linear, adamix_view_of (x, T, K), adamix_view_of (y, T, N), NULL), ADAMIX_OK);
    cr_expect_lt (distance (y, x, w, bias, T, N, K, false), 6e-7, "%s: biases", adamix_gemm_name (backend));
    memcpy (separate, w, (size_t) (N * K) * sizeof *w);
    adamix_linear_source other = source;
    other.rows[0]++;
    cr_expect_eq (adamix_linear_repack (linear, &other), ADAMIX_ESHAPE);
    adamix_linear_destroy (linear);
  }
  free (w), free (bias), free (x), free (y), free (separate);
}

/* 4 row blocks: one thread and two take whole rows, three take column blocks; the weights are packed by the first. */
Test (linear, threads_change_no_bit)
{
  enum { T = 210, K = 96, N = 768, MOST = 3 };
  float *w = random_floats (1, N * K), *x = random_floats (3, 256 * K), *y[MOST];
  adamix_linear_source source = { .blocks = 1, .weight = { w }, .rows = { N }, .cols = K };
  FOR_EACH_BACKEND (backend)
  {
    void *memory = NULL;
    for (int t = 0; t < MOST; t++) {
      adamix_compute compute;
      adamix_linear *linear = NULL;
      cr_assert_eq (adamix_compute_select (&compute, adamix_gemm_name (backend), NULL, t + 1), ADAMIX_OK);
      y[t] = zero_floats (256 * N);
      cr_assert_eq (adamix_linear_plan (&linear, backend, N, K, false), ADAMIX_OK);
      if (t == 0) cr_assert_eq (adamix_alloc (&memory, (int64_t) adamix_linear_bytes (linear), 1), ADAMIX_OK);
      cr_assert_eq (adamix_linear_place (linear, memory), ADAMIX_OK);
      if (t == 0) cr_assert_eq (adamix_linear_repack (linear, &source), ADAMIX_OK);
      cr_assert_eq (adamix_linear_forward (linear, adamix_view_of (x, T, K), adamix_view_of (y[t], T, N), NULL),
                    ADAMIX_OK);
      cr_expect (memcmp (y[0], y[t], T * N * sizeof (float)) == 0, "%s, %d threads", adamix_gemm_name (backend), t + 1);
      adamix_linear_destroy (linear);
    }
    for (int t = 0; t < MOST; t++) free (y[t]);
    free (memory);
  }
  free (w), free (x);
}

/* Three threads call at once, each with rows of its own: nothing of a thread's may be another's. */
static void
check_callers (const adamix_gemm_backend *backend)
{
  enum { T = 70, ROOM = 128, K = 96, N = 768, CALLERS = 3, CALLS = 200 };
  float *w = random_floats (1, N * K), *x[CALLERS], *y[CALLERS], *want[CALLERS];
  void *narrow[CALLERS];
  adamix_linear_source source = { .blocks = 1, .weight = { w }, .rows = { N }, .cols = K };
  adamix_linear *linear = NULL;
  int wrong = 0;
  cr_assert_eq (adamix_linear_create (&linear, backend, &source, false), ADAMIX_OK);
  for (int t = 0; t < CALLERS; t++) {
    x[t] = random_floats (3 + (uint32_t) t, ROOM * K), y[t] = zero_floats (ROOM * N), want[t] = zero_floats (ROOM * N);
    narrow[t] = malloc (1 + adamix_gemm_narrow_bytes (backend, ROOM, N));
    const adamix_view input = adamix_view_of (x[t], T, K), output = adamix_view_of (want[t], T, N);
    cr_assert_eq (adamix_linear_forward (linear, input, output, narrow[t]), ADAMIX_OK);
  }
#pragma omp parallel for schedule(static) num_threads(CALLERS) reduction(+ : wrong)
  for (int t = 0; t < CALLERS; t++)
    for (int i = 0; i < CALLS; i++) {
      const adamix_view input = adamix_view_of (x[t], T, K), output = adamix_view_of (y[t], T, N);
      wrong += adamix_linear_forward (linear, input, output, narrow[t]) != ADAMIX_OK;
      wrong += memcmp (y[t], want[t], T * N * sizeof (float)) != 0;
    }
  cr_expect_eq (wrong, 0, "%s %s: %d of %d calls", adamix_gemm_name (backend), adamix_gemm_precision (backend), wrong,
                CALLERS * CALLS);
  for (int t = 0; t < CALLERS; t++) free (x[t]), free (y[t]), free (want[t]), free (narrow[t]);
  adamix_linear_destroy (linear);
  free (w);
}

/* Also where regions inside of others could have threads of their own. */
Test (linear, each_thread_may_call)
{
  const int levels[] = { 1, 2 };
  for (int i = 0; i < 2; i++) {
    FOR_EACH_BACKEND (backend)
    {
      adamix_compute compute;
      cr_assert_eq (adamix_compute_select (&compute, adamix_gemm_name (backend), NULL, 3), ADAMIX_OK);
      omp_set_max_active_levels (levels[i]);
      check_callers (backend);
      if (adamix_compute_precision (&compute, "bf16") == ADAMIX_OK) check_callers (compute.frozen);
    }
  }
}

Test (linear, wrong_shapes_are_named)
{
  float *w = random_floats (1, 12), *x = zero_floats (64 * 5);
  adamix_linear_source source = { .blocks = 1, .weight = { w }, .rows = { 3 }, .cols = 4 };
  FOR_EACH_BACKEND (backend)
  {
    adamix_linear *linear = NULL;
    cr_assert_eq (adamix_linear_create (&linear, backend, &source, false), ADAMIX_OK);
    cr_expect_eq (adamix_linear_forward (linear, adamix_view_of (x, 2, 5), adamix_view_of (x, 2, 3), NULL),
                  ADAMIX_ESHAPE);
    cr_expect_not_null (strstr (adamix_err_message (), "[2,5]"));
    adamix_linear_destroy (linear);
  }
  adamix_linear_destroy (NULL);
  free (w), free (x);
}

Test (linear, weight_gradients_are_added)
{
  enum { T = 70, N = 130, K = 33 };
  float *dy = random_floats (1, T * N), *x = random_floats (2, T * K);
  FOR_EACH_BACKEND (backend)
  {
    float *dw = random_floats (3, N * K), *before = random_floats (3, N * K), *db = zero_floats (N);
    cr_assert_eq (adamix_linear_backward_weight (backend, adamix_view_of (dy, T, N), adamix_view_of (x, T, K), dw, db),
                  ADAMIX_OK);
    for (int n = 0; n < N; n++) {
      double sum = 0.0;
      for (int t = 0; t < T; t++) sum += (double) dy[t * N + n];
      cr_assert_float_eq (db[n], sum, 2e-5);
      for (int k = 0; k < K; k++) {
        double want = (double) before[n * K + k];
        for (int t = 0; t < T; t++) want += (double) dy[t * N + n] * (double) x[t * K + k];
        cr_assert_float_eq (dw[n * K + k], want, 3e-5);
      }
    }
    cr_expect_eq (
        adamix_linear_backward_weight (backend, adamix_view_of (dy, T, N), adamix_view_of (x, T, K), NULL, NULL),
        ADAMIX_OK);
    free (dw), free (before), free (db);
  }
  free (dy), free (x);
}
