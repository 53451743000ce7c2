/* Model folders as they come: stored forms that must be read, and broken ones that must be refused by name. */
#include "model/fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) cr_assert_eq ((call), ADAMIX_OK, "%s", adamix_err_message ())

static adamix_err
open_dir (const char *dir, adamix_model **model)
{
  static adamix_compute compute;
  MUST (adamix_compute_select (&compute, "auto", "auto", 1));
  return adamix_model_open (model, dir, &compute);
}

static void
expect_refused (const char *dir, adamix_err code, const char *word)
{
  adamix_model *model;
  adamix_err err = open_dir (dir, &model);
  cr_expect_eq (err, code, "error %d instead of %d for %s: %s", err, code, word, err ? adamix_err_message () : "none");
  cr_expect_null (model);
  if (err) cr_expect (strstr (adamix_err_message (), word), "\"%s\" does not name %s", adamix_err_message (), word);
}

Test (open, tells_what_the_folder_holds)
{
  adamix_model *model;
  char *dir = fixture_path ("");
  int64_t count;
  MUST (open_dir (dir, &model));
  const adamix_model_config *config = adamix_model_config_of (model);
  cr_expect_str_eq (config->architecture, "bert");
  cr_expect (config->hidden == 32 && config->layers == 3 && config->heads == 4 && config->ffn == 64);
  cr_expect (config->vocabulary == 104 && config->positions == 40 && config->types == 2 && config->pad == 0);
  cr_expect_eq (config->activation, ADAMIX_ACTIVATION_GELU);
  cr_expect_float_eq (config->norm_eps, 1e-12f, 1e-15);
  cr_expect_float_eq (config->hidden_dropout, 0.1f, 1e-8);
  cr_expect (adamix_model_has_pooler (model));
  cr_expect_not (adamix_model_wants_mean (model));
  const char *hash;
  adamix_sha256 of_file;
  char *path = NULL;
  MUST (adamix_path_join (&path, dir, "model.safetensors"));
  MUST (adamix_sha256_file (&of_file, path));
  MUST (adamix_model_hash (model, &hash));
  cr_expect_str_eq (hash, of_file.hex);
  free (path);
  const adamix_tensor *tensor = adamix_model_tensors (model, &count);
  cr_expect_eq (count, 5 + 2 + 3 * 16);
  int64_t sum = 0, layer = 4 * (32 * 32 + 32) + 2 * 64 * 32 + 64 + 32 + 4 * 32;
  for (int64_t i = 0; i < count; ++i) {
    sum += tensor[i].count;
    cr_expect (tensor[i].param == -1 && !tensor[i].converted, "%s is not a frozen view", tensor[i].name);
  }
  cr_expect_eq (sum, (104 + 40 + 2 + 2) * 32 + 32 * 32 + 32 + 3 * layer);
  cr_expect_eq (adamix_model_parameters (model), sum);
  adamix_model_destroy (model);
  free (dir);
}

/* Positions counted from the padding token's id leave less room for a sequence than there are positions. */
Test (open, counts_roberta_positions_from_its_padding)
{
  fixture_copy copy;
  adamix_model *model;
  fixture_copy_golden (&copy, "roberta-tiny");
  for (int i = 0; i < 2; ++i) { /* pad_token_id is 1 where nothing is said */
    fixture_copy_write (&copy);
    MUST (open_dir (copy.dir, &model));
    const adamix_model_config *config = adamix_model_config_of (model);
    cr_expect (config->pad == 1 && config->first_position == 2 && config->positions == 36 && config->longest == 34);
    cr_expect (config->types == 1 && config->embedding == config->hidden);
    adamix_model_destroy (model);
    json_object_del (copy.config, "pad_token_id");
  }
  json_object_set_new (copy.config, "model_type", json_string ("xlm-roberta"));
  fixture_copy_write (&copy);
  MUST (open_dir (copy.dir, &model));
  cr_expect_str_eq (adamix_model_config_of (model)->architecture, "xlm-roberta");
  adamix_model_destroy (model);
  json_object_set_new (copy.config, "pad_token_id", json_integer (35));
  fixture_copy_write (&copy);
  expect_refused (copy.dir, ADAMIX_EFORMAT, "pad_token_id");
  fixture_copy_remove (&copy);
}

/* ---- stored forms -------------------------------------------------------------------------------------------------- */

