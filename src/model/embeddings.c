#include "model/model_private.h"

#include <string.h>

/* Where tokens stand in their sequences, as the architecture counts. */
static void
number_positions (const adamix_model *model, const adamix_batch *batch, int32_t *position)
{
  const adamix_model_config *config = &model->config;
  bool follow_pad = model->architecture->positions_follow_pad;
  for (int64_t s = 0; s < batch->sequences; ++s) {
    int32_t next = (int32_t) config->first_position;
    for (int64_t t = batch->offset[s]; t < batch->offset[s + 1]; ++t)
      position[t] = follow_pad && batch->id[t] == config->pad ? (int32_t) config->pad : next++;
  }
}

/* The row of a table that a token takes. */
static const float *
table_row (const adamix_model *model, adamix_role role, int32_t index)
{
  return adamix_model_values (model, ADAMIX_OUTSIDE, role) + index * model->config.embedding;
}

/* y [E] = LayerNorm (word + position + type), once for all passes. */
static void
embed_token (const adamix_model *model, const adamix_workspace *workspace, const adamix_batch *batch, int64_t t,
             float *y)
{
  const adamix_kernels *kernels = model->compute->kernels;
  int64_t E = model->config.embedding;
  const float *word = table_row (model, ADAMIX_ROLE_WORD, batch->id[t]);
  const float *position = table_row (model, ADAMIX_ROLE_POSITION, workspace->position[t]);
  for (int64_t c = 0; c < E; ++c) y[c] = word[c] + position[c];
  if (model->config.types) kernels->axpy (E, 1, table_row (model, ADAMIX_ROLE_TYPE, batch->type[t]), y);
  float *xhat = workspace->embedding_xhat, *rstd = workspace->embedding_rstd;
  float unused;
  kernels->residual_norm (E, y, NULL, NULL, adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_EMBEDDING_GAMMA),
                          adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_EMBEDDING_BETA),
                          model->config.norm_eps, y, xhat ? xhat + t * E : NULL, rstd ? rstd + t : &unused);
}

/* y [rows,E], rows of all passes. */
static void
embed (const adamix_model *model, const adamix_workspace *workspace, const adamix_forward_args *args, float *y)
{
  const adamix_batch *batch = args->batch;
  int64_t E = model->config.embedding, T = batch->tokens;
  const adamix_dropout base = adamix_dropout_of (args, 0, 0, ADAMIX_DROP_EMBEDDINGS, 0);

#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t t = 0; t < T; ++t) {
    embed_token (model, workspace, batch, t, y + t * E);
    for (int64_t pass = 1; pass < args->passes; ++pass)
      memcpy (y + (pass * T + t) * E, y + t * E, (size_t) E * sizeof *y);
    for (int64_t pass = 0; pass < args->passes && base.threshold; ++pass) {
      const adamix_dropout dropout = adamix_dropout_row (base, batch, E, pass * T + t);
      model->compute->kernels->dropout (&dropout, E, y + (pass * T + t) * E);
    }
  }
}

adamix_err
adamix_embeddings_forward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                           float *y)
{
  int64_t rows = args->passes * args->batch->tokens;
  float *embedded = workspace->embedded ? workspace->embedded : y;
  number_positions (model, args->batch, workspace->position);
  embed (model, workspace, args, embedded);
  if (embedded == y) return ADAMIX_OK;
  int64_t H = model->config.hidden, E = model->config.embedding;
  ADAMIX_RETURN_IF (adamix_linear_forward (adamix_model_linear (model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_PROJECTION),
                                           adamix_view_of (embedded, rows, E), adamix_view_of (y, rows, H), NULL));
  adamix_linear_lap (model, ADAMIX_LINEAR_PROJECTION, rows, E, H);
  return ADAMIX_OK;
}

/* ---- backward ---------------------------------------------------------------------------------------------------------- */

/* workspace->gradient [rows,H] through the projection, if there is one: what is returned is [rows,E]. */
static adamix_err
project_backward (const adamix_model *model, adamix_workspace *workspace, int64_t rows, float **d)
{
  int64_t H = model->config.hidden, E = model->config.embedding;
  adamix_view dy = adamix_view_of (workspace->gradient, rows, H);
  *d = workspace->gradient;
  adamix_workspace_settle (model, workspace, rows);
  if (!workspace->embedded) return ADAMIX_OK;
  *d = workspace->dembedded;
  ADAMIX_RETURN_IF (adamix_linear_gradients (model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_PROJECTION, dy,
                                             adamix_view_of (workspace->embedded, rows, E)));
  ADAMIX_RETURN_IF (adamix_linear_backward_input (adamix_model_linear (model, ADAMIX_OUTSIDE, ADAMIX_LINEAR_PROJECTION),
                                                  dy, adamix_view_of (*d, rows, E), NULL));
  adamix_linear_lap (model, ADAMIX_LINEAR_PROJECTION, rows, E, H);
  return ADAMIX_OK;
}

