#include "tensor/gemm_backend.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct adamix_linear {
  const adamix_gemm_backend *backend;
  int64_t n, k;
  adamix_packed *forward;  /* K -> N, with bias */
  adamix_packed *backward; /* N -> K; NULL if it was not asked for */
  void *own;               /* memory of both; NULL: borrowed */
  float *bias;             /* [N] of forward; NULL: beside its weights */
};

/* Column blocks as measured (docs/speedlog.md): the packed block stays in the second-level cache, and few rows still give
 * work to every thread. */
#define LEAST_WIDTH    192
#define WIDTH_MULTIPLE 16

static int64_t
column_parts (int64_t n)
{
  for (int64_t parts = n / LEAST_WIDTH; parts > 1; parts--)
    if (n % (parts * WIDTH_MULTIPLE) == 0) return parts;
  return 1;
}

static adamix_packed
packed_shape (const adamix_gemm_backend *backend, int64_t k, int64_t n, bool transposed)
{
  int64_t parts = column_parts (n);
  return (adamix_packed){ .k = k,
                          .n = n,
                          .width = n / parts,
                          .parts = parts,
                          .transposed = transposed,
                          .operand = backend->operand,
                          .threads = omp_get_max_threads () };
}

static int64_t
source_rows (const adamix_linear_source *source)
{
  int64_t rows = 0;
  for (int i = 0; i < source->blocks; i++) rows += source->rows[i];
  return rows;
}

/* The blocks below each other, W [N,K]: in memory of *stacked (owned), or where the only one lies. */
static adamix_err
stack_weights (const adamix_linear_source *source, float **stacked, const float **weight)
{
  int64_t first = 0;
  *weight = source->weight[0];
  if (source->blocks == 1) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*stacked, source_rows (source) * source->cols));
  *weight = *stacked;
  for (int i = 0; i < source->blocks; i++) {
    int64_t count = source->rows[i] * source->cols;
    memcpy (*stacked + first, source->weight[i], (size_t) count * sizeof **stacked);
    first += count;
  }
  return ADAMIX_OK;
}

/* bias [N]; what is not there stays 0. */
static void
stack_biases (const adamix_linear_source *source, float *bias)
{
  for (int i = 0; i < source->blocks; bias += source->rows[i++])
    if (source->bias[i] != NULL) memcpy (bias, source->bias[i], (size_t) source->rows[i] * sizeof *bias);
}

adamix_err
adamix_linear_repack (adamix_linear *linear, const adamix_linear_source *source)
{
  adamix_err err = ADAMIX_OK;
  float *stacked = NULL, *bias = NULL, *zeros = NULL;
  const float *weight;
  if (source_rows (source) != linear->n || source->cols != linear->k)
    return adamix_err_set (ADAMIX_ESHAPE, "linear layer: weights of %lld x %lld where %lld x %lld were packed before",
                           (long long) source_rows (source), (long long) source->cols, (long long) linear->n,
                           (long long) linear->k);
  ADAMIX_TRY (stack_weights (source, &stacked, &weight));
  ADAMIX_TRY (ADAMIX_ALLOC (bias, linear->n));
  stack_biases (source, bias);
  ADAMIX_TRY (linear->backend->fill (linear->forward, weight, bias));
  if (linear->backward != NULL) {
    ADAMIX_TRY (ADAMIX_ALLOC (zeros, linear->k));
    ADAMIX_TRY (linear->backend->fill (linear->backward, weight, zeros));
  }
done:
  free (zeros);
  free (bias);
  free (stacked);
  return err;
}

adamix_err
adamix_linear_set_biases (adamix_linear *linear, const adamix_linear_source *source)
{
  ADAMIX_ASSERT (source_rows (source) == linear->n);
  if (!linear->bias) {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (linear->bias, linear->n));
    ADAMIX_RETURN_IF (linear->backend->set_bias (linear->forward, linear->bias));
  }
  stack_biases (source, linear->bias);
  return ADAMIX_OK;
}

