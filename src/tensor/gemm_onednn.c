/* oneDNN: one matmul primitive for each number of rows (4, 8, ... ADAMIX_ROW_BLOCK), shared by all column blocks;
 * weights reordered once into the layout that the primitive asks for; memory objects a thread, since they hold the
 * addresses of the call.
 * A column block is computed in a tile of its own and copied: where the rows of the result stand apart, oneDNN falls back
 * to kernels that pack the weights anew in every call, and that are wrong in fp32 for heights such as 8 and 12. */
#include "base/fault.h"
#include "tensor/gemm_backend.h"
#include "tensor/kernels.h"

#include <dnnl.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define ROW_STEP 4
#define HEIGHTS  (ADAMIX_ROW_BLOCK / ROW_STEP)

typedef struct {
  dnnl_stream_t stream;
  dnnl_memory_t x[HEIGHTS], y[HEIGHTS], scratchpad[HEIGHTS];
  void *scratch;
  float *tile; /* [ADAMIX_ROW_BLOCK, width]; NULL where one column block is all of y */
} thread_slot;

typedef struct {
  adamix_packed shape;
  const adamix_kernels *kernels;
  dnnl_engine_t engine;
  dnnl_primitive_t primitive[HEIGHTS];
  dnnl_memory_desc_t weight_format;
  size_t scratch_bytes;
  float *bias;                       /* [N] behind the weights, or set; borrowed */
  dnnl_memory_t *weight, *bias_part; /* [parts] */
  thread_slot *slot;                 /* [threads] */
} onednn_packed;

