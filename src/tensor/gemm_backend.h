/* What a GEMM library has to offer to stand behind tensor.h.  All functions here run on the calling thread alone; the
 * loops over blocks, and so the threads, are the callers' (gemm.c, linear.c). */
#ifndef TENSOR_GEMM_BACKEND_H
#define TENSOR_GEMM_BACKEND_H

#include <adamix/tensor.h>

/* The right-hand operand of y [T,N] = x [T,K] B [K,N] + bias, in the backend's own layout, cut into `parts` column blocks
 * of `width`: a unit of work is ADAMIX_ROW_BLOCK rows by one column block or by all.  Backends embed it as their first
 * member. */
typedef struct adamix_packed {
  int64_t k, n, width, parts;
  bool transposed; /* what B is packed from: [N,K], else [K,N] */
  bool whole;      /* set by `create`: ADAMIX_ALL_PARTS may be asked for, with the same bits as part by part */
  adamix_dtype operand;
  int threads; /* at most so many run at once, numbered from 0 as in the outermost parallel region */
} adamix_packed;

#define ADAMIX_ALL_PARTS (-1) /* for a column block: whole rows of y */

struct adamix_gemm_backend {
  const char *name, *precision; /* as in --gemm and --precision */
  adamix_dtype operand;         /* of x and B where they are multiplied; y, bias and sums are fp32 */
  /* C = alpha op(A) op(B) + beta C with m, n, k > 0. */
  adamix_err (*multiply) (const adamix_gemm_args *args);
  /* `shape` is copied.  B and bias have no place yet. */
  adamix_err (*create) (adamix_packed **out, const adamix_packed *shape);
  /* Memory that B and bias take, the same in every process of a node. */
  size_t (*bytes) (const adamix_packed *packed);
  /* Let them lie in `memory`, aligned to ADAMIX_ALIGN, borrowed: filled before or after, by whoever shares it. */
  adamix_err (*place) (adamix_packed *packed, void *memory);
  /* B from `matrix`, row-major [K,N] or, if transposed, [N,K]; `bias` [N]. */
  adamix_err (*fill) (adamix_packed *packed, const float *matrix, const float *bias);
  /* Read the bias from `bias` [N] from here on, borrowed. */
  adamix_err (*set_bias) (adamix_packed *packed, float *bias);
  /* out[i] = x[i] rounded to the operand's dtype, i < n; NULL where that is fp32. */
  void (*narrow) (const adamix_packed *packed, int64_t n, const float *x, void *out);
  /* One unit: `rows` <= ADAMIX_ROW_BLOCK rows of x [.,K] (operand's dtype) and y [.,N], contiguous, against column block
   * `part`, or, where the packed operand is `whole`, ADAMIX_ALL_PARTS. */
  adamix_err (*run) (const adamix_packed *packed, int thread, int64_t part, int64_t rows, const void *x, float *y);
  void (*destroy) (adamix_packed *packed);
};

extern const adamix_gemm_backend adamix_gemm_onednn, adamix_gemm_onednn_bf16, adamix_gemm_blas;

/* The backend that multiplies in `precision` with the library of `gemm`: that one itself for "fp32".
 * Errors: EUNSUPPORTED, EUSAGE. */
adamix_err adamix_gemm_lower (const adamix_gemm_backend **out, const adamix_gemm_backend *gemm, const char *precision);

/* Does oneDNN multiply bf16 with the CPU's own instructions? */
bool adamix_gemm_onednn_has_bf16 (void);

/* OpenBLAS would start threads of its own under ours. */
void adamix_gemm_blas_one_thread (void);

#endif
