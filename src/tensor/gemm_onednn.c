/* oneDNN: one matmul primitive for each number of rows (4, 8, ... ADAMIX_ROW_BLOCK) and cut of the columns: a block of
 * them, the same for all blocks, or all; weights reordered once into the layout that the primitive asks for; memory objects
 * a thread, since they hold the addresses of the call.
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

enum { BLOCK, ALL, CUTS };

/* What the primitive of one height and cut reads and writes, of a thread. */
typedef struct {
  dnnl_memory_t x, y, scratchpad;
} operands;

typedef struct {
  dnnl_stream_t stream;
  operands of[CUTS][HEIGHTS];
  void *scratch;
  float *tile; /* [ADAMIX_ROW_BLOCK, width] */
} thread_slot;

/* Columns cut into `count` blocks of `width`. */
typedef struct cut {
  int64_t width, count;
  dnnl_primitive_t primitive[HEIGHTS];
  dnnl_memory_desc_t weight_format; /* of a block */
  dnnl_memory_t *weight, *bias;     /* [count] */
} cut;

typedef struct {
  adamix_packed shape;
  const adamix_kernels *kernels;
  dnnl_engine_t engine;
  cut cut[CUTS];
  size_t scratch_bytes;
  float *bias;       /* [N] behind the weights, or set; borrowed */
  thread_slot *slot; /* [threads] */
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
  for (int i = 0; i < CUTS * HEIGHTS; i++) {
    operands *of = &slot->of[i / HEIGHTS][i % HEIGHTS];
    dnnl_memory_destroy (of->x);
    dnnl_memory_destroy (of->y);
    dnnl_memory_destroy (of->scratchpad);
  }
  if (slot->stream != NULL) dnnl_stream_destroy (slot->stream);
  free (slot->tile);
  free (slot->scratch);
}

static void
destroy_cut (cut *cut)
{
  for (int64_t i = 0; i < cut->count; i++) {
    if (cut->weight != NULL) dnnl_memory_destroy (cut->weight[i]);
    if (cut->bias != NULL) dnnl_memory_destroy (cut->bias[i]);
  }
  for (int h = 0; h < HEIGHTS; h++)
    if (cut->primitive[h] != NULL) dnnl_primitive_destroy (cut->primitive[h]);
  free (cut->weight);
  free (cut->bias);
}

