#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

/* A linear layer whose weights belong to the head.  Its rows in the parameter set. */
typedef struct own_linear {
  int64_t outputs;
  int64_t weight_row, bias_row;
} own_linear;

struct adamix_head {
  const adamix_model *model; /* borrowed */
  const adamix_compute *compute;
  adamix_pool pool;
  adamix_head_row row; /* the architecture's; of no use for the mean */
  bool own_dense;
  int64_t max_rows;
  own_linear dense, output;
  adamix_params *params; /* borrowed; NULL before adamix_head_link */
  adamix_arena arena;
  float *first;            /* [rows,H] states of the first tokens, dropout included; own head only */
  float *pre;              /* [rows,H] dense before the activation; own head only */
  float *pooled;           /* [rows,H] what the output layer reads, dropout included */
  float *dpooled, *dfirst; /* [rows,H] */
  float *z;                /* [rows,K] */
};

static void
plan (adamix_head *head, adamix_arena *arena)
{
  int64_t block = ADAMIX_ROW_BLOCK, rows = (head->max_rows + block - 1) / block * block;
  int64_t values = rows * head->model->config.hidden;
  float **buffer[] = { &head->pooled, &head->dpooled, &head->first, &head->pre, &head->dfirst };
  int buffers = head->pool == ADAMIX_POOL_POOLER ? 5 : 2;
  for (int i = 0; i < buffers; ++i) *buffer[i] = adamix_arena_take (arena, values, sizeof (float));
  head->z = adamix_arena_take (arena, rows * head->output.outputs, sizeof (float));
}

adamix_err
adamix_head_create (adamix_head **out, const adamix_model *model, adamix_pool pool, int64_t outputs, int64_t max_rows)
{
  adamix_err err = ADAMIX_OK;
  adamix_head *head = NULL;
  *out = NULL;
  if (pool == ADAMIX_POOL_POOLER && !adamix_model_has_own_head (model))
    return adamix_err_set (ADAMIX_EUSAGE, "%s: the model has no pooler: choose --pool mean", model->weights.path);
  ADAMIX_TRY (ADAMIX_ALLOC (head, 1));
  head->model = model;
  head->compute = model->compute;
  head->pool = pool;
  head->row = model->architecture->head;
  head->own_dense = pool == ADAMIX_POOL_POOLER && head->row.trained;
  head->dense.outputs = model->config.hidden;
  head->output.outputs = outputs;
  head->max_rows = max_rows;
  adamix_arena measure = { 0 };
  plan (head, &measure);
  ADAMIX_TRY (adamix_arena_create (&head->arena, measure.used));
  plan (head, &head->arena);
  *out = head;
  head = NULL;
done:
  adamix_head_destroy (head);
  return err;
}

adamix_err
adamix_head_beside (adamix_head **out, const adamix_head *head)
{
  ADAMIX_RETURN_IF (adamix_head_create (out, head->model, head->pool, head->output.outputs, head->max_rows));
  (*out)->dense = head->dense;
  (*out)->output = head->output;
  (*out)->params = head->params;
  return ADAMIX_OK;
}

void
adamix_head_destroy (adamix_head *head)
{
  if (!head) return;
  adamix_arena_destroy (&head->arena);
  free (head);
}

bool
adamix_head_reads_first (const adamix_head *head)
{
  return head->pool == ADAMIX_POOL_POOLER;
}

int64_t
adamix_head_outputs (const adamix_head *head)
{
  return head->output.outputs;
}

int64_t
adamix_head_parameters (const adamix_head *head)
{
  int64_t inputs = head->model->config.hidden, outputs = head->output.outputs;
  if (head->own_dense) outputs += head->dense.outputs;
  return outputs * (inputs + 1);
}

size_t
adamix_head_bytes (const adamix_head *head)
{
  return head->arena.size;
}