adamix_err
adamix_linear_plan (adamix_linear **out, const adamix_gemm_backend *backend, int64_t n, int64_t k, bool backward)
{
  adamix_err err = ADAMIX_OK;
  adamix_linear *linear = NULL;
  if (n <= 0 || k <= 0)
    return adamix_err_set (ADAMIX_ESHAPE, "linear layer of %lld x %lld: both must be positive", (long long) n,
                           (long long) k);
  ADAMIX_TRY (ADAMIX_ALLOC (linear, 1));
  *linear = (adamix_linear){ .backend = backend, .n = n, .k = k };
  adamix_packed shape = packed_shape (backend, k, n, true);
  ADAMIX_TRY (backend->create (&linear->forward, &shape));
  shape = packed_shape (backend, n, k, false);
  if (backward) ADAMIX_TRY (backend->create (&linear->backward, &shape));
  *out = linear;
  linear = NULL;
done:
  adamix_linear_destroy (linear);
  return err;
}

static size_t
aligned_bytes (const adamix_linear *linear, const adamix_packed *packed)
{
  size_t bytes = packed ? linear->backend->bytes (packed) : 0;
  return (bytes + ADAMIX_ALIGN - 1) / ADAMIX_ALIGN * ADAMIX_ALIGN;
}

size_t
adamix_linear_bytes (const adamix_linear *linear)
{
  return aligned_bytes (linear, linear->forward) + aligned_bytes (linear, linear->backward);
}

adamix_err
adamix_linear_place (adamix_linear *linear, void *memory)
{
  ADAMIX_RETURN_IF (linear->backend->place (linear->forward, memory));
  if (linear->backward == NULL) return ADAMIX_OK;
  return linear->backend->place (linear->backward, (char *) memory + aligned_bytes (linear, linear->forward));
}

adamix_err
adamix_linear_create (adamix_linear **out, const adamix_gemm_backend *backend, const adamix_linear_source *source,
                      bool backward)
{
  adamix_err err = ADAMIX_OK;
  adamix_linear *linear = NULL;
  ADAMIX_TRY (adamix_linear_plan (&linear, backend, source_rows (source), source->cols, backward));
  ADAMIX_TRY (adamix_alloc (&linear->own, (int64_t) adamix_linear_bytes (linear), 1));
  ADAMIX_TRY (adamix_linear_place (linear, linear->own));
  ADAMIX_TRY (adamix_linear_repack (linear, source));
  *out = linear;
  linear = NULL;
done:
  adamix_linear_destroy (linear);
  return err;
}

void
adamix_linear_destroy (adamix_linear *linear)
{
  if (linear == NULL) return;
  linear->backend->destroy (linear->forward);
  linear->backend->destroy (linear->backward);
  free (linear->bias);
  free (linear->own);
  free (linear);
}

static adamix_err
check_operands (const adamix_packed *packed, adamix_view x, adamix_view y)
{
  bool fits = x.cols == packed->k && y.cols == packed->n && x.rows == y.rows;
  bool contiguous = x.stride == x.cols && y.stride == y.cols;
  if (fits && contiguous) return ADAMIX_OK;
  return adamix_err_set (
      ADAMIX_ESHAPE,
      "linear layer %lld -> %lld: x is [%lld,%lld] with stride %lld, y [%lld,%lld] with stride %lld; "
      "both must be contiguous with as many rows",
      (long long) packed->k, (long long) packed->n, (long long) x.rows, (long long) x.cols, (long long) x.stride,
      (long long) y.rows, (long long) y.cols, (long long) y.stride);
}

/* Inside of another parallel region the calling thread is alone, even where that region has no other one. */
static int
threads_of (const adamix_packed *packed)
{
  return omp_get_level () > 0 ? 1 : packed->threads;
}

/* x in the dtype that the backend multiplies: itself, or a rounded copy in `narrow`. */
static const char *
operand_of (const adamix_gemm_backend *backend, const adamix_packed *packed, adamix_view x, void *narrow)
{
  if (!backend->narrow) return (const char *) x.data;
  const size_t bytes = adamix_dtype_bytes (backend->operand);
#pragma omp parallel for schedule(static) num_threads(threads_of(packed))
  for (int64_t r = 0; r < x.rows; r++)
    backend->narrow (packed, x.cols, x.data + r * x.cols, (char *) narrow + (size_t) (r * x.cols) * bytes);
  return narrow;
}

/* Whole rows of y are written once and need no copy: taken where they leave the threads hardly idle. */
#define BUSY_ENOUGH 0.9

static bool
takes_whole_rows (const adamix_packed *packed, int64_t blocks)
{
  const int64_t threads = threads_of (packed), turns = (blocks + threads - 1) / threads;
  return (double) blocks >= BUSY_ENOUGH * (double) (turns * threads);
}

