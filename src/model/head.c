#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

struct adamix_head {
  const adamix_model *model; /* borrowed */
  const adamix_compute *compute;
  adamix_pool pool;
  int64_t outputs, max_rows;
  int64_t weight_row, bias_row;
  adamix_params *params; /* borrowed; NULL before adamix_head_link */
  adamix_arena arena;
  float *first;            /* [rows,H] states of the first tokens; pooler only */
  float *dense;            /* [rows,H] pooler before tanh; pooler only */
  float *pooled;           /* [rows,H] what the linear layer reads, dropout included */
  float *dpooled, *dfirst; /* [rows,H] */
  float *z;                /* [rows,K] */
};

static void
plan (adamix_head *head, adamix_arena *arena)
{
  int64_t block = ADAMIX_ROW_BLOCK, rows = (head->max_rows + block - 1) / block * block;
  int64_t values = rows * head->model->config.hidden;
  float **buffer[] = { &head->pooled, &head->dpooled, &head->first, &head->dense, &head->dfirst };
  int buffers = head->pool == ADAMIX_POOL_POOLER ? 5 : 2;
  for (int i = 0; i < buffers; ++i) *buffer[i] = adamix_arena_take (arena, values, sizeof (float));
  head->z = adamix_arena_take (arena, rows * head->outputs, sizeof (float));
}

