#include "model/model_private.h"

#include <string.h>

/* One table an architecture: to add one is to add its rows.  A size's place in the configuration is its symbol. */
#define SIZE(member) offsetof (adamix_model_config, member)
#define COUNT(array) ((int) (sizeof (array) / sizeof *(array)))

/* Upper bounds far above any model in use: they keep products of two sizes well inside 64 bits. */
enum { MAX_WIDTH = 1 << 20, MAX_VOCABULARY = 1 << 26, MAX_LAYERS = 1 << 12 };

/* ---- integers of config.json ------------------------------------------------------------------------------------------ */

static const adamix_config_row bert_integers[] = {
  { "vocab_size", SIZE (vocabulary), MAX_VOCABULARY },
  { "hidden_size", SIZE (hidden), MAX_WIDTH },
  { "hidden_size", SIZE (embedding), MAX_WIDTH },
  { "num_hidden_layers", SIZE (layers), MAX_LAYERS },
  { "num_attention_heads", SIZE (heads), MAX_WIDTH },
  { "intermediate_size", SIZE (ffn), MAX_WIDTH },
  { "max_position_embeddings", SIZE (positions), MAX_WIDTH },
  { "type_vocab_size", SIZE (types), MAX_WIDTH },
};

static const adamix_config_row electra_integers[] = {
  { "vocab_size", SIZE (vocabulary), MAX_VOCABULARY },        { "hidden_size", SIZE (hidden), MAX_WIDTH },
  { "embedding_size", SIZE (embedding), MAX_WIDTH },          { "num_hidden_layers", SIZE (layers), MAX_LAYERS },
  { "num_attention_heads", SIZE (heads), MAX_WIDTH },         { "intermediate_size", SIZE (ffn), MAX_WIDTH },
  { "max_position_embeddings", SIZE (positions), MAX_WIDTH }, { "type_vocab_size", SIZE (types), MAX_WIDTH },
};

static const adamix_config_row distilbert_integers[] = {
  { "vocab_size", SIZE (vocabulary), MAX_VOCABULARY },
  { "dim", SIZE (hidden), MAX_WIDTH },
  { "dim", SIZE (embedding), MAX_WIDTH },
  { "n_layers", SIZE (layers), MAX_LAYERS },
  { "n_heads", SIZE (heads), MAX_WIDTH },
  { "hidden_dim", SIZE (ffn), MAX_WIDTH },
  { "max_position_embeddings", SIZE (positions), MAX_WIDTH },
};

/* ---- tensors ---------------------------------------------------------------------------------------------------------- */

#define TABLE(role, name, rows)                                                                                        \
  {                                                                                                                    \
    ADAMIX_PART_TABLE, ADAMIX_ALWAYS, ADAMIX_ROLE_##role, name, SIZE (rows), SIZE (embedding)                          \
  }
#define LINEAR(role, name, rows, cols)                                                                                 \
  {                                                                                                                    \
    ADAMIX_PART_LINEAR, ADAMIX_ALWAYS, ADAMIX_ROLE_##role##_WEIGHT, name, SIZE (rows), SIZE (cols)                     \
  }
#define NORM(role, name, rows)                                                                                         \
  {                                                                                                                    \
    ADAMIX_PART_NORM, ADAMIX_ALWAYS, ADAMIX_ROLE_##role##_GAMMA, name, SIZE (rows), 0                                  \
  }
#define SPECIAL(presence, name, rows, cols)                                                                            \
  {                                                                                                                    \
    ADAMIX_PART_LINEAR, ADAMIX_##presence, ADAMIX_ROLE_##presence##_WEIGHT, name, SIZE (rows), SIZE (cols)             \
  }