/* The passes share what was embedded: their gradients, each through its own mask, meet in the rows of pass 0. */
static void
join_passes (const adamix_model *model, const adamix_forward_args *args, int64_t t, float *d)
{
  const adamix_kernels *kernels = model->compute->kernels;
  int64_t E = model->config.embedding, T = args->batch->tokens;
  const adamix_dropout base = adamix_dropout_of (args, 0, 0, ADAMIX_DROP_EMBEDDINGS, 0);
  for (int64_t pass = 0; pass < args->passes; ++pass) {
    int64_t r = pass * T + t;
    const adamix_dropout dropout = adamix_dropout_row (base, args->batch, E, r);
    if (base.threshold) kernels->dropout (&dropout, E, d + r * E);
    if (pass) kernels->axpy (E, 1, d + r * E, d + t * E);
  }
}

/* A table of embeddings in backward: the row of each token, and the one that never trains (padding), or -1. */
typedef struct table {
  float *gradient; /* NULL: frozen */
  const int32_t *index;
  int64_t padding;
} table;

/* gradient[index[t]] += d[t], for columns first .. first + cols - 1 and all tokens in order. */
static void
scatter (const table *table, const float *d, int64_t tokens, int64_t E, int64_t first, int64_t cols)
{
  for (int64_t t = 0; table->gradient && t < tokens; ++t) {
    float *row = table->gradient + table->index[t] * E + first;
    if (table->index[t] == table->padding) continue;
    for (int64_t c = 0; c < cols; ++c) row[c] += d[t * E + first + c];
  }
}

/* Threads take columns, not tokens: each sum is made in the order of the tokens, whatever their number. */
static void
scatter_all (const adamix_model *model, const adamix_workspace *workspace, const adamix_batch *batch)
{
  const adamix_model_config *config = &model->config;
  int64_t E = config->embedding, block = ADAMIX_ALIGN / sizeof (float);
  const table tables[] = {
    { adamix_model_gradient (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_WORD), batch->id, config->pad },
    { adamix_model_gradient (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_POSITION), workspace->position,
      model->architecture->positions_follow_pad ? config->pad : -1 },
    { adamix_model_gradient (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_TYPE), batch->type, -1 },
  };
#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t first = 0; first < E; first += block) {
    int64_t cols = first + block < E ? block : E - first;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; ++i)
      scatter (&tables[i], workspace->embedding_gradient, batch->tokens, E, first, cols);
  }
}

adamix_err
adamix_embeddings_backward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args)
{
  const adamix_kernels *kernels = model->compute->kernels;
  int64_t E = model->config.embedding, T = args->batch->tokens;
  const float *gamma = adamix_model_values (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_EMBEDDING_GAMMA);
  float *all = NULL;
  ADAMIX_RETURN_IF (project_backward (model, workspace, args->passes * T, &all));

#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t first = 0; first < T; first += ADAMIX_SUM_BLOCK) {
    float *sums = workspace->norm_sums + first / ADAMIX_SUM_BLOCK * 2 * E;
    int64_t end = first + ADAMIX_SUM_BLOCK < T ? first + ADAMIX_SUM_BLOCK : T;
    kernels->scale (2 * E, 0, sums);
    for (int64_t t = first; t < end; ++t) {
      float *d = all + t * E, *ds = workspace->embedding_gradient + t * E;
      join_passes (model, args, t, all);
      kernels->residual_norm_backward (E, d, workspace->embedding_xhat + t * E, workspace->embedding_rstd[t], gamma,
                                       NULL, ds, ds, sums, sums + E);
    }
  }
  const adamix_norm norm = {
    .model = model, .workspace = workspace, .layer = ADAMIX_OUTSIDE, .cols = E, .gamma = ADAMIX_ROLE_EMBEDDING_GAMMA
  };
  adamix_norm_collect (&norm, T);
  scatter_all (model, workspace, args->batch);
  return ADAMIX_OK;
}
