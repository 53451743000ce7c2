#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

/* What the backward pass will need of a layer. */
typedef struct needs {
  bool attention; /* its attention is differentiated, since something below trains or a module beside query or value */
  bool upper;     /* its second LayerNorm is */
  bool lower;     /* and all down to its first LayerNorm */
} needs;

static needs
needs_of (const adamix_workspace *workspace, int64_t layer)
{
  const adamix_workspace_size *size = &workspace->size;
  if (!size->backward) return (needs){ false, false, false };
  const bool whole = workspace->backbone_trains || layer > size->lowest_layer;
  const bool upper = whole || layer == size->lowest_layer;
  const bool attention = whole || (upper && (size->places & ADAMIX_PLACES_LINEAR));
  const bool after = size->places & ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION);
  return (needs){ attention, upper, attention || (upper && after) };
}

/* A buffer of the layer's own, or the one that all layers share. */
static float *
own_or (adamix_arena *arena, bool own, float *shared, int64_t rows, int64_t cols)
{
  return own ? adamix_arena_take (arena, rows * cols, sizeof (float)) : shared;
}

bool
adamix_workspace_recomputes (const adamix_workspace *workspace, int64_t layer)
{
  const int64_t last = workspace->layers - 1;
  return layer < last && layer >= last - workspace->size.recomputed;
}

static void
plan_layer (adamix_workspace *workspace, adamix_arena *arena, const adamix_model_config *config, int64_t layer)
{
  const adamix_workspace_size *size = &workspace->size;
  adamix_layer_buffers *buffers = &workspace->layer[layer];
  int64_t rows = workspace->rows, H = config->hidden;
  needs need = needs_of (workspace, layer);
  bool keep = workspace->keep_inputs;
  const bool beside = need.attention && (size->places & ADAMIX_PLACES_LINEAR);
  if (adamix_workspace_recomputes (workspace, layer)) {
    buffers->input = own_or (arena, true, NULL, rows, H);
    return;
  }
  buffers->input = own_or (arena, keep || beside, workspace->x, rows, H);
  buffers->context = own_or (arena, keep, workspace->y, rows, H);
  buffers->middle = own_or (arena, keep, workspace->y, rows, H);
  buffers->qkv = own_or (arena, need.attention, workspace->wide, rows, 3 * H);
  buffers->attention = own_or (arena, need.upper && (size->places & ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION)),
                               workspace->dense, rows, H);
  buffers->pre = own_or (arena, need.lower, workspace->wide, rows, config->ffn);
  buffers->ffn =
      own_or (arena, need.upper && (size->places & ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN)), workspace->dense, rows, H);
  bool kept[2] = { need.lower, need.upper };
  for (int i = 0; i < 2; ++i) {
    buffers->norm_xhat[i] = own_or (arena, kept[i], NULL, rows, H);
    buffers->norm_rstd[i] = own_or (arena, kept[i], workspace->rstd, rows, 1);
  }
}

/* A layer that is computed again lives in the buffers of the last one, whose backward has been by then. */
static void
lend_buffers (adamix_workspace *workspace)
{
  for (int64_t layer = 0; layer < workspace->layers; ++layer) {
    adamix_layer_buffers *buffers = &workspace->layer[layer];
    if (!adamix_workspace_recomputes (workspace, layer)) continue;
    float *input = buffers->input;
    *buffers = workspace->layer[workspace->layers - 1];
    buffers->input = input;
  }
}

/* Walked twice: on a measuring arena, then on the real one. */
static void
plan (adamix_workspace *workspace, adamix_arena *arena, const adamix_model *model)
{
  const adamix_model_config *config = &model->config;
  const adamix_workspace_size *size = &workspace->size;
  int64_t rows = workspace->rows, H = config->hidden, E = config->embedding, L = config->layers;
  int64_t width = config->ffn > 3 * H ? config->ffn : 3 * H;
  workspace->x = adamix_arena_take (arena, rows * H, sizeof (float));
  workspace->y = adamix_arena_take (arena, rows * H, sizeof (float));
  workspace->dense = adamix_arena_take (arena, rows * H, sizeof (float));
  workspace->wide = adamix_arena_take (arena, rows * width, sizeof (float));
  const size_t narrow = adamix_gemm_narrow_bytes (model->compute->frozen, rows, width);
  workspace->narrow = narrow ? adamix_arena_take (arena, (int64_t) narrow, 1) : NULL;
  workspace->rstd = adamix_arena_take (arena, rows, sizeof (float));
  workspace->scratch = adamix_arena_take (arena, workspace->scratch_stride * workspace->threads, sizeof (float));
  workspace->gradient = own_or (arena, size->backward, NULL, rows, H);
  bool trains = workspace->backbone_trains, projects = adamix_model_projects (model);
  workspace->position = adamix_arena_take (arena, rows, sizeof *workspace->position);
  workspace->first = adamix_arena_take (arena, size->passes * size->sequences, sizeof *workspace->first);
  workspace->embedded = own_or (arena, projects, NULL, rows, E);
  workspace->dembedded = own_or (arena, projects && trains, NULL, rows, E);
  workspace->norm_sums = own_or (arena, trains, NULL, rows / ADAMIX_SUM_BLOCK, 2 * (E > H ? E : H));
  workspace->embedding_xhat = own_or (arena, trains, NULL, rows, E);
  workspace->embedding_rstd = own_or (arena, trains, NULL, rows, 1);
  workspace->embedding_gradient = own_or (arena, trains, NULL, rows, E);
  for (int64_t layer = 0; layer < L; ++layer) plan_layer (workspace, arena, config, layer);
  lend_buffers (workspace);
  workspace->layer[L].input = own_or (arena, workspace->keep_inputs, workspace->x, rows, H);
}

