#include "model/model_private.h"

#include <string.h>

/* Models to measure with, by what their config.json says. */
static const struct {
  const char *name;
  bool mean; /* its users pool by the mean */
  const char *config;
} shapes[] = {
  { "minilm", true,
    "{'model_type': 'bert', 'vocab_size': 30522, 'hidden_size': 384, 'num_hidden_layers': 6, 'num_attention_heads': 12,"
    " 'intermediate_size': 1536, 'max_position_embeddings': 512, 'type_vocab_size': 2, 'hidden_act': 'gelu'}" },
  { "bert-base", false,
    "{'model_type': 'bert', 'vocab_size': 30522, 'hidden_size': 768, 'num_hidden_layers': 12, 'num_attention_heads': "
    "12,"
    " 'intermediate_size': 3072, 'max_position_embeddings': 512, 'type_vocab_size': 2, 'hidden_act': 'gelu'}" },
  { "roberta-large", false,
    "{'model_type': 'roberta', 'vocab_size': 50265, 'hidden_size': 1024, 'num_hidden_layers': 24,"
    " 'num_attention_heads': 16, 'intermediate_size': 4096, 'max_position_embeddings': 514, 'type_vocab_size': 1,"
    " 'hidden_act': 'gelu', 'layer_norm_eps': 1e-5, 'pad_token_id': 1}" },
};
#define SHAPES      ((int) (sizeof shapes / sizeof *shapes))
#define SHAPE_NAMES "minilm|bert-base|roberta-large"

const char *
adamix_model_shapes (void)
{
  return SHAPE_NAMES;
}

/* The table writes strings between single quotes, as C has the double ones. */
static adamix_err
parse_config (json_t **out, const char *config)
{
  char text[512];
  json_error_t where;
  snprintf (text, sizeof text, "%s", config);
  for (char *c = text; *c; ++c)
    if (*c == '\'') *c = '"';
  return adamix_json_parse (out, text, strlen (text), 0, &where);
}

adamix_err
adamix_model_draw (adamix_model **out, const char *shape, uint64_t seed, const adamix_compute *compute)
{
  adamix_err err = ADAMIX_OK;
  const adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_BACKBONE);
  adamix_model *model = NULL;
  json_t *object = NULL;
  int s = 0;
  *out = NULL;
  while (s < SHAPES && strcmp (shapes[s].name, shape) != 0) ++s;
  if (s == SHAPES) return adamix_err_set (ADAMIX_EUSAGE, "there is no shape '%s'; choose one of " SHAPE_NAMES, shape);
  ADAMIX_TRY (ADAMIX_ALLOC (model, 1));
  ADAMIX_TRY (parse_config (&object, shapes[s].config));
  ADAMIX_TRY (adamix_config_parse (&model->config, &model->architecture, object, shape));
  model->compute = compute;
  model->wants_mean = shapes[s].mean;
  model->drawn = &rng;
  ADAMIX_TRY (adamix_model_load_tensors (model));
  model->drawn = NULL;
  *out = model;
  model = NULL;
done:
  json_decref (object);
  adamix_model_destroy (model);
  return err;
}

/* Row by row, so that threads do not show.  The first of a norm's tensors is its gamma. */
adamix_err
adamix_model_draw_values (adamix_model *model, adamix_part_kind kind, adamix_tensor *tensor)
{
  const uint32_t number = (uint32_t) (tensor - model->tensor);
  const bool gamma = kind == ADAMIX_PART_NORM && strstr (tensor->name, ".weight");
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (tensor->converted, tensor->count));
  tensor->data = tensor->converted;
  for (int64_t i = 0; gamma && i < tensor->count; ++i) tensor->converted[i] = 1;
  if (tensor->rank < 2) return ADAMIX_OK;
  const int64_t cols = tensor->shape[1];
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < tensor->shape[0]; ++r)
    adamix_rng_normal (*model->drawn, number, (uint32_t) r, cols, model->config.initializer_range,
                       tensor->converted + r * cols);
  return ADAMIX_OK;
}
