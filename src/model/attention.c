#include "model/model_private.h"

#include <math.h>
#include <omp.h>

/* A task is one head of one sequence of one pass; heads run fastest, so that neighbours read the same rows. */
typedef struct task {
  adamix_attention_head head;
  int64_t row, col; /* where its block starts in a matrix of all rows of the batch */
  int64_t out_row;  /* and in one of the rows that are computed */
} task;

static task
task_of (const adamix_model *model, const adamix_workspace *workspace, const adamix_forward_args *args, int64_t layer,
         adamix_dropout base, int64_t number)
{
  const int64_t lanes = 16; /* rows of the kernel's matrix of probabilities are padded to a vector */
  const adamix_batch *batch = args->batch;
  int64_t H = model->config.hidden, N = model->config.heads, D = H / N;
  int64_t head = number % N, sequence = number / N % batch->sequences, pass = number / N / batch->sequences;
  int64_t n = batch->offset[sequence + 1] - batch->offset[sequence];
  int64_t row = pass * batch->tokens + batch->offset[sequence], col = head * D;
  const bool first_only = adamix_layer_rows (workspace, args, layer).row;
  const float *qkv = workspace->layer[layer].qkv + row * 3 * H + col;
  adamix_dropout dropout = adamix_dropout_row (base, batch, H, row);
  dropout.first_block = (uint32_t) head * adamix_dropout_blocks (n * ((n + lanes - 1) / lanes * lanes));
  return (task){ { .n = n,
                   .d = D,
                   .queries = first_only ? 1 : n,
                   .q = qkv,
                   .k = qkv + H,
                   .v = qkv + 2 * H,
                   .stride = 3 * H,
                   .scale = 1 / sqrtf ((float) D),
                   .dropout = dropout,
                   .scratch = workspace->scratch + omp_get_thread_num () * workspace->scratch_stride },
                 row,
                 col,
                 first_only ? pass * batch->sequences + sequence : row };
}

/* After `products` products of all queries with all keys. */
static void
lap (const adamix_model *model, const adamix_workspace *workspace, const adamix_forward_args *args, int64_t layer,
     int products)
{
  const adamix_batch *batch = args->batch;
  const bool first_only = adamix_layer_rows (workspace, args, layer).row;
  double pairs = 0;
  if (!model->compute->profile) return;
  for (int64_t s = 0; s < batch->sequences; ++s) {
    const double n = (double) (batch->offset[s + 1] - batch->offset[s]);
    pairs += first_only ? n : n * n;
  }
  adamix_profile_lap (model->compute->profile, ADAMIX_STAGE_ATTENTION,
                      2 * products * pairs * (double) (args->passes * model->config.hidden));
}

void
adamix_attention_forward (const adamix_model *model, const adamix_workspace *workspace, const adamix_forward_args *args,
                          int64_t layer, float *out)
{
  int64_t H = model->config.hidden, tasks = args->passes * args->batch->sequences * model->config.heads;
  const adamix_dropout base = adamix_dropout_of (args, 0, layer, ADAMIX_DROP_PROBABILITIES, 0);
#pragma omp parallel for schedule(dynamic) num_threads(workspace->threads)
  for (int64_t i = 0; i < tasks; ++i) {
    const task task = task_of (model, workspace, args, layer, base, i);
    model->compute->attention->forward (&task.head, out + task.out_row * H + task.col, H);
  }
  lap (model, workspace, args, layer, 2);
}

void
adamix_attention_backward (const adamix_model *model, const adamix_workspace *workspace,
                           const adamix_forward_args *args, int64_t layer, const float *dout, float *dqkv)
{
  int64_t H = model->config.hidden, tasks = args->passes * args->batch->sequences * model->config.heads;
  const adamix_dropout base = adamix_dropout_of (args, 0, layer, ADAMIX_DROP_PROBABILITIES, 0);
#pragma omp parallel for schedule(dynamic) num_threads(workspace->threads)
  for (int64_t i = 0; i < tasks; ++i) {
    const task task = task_of (model, workspace, args, layer, base, i);
    float *d = dqkv + task.row * 3 * H + task.col;
    model->compute->attention->backward (&task.head, dout + task.out_row * H + task.col, H, d, d + H, d + 2 * H, 3 * H);
  }
  lap (model, workspace, args, layer, 5);
}
