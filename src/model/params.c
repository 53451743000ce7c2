#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

static bool
trains (const adamix_tensor *tensor, adamix_trainable which)
{
  static const char ending[] = ".bias";
  size_t length = strlen (tensor->name), tail = strlen (ending);
  if (which != ADAMIX_TRAIN_BIASES) return which == ADAMIX_TRAIN_ALL;
  return length > tail && !strcmp (tensor->name + length - tail, ending);
}

adamix_err
adamix_model_announce (adamix_model *model, adamix_trainable which, adamix_params *params)
{
  for (int64_t i = 0; i < model->tensors; ++i) {
    adamix_tensor *tensor = &model->tensor[i];
    if (!trains (tensor, which)) continue;
    char *name = NULL;
    ADAMIX_RETURN_IF (adamix_format (&name, "backbone.%s", tensor->name));
    bool matrix = tensor->rank == 2; /* biases and LayerNorms do not decay */
    adamix_err err = adamix_params_add (params, name, tensor->rank, tensor->shape[0], matrix ? tensor->shape[1] : 1,
                                        matrix, &tensor->param);
    free (name);
    ADAMIX_RETURN_IF (err);
  }
  model->trainable = which;
  return ADAMIX_OK;
}

adamix_err
adamix_model_link (adamix_model *model, adamix_params *params)
{
  model->params = params;
  for (int64_t i = 0; i < model->tensors; ++i) {
    adamix_tensor *tensor = &model->tensor[i];
    if (tensor->param < 0) continue;
    float *value = params->row[tensor->param].value;
    memcpy (value, tensor->data, (size_t) tensor->count * sizeof *value);
    tensor->data = value;
    free (tensor->converted);
    tensor->converted = NULL;
  }
  return ADAMIX_OK;
}

/* ---- linear layers --------------------------------------------------------------------------------------------------- */

/* The weights that stand below each other in a linear layer; a bias follows its weight in the list of roles. */
static const struct {
  int blocks;
  adamix_role weight[3];
} linear_row[ADAMIX_LINEARS] = {
  [ADAMIX_LINEAR_QKV] = { 3, { ADAMIX_ROLE_QUERY_WEIGHT, ADAMIX_ROLE_KEY_WEIGHT, ADAMIX_ROLE_VALUE_WEIGHT } },
  [ADAMIX_LINEAR_ATTENTION] = { 1, { ADAMIX_ROLE_ATTENTION_WEIGHT } },
  [ADAMIX_LINEAR_INTERMEDIATE] = { 1, { ADAMIX_ROLE_INTERMEDIATE_WEIGHT } },
  [ADAMIX_LINEAR_OUTPUT] = { 1, { ADAMIX_ROLE_OUTPUT_WEIGHT } },
  [ADAMIX_LINEAR_PROJECTION] = { 1, { ADAMIX_ROLE_PROJECTION_WEIGHT } },
  [ADAMIX_LINEAR_POOLER] = { 1, { ADAMIX_ROLE_POOLER_WEIGHT } },
};

static adamix_err
pack_linear (adamix_model *model, int64_t layer, adamix_linear_kind kind, bool backward)
{
  adamix_linear **linear = &model->linear[(layer + 1) * ADAMIX_LINEARS + kind];
  adamix_linear_source source = { .blocks = linear_row[kind].blocks };
  bool trainable = false;
  for (int i = 0; i < source.blocks; ++i) {
    const adamix_tensor *weight = adamix_model_tensor (model, layer, linear_row[kind].weight[i]);
    const adamix_tensor *bias = adamix_model_tensor (model, layer, linear_row[kind].weight[i] + 1);
    source.weight[i] = weight->data;
    source.bias[i] = bias->data;
    source.rows[i] = weight->shape[0];
    source.cols = weight->shape[1];
    trainable = trainable || weight->param >= 0 || bias->param >= 0;
  }
  if (!*linear) return adamix_linear_create (linear, model->compute->gemm, &source, backward);
  return trainable ? adamix_linear_repack (*linear, &source) : ADAMIX_OK;
}

adamix_err
adamix_model_pack (adamix_model *model, bool backward)
{
  int64_t layers = model->config.layers;
  if (!model->linear) ADAMIX_RETURN_IF (ADAMIX_ALLOC (model->linear, (layers + 1) * ADAMIX_LINEARS));
  for (int64_t layer = 0; layer < layers; ++layer)
    for (int kind = 0; kind < ADAMIX_LINEARS_IN_LAYER; ++kind)
      ADAMIX_RETURN_IF (pack_linear (model, layer, (adamix_linear_kind) kind, backward));
  for (int kind = ADAMIX_LINEARS_IN_LAYER; kind < ADAMIX_LINEARS; ++kind)
    if (adamix_model_has_linear (model, ADAMIX_OUTSIDE, linear_row[kind].weight[0]))
      ADAMIX_RETURN_IF (pack_linear (model, ADAMIX_OUTSIDE, (adamix_linear_kind) kind, backward));
  return ADAMIX_OK;
}

const adamix_linear *
adamix_model_linear (const adamix_model *model, int64_t layer, adamix_linear_kind kind)
{
  return model->linear[(layer + 1) * ADAMIX_LINEARS + kind];
}

adamix_err
adamix_linear_gradients (const adamix_model *model, int64_t layer, adamix_linear_kind kind, adamix_view dy,
                         adamix_view x)
{
  int64_t first = 0;
  for (int i = 0; i < linear_row[kind].blocks; ++i) {
    adamix_role role = linear_row[kind].weight[i];
    int64_t rows = adamix_model_tensor (model, layer, role)->shape[0];
    float *dw = adamix_model_gradient (model, layer, role), *db = adamix_model_gradient (model, layer, role + 1);
    adamix_view block = adamix_view_cols (dy, first, rows);
    if (dw || db) ADAMIX_RETURN_IF (adamix_linear_backward_weight (model->compute->gemm, block, x, dw, db));
    first += rows;
  }
  return ADAMIX_OK;
}