/* All but the memory of the buffers. */
static adamix_err
prepare (adamix_workspace *workspace, const adamix_model *model, const adamix_workspace_size *size)
{
  const adamix_model_config *config = &model->config;
  workspace->size = *size;
  workspace->threads = size->threads ? size->threads : model->compute->threads;
  workspace->hidden = config->hidden;
  workspace->layers = config->layers;
  int64_t rows = size->passes * size->tokens, block = ADAMIX_ROW_BLOCK;
  workspace->rows = (rows + block - 1) / block * block;
  workspace->backbone_trains = size->backward && size->weight_gradients && model->trainable != ADAMIX_TRAIN_NONE;
  workspace->keep_inputs = workspace->backbone_trains && model->trainable == ADAMIX_TRAIN_ALL;
  ADAMIX_ASSERT (size->recomputed >= 0 && size->recomputed <= adamix_workspace_recomputable (model, size));
  int64_t line = ADAMIX_ALIGN / sizeof (float);
  int64_t scratch = (int64_t) adamix_attention_scratch (size->longest, config->hidden / config->heads);
  workspace->scratch_stride = (scratch + line - 1) / line * line; /* threads never share a cache line */
  return ADAMIX_ALLOC (workspace->layer, config->layers + 1);
}

int64_t
adamix_workspace_recomputable (const adamix_model *model, const adamix_workspace_size *size)
{
  const bool trains = size->weight_gradients && model->trainable != ADAMIX_TRAIN_NONE;
  return size->backward ? model->config.layers - 1 - (trains ? 0 : size->lowest_layer) : 0;
}

adamix_err
adamix_workspace_measure (size_t *bytes, const adamix_model *model, const adamix_workspace_size *size)
{
  adamix_workspace workspace = { 0 };
  adamix_arena measure = { 0 };
  ADAMIX_RETURN_IF (prepare (&workspace, model, size));
  plan (&workspace, &measure, model);
  *bytes = measure.used;
  free (workspace.layer);
  return ADAMIX_OK;
}

adamix_err
adamix_workspace_create (adamix_workspace **out, const adamix_model *model, const adamix_workspace_size *size)
{
  adamix_err err = ADAMIX_OK;
  adamix_workspace *workspace = NULL;
  size_t bytes;
  *out = NULL;
  ADAMIX_TRY (adamix_workspace_measure (&bytes, model, size));
  ADAMIX_TRY (ADAMIX_ALLOC (workspace, 1));
  ADAMIX_TRY (prepare (workspace, model, size));
  ADAMIX_TRY (adamix_arena_create (&workspace->arena, bytes));
  plan (workspace, &workspace->arena, model);
  *out = workspace;
  workspace = NULL;
done:
  adamix_workspace_destroy (workspace);
  return err;
}

void
adamix_workspace_destroy (adamix_workspace *workspace)
{
  if (!workspace) return;
  adamix_arena_destroy (&workspace->arena);
  free (workspace->layer);
  free (workspace);
}

size_t
adamix_workspace_bytes (const adamix_workspace *workspace)
{
  return workspace->arena.size;
}

void
adamix_workspace_settle (const adamix_model *model, adamix_workspace *workspace, int64_t rows)
{
  int64_t H = workspace->hidden;
#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t r = 0; r < (workspace->pending ? rows : 0); ++r)
    model->compute->kernels->axpy (H, 1, workspace->dense + r * H, workspace->gradient + r * H);
  workspace->pending = false;
}

adamix_view
adamix_workspace_gradient (adamix_workspace *workspace, int64_t rows)
{
  int64_t H = workspace->hidden;
  ADAMIX_ASSERT (workspace->gradient && rows <= workspace->rows);
  memset (workspace->gradient, 0, (size_t) (rows * H) * sizeof (float));
  workspace->pending = false;
  return adamix_view_of (workspace->gradient, rows, H);
}