static void
destroy (adamix_packed *packed)
{
  onednn_packed *self = (onednn_packed *) packed;
  if (self == NULL) return;
  for (int t = 0; self->slot != NULL && t < packed->threads; t++) destroy_slot (&self->slot[t]);
  for (int c = 0; c < CUTS; c++) destroy_cut (&self->cut[c]);
  if (self->engine != NULL) dnnl_engine_destroy (self->engine);
  free (self->slot);
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

/* The primitive of one height. */
static adamix_err
create_height (onednn_packed *self, int c, int h)
{
  adamix_err err = ADAMIX_OK;
  const adamix_packed *shape = &self->shape;
  cut *cut = &self->cut[c];
  dnnl_primitive_attr_t attr = NULL;
  dnnl_primitive_desc_t description = NULL;
  dnnl_matmul_desc_t matmul;
  dnnl_memory_desc_t x, y, bias;
  int64_t rows = (h + 1) * ROW_STEP;

  ADAMIX_TRY (matrix_desc (&x, operand_of (shape), rows, shape->k, shape->k, 1));
  ADAMIX_TRY (matrix_desc (&y, dnnl_f32, rows, cut->width, cut->width, 1));
  ADAMIX_TRY (matrix_desc (&bias, dnnl_f32, 1, cut->width, cut->width, 1));
  TRY_DNNL (dnnl_primitive_attr_create (&attr));
  TRY_DNNL (dnnl_primitive_attr_set_scratchpad_mode (attr, dnnl_scratchpad_mode_user));
  TRY_DNNL (dnnl_matmul_desc_init (&matmul, &x, &cut->weight_format, &bias, &y));
  TRY_DNNL (dnnl_primitive_desc_create (&description, &matmul, attr, self->engine, NULL));
  TRY_DNNL (dnnl_primitive_create (&cut->primitive[h], description));
  cut->weight_format = *dnnl_primitive_desc_query_md (description, dnnl_query_weights_md, 0);
  const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md (description, dnnl_query_scratchpad_md, 0);
  size_t bytes = dnnl_memory_desc_get_size (scratchpad);
  if (bytes > self->scratch_bytes) self->scratch_bytes = bytes;

  for (int t = 0; t < shape->threads; t++) {
    operands *of = &self->slot[t].of[c][h];
    TRY_DNNL (dnnl_memory_create (&of->x, &x, self->engine, DNNL_MEMORY_NONE));
    TRY_DNNL (dnnl_memory_create (&of->y, &y, self->engine, DNNL_MEMORY_NONE));
    TRY_DNNL (dnnl_memory_create (&of->scratchpad, scratchpad, self->engine, DNNL_MEMORY_NONE));
  }
done:
  if (description != NULL) dnnl_primitive_desc_destroy (description);
  if (attr != NULL) dnnl_primitive_attr_destroy (attr);
  return err;
}

/* Columns cut into `count` blocks, weights in the layout that the tallest primitive chooses. */
static adamix_err
start_cut (onednn_packed *self, int c, int64_t count)
{
  adamix_err err = ADAMIX_OK;
  cut *cut = &self->cut[c];
  *cut = (struct cut){ .width = self->shape.n / count, .count = count };
  dnnl_dims_t dims = { self->shape.k, cut->width };
  TRY_DNNL (
      dnnl_memory_desc_init_by_tag (&cut->weight_format, 2, dims, operand_of (&self->shape), dnnl_format_tag_any));
done:
  return err;
}

/* The other primitives, which take the layout of the tallest, and the memory of the blocks. */
static adamix_err
finish_cut (onednn_packed *self, int c)
{
  adamix_err err = ADAMIX_OK;
  cut *cut = &self->cut[c];
  dnnl_memory_desc_t bias;
  for (int h = HEIGHTS - 1; h >= 0; h--)
    if (cut->primitive[h] == NULL) ADAMIX_TRY (create_height (self, c, h));
  ADAMIX_TRY (ADAMIX_ALLOC (cut->weight, cut->count));
  ADAMIX_TRY (ADAMIX_ALLOC (cut->bias, cut->count));
  ADAMIX_TRY (matrix_desc (&bias, dnnl_f32, 1, cut->width, cut->width, 1));
  for (int64_t i = 0; i < cut->count; i++) {
    TRY_DNNL (dnnl_memory_create (&cut->weight[i], &cut->weight_format, self->engine, DNNL_MEMORY_NONE));
    TRY_DNNL (dnnl_memory_create (&cut->bias[i], &bias, self->engine, DNNL_MEMORY_NONE));
  }
done:
  return err;
}

/* Of a block. */
static size_t
block_bytes (const cut *cut)
{
  return (dnnl_memory_desc_get_size (&cut->weight_format) + ADAMIX_ALIGN - 1) / ADAMIX_ALIGN * ADAMIX_ALIGN;
}

/* The layout of a block whose columns lie together in `all`; false where they do not, since rows are outermost. */
static bool
block_of (const cut *all, int64_t width, dnnl_memory_desc_t *block)
{
  const dnnl_blocking_desc_t *blocking = &all->weight_format.format_desc.blocking;
  dnnl_dim_t columns = 1;
  *block = all->weight_format;
  for (int i = 0; i < blocking->inner_nblks; i++)
    if (blocking->inner_idxs[i] == 1) columns *= blocking->inner_blks[i];
  block->dims[1] = block->padded_dims[1] = width;
  return blocking->strides[1] > blocking->strides[0] && width % columns == 0 &&
         dnnl_memory_desc_get_size (block) % ADAMIX_ALIGN == 0;
}

/* All columns at once where a layout serves both cuts, so that the blocks' weights behind each other are those of all; blocks
 * where that is not so or several threads may share few rows.  Which layout it is depends on the shape and the CPU alone:
 * other processes read it too. */
static adamix_err
create_cuts (onednn_packed *self)
{
  adamix_err err = ADAMIX_OK;
  cut *block = &self->cut[BLOCK], *all = &self->cut[ALL];
  dnnl_memory_desc_t format;
  ADAMIX_TRY (start_cut (self, BLOCK, self->shape.parts));
  if (self->shape.parts > 1) {
    ADAMIX_TRY (start_cut (self, ALL, 1));
    ADAMIX_TRY (create_height (self, ALL, HEIGHTS - 1));
    self->shape.whole = block_of (all, block->width, &format);
  }
  if (self->shape.whole) {
    block->weight_format = format;
    ADAMIX_TRY (finish_cut (self, ALL));
  }
  if (!self->shape.whole || self->shape.threads > 1) ADAMIX_TRY (finish_cut (self, BLOCK));
done:
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
    if (self->shape.parts > 1 && self->cut[BLOCK].weight)
      ADAMIX_TRY (ADAMIX_ALLOC (slot->tile, ADAMIX_ROW_BLOCK * self->shape.width));
    for (int i = 0; i < CUTS * HEIGHTS; i++) {
      dnnl_memory_t scratchpad = slot->of[i / HEIGHTS][i % HEIGHTS].scratchpad;
      if (scratchpad != NULL) TRY_DNNL (dnnl_memory_set_data_handle (scratchpad, slot->scratch));
    }
  }
done:
  return err;
}

