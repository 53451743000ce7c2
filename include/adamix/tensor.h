/* adamix/tensor.h - dtypes, matrix views, trainable parameters, GEMM behind a table of backends, element kernels chosen
 * at run time by the CPU.
 *
 * Matrices are row-major fp32.  Letters mean the same everywhere: T tokens (rows), H hidden, F FFN, N heads, D head
 * size, R bottleneck, K labels.  Functions are Local; inside, work is spread over OpenMP threads in blocks whose size does
 * not depend on the number of threads, so results do not either.                                                         */
#ifndef ADAMIX_TENSOR_H
#define ADAMIX_TENSOR_H

#include <adamix/comm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- dtypes ------------------------------------------------------------------------------------------------------ */

/* X (name, bytes, name in safetensors) */
#define ADAMIX_DTYPES(X)                                                                                               \
  X (F64, 8, "F64")                                                                                                    \
  X (F32, 4, "F32")                                                                                                    \
  X (F16, 2, "F16")                                                                                                    \
  X (BF16, 2, "BF16")                                                                                                  \
  X (I64, 8, "I64")                                                                                                    \
  X (I32, 4, "I32")                                                                                                    \
  X (I16, 2, "I16")                                                                                                    \
  X (I8, 1, "I8")                                                                                                      \
  X (U8, 1, "U8")                                                                                                      \
  X (BOOL, 1, "BOOL")

typedef enum adamix_dtype {
#define ADAMIX_DTYPE_ENUM(name, bytes, text) ADAMIX_DTYPE_##name,
  ADAMIX_DTYPES (ADAMIX_DTYPE_ENUM)
#undef ADAMIX_DTYPE_ENUM
      ADAMIX_DTYPE_COUNT
} adamix_dtype;

size_t adamix_dtype_bytes (adamix_dtype dtype);
const char *adamix_dtype_name (adamix_dtype dtype);

/* `count` values of F32, F16, BF16 or F64 (any alignment) to fp32.  Errors: EUNSUPPORTED for integers. */
adamix_err adamix_dtype_to_f32 (adamix_dtype dtype, const void *from, int64_t count, float *to);

/* ---- views ------------------------------------------------------------------------------------------------------- */

/* A matrix somebody else owns: element (r, c) is data[r * stride + c]. */
typedef struct adamix_view {
  float *data;
  int64_t rows, cols, stride;
} adamix_view;

