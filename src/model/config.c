#include "model/model_private.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static adamix_err
read_activation (const json_t *object, const char *path, const char *key, adamix_activation *out)
{
  const char *value = NULL;
  ADAMIX_RETURN_IF (adamix_json_string (object, path, key, true, &value));
  if (adamix_activation_find (value, out)) return ADAMIX_OK;
  char known[256] = "";
  for (int i = 0; i < ADAMIX_ACTIVATION_COUNT; ++i) {
    size_t used = strlen (known);
    snprintf (known + used, sizeof known - used, "%s%s", i ? ", " : "", adamix_activation_name ((adamix_activation) i));
  }
  return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: \"%s\" is \"%s\", which is not supported; known: %s", path, key,
                         value, known);
}

/* A real in [min, below); *out stays as it is where there is none. */
static adamix_err
read_real (const json_t *object, const char *path, const char *key, double min, double below, float *out)
{
  double value = *out;
  if (!key) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_json_real (object, path, key, false, &value));
  if (!(value >= min && value < below))
    return adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\" is %g, expected at least %g and less than %g", path, key, value,
                           min, below);
  *out = (float) value;
  return ADAMIX_OK;
}

/* What another meaning of the same tensors would be: such a model would load and compute something else. */
static adamix_err
reject_variants (const json_t *object, const char *path)
{
  const char *positions = "absolute";
  bool decoder = false;
  ADAMIX_RETURN_IF (adamix_json_string (object, path, "position_embedding_type", false, &positions));
  if (strcmp (positions, "absolute"))
    return adamix_err_set (ADAMIX_EUNSUPPORTED,
                           "%s: \"position_embedding_type\" is \"%s\": only \"absolute\" is supported", path,
                           positions);
  ADAMIX_RETURN_IF (adamix_json_boolean (object, path, "is_decoder", false, &decoder));
  if (decoder)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "%s: \"is_decoder\" is true: only encoders are supported", path);
  return ADAMIX_OK;
}

static adamix_err
read_integers (adamix_model_config *config, const adamix_architecture *row, const json_t *object, const char *path)
{
  const int64_t most = INT32_MAX;
  for (int i = 0; i < row->integers; ++i) {
    const adamix_config_row *key = &row->integer[i];
    int64_t *value = (int64_t *) ((char *) config + key->offset);
    ADAMIX_RETURN_IF (adamix_json_integer (object, path, key->key, true, 1, key->max, value));
  }
  ADAMIX_RETURN_IF (adamix_json_integer (object, path, "pad_token_id", false, 0, most, &config->pad));
  if (config->hidden % config->heads)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: the hidden size %" PRId64 " is not divisible by the %" PRId64 " heads",
                           path, config->hidden, config->heads);
  config->first_position = row->positions_follow_pad ? config->pad + 1 : 0;
  config->longest = config->positions - config->first_position;
  if (config->longest < 1)
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: positions are counted from pad_token_id + 1 = %" PRId64 ", but there are only %" PRId64,
                           path, config->first_position, config->positions);
  return ADAMIX_OK;
}

static adamix_err
read_members (adamix_model_config *config, const adamix_architecture *row, const json_t *object, const char *path)
{
  *config = (adamix_model_config){
    .architecture = row->name, .norm_eps = 1e-12f, .initializer_range = 0.02f, .pad = row->pad
  };
  config->hidden_dropout = config->attention_dropout = 0.1f;
  ADAMIX_RETURN_IF (read_integers (config, row, object, path));
  ADAMIX_RETURN_IF (read_activation (object, path, row->activation, &config->activation));
  ADAMIX_RETURN_IF (read_real (object, path, row->norm_eps, 1e-30, 1, &config->norm_eps));
  ADAMIX_RETURN_IF (read_real (object, path, row->hidden_dropout, 0, 1, &config->hidden_dropout));
  ADAMIX_RETURN_IF (read_real (object, path, row->attention_dropout, 0, 1, &config->attention_dropout));
  ADAMIX_RETURN_IF (read_real (object, path, "initializer_range", 0, INFINITY, &config->initializer_range));
  return reject_variants (object, path);
}

adamix_err
adamix_config_parse (adamix_model_config *out, const adamix_architecture **architecture, const json_t *object,
                     const char *path)
{
  const char *type = NULL;
  ADAMIX_RETURN_IF (adamix_json_string (object, path, "model_type", true, &type));
  ADAMIX_RETURN_IF (adamix_architecture_find (architecture, path, type));
  return read_members (out, *architecture, object, path);
}

adamix_err
adamix_config_read (adamix_model_config *out, const adamix_architecture **architecture, const char *path)
{
  adamix_err err = ADAMIX_OK;
  json_t *object = NULL;
  ADAMIX_TRY (adamix_json_load (&object, path));
  ADAMIX_TRY (adamix_config_parse (out, architecture, object, path));
done:
  json_decref (object);
  return err;
}