/* Every tensor as BF16 of the same values: the upper half of an fp32. */
static void
to_bf16 (adamix_tensor_source *tensor, uint16_t *half)
{
  int64_t count = 1;
  for (int i = 0; i < tensor->rank; ++i) count *= tensor->shape[i];
  for (int64_t i = 0; i < count; ++i) memcpy (&half[i], (const char *) tensor->data + 4 * i + 2, sizeof *half);
  tensor->dtype = ADAMIX_DTYPE_BF16;
  tensor->data = half;
}

Test (open, converts_half_precision)
{
  fixture_copy copy;
  adamix_model *model;
  int64_t count;
  static uint16_t half[32 * 32];
  const char *name = "encoder.layer.1.attention.self.key.weight";
  fixture_copy_begin (&copy);
  adamix_tensor_source *source = fixture_copy_find (&copy, name);
  const float *exact = source->data;
  to_bf16 (source, half);
  fixture_copy_write (&copy);
  MUST (open_dir (copy.dir, &model));
  const adamix_tensor *tensor = adamix_model_tensors (model, &count);
  for (int64_t i = 0; i < count; ++i) {
    if (strcmp (tensor[i].name, name)) continue;
    cr_expect_eq (tensor[i].data, tensor[i].converted);
    cr_expect_float_eq (tensor[i].data[77], exact[77], fabsf (exact[77]) / 128); /* 8 bits of mantissa */
    cr_expect_neq (tensor[i].data[77], exact[77]);
  }
  adamix_model_destroy (model);
  fixture_copy_remove (&copy);
}

/* F16 has subnormal numbers of its own, and an infinity that the fp32 value must not hide. */
Test (open, converts_f16)
{
  fixture_copy copy;
  adamix_model *model;
  int64_t count;
  const char *name = "encoder.layer.1.attention.self.key.bias";
  static const uint16_t bits[] = { 0x3C00, 0xC100, 0x0001, 0x8000 };
  static const float values[] = { 1, -2.5f, 0x1p-24f, 0 };
  uint16_t half[32] = { 0 };
  memcpy (half, bits, sizeof bits);
  fixture_copy_begin (&copy);
  adamix_tensor_source *source = fixture_copy_find (&copy, name);
  source->dtype = ADAMIX_DTYPE_F16;
  source->data = half;
  fixture_copy_write (&copy);
  MUST (open_dir (copy.dir, &model));
  const adamix_tensor *tensor = adamix_model_tensors (model, &count);
  while (strcmp (tensor->name, name)) tensor++;
  for (int i = 0; i < 4; ++i) cr_expect_eq (tensor->data[i], values[i]);
  adamix_model_destroy (model);
  half[31] = 0x7C00;
  fixture_copy_write (&copy);
  expect_refused (copy.dir, ADAMIX_EFORMAT, "infinite");
  fixture_copy_remove (&copy);
}

/* A header one blank longer, as the format allows, moves every tensor off its alignment. */
static void
misalign (const char *dir)
{
  adamix_file_map map;
  char *path = NULL, *bytes = NULL;
  uint64_t length;
  MUST (adamix_path_join (&path, dir, "model.safetensors"));
  MUST (adamix_file_map_open (&map, path));
  MUST (ADAMIX_ALLOC (bytes, (int64_t) map.size + 1));
  memcpy (&length, map.data, sizeof length);
  size_t header = sizeof length + length;
  length += 1;
  memcpy (bytes, &length, sizeof length);
  memcpy (bytes + sizeof length, map.data + sizeof length, header - sizeof length);
  bytes[header] = ' ';
  memcpy (bytes + header + 1, map.data + header, map.size - header);
  MUST (adamix_file_write (path, bytes, map.size + 1));
  adamix_file_map_close (&map);
  free (bytes);
  free (path);
}

Test (open, copies_unaligned_tensors)
{
  fixture_copy copy;
  adamix_model *model;
  int64_t count;
  fixture_copy_begin (&copy);
  fixture_copy_write (&copy);
  misalign (copy.dir);
  MUST (open_dir (copy.dir, &model));
  const adamix_tensor *tensor = adamix_model_tensors (model, &count);
  for (int64_t i = 0; i < count; ++i) {
    const adamix_tensor_source *source = fixture_copy_find (&copy, tensor[i].name);
    cr_expect (tensor[i].converted &&
               !memcmp (tensor[i].data, source->data, (size_t) tensor[i].count * sizeof (float)));
  }
  adamix_model_destroy (model);
  fixture_copy_remove (&copy);
}

