#include "model/model_private.h"

#include <string.h>

/* One table an architecture: to add one is to add its rows.  A size's place in the configuration is its symbol. */
#define SIZE(member) offsetof (adamix_model_config, member)
#define MATRIX(rows, cols)                                                                                             \
  2,                                                                                                                   \
  {                                                                                                                    \
    SIZE (rows), SIZE (cols)                                                                                           \
  }
#define VECTOR(rows)                                                                                                   \
  1,                                                                                                                   \
  {                                                                                                                    \
    SIZE (rows), 0                                                                                                     \
  }
#define COUNT(array) ((int) (sizeof (array) / sizeof *(array)))

/* Upper bounds far above any model in use: they keep products of two sizes well inside 64 bits. */
enum { MAX_WIDTH = 1 << 20, MAX_VOCABULARY = 1 << 26, MAX_LAYERS = 1 << 12 };

static const adamix_config_row bert_integers[] = {
  { "vocab_size", true, SIZE (vocabulary), 1, MAX_VOCABULARY },
  { "hidden_size", true, SIZE (hidden), 1, MAX_WIDTH },
  { "num_hidden_layers", true, SIZE (layers), 1, MAX_LAYERS },
  { "num_attention_heads", true, SIZE (heads), 1, MAX_WIDTH },
  { "intermediate_size", true, SIZE (ffn), 1, MAX_WIDTH },
  { "max_position_embeddings", true, SIZE (positions), 1, MAX_WIDTH },
  { "type_vocab_size", true, SIZE (types), 1, MAX_WIDTH },
  { "pad_token_id", false, SIZE (pad), 0, MAX_VOCABULARY },
};

#define LAYER "encoder.layer.{i}."
static const adamix_tensor_row bert_tensors[] = {
  { ADAMIX_ROLE_WORD, false, "embeddings.word_embeddings.weight", NULL, MATRIX (vocabulary, hidden) },
  { ADAMIX_ROLE_POSITION, false, "embeddings.position_embeddings.weight", NULL, MATRIX (positions, hidden) },
  { ADAMIX_ROLE_TYPE, false, "embeddings.token_type_embeddings.weight", NULL, MATRIX (types, hidden) },
  { ADAMIX_ROLE_EMBEDDING_GAMMA, false, "embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma", VECTOR (hidden) },
  { ADAMIX_ROLE_EMBEDDING_BETA, false, "embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta", VECTOR (hidden) },
  { ADAMIX_ROLE_POOLER_WEIGHT, true, "pooler.dense.weight", NULL, MATRIX (hidden, hidden) },
  { ADAMIX_ROLE_POOLER_BIAS, true, "pooler.dense.bias", NULL, VECTOR (hidden) },
  { ADAMIX_ROLE_QUERY_WEIGHT, false, LAYER "attention.self.query.weight", NULL, MATRIX (hidden, hidden) },
  { ADAMIX_ROLE_QUERY_BIAS, false, LAYER "attention.self.query.bias", NULL, VECTOR (hidden) },
  { ADAMIX_ROLE_KEY_WEIGHT, false, LAYER "attention.self.key.weight", NULL, MATRIX (hidden, hidden) },
  { ADAMIX_ROLE_KEY_BIAS, false, LAYER "attention.self.key.bias", NULL, VECTOR (hidden) },
  { ADAMIX_ROLE_VALUE_WEIGHT, false, LAYER "attention.self.value.weight", NULL, MATRIX (hidden, hidden) },
  { ADAMIX_ROLE_VALUE_BIAS, false, LAYER "attention.self.value.bias", NULL, VECTOR (hidden) },
  { ADAMIX_ROLE_ATTENTION_WEIGHT, false, LAYER "attention.output.dense.weight", NULL, MATRIX (hidden, hidden) },
  { ADAMIX_ROLE_ATTENTION_BIAS, false, LAYER "attention.output.dense.bias", NULL, VECTOR (hidden) },
  { ADAMIX_ROLE_ATTENTION_GAMMA, false, LAYER "attention.output.LayerNorm.weight",
    LAYER "attention.output.LayerNorm.gamma", VECTOR (hidden) },
  { ADAMIX_ROLE_ATTENTION_BETA, false, LAYER "attention.output.LayerNorm.bias", LAYER "attention.output.LayerNorm.beta",
    VECTOR (hidden) },
  { ADAMIX_ROLE_INTERMEDIATE_WEIGHT, false, LAYER "intermediate.dense.weight", NULL, MATRIX (ffn, hidden) },
  { ADAMIX_ROLE_INTERMEDIATE_BIAS, false, LAYER "intermediate.dense.bias", NULL, VECTOR (ffn) },
  { ADAMIX_ROLE_OUTPUT_WEIGHT, false, LAYER "output.dense.weight", NULL, MATRIX (hidden, ffn) },
  { ADAMIX_ROLE_OUTPUT_BIAS, false, LAYER "output.dense.bias", NULL, VECTOR (hidden) },
  { ADAMIX_ROLE_OUTPUT_GAMMA, false, LAYER "output.LayerNorm.weight", LAYER "output.LayerNorm.gamma", VECTOR (hidden) },
  { ADAMIX_ROLE_OUTPUT_BETA, false, LAYER "output.LayerNorm.bias", LAYER "output.LayerNorm.beta", VECTOR (hidden) },
};
#undef LAYER

static const adamix_architecture architectures[] = {
  { .name = "bert",
    .prefix = "bert.",
    .integer = bert_integers,
    .integers = COUNT (bert_integers),
    .activation = "hidden_act",
    .norm_eps = "layer_norm_eps",
    .hidden_dropout = "hidden_dropout_prob",
    .attention_dropout = "attention_probs_dropout_prob",
    .tensor = bert_tensors,
    .tensors = COUNT (bert_tensors) },
};

adamix_err
adamix_architecture_find (const adamix_architecture **out, const char *where, const char *name)
{
  char known[256] = "";
  for (int i = 0; i < COUNT (architectures); ++i) {
    *out = &architectures[i];
    if (!strcmp (architectures[i].name, name)) return ADAMIX_OK;
    size_t used = strlen (known);
    snprintf (known + used, sizeof known - used, "%s%s", i ? ", " : "", architectures[i].name);
  }
  *out = NULL;
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: model_type \"%s\" is not supported; known: %s", where, name, known);
}