#define TRY_DNNL(call)                                                                                                 \
  do {                                                                                                                 \
    dnnl_status_t status_of_call = ADAMIX_FAULT (gemm) ? dnnl_out_of_memory : (call);                                  \
    if (status_of_call != dnnl_success) {                                                                              \
      err = failure (status_of_call, #call);                                                                           \
      goto done;                                                                                                       \
    }                                                                                                                  \
  } while (0)

static adamix_err
failure (dnnl_status_t status, const char *call)
{
  return adamix_err_set (status == dnnl_out_of_memory ? ADAMIX_ENOMEM : ADAMIX_EUNSUPPORTED,
                         "oneDNN: %.40s failed with status %d; use the blas backend", call, (int) status);
}

/* From a region of a single thread, which OpenMP does not count as one, oneDNN would start threads, new ones in each call. */
static adamix_err
multiply (const adamix_gemm_args *g)
{
  const int threads_before = omp_get_max_threads ();
  omp_set_num_threads (1);
  dnnl_status_t status = ADAMIX_FAULT (gemm)
                             ? dnnl_out_of_memory
                             : dnnl_sgemm (g->trans_a ? 'T' : 'N', g->trans_b ? 'T' : 'N', g->m, g->n, g->k, g->alpha,
                                           g->a, g->lda, g->b, g->ldb, g->beta, g->c, g->ldc);
  omp_set_num_threads (threads_before);
  return status == dnnl_success ? ADAMIX_OK : failure (status, "dnnl_sgemm");
}

static void
destroy_slot (thread_slot *slot)
{
  for (int h = 0; h < HEIGHTS; h++) {
    dnnl_memory_destroy (slot->x[h]);
    dnnl_memory_destroy (slot->y[h]);
    dnnl_memory_destroy (slot->scratchpad[h]);
  }
  if (slot->stream != NULL) dnnl_stream_destroy (slot->stream);
  free (slot->tile);
  free (slot->scratch);
}

static void
destroy (adamix_packed *packed)
{
  onednn_packed *self = (onednn_packed *) packed;
  if (self == NULL) return;
  for (int t = 0; self->slot != NULL && t < packed->threads; t++) destroy_slot (&self->slot[t]);
  for (int64_t p = 0; p < packed->parts; p++) {
    if (self->weight != NULL) dnnl_memory_destroy (self->weight[p]);
    if (self->bias_part != NULL) dnnl_memory_destroy (self->bias_part[p]);
  }
  for (int h = 0; h < HEIGHTS; h++)
    if (self->primitive[h] != NULL) dnnl_primitive_destroy (self->primitive[h]);
  if (self->engine != NULL) dnnl_engine_destroy (self->engine);
  free (self->slot);
  free (self->weight);
  free (self->bias_part);
  free (self);
}

static adamix_err
matrix_desc (dnnl_memory_desc_t *out, dnnl_data_type_t type, int64_t rows, int64_t cols, int64_t row_stride,
             int64_t col_stride)
{
  adamix_err err = ADAMIX_OK;
  dnnl_dims_t dims = { rows, cols }, strides = { row_stride, col_stride };
  TRY_DNNL (dnnl_memory_desc_init_by_strides (out, 2, dims, type, strides));
done:
  return err;
}

static dnnl_data_type_t
operand_of (const adamix_packed *shape)
{
  return shape->operand == ADAMIX_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* The primitive of one height.  The tallest comes first and chooses the layout of the weights; the others take it. */
static adamix_err
create_height (onednn_packed *self, int h)
{
  adamix_err err = ADAMIX_OK;
  const adamix_packed *shape = &self->shape;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_primitive_desc_t description = NULL;
  dnnl_matmul_desc_t matmul;
  dnnl_memory_desc_t x, y, bias;
  int64_t rows = (h + 1) * ROW_STEP;
  dnnl_dims_t weight_dims = { shape->k, shape->width };

  ADAMIX_TRY (matrix_desc (&x, operand_of (shape), rows, shape->k, shape->k, 1));
  ADAMIX_TRY (matrix_desc (&y, dnnl_f32, rows, shape->width, shape->width, 1));
  ADAMIX_TRY (matrix_desc (&bias, dnnl_f32, 1, shape->width, shape->width, 1));
  if (h == HEIGHTS - 1)
    TRY_DNNL (
        dnnl_memory_desc_init_by_tag (&self->weight_format, 2, weight_dims, operand_of (shape), dnnl_format_tag_any));
  TRY_DNNL (dnnl_primitive_attr_create (&attr));
  TRY_DNNL (dnnl_primitive_attr_set_scratchpad_mode (attr, dnnl_scratchpad_mode_user));
  TRY_DNNL (dnnl_matmul_desc_init (&matmul, &x, &self->weight_format, &bias, &y));
  TRY_DNNL (dnnl_primitive_desc_create (&description, &matmul, attr, self->engine, NULL));
  TRY_DNNL (dnnl_primitive_create (&self->primitive[h], description));
  self->weight_format = *dnnl_primitive_desc_query_md (description, dnnl_query_weights_md, 0);
  const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md (description, dnnl_query_scratchpad_md, 0);
  size_t bytes = dnnl_memory_desc_get_size (scratchpad);
  if (bytes > self->scratch_bytes) self->scratch_bytes = bytes;

  for (int t = 0; t < shape->threads; t++) {
    TRY_DNNL (dnnl_memory_create (&self->slot[t].x[h], &x, self->engine, DNNL_MEMORY_NONE));
    TRY_DNNL (dnnl_memory_create (&self->slot[t].y[h], &y, self->engine, DNNL_MEMORY_NONE));
    TRY_DNNL (dnnl_memory_create (&self->slot[t].scratchpad[h], scratchpad, self->engine, DNNL_MEMORY_NONE));
  }
done:
  if (description != NULL) dnnl_primitive_desc_destroy (description);
  if (attr != NULL) dnnl_primitive_attr_destroy (attr);
  return err;
}

static adamix_err
create_slots (onednn_packed *self)
{
  adamix_err err = ADAMIX_OK;
  for (int t = 0; t < self->shape.threads; t++) {
    thread_slot *slot = &self->slot[t];
    TRY_DNNL (dnnl_stream_create (&slot->stream, self->engine, dnnl_stream_default_flags));
    ADAMIX_TRY (adamix_alloc (&slot->scratch, (int64_t) self->scratch_bytes, 1));
    if (self->shape.parts > 1) ADAMIX_TRY (ADAMIX_ALLOC (slot->tile, ADAMIX_ROW_BLOCK * self->shape.width));
    for (int h = 0; h < HEIGHTS; h++) TRY_DNNL (dnnl_memory_set_data_handle (slot->scratchpad[h], slot->scratch));
  }
done:
  return err;
}

static adamix_err
create_parts (onednn_packed *self)
{
  adamix_err err = ADAMIX_OK;
  const adamix_packed *shape = &self->shape;
  dnnl_memory_desc_t bias;
  ADAMIX_TRY (matrix_desc (&bias, dnnl_f32, 1, shape->width, shape->width, 1));
  for (int64_t p = 0; p < shape->parts; p++) {
    TRY_DNNL (dnnl_memory_create (&self->weight[p], &self->weight_format, self->engine, DNNL_MEMORY_NONE));
    TRY_DNNL (dnnl_memory_create (&self->bias_part[p], &bias, self->engine, DNNL_MEMORY_NONE));
  }
done:
  return err;
}

/* Of a column block. */
static size_t
part_bytes (const onednn_packed *self)
{
  return (dnnl_memory_desc_get_size (&self->weight_format) + ADAMIX_ALIGN - 1) / ADAMIX_ALIGN * ADAMIX_ALIGN;
}

static size_t
bytes (const adamix_packed *packed)
{
  return (size_t) packed->parts * part_bytes ((const onednn_packed *) packed) + (size_t) packed->n * sizeof (float);
}

static adamix_err
set_bias (adamix_packed *packed, float *bias)
{
  adamix_err err = ADAMIX_OK;
  onednn_packed *self = (onednn_packed *) packed;
  self->bias = bias;
  for (int64_t p = 0; p < packed->parts; p++)
    TRY_DNNL (dnnl_memory_set_data_handle (self->bias_part[p], bias + p * packed->width));
done:
  return err;
}

static adamix_err
place (adamix_packed *packed, void *memory)
{
  adamix_err err = ADAMIX_OK;
  onednn_packed *self = (onednn_packed *) packed;
  const size_t size = part_bytes (self);
  for (int64_t p = 0; p < packed->parts; p++)
    TRY_DNNL (dnnl_memory_set_data_handle (self->weight[p], (char *) memory + (size_t) p * size));
  ADAMIX_TRY (set_bias (packed, (float *) ((char *) memory + (size_t) packed->parts * size)));
done:
  return err;
}

static adamix_err
create (adamix_packed **out, const adamix_packed *shape)
{
  adamix_err err = ADAMIX_OK;
  onednn_packed *self = NULL;
  int threads_before = omp_get_max_threads ();
  ADAMIX_TRY (ADAMIX_ALLOC (self, 1));
  self->shape = *shape;
  ADAMIX_TRY (adamix_kernels_select (&self->kernels, NULL));
  ADAMIX_TRY (ADAMIX_ALLOC (self->slot, shape->threads));
  ADAMIX_TRY (ADAMIX_ALLOC (self->weight, shape->parts));
  ADAMIX_TRY (ADAMIX_ALLOC (self->bias_part, shape->parts));
  TRY_DNNL (dnnl_engine_create (&self->engine, dnnl_cpu, 0));
  /* A primitive plans for the threads it sees when it is made: ours are single-threaded. */
  omp_set_num_threads (1);
  for (int h = HEIGHTS - 1; h >= 0; h--) ADAMIX_TRY (create_height (self, h));
  ADAMIX_TRY (create_slots (self));
  ADAMIX_TRY (create_parts (self));
  *out = &self->shape;
  self = NULL;
done:
  omp_set_num_threads (threads_before);
  destroy ((adamix_packed *) self);
  return err;
}

static adamix_err
fill (adamix_packed *packed, const float *matrix, const float *bias)
{
  adamix_err err = ADAMIX_OK;
  onednn_packed *self = (onednn_packed *) packed;
  dnnl_memory_desc_t plain;
  dnnl_memory_t from = NULL;
  dnnl_primitive_desc_t description = NULL;
  dnnl_primitive_t reorder = NULL;
  dnnl_stream_t stream = self->slot[0].stream;
  int64_t row_stride = packed->transposed ? 1 : packed->n, col_stride = packed->transposed ? packed->k : 1;

  for (int64_t c = 0; c < packed->n; c++) self->bias[c] = bias[c];
  ADAMIX_TRY (matrix_desc (&plain, dnnl_f32, packed->k, packed->width, row_stride, col_stride));
  TRY_DNNL (dnnl_memory_create (&from, &plain, self->engine, DNNL_MEMORY_NONE));
  TRY_DNNL (dnnl_reorder_primitive_desc_create (&description, &plain, self->engine, &self->weight_format, self->engine,
                                                NULL));
  TRY_DNNL (dnnl_primitive_create (&reorder, description));
  for (int64_t p = 0; p < packed->parts; p++) {
    TRY_DNNL (dnnl_memory_set_data_handle (from, (void *) (matrix + p * packed->width * col_stride)));
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, self->weight[p] } };
    TRY_DNNL (dnnl_primitive_execute (reorder, stream, 2, args));
  }
  TRY_DNNL (dnnl_stream_wait (stream));
done:
  if (reorder != NULL) dnnl_primitive_destroy (reorder);
  if (description != NULL) dnnl_primitive_desc_destroy (description);
  dnnl_memory_destroy (from);
  return err;
}