/* One table for BERT and its nearest kin: what one of them lacks is not looked for. */
static const adamix_part bert_parts[] = {
  TABLE (WORD, "embeddings.word_embeddings", vocabulary),
  TABLE (POSITION, "embeddings.position_embeddings", positions),
  TABLE (TYPE, "embeddings.token_type_embeddings", types),
  NORM (EMBEDDING, "embeddings.LayerNorm", embedding),
  SPECIAL (PROJECTION, "embeddings_project", hidden, embedding),
  SPECIAL (POOLER, "pooler.dense", hidden, hidden),
  LINEAR (QUERY, "encoder.layer.{i}.attention.self.query", hidden, hidden),
  LINEAR (KEY, "encoder.layer.{i}.attention.self.key", hidden, hidden),
  LINEAR (VALUE, "encoder.layer.{i}.attention.self.value", hidden, hidden),
  LINEAR (ATTENTION, "encoder.layer.{i}.attention.output.dense", hidden, hidden),
  NORM (ATTENTION, "encoder.layer.{i}.attention.output.LayerNorm", hidden),
  LINEAR (INTERMEDIATE, "encoder.layer.{i}.intermediate.dense", ffn, hidden),
  LINEAR (OUTPUT, "encoder.layer.{i}.output.dense", hidden, ffn),
  NORM (OUTPUT, "encoder.layer.{i}.output.LayerNorm", hidden),
};

static const adamix_part distilbert_parts[] = {
  TABLE (WORD, "embeddings.word_embeddings", vocabulary),
  TABLE (POSITION, "embeddings.position_embeddings", positions),
  NORM (EMBEDDING, "embeddings.LayerNorm", embedding),
  LINEAR (QUERY, "transformer.layer.{i}.attention.q_lin", hidden, hidden),
  LINEAR (KEY, "transformer.layer.{i}.attention.k_lin", hidden, hidden),
  LINEAR (VALUE, "transformer.layer.{i}.attention.v_lin", hidden, hidden),
  LINEAR (ATTENTION, "transformer.layer.{i}.attention.out_lin", hidden, hidden),
  NORM (ATTENTION, "transformer.layer.{i}.sa_layer_norm", hidden),
  LINEAR (INTERMEDIATE, "transformer.layer.{i}.ffn.lin1", ffn, hidden),
  LINEAR (OUTPUT, "transformer.layer.{i}.ffn.lin2", hidden, ffn),
  NORM (OUTPUT, "transformer.layer.{i}.output_layer_norm", hidden),
};

/* ---- architectures ------------------------------------------------------------------------------------------------------ */

#define INTEGERS(array) .integer = array, .integers = COUNT (array)
#define PARTS(array)    .part = array, .parts = COUNT (array)
#define BERT_REALS                                                                                                     \
  .activation = "hidden_act", .norm_eps = "layer_norm_eps", .hidden_dropout = "hidden_dropout_prob",                   \
  .attention_dropout = "attention_probs_dropout_prob"
#define ROBERTA                                                                                                        \
  .prefix = "roberta.", INTEGERS (bert_integers), BERT_REALS, .pad = 1, .positions_follow_pad = true,                  \
  .head = { .trained = true, .drop_input = true, .activation = ADAMIX_ACTIVATION_TANH }, PARTS (bert_parts)

static const adamix_architecture architectures[] = {
  { .name = "bert",
    .prefix = "bert.",
    INTEGERS (bert_integers),
    BERT_REALS,
    .head = { .activation = ADAMIX_ACTIVATION_TANH },
    PARTS (bert_parts) },
  { .name = "roberta", ROBERTA },
  { .name = "xlm-roberta", ROBERTA },
  { .name = "distilbert",
    .prefix = "distilbert.",
    INTEGERS (distilbert_integers),
    .activation = "activation",
    .hidden_dropout = "dropout",
    .attention_dropout = "attention_dropout",
    .head = { .trained = true, .activation = ADAMIX_ACTIVATION_RELU },
    PARTS (distilbert_parts) },
  { .name = "electra",
    .prefix = "electra.",
    INTEGERS (electra_integers),
    BERT_REALS,
    .head = { .trained = true, .drop_input = true, .activation = ADAMIX_ACTIVATION_GELU },
    PARTS (bert_parts) },
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