static adamix_err
announce_linear (own_linear *linear, const char *name, int64_t inputs, adamix_params *params)
{
  adamix_err err = ADAMIX_OK;
  char *weight = NULL, *bias = NULL;
  ADAMIX_TRY (adamix_format (&weight, "%s.weight", name));
  ADAMIX_TRY (adamix_format (&bias, "%s.bias", name));
  ADAMIX_TRY (adamix_params_add (params, weight, 2, linear->outputs, inputs, true, &linear->weight_row));
  ADAMIX_TRY (adamix_params_add (params, bias, 1, linear->outputs, 1, false, &linear->bias_row));
done:
  free (bias);
  free (weight);
  return err;
}

adamix_err
adamix_head_announce (adamix_head *head, adamix_params *params)
{
  int64_t H = head->model->config.hidden;
  if (head->own_dense) ADAMIX_RETURN_IF (announce_linear (&head->dense, "head.dense", H, params));
  return announce_linear (&head->output, head->own_dense ? "head.out_proj" : "head", H, params);
}

void
adamix_head_link (adamix_head *head, adamix_params *params)
{
  head->params = params;
}

/* `which` keys the numbers: 0 is the output layer. */
static void
initialise_linear (const adamix_head *head, const own_linear *linear, uint32_t which, uint64_t seed)
{
  const double deviation = 0.02;
  const uint32_t no_layer = UINT32_MAX; /* word 0 holds the layer where modules are initialised */
  adamix_param *weight = &head->params->row[linear->weight_row], *bias = &head->params->row[linear->bias_row];
  adamix_rng_normal (adamix_rng_stream (seed, ADAMIX_RNG_INIT), no_layer, which, weight->count, deviation,
                     weight->value);
  memset (bias->value, 0, (size_t) bias->count * sizeof *bias->value);
}

void
adamix_head_initialise (adamix_head *head, uint64_t seed)
{
  initialise_linear (head, &head->output, 0, seed);
  if (head->own_dense) initialise_linear (head, &head->dense, 1, seed);
}

/* After a product of n rows with the head's own weights [outputs, H], as of adamix_linear_lap. */
static void
lap (const adamix_head *head, int64_t n, int64_t outputs)
{
  adamix_profile_lap (head->compute->profile, ADAMIX_STAGE_HEAD,
                      2 * (double) (n * head->model->config.hidden * outputs));
}

/* y [n, outputs] = x [n, H] W^T + b */
static adamix_err
own_forward (const adamix_head *head, const own_linear *linear, int64_t n, const float *x, float *y)
{
  int64_t H = head->model->config.hidden, K = linear->outputs;
  const float *bias = head->params->row[linear->bias_row].value;
  for (int64_t i = 0; i < n; ++i) memcpy (y + i * K, bias, (size_t) K * sizeof *bias);
  const adamix_gemm_args gemm = { .trans_b = true,
                                  .m = n,
                                  .n = K,
                                  .k = H,
                                  .alpha = 1,
                                  .a = x,
                                  .lda = H,
                                  .b = head->params->row[linear->weight_row].value,
                                  .ldb = H,
                                  .beta = 1,
                                  .c = y,
                                  .ldc = K };
  ADAMIX_RETURN_IF (adamix_gemm (head->compute->gemm, &gemm));
  lap (head, n, K);
  return ADAMIX_OK;
}

/* dW += dy^T x, db += column sums of dy; dx [n, H] = dy W unless it is NULL. */
static adamix_err
own_backward (const adamix_head *head, const own_linear *linear, adamix_view dy, float *x, float *dx)
{
  const adamix_gemm_backend *gemm = head->compute->gemm;
  int64_t H = head->model->config.hidden;
  adamix_param *weight = &head->params->row[linear->weight_row], *bias = &head->params->row[linear->bias_row];
  *weight->touched = *bias->touched = 1;
  ADAMIX_RETURN_IF (adamix_linear_backward_weight (gemm, dy, adamix_view_of (x, dy.rows, H), weight->grad, bias->grad));
  lap (head, dy.rows, linear->outputs);
  if (!dx) return ADAMIX_OK;
  const adamix_gemm_args args = { .m = dy.rows,
                                  .n = H,
                                  .k = linear->outputs,
                                  .alpha = 1,
                                  .a = dy.data,
                                  .lda = dy.stride,
                                  .b = weight->value,
                                  .ldb = H,
                                  .c = dx,
                                  .ldc = H };
  ADAMIX_RETURN_IF (adamix_gemm (gemm, &args));
  lap (head, dy.rows, linear->outputs);
  return ADAMIX_OK;
}

