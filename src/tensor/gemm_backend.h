/* What a GEMM library has to offer to stand behind tensor.h.  All functions here run on the calling thread alone; the
 * loops over blocks, and so the threads, are the callers' (gemm.c, linear.c). */
#ifndef TENSOR_GEMM_BACKEND_H
#define TENSOR_GEMM_BACKEND_H

#include <adamix/tensor.h>

/* The right-hand operand of y [T,N] = x [T,K] B [K,N] + bias, in the backend's own layout, cut into `parts` column blocks
 * of `width`: a unit of work is ADAMIX_ROW_BLOCK rows by one column block.  Backends embed it as their first member. */
typedef struct adamix_packed {
  int64_t k, n, width, parts;
  bool transposed; /* what B is packed from: [N,K], else [K,N] */
  int threads;     /* at most so many run at once, numbered from 0 */
} adamix_packed;

struct adamix_gemm_backend {
  const char *name;
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
  /* One unit: `rows` <= ADAMIX_ROW_BLOCK rows of x [.,K] and y [.,N], contiguous, against column block `part`. */
  adamix_err (*run) (const adamix_packed *packed, int thread, int64_t part, int64_t rows, const float *x, float *y);
  void (*destroy) (adamix_packed *packed);
};

extern const adamix_gemm_backend adamix_gemm_onednn, adamix_gemm_blas;

/* OpenBLAS would start threads of its own under ours. */
void adamix_gemm_blas_one_thread (void);

#endif