Test (open, asks_for_the_mean_where_the_folder_does)
{
  fixture_copy copy;
  adamix_model *model;
  char *pooling = NULL;
  fixture_copy_begin (&copy);
  fixture_copy_find (&copy, "pooler.dense.weight")->name = "unused.weight";
  fixture_copy_write (&copy);
  MUST (adamix_format (&pooling, "%s/1_Pooling", copy.dir));
  MUST (adamix_directory_make (pooling));
  free (pooling);
  MUST (adamix_format (&pooling, "%s/1_Pooling/config.json", copy.dir));
  json_t *object = json_pack ("{s:b}", "pooling_mode_mean_tokens", 1);
  MUST (adamix_json_store (object, pooling, false));
  MUST (open_dir (copy.dir, &model));
  cr_expect (adamix_model_wants_mean (model));
  cr_expect_not (adamix_model_has_pooler (model));
  adamix_head *head;
  cr_expect_eq (adamix_head_create (&head, model, ADAMIX_POOL_POOLER, 2, 8), ADAMIX_EUSAGE);
  cr_expect (strstr (adamix_err_message (), "--pool"));
  adamix_model_destroy (model);
  json_decref (object);
  free (pooling);
  fixture_copy_remove (&copy);
}

/* ---- broken weights ------------------------------------------------------------------------------------------------ */

#define VICTIM "encoder.layer.2.output.dense.weight"

static void
expect_weights_refused (void (*spoil) (adamix_tensor_source *tensor), adamix_err code)
{
  fixture_copy copy;
  fixture_copy_begin (&copy);
  spoil (fixture_copy_find (&copy, VICTIM));
  fixture_copy_write (&copy);
  expect_refused (copy.dir, code, VICTIM);
  cr_expect (strstr (adamix_err_message (), "model.safetensors"));
  fixture_copy_remove (&copy);
}

static void
rename_it (adamix_tensor_source *tensor)
{
  tensor->name = "encoder.layer.2.output.other.weight";
}
static void
turn_it (adamix_tensor_source *tensor)
{
  tensor->shape[0] = 64;
  tensor->shape[1] = 32;
}
static void
flatten_it (adamix_tensor_source *tensor)
{
  tensor->rank = 1;
  tensor->shape[0] = 64 * 32;
}
static void
make_it_integer (adamix_tensor_source *tensor)
{
  tensor->dtype = ADAMIX_DTYPE_I32;
}

static float spoilt[64 * 32];
static void
put_nan (adamix_tensor_source *tensor)
{
  memcpy (spoilt, tensor->data, sizeof spoilt);
  spoilt[2047] = NAN;
  tensor->data = spoilt;
}
static void
put_infinity (adamix_tensor_source *tensor)
{
  memcpy (spoilt, tensor->data, sizeof spoilt);
  spoilt[0] = -INFINITY;
  tensor->data = spoilt;
}

Test (open, refuses_broken_weights)
{
  expect_weights_refused (rename_it, ADAMIX_EFORMAT);
  expect_weights_refused (turn_it, ADAMIX_EFORMAT);
  expect_weights_refused (flatten_it, ADAMIX_EFORMAT);
  expect_weights_refused (make_it_integer, ADAMIX_EUNSUPPORTED);
  expect_weights_refused (put_nan, ADAMIX_EFORMAT);
  expect_weights_refused (put_infinity, ADAMIX_EFORMAT);
}

Test (open, names_the_file_that_is_not_there)
{
  fixture_copy copy;
  char *path = NULL;
  fixture_copy_begin (&copy);
  expect_refused (copy.dir, ADAMIX_EIO, "config.json");
  fixture_copy_write (&copy);
  MUST (adamix_path_join (&path, copy.dir, "model.safetensors"));
  cr_assert_eq (remove (path), 0);
  expect_refused (copy.dir, ADAMIX_EIO, "model.safetensors");
  free (path);
  fixture_copy_remove (&copy);
}

/* ---- broken configurations ------------------------------------------------------------------------------------------ */