static size_t
bytes (const adamix_packed *packed)
{
  const cut *block = &((const onednn_packed *) packed)->cut[BLOCK];
  return (size_t) packed->parts * block_bytes (block) + (size_t) packed->n * sizeof (float);
}

static adamix_err
set_bias (adamix_packed *packed, float *bias)
{
  adamix_err err = ADAMIX_OK;
  onednn_packed *self = (onednn_packed *) packed;
  self->bias = bias;
  for (const cut *cut = self->cut; cut < self->cut + CUTS; cut++)
    for (int64_t i = 0; cut->bias != NULL && i < cut->count; i++)
      TRY_DNNL (dnnl_memory_set_data_handle (cut->bias[i], bias + i * cut->width));
done:
  return err;
}

static adamix_err
place (adamix_packed *packed, void *memory)
{
  adamix_err err = ADAMIX_OK;
  onednn_packed *self = (onednn_packed *) packed;
  for (const cut *cut = self->cut; cut < self->cut + CUTS; cut++)
    for (int64_t i = 0; cut->weight != NULL && i < cut->count; i++)
      TRY_DNNL (dnnl_memory_set_data_handle (cut->weight[i], (char *) memory + (size_t) i * block_bytes (cut)));
  ADAMIX_TRY (set_bias (packed, (float *) ((char *) memory + bytes (packed)) - packed->n));
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
  TRY_DNNL (dnnl_engine_create (&self->engine, dnnl_cpu, 0));
  /* A primitive plans for the threads it sees when it is made: ours are single-threaded. */
  omp_set_num_threads (1);
  ADAMIX_TRY (create_cuts (self));
  ADAMIX_TRY (create_slots (self));
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
  const cut *cut = &self->cut[self->shape.whole ? ALL : BLOCK];
  dnnl_memory_desc_t plain;
  dnnl_memory_t from = NULL;
  dnnl_primitive_desc_t description = NULL;
  dnnl_primitive_t reorder = NULL;
  dnnl_stream_t stream = self->slot[0].stream;
  int64_t row_stride = packed->transposed ? 1 : packed->n, col_stride = packed->transposed ? packed->k : 1;

  for (int64_t c = 0; c < packed->n; c++) self->bias[c] = bias[c];
  ADAMIX_TRY (matrix_desc (&plain, dnnl_f32, packed->k, cut->width, row_stride, col_stride));
  TRY_DNNL (dnnl_memory_create (&from, &plain, self->engine, DNNL_MEMORY_NONE));
  TRY_DNNL (
      dnnl_reorder_primitive_desc_create (&description, &plain, self->engine, &cut->weight_format, self->engine, NULL));
  TRY_DNNL (dnnl_primitive_create (&reorder, description));
  for (int64_t i = 0; i < cut->count; i++) {
    TRY_DNNL (dnnl_memory_set_data_handle (from, (void *) (matrix + i * cut->width * col_stride)));
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, cut->weight[i] } };
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

/* Block i of a cut to y, rows side by side. */
static adamix_err
execute (const onednn_packed *self, int thread, int c, int64_t i, int64_t rows, const void *x, float *y)
{
  adamix_err err = ADAMIX_OK;
  const cut *cut = &self->cut[c];
  const int64_t h = (rows - 1) / ROW_STEP;
  const operands *of = &self->slot[thread].of[c][h];
  dnnl_stream_t stream = self->slot[thread].stream;
  TRY_DNNL (dnnl_memory_set_data_handle_v2 (of->x, (void *) x, stream));
  TRY_DNNL (dnnl_memory_set_data_handle_v2 (of->y, y, stream));
  dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, of->x },
                             { DNNL_ARG_WEIGHTS, cut->weight[i] },
                             { DNNL_ARG_BIAS, cut->bias[i] },
                             { DNNL_ARG_DST, of->y },
                             { DNNL_ARG_SCRATCHPAD, of->scratchpad } };
  TRY_DNNL (dnnl_primitive_execute (cut->primitive[h], stream, sizeof args / sizeof *args, args));
done:
  return err;
}

static adamix_err
run (const adamix_packed *packed, int thread, int64_t part, int64_t rows, const void *x, float *y)
{
  const onednn_packed *self = (const onednn_packed *) packed;
  float *tile = self->slot[thread].tile;
  if (part == ADAMIX_ALL_PARTS) return execute (self, thread, ALL, 0, rows, x, y);
  ADAMIX_RETURN_IF (execute (self, thread, BLOCK, part, rows, x, tile ? tile : y));
  if (tile) copy_tile (packed, part, rows, tile, y);
  return ADAMIX_OK;
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