/* ---- forward and backward -------------------------------------------------------------------------------------------- */

/* Rows of one sequence in one pass. */
static adamix_view
sequence_rows (const adamix_batch *batch, adamix_view hidden, int64_t i)
{
  int64_t sequence = i % batch->sequences, pass = i / batch->sequences;
  int64_t first = batch->offset[sequence], end = batch->offset[sequence + 1];
  return adamix_view_rows (hidden, pass * batch->tokens + first, end - first);
}

/* The first row of sequence i % sequences in pass i / sequences; `hidden` may hold nothing but such rows. */
static float *
first_row (const adamix_batch *batch, adamix_view hidden, int64_t i, int64_t n)
{
  return hidden.rows == n ? hidden.data + i * hidden.stride : sequence_rows (batch, hidden, i).data;
}

static void
drop_rows (const adamix_head *head, const adamix_forward_args *args, adamix_drop drop, int64_t n, float *x)
{
  const adamix_batch *batch = args->batch;
  int64_t H = head->model->config.hidden;
  for (int64_t i = 0; i < n; ++i) {
    int64_t sample = batch->sample[i % batch->sequences];
    const adamix_dropout dropout = adamix_dropout_of (args, i / batch->sequences, 0, drop, sample);
    if (dropout.threshold) head->compute->kernels->dropout (&dropout, H, x + i * H);
  }
}

static void
pool_mean (const adamix_head *head, const adamix_batch *batch, adamix_view hidden, int64_t n)
{
  const adamix_kernels *kernels = head->compute->kernels;
  int64_t H = hidden.cols;
#pragma omp parallel for schedule(static) num_threads(head->compute->threads)
  for (int64_t i = 0; i < n; ++i) {
    adamix_view rows = sequence_rows (batch, hidden, i);
    float *y = head->pooled + i * H;
    memset (y, 0, (size_t) H * sizeof *y);
    kernels->column_sums (rows.rows, H, rows.data, rows.stride, y);
    kernels->scale (H, 1 / (float) rows.rows, y);
  }
}

static const adamix_linear *
pooler_of (const adamix_head *head)
{
  return adamix_model_linear (head->model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_POOLER);
}

static adamix_err
apply_pooler (const adamix_head *head, int64_t n)
{
  const int64_t H = head->model->config.hidden;
  ADAMIX_RETURN_IF (adamix_linear_forward (pooler_of (head), adamix_view_of (head->first, n, H),
                                           adamix_view_of (head->pre, n, H), NULL));
  adamix_linear_lap (head->model, ADAMIX_LINEAR_POOLER, n, H, H);
  return ADAMIX_OK;
}

static adamix_err
pool_first (const adamix_head *head, const adamix_forward_args *args, adamix_view hidden, int64_t n)
{
  int64_t H = hidden.cols;
  for (int64_t i = 0; i < n; ++i)
    memcpy (head->first + i * H, first_row (args->batch, hidden, i, n), (size_t) H * sizeof (float));
  if (head->row.drop_input) drop_rows (head, args, ADAMIX_DROP_HEAD_INPUT, n, head->first);
  if (head->own_dense)
    ADAMIX_RETURN_IF (own_forward (head, &head->dense, n, head->first, head->pre));
  else
    ADAMIX_RETURN_IF (apply_pooler (head, n));
  head->compute->kernels->activate[head->row.activation](n * H, head->pre, head->pooled);
  return ADAMIX_OK;
}