static const struct broken {
  const char *key, *value; /* JSON; NULL: the key is taken away */
  adamix_err code;
  const char *word; /* that the message must have */
} broken[] = {
  { "model_type", "\"mamba\"", ADAMIX_EUNSUPPORTED, "known: bert" },
  { "model_type", NULL, ADAMIX_EFORMAT, "model_type" },
  { "model_type", "7", ADAMIX_EFORMAT, "model_type" },
  { "hidden_size", "33", ADAMIX_EFORMAT, "33" },
  { "hidden_size", "0", ADAMIX_EFORMAT, "hidden_size" },
  { "hidden_size", "-32", ADAMIX_EFORMAT, "hidden_size" },
  { "hidden_size", "4611686018427387904", ADAMIX_EFORMAT, "hidden_size" },
  { "hidden_size", "32.5", ADAMIX_EFORMAT, "hidden_size" },
  { "hidden_size", "64", ADAMIX_EFORMAT, "embeddings.word_embeddings.weight" },
  { "num_hidden_layers", "4", ADAMIX_EFORMAT, "encoder.layer.3." },
  { "num_hidden_layers", "0", ADAMIX_EFORMAT, "num_hidden_layers" },
  { "num_attention_heads", "0", ADAMIX_EFORMAT, "num_attention_heads" },
  { "num_attention_heads", "5", ADAMIX_EFORMAT, "not divisible" },
  { "intermediate_size", NULL, ADAMIX_EFORMAT, "intermediate_size" },
  { "vocab_size", "99999999999", ADAMIX_EFORMAT, "vocab_size" },
  { "hidden_act", "\"mish\"", ADAMIX_EUNSUPPORTED, "gelu_new" },
  { "hidden_dropout_prob", "1", ADAMIX_EFORMAT, "hidden_dropout_prob" },
  { "attention_probs_dropout_prob", "-0.1", ADAMIX_EFORMAT, "attention_probs_dropout_prob" },
  { "layer_norm_eps", "0", ADAMIX_EFORMAT, "layer_norm_eps" },
  { "position_embedding_type", "\"relative_key\"", ADAMIX_EUNSUPPORTED, "relative_key" },
  { "is_decoder", "true", ADAMIX_EUNSUPPORTED, "is_decoder" },
};

Test (open, refuses_impossible_configurations)
{
  for (size_t i = 0; i < sizeof broken / sizeof *broken; ++i) {
    fixture_copy copy;
    const struct broken *row = &broken[i];
    fixture_copy_begin (&copy);
    if (row->value)
      json_object_set_new (copy.config, row->key, json_loads (row->value, JSON_DECODE_ANY, NULL));
    else
      json_object_del (copy.config, row->key);
    fixture_copy_write (&copy);
    expect_refused (copy.dir, row->code, row->word);
    fixture_copy_remove (&copy);
  }
}

/* Names of one function that configurations have had in turn. */
Test (open, knows_activations_by_all_their_names)
{
  static const struct {
    const char *name;
    adamix_activation activation;
  } row[] = {
    { "gelu", ADAMIX_ACTIVATION_GELU },
    { "gelu_python", ADAMIX_ACTIVATION_GELU },
    { "gelu_new", ADAMIX_ACTIVATION_GELU_NEW },
    { "gelu_fast", ADAMIX_ACTIVATION_GELU_NEW },
    { "gelu_pytorch_tanh", ADAMIX_ACTIVATION_GELU_NEW },
    { "relu", ADAMIX_ACTIVATION_RELU },
    { "silu", ADAMIX_ACTIVATION_SILU },
    { "swish", ADAMIX_ACTIVATION_SILU },
  };
  fixture_copy copy;
  fixture_copy_begin (&copy);
  for (size_t i = 0; i < sizeof row / sizeof *row; ++i) {
    adamix_model *model;
    json_object_set_new (copy.config, "hidden_act", json_string (row[i].name));
    fixture_copy_write (&copy);
    MUST (open_dir (copy.dir, &model));
    cr_expect_eq (adamix_model_config_of (model)->activation, row[i].activation, "%s", row[i].name);
    adamix_model_destroy (model);
  }
  fixture_copy_remove (&copy);
}

Test (open, takes_null_for_an_optional_key)
{
  fixture_copy copy;
  adamix_model *model;
  fixture_copy_begin (&copy);
  json_object_set_new (copy.config, "pad_token_id", json_null ());
  json_object_set_new (copy.config, "position_embedding_type", json_null ());
  fixture_copy_write (&copy);
  MUST (open_dir (copy.dir, &model));
  adamix_model_destroy (model);
  fixture_copy_remove (&copy);
}