static inline adamix_view
adamix_view_of (float *data, int64_t rows, int64_t cols)
{
  return (adamix_view){ data, rows, cols, cols };
}
/* Rows first .. first + rows - 1. */
static inline adamix_view
adamix_view_rows (adamix_view x, int64_t first, int64_t rows)
{
  return (adamix_view){ x.data + first * x.stride, rows, x.cols, x.stride };
}
/* Columns first .. first + cols - 1. */
static inline adamix_view
adamix_view_cols (adamix_view x, int64_t first, int64_t cols)
{
  return (adamix_view){ x.data + first, x.rows, cols, x.stride };
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

/* A trainable tensor.  Its values, gradient and "touched" flag lie in the set's contiguous arrays. */
typedef struct adamix_param {
  char *name; /* as in the stored files; owned */
  int rank;
  int64_t shape[2], count;
  int64_t offset;      /* into the set's values and gradients */
  float *value, *grad; /* [count], views into the set, NULL before adamix_params_allocate */
  float *touched;      /* one float: above 0 if anything was added to grad in this step */
  bool decay;          /* weight decay applies (weights; not biases) */
} adamix_param;

#define ADAMIX_PARAMS_RIDERS 8 /* at least */

/* Parameters whose gradients are summed over the same communicator: one array, so one all-reduce; the touched flags lie
 * behind the gradients and ride along. */
typedef struct adamix_params {
  adamix_param *row;
  int64_t rows, capacity;
  int64_t count; /* values of all rows, each row's start rounded up to 16 */
  float *values; /* [count] */
  float *grads;  /* [adamix_params_exchanged] */
  float *
      riders; /* the last ADAMIX_PARAMS_RIDERS + more_riders of grads: the step's own scalars, summed in the same all-reduce */
  int64_t more_riders; /* set before allocation */
} adamix_params;

/* Announce a tensor before allocation; its row index is *index.  `name` is copied.  Errors: ENOMEM. */
adamix_err adamix_params_add (adamix_params *params, const char *name, int rank, int64_t rows, int64_t cols, bool decay,
                              int64_t *index);
/* Allocate values and gradients (zeroed) once all rows are known.  Errors: ENOMEM. */
adamix_err adamix_params_allocate (adamix_params *params);
/* What adamix_params_allocate takes for the rows announced so far. */
size_t adamix_params_bytes (const adamix_params *params);
void adamix_params_zero_grads (adamix_params *params);
/* Values of grads: gradients, touched flags, riders. */
int64_t adamix_params_exchanged (const adamix_params *params);
/* The row called `name`, looked for from *next on, which moves behind it: sets list their rows in one order, so a whole
 * set is matched in one walk that starts at *next = 0.  View; NULL if there is none. */
const adamix_param *adamix_params_find (const adamix_params *params, const char *name, int64_t *next);
/* Give row `row` another name (copied): its place and values stay.  Errors: ENOMEM. */
adamix_err adamix_params_rename (adamix_params *params, int64_t row, const char *name);
void adamix_params_destroy (adamix_params *params);

/* ---- GEMM -------------------------------------------------------------------------------------------------------- */

typedef struct adamix_gemm_backend adamix_gemm_backend;

/* "auto" (the fastest that this machine has), "onednn" or "blas".  Errors: EUSAGE for another name, EUNSUPPORTED for one
 * that this build or CPU lacks; both name what there is. */
adamix_err adamix_gemm_select (const adamix_gemm_backend **out, const char *name);
const char *adamix_gemm_name (const adamix_gemm_backend *backend);
/* "fp32", or "bf16": x and W are rounded to bf16 (to nearest, ties to even), products summed in fp32. */
const char *adamix_gemm_precision (const adamix_gemm_backend *backend);

/* C [m,n] = alpha op(A) op(B) + beta C, row-major with leading dimensions; op is transposition where trans is set. */
typedef struct adamix_gemm_args {
  bool trans_a, trans_b;
  int64_t m, n, k;
  float alpha;
  const float *a;
  int64_t lda;
  const float *b;
  int64_t ldb;
  float beta;
  float *c;
  int64_t ldc;
} adamix_gemm_args;

/* Any shape, zero included.  The inner dimension is never split over threads.  Errors: ENOMEM. */
adamix_err adamix_gemm (const adamix_gemm_backend *backend, const adamix_gemm_args *args);

/* A linear layer with frozen weights: W [N,K] and its transpose, packed once for the backend, and a bias [N].
 * Rows of x and y are processed in fixed blocks; nothing is allocated or compiled after creation. */
typedef struct adamix_linear adamix_linear;

/* `blocks` matrices W_i [n_i, K] (row-major, K = cols) stand below each other (query, key, value in one GEMM).  bias may
 * hold NULL (zeros).  Source memory is not needed afterwards.  `backward` is false if no input gradient will be asked.
 * Errors: ENOMEM, EUNSUPPORTED. */
typedef struct adamix_linear_source {
  int blocks;
  const float *weight[3], *bias[3];
  int64_t rows[3], cols;
} adamix_linear_source;
adamix_err adamix_linear_create (adamix_linear **out, const adamix_gemm_backend *backend,
                                 const adamix_linear_source *source, bool backward);
/* The same in steps, for memory that processes share: plan the layer, ask how much its packed weights take (a multiple of
 * ADAMIX_ALIGN), let them lie in memory of the caller (aligned to ADAMIX_ALIGN, borrowed for life), and have one of the
 * processes pack them. */
adamix_err adamix_linear_plan (adamix_linear **out, const adamix_gemm_backend *backend, int64_t n, int64_t k,
                               bool backward);
size_t adamix_linear_bytes (const adamix_linear *linear);
adamix_err adamix_linear_place (adamix_linear *linear, void *memory);
/* Pack the weights: of a planned layer, or again after they changed (a trainable backbone). */
adamix_err adamix_linear_repack (adamix_linear *linear, const adamix_linear_source *source);
/* Take the biases alone, into memory of the layer's own: the weights, which may be shared, stay.  Errors: ENOMEM. */
adamix_err adamix_linear_set_biases (adamix_linear *linear, const adamix_linear_source *source);
void adamix_linear_destroy (adamix_linear *linear);

/* y [T,N] = x [T,K] W^T + b, by as many threads as OpenMP would take at creation; from inside a parallel
 * region of at most so many threads, on the calling one alone.
 * x and y are contiguous (stride = cols) and have room for rows rounded up to ADAMIX_ROW_BLOCK rows; the rows above T
 * may be overwritten with anything finite.  Errors: ESHAPE. */
#define ADAMIX_ROW_BLOCK 64
adamix_err adamix_linear_forward (const adamix_linear *linear, adamix_view x, adamix_view y, void *narrow);
/* dx [T,K] = dy [T,N] W. */
adamix_err adamix_linear_backward_input (const adamix_linear *linear, adamix_view dy, adamix_view dx, void *narrow);
/* Bytes of `narrow`, where the two above put a rounded copy of x [rows,cols]: 0, and NULL then does, for fp32. */
size_t adamix_gemm_narrow_bytes (const adamix_gemm_backend *backend, int64_t rows, int64_t cols);
/* dW [N,K] += dy^T x and db [N] += column sums of dy; either may be NULL. */
adamix_err adamix_linear_backward_weight (const adamix_gemm_backend *backend, adamix_view dy, adamix_view x, float *dw,
                                          float *db);

/* ---- element kernels ---------------------------------------------------------------------------------------------- */

/* Activations by their names in config.json: X (name, text). gelu is the erf form, gelu_new the tanh form. */
#define ADAMIX_ACTIVATIONS(X)                                                                                          \
  X (GELU, "gelu")                                                                                                     \
  X (GELU_NEW, "gelu_new")                                                                                             \
  X (RELU, "relu")                                                                                                     \
  X (SILU, "silu")                                                                                                     \
  X (TANH, "tanh")
typedef enum adamix_activation {
#define ADAMIX_ACTIVATION_ENUM(name, text) ADAMIX_ACTIVATION_##name,
  ADAMIX_ACTIVATIONS (ADAMIX_ACTIVATION_ENUM)
#undef ADAMIX_ACTIVATION_ENUM
      ADAMIX_ACTIVATION_COUNT
} adamix_activation;

/* The name in config.json; and the activation of a name or of one of its aliases ("swish", "gelu_fast", ...), false for an
 * unknown one.  Pure. */
const char *adamix_activation_name (adamix_activation activation);
bool adamix_activation_find (const char *name, adamix_activation *out);

/* Which elements of a row (or of an attention matrix) are dropped: 16 random bits of a counter each.  The element number
 * e = 128 c + 16 l + b draws lane l (word l / 2, lower half first) of philox (key, {first_block + 16 c + b, sample, step, place}).
 * keep = lane >= threshold; kept elements are multiplied by scale = 1 / (1 - threshold / 65536). */
typedef struct adamix_dropout {
  adamix_rng rng;
  uint32_t sample, step, place; /* place packs pass << 24 | layer << 8 | ADAMIX_DROP_... */
  uint32_t threshold;           /* round (65536 p); 0: nothing is dropped */
  float scale;
  uint32_t first_block; /* row of token t in a sequence: t * 16 * ceil (H / 128), so rows never share a block */
} adamix_dropout;

/* One attention head of one sequence: q, k, v [n,D] with row stride `stride`; scale = 1 / sqrt (D).
 * `scratch` has adamix_attention_scratch (n, D) floats of the calling thread's. */
typedef struct adamix_attention_head {
  int64_t n, d;
  int64_t queries; /* the first so many queries only; n: all */
  const float *q, *k, *v;
  int64_t stride;
  float scale;
  adamix_dropout dropout; /* element number i * n16 + j of query i, key j; n16 = n rounded up to 16 */
  float *scratch;
} adamix_attention_head;
size_t adamix_attention_scratch (int64_t n, int64_t d);

/* Attention with its products in one precision; all else is fp32. */
typedef struct adamix_attention_kernels {
  /* out [queries,D] (row stride out_stride) = dropout (softmax (scale q k^T)) v */
  void (*forward) (const adamix_attention_head *head, float *out, int64_t out_stride);
  /* dq, dk, dv [n,D] (row stride d_stride) from dout [queries,D]; dq of other queries is 0; everything else is computed
   * again. */
  void (*backward) (const adamix_attention_head *head, const float *dout, int64_t dout_stride, float *dq, float *dk,
                    float *dv, int64_t d_stride);
} adamix_attention_kernels;

/* The table of one instruction set.  Kernels are single-threaded; loops over rows and heads are the callers'. */
typedef struct adamix_kernels {
  const char *isa; /* "reference", "avx2", "avx512", "avx512_bf16" */
  /* y[i] = f (x[i]); dx[i] = dy[i] f'(x[i]).  May alias. */
  void (*activate[ADAMIX_ACTIVATION_COUNT]) (int64_t n, const float *x, float *y);
  void (*activate_backward[ADAMIX_ACTIVATION_COUNT]) (int64_t n, const float *x, const float *dy, float *dx);
  /* x[i] *= keep * scale, elements first_element.. must start at a multiple of 128; n any. */
  void (*dropout) (const adamix_dropout *dropout, int64_t n, float *x);
  /* One row: s = dropout (h) + skip; xhat = (s - mean s) rstd; y = gamma xhat + beta; rstd = 1/sqrt (var s + eps).
   * skip NULL is 0; xhat NULL is not stored; h, y may alias; dropout NULL: none. */
  void (*residual_norm) (int64_t H, const float *h, const float *skip, const adamix_dropout *dropout,
                         const float *gamma, const float *beta, float eps, float *y, float *xhat, float *rstd);
  /* One row: ds = LayerNorm backward of dy; dskip = ds; dh = ds through the same dropout.  dgamma, dbeta [H] are added
   * to unless NULL.  dh and dskip may alias dy, and each other only without dropout. */
  void (*residual_norm_backward) (int64_t H, const float *dy, const float *xhat, float rstd, const float *gamma,
                                  const adamix_dropout *dropout, float *dh, float *dskip, float *dgamma, float *dbeta);
  adamix_attention_kernels attention, attention_bf16;
  /* y[i] = x[i] rounded to bf16: to nearest, ties to even; a NaN stays one. */
  void (*to_bf16) (int64_t n, const float *x, uint16_t *y);
  /* y += a x; y = a x; sum of squares in fp64. */
  void (*axpy) (int64_t n, float a, const float *x, float *y);
  void (*scale) (int64_t n, float a, float *x);
  double (*sum_squares) (int64_t n, const float *x);
  /* out[c] += sum over rows r of x[r * stride + c] */
  void (*column_sums) (int64_t rows, int64_t cols, const float *x, int64_t stride, float *out);
  /* AdamW in transformers' former form, one pass (REFERENCE.md section 2): m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
   * p -= step_size m / (sqrt v + eps); p -= decay p;  g = grad_scale * grad, step_size and decay hold the learning rate */
  void (*adamw) (int64_t n, float *p, const float *grad, float grad_scale, float *m, float *v, double b1, double b2,
                 float eps, float step_size, float decay);
} adamix_kernels;

/* The best table for this CPU, or that named by `isa` ("auto" or NULL: best; "reference", "avx2", "avx512",
 * "avx512_bf16").
 * Errors: EUNSUPPORTED if this CPU lacks it, EUSAGE for an unknown name. */
adamix_err adamix_kernels_select (const adamix_kernels **out, const char *isa);

/* ---- profile ----------------------------------------------------------------------------------------------------- */

/* The kernels of a training step: X (name, key in JSON, text). */
#define ADAMIX_STAGES(X)                                                                                               \
  X (LINEAR, "frozen_linear", "frozen linear layers")                                                                  \
  X (ACTIVATION, "activation", "activation of the FFN")                                                                \
  X (ATTENTION, "attention", "attention")                                                                              \
  X (NORM, "norm", "dropout, residual, LayerNorm")                                                                     \
  X (MODULES, "modules", "modules")                                                                                    \
  X (EMBEDDINGS, "embeddings", "embeddings")                                                                           \
  X (HEAD, "head", "head and loss")
typedef enum adamix_stage {
#define ADAMIX_STAGE_ENUM(name, key, text) ADAMIX_STAGE_##name,
  ADAMIX_STAGES (ADAMIX_STAGE_ENUM)
#undef ADAMIX_STAGE_ENUM
      ADAMIX_STAGE_COUNT
} adamix_stage;

/* A stopwatch with a sum for each stage: each lap gives a stage the time since the lap before, so nothing is left out. */
typedef struct adamix_profile {
  double last; /* when the last lap ended */
  double seconds[ADAMIX_STAGE_COUNT];
  /* FLOP of matrix products, as they were executed; a multiplication and its addition are two. */
  double flops[ADAMIX_STAGE_COUNT];
} adamix_profile;

/* NULL: nothing is measured. */
void adamix_profile_begin (adamix_profile *profile);
void adamix_profile_lap (adamix_profile *profile, adamix_stage stage, double flops);
/* Of all stages, whole numbers, exact up to 2^53; NaN for NULL. */
double adamix_profile_flops (const adamix_profile *profile);

/* ---- compute ----------------------------------------------------------------------------------------------------- */

/* How tensors are computed in this process: handed down to model, adapt and train. */
typedef struct adamix_compute {
  const adamix_gemm_backend *gemm;   /* fp32 */
  const adamix_gemm_backend *frozen; /* of the backbone's linear layers: gemm, or that of a lower precision */
  const adamix_kernels *kernels;
  const adamix_attention_kernels *attention; /* of kernels, in the precision of frozen */
  int threads;
  adamix_profile *profile; /* borrowed; NULL: none is kept */
} adamix_compute;

/* threads 0: as many as OpenMP would take.  Sets the number of OpenMP threads, lets parallel regions inside of others run on
 * the thread that meets them, and keeps the BLAS single-threaded. */
adamix_err adamix_compute_select (adamix_compute *out, const char *gemm, const char *isa, int threads);
/* Let the frozen linear layers and attention multiply in "fp32" or "bf16".  Errors: EUNSUPPORTED where this CPU or `gemm`
 * has no bf16 GEMM, EUSAGE for another name; both name what there is. */
adamix_err adamix_compute_precision (adamix_compute *compute, const char *precision);
/* Both, on all ranks or on none, with the best kernels that the CPUs of all of them have: ranks that hold the same values
 * update them to the same bits on nodes of different kinds.  Collective over comm.  Errors: those of the two, EMPI. */
adamix_err adamix_compute_agree (adamix_compute *out, adamix_comm *comm, const char *gemm, const char *precision,
                                 const char *isa, int threads);

#ifdef __cplusplus
}
#endif
#endif
