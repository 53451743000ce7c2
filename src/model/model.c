#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

/* sentence-transformers keeps beside the model how its states are pooled. */
static adamix_err
read_pooling (adamix_model *model, const char *dir)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  json_t *object = NULL;
  ADAMIX_TRY (adamix_path_join (&path, dir, "1_Pooling/config.json"));
  if (!adamix_path_exists (path)) goto done;
  ADAMIX_TRY (adamix_json_load (&object, path));
  ADAMIX_TRY (adamix_json_boolean (object, path, "pooling_mode_mean_tokens", false, &model->wants_mean));
done:
  json_decref (object);
  free (path);
  return err;
}

adamix_err
adamix_model_open (adamix_model **out, const char *dir, const adamix_compute *compute)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  adamix_model *model = NULL;
  *out = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (model, 1));
  model->compute = compute;
  ADAMIX_TRY (adamix_path_join (&path, dir, "config.json"));
  ADAMIX_TRY (adamix_config_read (&model->config, &model->architecture, path));
  ADAMIX_TRY (adamix_weights_open (&model->weights, dir));
  ADAMIX_TRY (adamix_model_load_tensors (model));
  ADAMIX_TRY (read_pooling (model, dir));
  *out = model;
  model = NULL;
done:
  adamix_model_destroy (model);
  free (path);
  return err;
}

void
adamix_model_destroy (adamix_model *model)
{
  if (!model) return;
  int64_t linears = model->linear ? (model->config.layers + 1) * ADAMIX_LINEARS : 0;
  for (int64_t i = 0; i < linears; ++i) adamix_linear_destroy (model->linear[i]);
  free (model->linear);
  adamix_node_memory_destroy (&model->packed);
  for (int64_t i = 0; i < model->tensors; ++i) {
    free (model->tensor[i].name);
    free (model->tensor[i].converted);
  }
  free (model->tensor);
  free (model->slot);
  adamix_weights_close (&model->weights);
  free (model);
}

const adamix_model_config *
adamix_model_config_of (const adamix_model *model)
{
  return &model->config;
}

const adamix_tensor *
adamix_model_tensors (const adamix_model *model, int64_t *count)
{
  *count = model->tensors;
  return model->tensor;
}

bool
adamix_model_has_pooler (const adamix_model *model)
{
  return adamix_model_has_linear (model, ADAMIX_OUTSIDE, ADAMIX_ROLE_POOLER_WEIGHT);
}

bool
adamix_model_has_own_head (const adamix_model *model)
{
  return model->architecture->head.trained || adamix_model_has_pooler (model);
}

bool
adamix_model_wants_mean (const adamix_model *model)
{
  return model->wants_mean;
}

adamix_err
adamix_model_hash_begin (adamix_model *model)
{
  return adamix_weights_hash_begin (&model->weights);
}

adamix_err
adamix_model_hash (adamix_model *model, const char **hex)
{
  return adamix_weights_hash (&model->weights, hex);
}

adamix_err
adamix_model_hash_folder (const char *dir, adamix_sha256 *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_weights weights = { 0 };
  const char *hex;
  ADAMIX_TRY (adamix_weights_open (&weights, dir));
  ADAMIX_TRY (adamix_weights_hash (&weights, &hex));
  *out = weights.hash;
done:
  adamix_weights_close (&weights);
  return err;
}

int64_t
adamix_model_parameters (const adamix_model *model)
{
  int64_t sum = 0;
  for (int64_t i = 0; i < model->tensors; ++i) sum += model->tensor[i].count;
  return sum;
}

int64_t
adamix_model_linear_parameters (const adamix_model_config *c)
{
  const int64_t projection = c->embedding == c->hidden ? 0 : c->embedding * c->hidden;
  return projection + c->layers * (4 * c->hidden * c->hidden + 2 * c->hidden * c->ffn);
}
