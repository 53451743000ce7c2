#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "tensor/gemm_backend.h"

#include <stdio.h>
#include <string.h>

/* Fastest first: what "auto" takes. */
static const adamix_gemm_backend *const BACKENDS[] = {
#ifdef HAVE_DNNL
  &adamix_gemm_onednn,
#endif
  &adamix_gemm_blas,
};
#define BACKENDS_COUNT (sizeof BACKENDS / sizeof *BACKENDS)

adamix_err
adamix_gemm_select (const adamix_gemm_backend **out, const char *name)
{
  if (name == NULL || strcmp (name, "auto") == 0) {
    *out = BACKENDS[0];
    return ADAMIX_OK;
  }
  for (size_t i = 0; i < BACKENDS_COUNT; i++)
    if (strcmp (name, BACKENDS[i]->name) == 0) {
      *out = BACKENDS[i];
      return ADAMIX_OK;
    }
  if (strcmp (name, "onednn") == 0)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "GEMM backend \"onednn\" is not in this build: use auto or blas");
  return adamix_err_set (ADAMIX_EUSAGE, "GEMM backend \"%s\" is unknown: use auto, onednn or blas", name);
}

const char *
adamix_gemm_name (const adamix_gemm_backend *backend)
{
  return backend->name;
}

const char *
adamix_gemm_precision (const adamix_gemm_backend *backend)
{
  return backend->precision;
}

adamix_err
adamix_gemm_lower (const adamix_gemm_backend **out, const adamix_gemm_backend *gemm, const char *precision)
{
  *out = gemm;
  if (strcmp (precision, gemm->precision) == 0) return ADAMIX_OK;
  if (strcmp (precision, "bf16") != 0)
    return adamix_err_set (ADAMIX_EUSAGE, "--precision: '%s' is not one of fp32|bf16", precision);
#ifdef HAVE_DNNL
  if (gemm == &adamix_gemm_onednn && adamix_gemm_onednn_has_bf16 ()) {
    *out = &adamix_gemm_onednn_bf16;
    return ADAMIX_OK;
  }
#endif
  const bool library = gemm == BACKENDS[0] && BACKENDS_COUNT > 1;
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "--precision bf16: %s%s has no bf16 GEMM; use --precision fp32",
                         library ? "this CPU" : "the GEMM backend ", library ? "" : gemm->name);
}

/* Blocks of C along its longer side: wide enough for the library to reach its rate, enough of them for the threads.
 * The choice looks at the shape alone, so results do not depend on the number of threads. */
#define SHORT_SIDE  256
#define SHORT_BLOCK 64
#define LONG_BLOCK  128
/* Below so many multiplications a parallel region costs more than it gives. */
#define PARALLEL_WORK 500000

/* The part of the product that computes rows (or columns) first .. first + size - 1 of C. */
static adamix_gemm_args
cut (const adamix_gemm_args *whole, bool by_rows, int64_t first, int64_t size)
{
  adamix_gemm_args part = *whole;
  if (by_rows) {
    part.m = size;
    part.a += whole->trans_a ? first : first * whole->lda;
    part.c += first * whole->ldc;
  } else {
    part.n = size;
    part.b += whole->trans_b ? first * whole->ldb : first;
    part.c += first;
  }
  return part;
}

/* Without an inner dimension only beta C is left. */
static void
scale_only (const adamix_gemm_args *args)
{
  for (int64_t r = 0; r < args->m; r++)
    for (int64_t c = 0; c < args->n; c++) {
      float *value = &args->c[r * args->ldc + c];
      *value = args->beta == 0.0f ? 0.0f : *value * args->beta;
    }
}

adamix_err
adamix_gemm (const adamix_gemm_backend *backend, const adamix_gemm_args *args)
{
  if (args->m <= 0 || args->n <= 0) return ADAMIX_OK;
  if (args->k <= 0) {
    scale_only (args);
    return ADAMIX_OK;
  }
  bool by_rows = args->m >= args->n;
  int64_t side = by_rows ? args->m : args->n, block = side <= SHORT_SIDE ? SHORT_BLOCK : LONG_BLOCK;
  int64_t blocks = (side + block - 1) / block;
  int64_t work = args->m * args->n * args->k;
  int failed = 0;
#pragma omp parallel for schedule(dynamic) if (work > PARALLEL_WORK)
  for (int64_t b = 0; b < blocks; b++) {
    int64_t first = b * block, size = side - first < block ? side - first : block;
    adamix_gemm_args part = cut (args, by_rows, first, size);
    if (backend->multiply (&part) != ADAMIX_OK) {
#pragma omp atomic write
      failed = 1;
    }
  }
  if (failed)
    return adamix_err_set (ADAMIX_ENOMEM, "GEMM %s of %lld x %lld x %lld failed: out of memory", backend->name,
                           (long long) args->m, (long long) args->n, (long long) args->k);
  return ADAMIX_OK;
}
