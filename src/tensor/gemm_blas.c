#include "tensor/gemm_backend.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  adamix_packed shape;
  float *matrix, *bias; /* [K,N] or [N,K], [N]; borrowed */
} blas_packed;

/* OpenBLAS has it; other implementations follow OpenMP or run on one thread. */
extern void openblas_set_num_threads (int threads) __attribute__ ((weak));

void
adamix_gemm_blas_one_thread (void)
{
  if (openblas_set_num_threads != NULL) openblas_set_num_threads (1);
}

static adamix_err
multiply (const adamix_gemm_args *g)
{
  cblas_sgemm (CblasRowMajor, g->trans_a ? CblasTrans : CblasNoTrans, g->trans_b ? CblasTrans : CblasNoTrans,
               (int) g->m, (int) g->n, (int) g->k, g->alpha, g->a, (int) g->lda, g->b, (int) g->ldb, g->beta, g->c,
               (int) g->ldc);
  return ADAMIX_OK;
}

static void
destroy (adamix_packed *packed)
{
  free (packed);
}

static adamix_err
create (adamix_packed **out, const adamix_packed *shape)
{
  blas_packed *self;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (self, 1));
  self->shape = *shape;
  *out = &self->shape;
  return ADAMIX_OK;
}

static size_t
bytes (const adamix_packed *packed)
{
  return (size_t) ((packed->k + 1) * packed->n) * sizeof (float);
}

static adamix_err
place (adamix_packed *packed, void *memory)
{
  blas_packed *self = (blas_packed *) packed;
  self->matrix = memory;
  self->bias = self->matrix + packed->k * packed->n;
  return ADAMIX_OK;
}

static adamix_err
set_bias (adamix_packed *packed, float *bias)
{
  ((blas_packed *) packed)->bias = bias;
  return ADAMIX_OK;
}

static adamix_err
fill (adamix_packed *packed, const float *matrix, const float *bias)
{
  blas_packed *self = (blas_packed *) packed;
  memcpy (self->matrix, matrix, (size_t) (packed->k * packed->n) * sizeof *matrix);
  memcpy (self->bias, bias, (size_t) packed->n * sizeof *bias);
  return ADAMIX_OK;
}

static adamix_err
run (const adamix_packed *packed, int thread, int64_t part, int64_t rows, const void *x, float *y)
{
  (void) thread;
  const blas_packed *self = (const blas_packed *) packed;
  int64_t first = part * packed->width;
  for (int64_t r = 0; r < rows; r++)
    memcpy (y + r * packed->n + first, self->bias + first, (size_t) packed->width * sizeof *y);
  return multiply (&(adamix_gemm_args){ .trans_b = packed->transposed,
                                        .m = rows,
                                        .n = packed->width,
                                        .k = packed->k,
                                        .alpha = 1.0f,
                                        .a = x,
                                        .lda = packed->k,
                                        .b = self->matrix + (packed->transposed ? first * packed->k : first),
                                        .ldb = packed->transposed ? packed->k : packed->n,
                                        .beta = 1.0f,
                                        .c = y + first,
                                        .ldc = packed->n });
}

const adamix_gemm_backend adamix_gemm_blas = {
  .name = "blas",
  .precision = "fp32",
  .operand = ADAMIX_DTYPE_F32,
  .multiply = multiply,
  .create = create,
  .bytes = bytes,
  .place = place,
  .fill = fill,
  .set_bias = set_bias,
  .run = run,
  .destroy = destroy,
};
