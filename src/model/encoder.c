#include "model/model_private.h"

#include <inttypes.h>

/* ---- checks of what comes from outside the room ---------------------------------------------------------------------- */

static adamix_err
check_sizes (const adamix_workspace *workspace, const adamix_forward_args *args, int64_t longest)
{
  const adamix_workspace_size *size = &workspace->size;
  const adamix_batch *batch = args->batch;
  if (args->passes < 1 || args->passes * batch->tokens > size->passes * size->tokens)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "a batch of %" PRId64 " tokens in %" PRId64 " passes does not fit a workspace "
                           "made for %" PRId64 " in %" PRId64,
                           batch->tokens, args->passes, size->tokens, size->passes);
  for (int64_t s = 0; s < batch->sequences; ++s) {
    int64_t n = batch->offset[s + 1] - batch->offset[s];
    if (n > longest)
      return adamix_err_set (ADAMIX_EDATA,
                             "sequence %" PRId64 " of a batch has %" PRId64 " tokens, but the model has positions "
                             "for %" PRId64 ": use a smaller --max-length",
                             s, n, longest);
    if (n < 1 || n > size->longest)
      return adamix_err_set (ADAMIX_ESHAPE,
                             "sequence %" PRId64 " of a batch has %" PRId64 " tokens, expected 1 to %" PRId64, s, n,
                             size->longest);
  }
  return ADAMIX_OK;
}

/* A vocabulary that does not belong to the model would read past its embeddings. */
static adamix_err
check_indices (const char *what, const int32_t *index, int64_t tokens, int64_t limit)
{
  for (int64_t t = 0; t < tokens; ++t)
    if (index[t] < 0 || index[t] >= limit)
      return adamix_err_set (ADAMIX_EDATA,
                             "%s %" PRId32 " in a batch, but the model knows 0 to %" PRId64 ": do the tokenizer's "
                             "files and the options fit the model?",
                             what, index[t], limit - 1);
  return ADAMIX_OK;
}

static adamix_err
check (const adamix_model *model, const adamix_workspace *workspace, const adamix_forward_args *args)
{
  const adamix_batch *batch = args->batch;
  const adamix_model_config *config = &model->config;
  ADAMIX_ASSERT (model->linear);
  ADAMIX_RETURN_IF (check_sizes (workspace, args, config->longest));
  ADAMIX_RETURN_IF (check_indices ("token id", batch->id, batch->tokens, config->vocabulary));
  if (!config->types) return ADAMIX_OK; /* the model knows no token types */
  return check_indices ("token type", batch->type, batch->tokens, config->types);
}

/* A workspace keeps only what it was told of: a backward that needs more is a mistake of the caller's plan. */
static adamix_err
check_backward (const adamix_model *model, const adamix_workspace *workspace, const adamix_forward_args *args)
{
  const adamix_workspace_size *size = &workspace->size;
  const adamix_insertion *insertion = args->insertion;
  if (!size->backward)
    return adamix_err_set (ADAMIX_EUSAGE, "backward through a workspace that was made for inference");
  if (model->trainable != ADAMIX_TRAIN_NONE && !size->weight_gradients)
    return adamix_err_set (ADAMIX_EUSAGE, "the backbone trains, but the workspace was made without weight gradients");
  if (insertion && (insertion->serves & ~size->places))
    return adamix_err_set (ADAMIX_EUSAGE,
                           "modules are inserted, but the workspace was made without room for their inputs");
  return ADAMIX_OK;
}

/* ---- forward and backward ---------------------------------------------------------------------------------------------- */

adamix_err
adamix_model_forward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                      adamix_view *hidden)
{
  int64_t L = model->config.layers, rows = args->passes * args->batch->tokens;
  ADAMIX_RETURN_IF (check (model, workspace, args));
  if (rows) ADAMIX_RETURN_IF (adamix_embeddings_forward (model, workspace, args, workspace->layer[0].input));
  adamix_profile_lap (model->compute->profile, ADAMIX_STAGE_EMBEDDINGS, 0);
  for (int64_t layer = 0; layer < L && rows; ++layer)
    ADAMIX_RETURN_IF (adamix_layer_forward (model, workspace, args, layer));
  *hidden = adamix_view_of (workspace->layer[L].input, adamix_layer_rows (workspace, args, L - 1).count,
                            model->config.hidden);
  return ADAMIX_OK;
}

static adamix_err
layer_ready (const adamix_forward_args *args, int64_t layer)
{
  return args->hooks ? args->hooks->layer_ready (args->hooks, layer) : ADAMIX_OK;
}

/* A layer's forward once more, from its input, for what its backward reads.  Masks are functions of their place, so they are
 * the same.  `rows` of the batch. */
static adamix_err
recompute (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args, int64_t layer,
           int64_t rows)
{
  adamix_workspace_settle (model, workspace, rows);
  return adamix_layer_forward (model, workspace, args, layer);
}

adamix_err
adamix_model_backward (adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                       adamix_view dhidden)
{
  bool trains = model->trainable != ADAMIX_TRAIN_NONE;
  int64_t lowest = trains ? 0 : workspace->size.lowest_layer, rows = args->passes * args->batch->tokens;
  ADAMIX_RETURN_IF (check_backward (model, workspace, args));
  ADAMIX_ASSERT (dhidden.data == workspace->gradient &&
                 dhidden.rows == adamix_layer_rows (workspace, args, model->config.layers - 1).count);
  (void) dhidden; /* it lies in the workspace */
  if (!trains && !args->insertion) return ADAMIX_OK;
  for (int64_t layer = model->config.layers - 1; layer >= lowest; --layer) {
    if (rows && adamix_workspace_recomputes (workspace, layer))
      ADAMIX_RETURN_IF (recompute (model, workspace, args, layer, rows));
    if (rows) ADAMIX_RETURN_IF (adamix_layer_backward (model, workspace, args, layer, trains || layer > lowest));
    ADAMIX_RETURN_IF (layer_ready (args, layer));
  }
  if (!trains) return ADAMIX_OK;
  if (rows) ADAMIX_RETURN_IF (adamix_embeddings_backward (model, workspace, args));
  adamix_profile_lap (model->compute->profile, ADAMIX_STAGE_EMBEDDINGS, 0);
  return layer_ready (args, ADAMIX_OUTSIDE);
}