/* One row block against a column block or all. */
static adamix_err
run_unit (const adamix_gemm_backend *backend, const adamix_packed *packed, int64_t part, int64_t rows, const void *x,
          float *y)
{
  const int thread = omp_get_ancestor_thread_num (1);
  if (part != ADAMIX_ALL_PARTS || packed->whole) return backend->run (packed, thread, part, rows, x, y);
  for (int64_t p = 0; p < packed->parts; p++) ADAMIX_RETURN_IF (backend->run (packed, thread, p, rows, x, y));
  return ADAMIX_OK;
}

/* y = x B + bias by units of one row block and one column block or all; a column block's rows follow each other, so that
 * its weights stay in cache. */
static adamix_err
apply (const adamix_gemm_backend *backend, const adamix_packed *packed, adamix_view x, adamix_view y, void *narrow)
{
  ADAMIX_RETURN_IF (check_operands (packed, x, y));
  ADAMIX_ASSERT (narrow || !backend->narrow);
  int64_t blocks = (x.rows + ADAMIX_ROW_BLOCK - 1) / ADAMIX_ROW_BLOCK;
  const bool whole = takes_whole_rows (packed, blocks);
  const int64_t units = whole ? blocks : blocks * packed->parts;
  const char *operand = operand_of (backend, packed, x, narrow);
  const size_t row_bytes = (size_t) x.cols * adamix_dtype_bytes (backend->operand);
  int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(threads_of(packed))
  for (int64_t u = 0; u < units; u++) {
    int64_t part = whole ? ADAMIX_ALL_PARTS : u / blocks, first = u % blocks * ADAMIX_ROW_BLOCK;
    int64_t rows = x.rows - first < ADAMIX_ROW_BLOCK ? x.rows - first : ADAMIX_ROW_BLOCK;
    if (run_unit (backend, packed, part, rows, operand + (size_t) first * row_bytes, y.data + first * y.stride) !=
        ADAMIX_OK) {
#pragma omp atomic write
      failed = 1;
    }
  }
  if (failed)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "linear layer %lld -> %lld of %lld rows failed in %s",
                           (long long) packed->k, (long long) packed->n, (long long) x.rows, backend->name);
  return ADAMIX_OK;
}

size_t
adamix_gemm_narrow_bytes (const adamix_gemm_backend *backend, int64_t rows, int64_t cols)
{
  return backend->narrow ? (size_t) (rows * cols) * adamix_dtype_bytes (backend->operand) : 0;
}

adamix_err
adamix_linear_forward (const adamix_linear *linear, adamix_view x, adamix_view y, void *narrow)
{
  return apply (linear->backend, linear->forward, x, y, narrow);
}

adamix_err
adamix_linear_backward_input (const adamix_linear *linear, adamix_view dy, adamix_view dx, void *narrow)
{
  ADAMIX_ASSERT (linear->backward != NULL);
  return apply (linear->backend, linear->backward, dy, dx, narrow);
}

/* Columns that one thread sums: whole cache lines. */
#define SUM_COLUMNS 64

static void
add_column_sums (adamix_view dy, float *db)
{
  int64_t blocks = (dy.cols + SUM_COLUMNS - 1) / SUM_COLUMNS;
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < blocks; b++) {
    int64_t first = b * SUM_COLUMNS, width = dy.cols - first < SUM_COLUMNS ? dy.cols - first : SUM_COLUMNS;
    for (int64_t r = 0; r < dy.rows; r++) {
      const float *row = dy.data + r * dy.stride + first;
#pragma omp simd
      for (int64_t c = 0; c < width; c++) db[first + c] += row[c];
    }
  }
}

adamix_err
adamix_linear_backward_weight (const adamix_gemm_backend *backend, adamix_view dy, adamix_view x, float *dw, float *db)
{
  if (dy.rows != x.rows)
    return adamix_err_set (ADAMIX_ESHAPE, "weight gradient: dy has %lld rows, x %lld", (long long) dy.rows,
                           (long long) x.rows);
  if (db != NULL) add_column_sums (dy, db);
  if (dw == NULL) return ADAMIX_OK;
  return adamix_gemm (backend, &(adamix_gemm_args){ .trans_a = true,
                                                    .m = dy.cols,
                                                    .n = x.cols,
                                                    .k = dy.rows,
                                                    .alpha = 1.0f,
                                                    .a = dy.data,
                                                    .lda = dy.stride,
                                                    .b = x.data,
                                                    .ldb = x.stride,
                                                    .beta = 1.0f,
                                                    .c = dw,
                                                    .ldc = x.cols });
}