adamix_err
adamix_head_forward (adamix_head *head, const adamix_forward_args *args, adamix_view hidden, adamix_view *z)
{
  const adamix_batch *batch = args->batch;
  int64_t n = args->passes * batch->sequences;
  ADAMIX_ASSERT (n <= head->max_rows && head->params);
  *z = adamix_view_of (head->z, n, head->output.outputs);
  if (!n) return ADAMIX_OK;
  if (head->pool == ADAMIX_POOL_MEAN)
    pool_mean (head, batch, hidden, n);
  else
    ADAMIX_RETURN_IF (pool_first (head, args, hidden, n));
  drop_rows (head, args, ADAMIX_DROP_HEAD, n, head->pooled);
  return own_forward (head, &head->output, n, head->pooled, head->z);
}

static void
unpool_mean (const adamix_head *head, const adamix_batch *batch, adamix_view dhidden, int64_t n)
{
  int64_t H = dhidden.cols;
#pragma omp parallel for schedule(static) num_threads(head->compute->threads)
  for (int64_t i = 0; i < n; ++i) {
    adamix_view rows = sequence_rows (batch, dhidden, i);
    float part = 1 / (float) rows.rows;
    for (int64_t r = 0; r < rows.rows; ++r)
      head->compute->kernels->axpy (H, part, head->dpooled + i * H, rows.data + r * rows.stride);
  }
}

/* Gradients of dense; `dfirst` [n,H] unless it is NULL. */
static adamix_err
dense_backward (const adamix_head *head, adamix_view d, float *dfirst)
{
  int64_t n = d.rows, H = d.cols;
  if (head->own_dense) return own_backward (head, &head->dense, d, head->first, dfirst);
  ADAMIX_RETURN_IF (adamix_linear_gradients (head->model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_POOLER, d,
                                             adamix_view_of (head->first, n, H)));
  if (!dfirst) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_linear_backward_input (pooler_of (head), d, adamix_view_of (dfirst, n, H), NULL));
  adamix_linear_lap (head->model, ADAMIX_LINEAR_POOLER, n, H, H);
  return ADAMIX_OK;
}

static adamix_err
unpool_first (const adamix_head *head, const adamix_forward_args *args, adamix_view dhidden, int64_t n)
{
  int64_t H = head->model->config.hidden;
  adamix_view d = adamix_view_of (head->dpooled, n, H);
  float *dfirst = dhidden.data ? head->dfirst : NULL;
  head->compute->kernels->activate_backward[head->row.activation](n * H, head->pre, d.data, d.data);
  ADAMIX_RETURN_IF (dense_backward (head, d, dfirst));
  if (!dfirst) return ADAMIX_OK;
  if (head->row.drop_input) drop_rows (head, args, ADAMIX_DROP_HEAD_INPUT, n, dfirst);
  for (int64_t i = 0; i < n; ++i)
    memcpy (first_row (args->batch, dhidden, i, n), dfirst + i * H, (size_t) H * sizeof *dfirst);
  return ADAMIX_OK;
}

adamix_err
adamix_head_backward (adamix_head *head, const adamix_forward_args *args, adamix_view dz, adamix_view dhidden)
{
  bool first = head->pool == ADAMIX_POOL_POOLER, pooler_trains = head->model->trainable != ADAMIX_TRAIN_NONE;
  bool below = dhidden.data || (first && (head->own_dense || pooler_trains));
  if (!dz.rows) return ADAMIX_OK;
  ADAMIX_RETURN_IF (own_backward (head, &head->output, dz, head->pooled, below ? head->dpooled : NULL));
  if (!below) return ADAMIX_OK;
  drop_rows (head, args, ADAMIX_DROP_HEAD, dz.rows, head->dpooled);
  if (first) return unpool_first (head, args, dhidden, dz.rows);
  unpool_mean (head, args->batch, dhidden, dz.rows);
  return ADAMIX_OK;
}