adamix_err
adamix_head_create (adamix_head **out, const adamix_model *model, adamix_pool pool, int64_t outputs, int64_t max_rows)
{
  adamix_err err = ADAMIX_OK;
  adamix_head *head = NULL;
  *out = NULL;
  if (pool == ADAMIX_POOL_POOLER && !adamix_model_has_pooler (model))
    return adamix_err_set (ADAMIX_EUSAGE, "%s: the model has no pooler: choose --pool mean", model->file.path);
  ADAMIX_TRY (ADAMIX_ALLOC (head, 1));
  head->model = model;
  head->compute = model->compute;
  head->pool = pool;
  head->outputs = outputs;
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

void
adamix_head_destroy (adamix_head *head)
{
  if (!head) return;
  adamix_arena_destroy (&head->arena);
  free (head);
}

int64_t
adamix_head_outputs (const adamix_head *head)
{
  return head->outputs;
}

adamix_err
adamix_head_announce (adamix_head *head, adamix_params *params)
{
  int64_t K = head->outputs, H = head->model->config.hidden;
  ADAMIX_RETURN_IF (adamix_params_add (params, "head.weight", 2, K, H, true, &head->weight_row));
  return adamix_params_add (params, "head.bias", 1, K, 1, false, &head->bias_row);
}

void
adamix_head_link (adamix_head *head, adamix_params *params)
{
  head->params = params;
}

void
adamix_head_initialise (adamix_head *head, uint64_t seed)
{
  const double deviation = 0.02;
  const uint32_t no_layer = UINT32_MAX; /* word 0 holds the layer where modules are initialised */
  adamix_param *weight = &head->params->row[head->weight_row], *bias = &head->params->row[head->bias_row];
  adamix_rng_normal (adamix_rng_stream (seed, ADAMIX_RNG_INIT), no_layer, 0, weight->count, deviation, weight->value);
  memset (bias->value, 0, (size_t) bias->count * sizeof *bias->value);
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

static void
drop_row (const adamix_head *head, const adamix_forward_args *args, int64_t i, float *x)
{
  const adamix_batch *batch = args->batch;
  int64_t sample = batch->sample[i % batch->sequences];
  const adamix_dropout dropout = adamix_dropout_of (args, i / batch->sequences, 0, ADAMIX_DROP_HEAD, sample);
  if (dropout.threshold) head->compute->kernels->dropout (&dropout, head->model->config.hidden, x);
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

static adamix_err
pool_first (const adamix_head *head, const adamix_batch *batch, adamix_view hidden, int64_t n)
{
  int64_t H = hidden.cols;
  for (int64_t i = 0; i < n; ++i)
    memcpy (head->first + i * H, sequence_rows (batch, hidden, i).data, (size_t) H * sizeof (float));
  ADAMIX_RETURN_IF (adamix_linear_forward (adamix_model_linear (head->model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_POOLER),
                                           adamix_view_of (head->first, n, H), adamix_view_of (head->dense, n, H)));
  head->compute->kernels->activate[ADAMIX_ACTIVATION_TANH](n * H, head->dense, head->pooled);
  return ADAMIX_OK;
}

adamix_err
adamix_head_forward (adamix_head *head, const adamix_forward_args *args, adamix_view hidden, adamix_view *z)
{
  const adamix_batch *batch = args->batch;
  int64_t n = args->passes * batch->sequences, H = hidden.cols, K = head->outputs;
  ADAMIX_ASSERT (n <= head->max_rows && head->params);
  *z = adamix_view_of (head->z, n, K);
  if (!n) return ADAMIX_OK;
  if (head->pool == ADAMIX_POOL_MEAN)
    pool_mean (head, batch, hidden, n);
  else
    ADAMIX_RETURN_IF (pool_first (head, batch, hidden, n));

  const float *bias = head->params->row[head->bias_row].value;
  for (int64_t i = 0; i < n; ++i) {
    drop_row (head, args, i, head->pooled + i * H);
    memcpy (head->z + i * K, bias, (size_t) K * sizeof *bias);
  }
  const adamix_gemm_args gemm = { .trans_b = true,
                                  .m = n,
                                  .n = K,
                                  .k = H,
                                  .alpha = 1,
                                  .a = head->pooled,
                                  .lda = H,
                                  .b = head->params->row[head->weight_row].value,
                                  .ldb = H,
                                  .beta = 1,
                                  .c = head->z,
                                  .ldc = K };
  return adamix_gemm (head->compute->gemm, &gemm);
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

static adamix_err
unpool_first (const adamix_head *head, const adamix_batch *batch, adamix_view dhidden, int64_t n)
{
  const adamix_model *model = head->model;
  int64_t H = model->config.hidden;
  adamix_view d = adamix_view_of (head->dpooled, n, H), dfirst = adamix_view_of (head->dfirst, n, H);
  head->compute->kernels->activate_backward[ADAMIX_ACTIVATION_TANH](n * H, head->dense, d.data, d.data);
  ADAMIX_RETURN_IF (
      adamix_linear_gradients (model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_POOLER, d, adamix_view_of (head->first, n, H)));
  if (!dhidden.data) return ADAMIX_OK;
  ADAMIX_RETURN_IF (
      adamix_linear_backward_input (adamix_model_linear (model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_POOLER), d, dfirst));
  for (int64_t i = 0; i < n; ++i)
    memcpy (sequence_rows (batch, dhidden, i).data, dfirst.data + i * H, (size_t) H * sizeof (float));
  return ADAMIX_OK;
}

static adamix_err
linear_backward (adamix_head *head, adamix_view dz)
{
  const adamix_gemm_backend *gemm = head->compute->gemm;
  int64_t H = head->model->config.hidden, K = head->outputs;
  adamix_param *weight = &head->params->row[head->weight_row], *bias = &head->params->row[head->bias_row];
  adamix_view pooled = adamix_view_of (head->pooled, dz.rows, H);
  *weight->touched = *bias->touched = 1;
  ADAMIX_RETURN_IF (adamix_linear_backward_weight (gemm, dz, pooled, weight->grad, bias->grad));
  const adamix_gemm_args args = { .m = dz.rows,
                                  .n = H,
                                  .k = K,
                                  .alpha = 1,
                                  .a = dz.data,
                                  .lda = dz.stride,
                                  .b = weight->value,
                                  .ldb = H,
                                  .c = head->dpooled,
                                  .ldc = H };
  return adamix_gemm (gemm, &args);
}

adamix_err
adamix_head_backward (adamix_head *head, const adamix_forward_args *args, adamix_view dz, adamix_view dhidden)
{
  int64_t H = head->model->config.hidden;
  bool pooler_trains = head->pool == ADAMIX_POOL_POOLER && head->model->trainable != ADAMIX_TRAIN_NONE;
  if (!dz.rows) return ADAMIX_OK;
  ADAMIX_RETURN_IF (linear_backward (head, dz));
  if (!dhidden.data && !pooler_trains) return ADAMIX_OK;
  for (int64_t i = 0; i < dz.rows; ++i) drop_row (head, args, i, head->dpooled + i * H);
  if (head->pool == ADAMIX_POOL_POOLER) return unpool_first (head, args->batch, dhidden, dz.rows);
  unpool_mean (head, args->batch, dhidden, dz.rows);
  return ADAMIX_OK;
}
