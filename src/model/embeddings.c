#include "model/model_private.h"

#include <string.h>

/* y = LayerNorm (word + position + type), once for all passes. */
static void
embed_token (const adamix_model *model, const adamix_workspace *workspace, const adamix_batch *batch, int64_t t,
             float *y)
{
  int64_t H = model->config.hidden;
  const float *word = adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_WORD) + batch->id[t] * H;
  const float *position = adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_POSITION) + batch->position[t] * H;
  const float *type = adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_TYPE) + batch->type[t] * H;
  for (int64_t c = 0; c < H; ++c) y[c] = word[c] + position[c] + type[c];
  float *xhat = workspace->embedding_xhat, *rstd = workspace->embedding_rstd;
  float unused;
  model->compute->kernels->residual_norm (
      H, y, NULL, NULL, adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_EMBEDDING_GAMMA),
      adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_EMBEDDING_BETA), model->config.norm_eps, y,
      xhat ? xhat + t * H : NULL, rstd ? rstd + t : &unused);
}

void
adamix_embeddings_forward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                           float *y)
{
  const adamix_batch *batch = args->batch;
  int64_t H = model->config.hidden, T = batch->tokens;
  const adamix_dropout base = adamix_dropout_of (args, 0, 0, ADAMIX_DROP_EMBEDDINGS, 0);

#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t t = 0; t < T; ++t) {
    embed_token (model, workspace, batch, t, y + t * H);
    for (int64_t pass = 1; pass < args->passes; ++pass)
      memcpy (y + (pass * T + t) * H, y + t * H, (size_t) H * sizeof *y);
    for (int64_t pass = 0; pass < args->passes && base.threshold; ++pass) {
      const adamix_dropout dropout = adamix_dropout_row (base, batch, H, pass * T + t);
      model->compute->kernels->dropout (&dropout, H, y + (pass * T + t) * H);
    }
  }
}

/* The passes share what was embedded: their gradients, each through its own mask, meet in the rows of pass 0. */
static void
join_passes (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args, int64_t t)
{
  const adamix_kernels *kernels = model->compute->kernels;
  int64_t H = model->config.hidden, T = args->batch->tokens;
  const adamix_dropout base = adamix_dropout_of (args, 0, 0, ADAMIX_DROP_EMBEDDINGS, 0);
  for (int64_t pass = 0; pass < args->passes; ++pass) {
    int64_t r = pass * T + t;
    float *d = workspace->gradient + r * H;
    if (workspace->pending) kernels->axpy (H, 1, workspace->dense + r * H, d);
    const adamix_dropout dropout = adamix_dropout_row (base, args->batch, H, r);
    if (base.threshold) kernels->dropout (&dropout, H, d);
    if (pass) kernels->axpy (H, 1, d, workspace->gradient + t * H);
  }
}

/* table[index[t]] += d[t], for columns first .. first + cols - 1 and all tokens in order. */
static void
scatter (const adamix_workspace *workspace, int64_t tokens, const int32_t *index, int64_t first, int64_t cols,
         float *table)
{
  int64_t H = workspace->hidden;
  for (int64_t t = 0; table && t < tokens; ++t) {
    const float *d = workspace->embedding_gradient + t * H + first;
    float *row = table + index[t] * H + first;
    for (int64_t c = 0; c < cols; ++c) row[c] += d[c];
  }
}

/* Threads take columns, not tokens: each sum is made in the order of the tokens, whatever their number. */
static void
scatter_all (const adamix_model *model, const adamix_workspace *workspace, const adamix_batch *batch)
{
  int64_t H = model->config.hidden, T = batch->tokens, block = ADAMIX_ALIGN / sizeof (float);
  float *word = adamix_model_gradient (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_WORD);
  float *position = adamix_model_gradient (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_POSITION);
  float *type = adamix_model_gradient (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_TYPE);
#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t first = 0; first < H; first += block) {
    int64_t cols = first + block < H ? block : H - first;
    scatter (workspace, T, batch->id, first, cols, word);
    scatter (workspace, T, batch->position, first, cols, position);
    scatter (workspace, T, batch->type, first, cols, type);
  }
}

void
adamix_embeddings_backward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args)
{
  const adamix_kernels *kernels = model->compute->kernels;
  int64_t H = model->config.hidden, T = args->batch->tokens;
  const float *gamma = adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_EMBEDDING_GAMMA);

#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t first = 0; first < T; first += ADAMIX_SUM_BLOCK) {
    float *sums = workspace->norm_sums + first / ADAMIX_SUM_BLOCK * 2 * H;
    int64_t end = first + ADAMIX_SUM_BLOCK < T ? first + ADAMIX_SUM_BLOCK : T;
    kernels->scale (2 * H, 0, sums);
    for (int64_t t = first; t < end; ++t) {
      float *d = workspace->gradient + t * H, *ds = workspace->embedding_gradient + t * H;
      join_passes (model, workspace, args, t);
      kernels->residual_norm_backward (H, d, workspace->embedding_xhat + t * H, workspace->embedding_rstd[t], gamma,
                                       NULL, ds, ds, sums, sums + H);
    }
  }
  workspace->pending = false;
  const adamix_norm norm = {
    .model = model, .workspace = workspace, .layer = ADAMIX_OUTSIDE, .gamma = ADAMIX_ROLE_EMBEDDING_GAMMA
  };
  adamix_norm_collect (&norm, T);
  scatter_all (model, workspace, args->batch);
}