/* The same bits on every CPU: kernels of all sets round to nearest, ties to even. */
static void
narrow (const adamix_packed *packed, int64_t n, const float *x, void *out)
{
  ((const onednn_packed *) packed)->kernels->to_bf16 (n, x, out);
}

/* The tile to its place in y, rows of which are packed->n apart. */
static void
copy_tile (const adamix_packed *packed, int64_t part, int64_t rows, const float *tile, float *y)
{
  for (int64_t r = 0; r < rows; r++)
    memcpy (y + r * packed->n + part * packed->width, tile + r * packed->width, (size_t) packed->width * sizeof *y);
}

static adamix_err
run (const adamix_packed *packed, int thread, int64_t part, int64_t rows, const void *x, float *y)
{
  adamix_err err = ADAMIX_OK;
  const onednn_packed *self = (const onednn_packed *) packed;
  const thread_slot *slot = &self->slot[thread];
  int64_t h = (rows - 1) / ROW_STEP;
  TRY_DNNL (dnnl_memory_set_data_handle_v2 (slot->x[h], (void *) x, slot->stream));
  TRY_DNNL (dnnl_memory_set_data_handle_v2 (slot->y[h], slot->tile ? slot->tile : y, slot->stream));
  dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, slot->x[h] },
                             { DNNL_ARG_WEIGHTS, self->weight[part] },
                             { DNNL_ARG_BIAS, self->bias_part[part] },
                             { DNNL_ARG_DST, slot->y[h] },
                             { DNNL_ARG_SCRATCHPAD, slot->scratchpad[h] } };
  TRY_DNNL (dnnl_primitive_execute (self->primitive[h], slot->stream, sizeof args / sizeof *args, args));
  if (slot->tile) copy_tile (packed, part, rows, slot->tile, y);
done:
  return err;
}

bool
adamix_gemm_onednn_has_bf16 (void)
{
  return (dnnl_get_effective_cpu_isa () & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

#define ROW(type, text, narrowing)                                                                                     \
  {                                                                                                                    \
    .name = "onednn", .precision = text, .operand = type, .multiply = multiply, .create = create, .bytes = bytes,      \
    .place = place, .fill = fill, .set_bias = set_bias, .narrow = narrowing, .run = run, .destroy = destroy            \
  }
const adamix_gemm_backend adamix_gemm_onednn = ROW (ADAMIX_DTYPE_F32, "fp32", NULL);
const adamix_gemm_backend adamix_gemm_onednn_bf16 = ROW (ADAMIX_DTYPE_BF16, "bf16", narrow);
