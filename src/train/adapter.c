#include "train/train_private.h"

#include <string.h>

#define FORMAT_VERSION 1

/* Names in adamix_config.json, by value. */
static const char *const task_type_names[] = { "classification", "regression" };
static const char *const pool_names[] = { "pooler", "mean" };
static const char *const backbone_names[] = { "none", "biases", "all" };
#define NAMES(array) array, (int) (sizeof array / sizeof *array)

int64_t
adamix_adapter_outputs (const adamix_adapter_config *config)
{
  return config->type == ADAMIX_TASK_REGRESSION ? 1 : config->labels.count;
}

adamix_module_form
adamix_adapter_form (const adamix_adapter_config *config, const adamix_bank_shape *shape)
{
  return (adamix_module_form){ .backbone = config->backbone,
                               .shape = config->has_bank ? shape : NULL,
                               .pool = config->pool,
                               .outputs = adamix_adapter_outputs (config),
                               .max_rows = ADAMIX_INFERENCE_SEQUENCES };
}

void
adamix_adapter_config_destroy (adamix_adapter_config *config)
{
  if (!config) return;
  free (config->method);
  free (config->task);
  free (config->metric);
  free (config->metrics);
  free (config->base_sha256);
  adamix_labels_destroy (&config->labels);
  *config = (adamix_adapter_config){ 0 };
}

/* ---- writing ---- */

static json_t *
labels_json (const adamix_labels *labels)
{
  json_t *list = json_array ();
  for (int64_t i = 0; i < labels->count; i++) adamix_json_append (&list, json_string (labels->name[i]));
  return list;
}

enum { PLACES_WIDTH = 64 };

/* "attention|ffn" */
static void
list_places (adamix_place_set places, char out[PLACES_WIDTH])
{
  *out = '\0';
  for (int place = 0; place < ADAMIX_PLACES; place++)
    if (places & ADAMIX_PLACE_BIT (place))
      snprintf (out + strlen (out), PLACES_WIDTH - strlen (out), "%s%s", *out ? "|" : "",
                adamix_place_name ((adamix_place) place));
}

static json_t *
module_json (const adamix_adapter_config *c)
{
  const adamix_bank_shape *s = &c->shape;
  char places[PLACES_WIDTH];
  if (!c->has_bank) return json_null ();
  list_places (s->places, places);
  json_t *json = json_pack ("{s:s, s:b, s:s, s:I, s:I, s:s, s:I, s:I}", "kind", adamix_kind_name (s->kind), "merged",
                            s->merged, "place", places, "experts", (json_int_t) s->experts, "rank",
                            (json_int_t) s->bottleneck, "share", adamix_share_name (s->share), "hidden_size",
                            (json_int_t) s->hidden, "num_hidden_layers", (json_int_t) s->layers);
  if (s->gating) adamix_json_put (&json, "router", json_string (adamix_gating_name (s->gating)));
  if (s->kind == ADAMIX_LORA) {
    adamix_json_put (&json, "scale", json_real (s->scale));
    adamix_json_put (&json, "dropout", json_real (s->dropout));
  } else
    adamix_json_put (&json, "activation", json_string (adamix_activation_name (s->activation)));
  return json;
}

adamix_err
adamix_adapter_write (const char *folder, const char *file, const adamix_adapter_config *config,
                      const adamix_module *module, const adamix_model *model)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL, *config_path = NULL;
  const adamix_model_config *base = adamix_model_config_of (model);
  const int64_t parameters = adamix_model_trainable_parameters (model, config->backbone) +
                             (config->has_bank ? adamix_bank_trainable_parameters (&config->shape) : 0);
  json_t *json = json_pack ("{s:i, s:s, s:{s:s, s:s, s:I, s:I, s:I}, s:{s:s, s:s, s:o, s:s, s:s}, s:s, s:o, s:{s:s, "
                            "s:I}, s:I, s:I, s:I, s:I}",
                            "format_version", FORMAT_VERSION, "method", config->method, "base_model", "architecture",
                            base->architecture, "sha256", config->base_sha256, "hidden_size", (json_int_t) base->hidden,
                            "num_hidden_layers", (json_int_t) base->layers, "parameters",
                            (json_int_t) adamix_model_parameters (model), "task", "name", config->task, "type",
                            task_type_names[config->type], "labels", labels_json (&config->labels), "metric",
                            config->metric, "metrics", config->metrics, "backbone", backbone_names[config->backbone],
                            "module", module_json (config), "head", "pool", pool_names[config->pool], "outputs",
                            (json_int_t) adamix_adapter_outputs (config), "max_length", (json_int_t) config->max_length,
                            "step", (json_int_t) config->step, "module_parameters", (json_int_t) parameters,
                            "head_parameters", (json_int_t) adamix_head_parameters (module->head));
  if (!json) ADAMIX_TRY (adamix_err_set (ADAMIX_ENOMEM, "%s: no memory for its configuration", folder));
  ADAMIX_TRY (adamix_directory_make (folder));
  ADAMIX_TRY (adamix_path_join (&path, folder, file));
  ADAMIX_TRY (adamix_path_join (&config_path, folder, FILE_ADAPTER_CONFIG));
  ADAMIX_TRY (adamix_module_write (module, path));
  ADAMIX_TRY (adamix_json_store (json, config_path, false));
done:
  free (config_path);
  free (path);
  json_decref (json);
  return err;
}

/* ---- reading ---- */

/* One of the folders a path may stand for: its subfolder and the file that must be in it. */
typedef struct candidate {
  const char *sub, *file;
  bool experts;
} candidate;

static const candidate candidates[] = {
  { "", FILE_ADAPTER, false },
  { FOLDER_MERGED, FILE_ADAPTER, false },
  { "", FILE_EXPERTS, true },
  { FOLDER_EXPERTS, FILE_EXPERTS, true },
  { "../" FOLDER_EXPERTS, FILE_EXPERTS, true },
  { "../" FOLDER_MERGED, FILE_ADAPTER, false },
};

adamix_err
adamix_adapter_locate (const char *path, bool experts, char **folder, char **file)
{
  adamix_err err = ADAMIX_OK;
  *folder = *file = NULL;
  for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
    if (candidates[i].experts != experts) continue;
    ADAMIX_TRY (candidates[i].sub[0] ? adamix_path_join (folder, path, candidates[i].sub)
                                     : adamix_format (folder, "%s", path));
    ADAMIX_TRY (adamix_path_join (file, *folder, candidates[i].file));
    if (adamix_path_exists (*file)) return ADAMIX_OK;
    free (*file);
    free (*folder);
    *folder = *file = NULL;
  }
  return adamix_err_set (
      ADAMIX_EUSAGE, "--adapter %s: there is no %s; give the folder of a finished run, its %s or its %s", path,
      experts ? FOLDER_EXPERTS "/" FILE_EXPERTS : FOLDER_MERGED "/" FILE_ADAPTER, FOLDER_MERGED, FOLDER_EXPERTS);
done:
  free (*file);
  free (*folder);
  *folder = *file = NULL;
  return err;
}

/* A string member that must be one of a list of names. */
static adamix_err
read_name (const json_t *object, const char *where, const char *key, const char *const *names, int count, int *out)
{
  const char *text;
  ADAMIX_RETURN_IF (adamix_json_string (object, where, key, true, &text));
  for (*out = 0; *out < count; (*out)++)
    if (strcmp (names[*out], text) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\": '%s' is not known to this version", where, key, text);
}

static adamix_err
read_copy (const json_t *object, const char *where, const char *key, char **out)
{
  const char *text;
  ADAMIX_RETURN_IF (adamix_json_string (object, where, key, true, &text));
  return adamix_format (out, "%s", text);
}

static adamix_err
read_labels (const json_t *task, const char *where, adamix_labels *labels)
{
  const json_t *list = json_object_get (task, "labels");
  if (!json_is_array (list)) return adamix_err_set (ADAMIX_EFORMAT, "%s: \"labels\" is not a list", where);
  if (json_array_size (list) == 0) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (labels->name, (int64_t) json_array_size (list)));
  for (size_t i = 0; i < json_array_size (list); i++) {
    const char *text = json_string_value (json_array_get (list, i));
    if (!text) return adamix_err_set (ADAMIX_EFORMAT, "%s: label %zu is not a string", where, i);
    if (adamix_labels_find (labels, text) >= 0)
      return adamix_err_set (ADAMIX_EFORMAT, "%s: label '%s' stands twice", where, text);
    ADAMIX_RETURN_IF (adamix_format (&labels->name[i], "%s", text));
    labels->count++;
  }
  return ADAMIX_OK;
}

static adamix_err
unknown (const char *where, const char *key, const char *text)
{
  return adamix_err_set (ADAMIX_EFORMAT, "%s: \"%s\": '%s' is not known to this version", where, key, text);
}

/* What only one kind has. */
static adamix_err
read_kind (const json_t *module, const char *where, adamix_bank_shape *shape)
{
  const char *activation;
  if (shape->kind == ADAMIX_LORA) {
    ADAMIX_RETURN_IF (adamix_json_real (module, where, "scale", true, &shape->scale));
    return adamix_json_real (module, where, "dropout", true, &shape->dropout);
  }
  ADAMIX_RETURN_IF (adamix_json_string (module, where, "activation", true, &activation));
  return adamix_activation_find (activation, &shape->activation) ? ADAMIX_OK
                                                                 : unknown (where, "activation", activation);
}

static adamix_err
read_shape (const json_t *json, const char *where, adamix_adapter_config *out)
{
  const json_t *module = json_object_get (json, "module");
  if (json_is_null (module)) return ADAMIX_OK;
  const char *share, *kind, *places, *router = NULL;
  out->has_bank = true;
  adamix_bank_shape *shape = &out->shape;
  const int64_t most = 1 << 20;
  ADAMIX_RETURN_IF (adamix_json_boolean (module, where, "merged", true, &shape->merged));
  ADAMIX_RETURN_IF (adamix_json_integer (module, where, "experts", true, 1, most, &shape->experts));
  ADAMIX_RETURN_IF (adamix_json_integer (module, where, "rank", true, 1, most, &shape->bottleneck));
  ADAMIX_RETURN_IF (adamix_json_integer (module, where, "hidden_size", true, 1, most, &shape->hidden));
  ADAMIX_RETURN_IF (adamix_json_integer (module, where, "num_hidden_layers", true, 1, most, &shape->layers));
  ADAMIX_RETURN_IF (adamix_json_string (module, where, "share", true, &share));
  ADAMIX_RETURN_IF (adamix_json_string (module, where, "kind", true, &kind));
  ADAMIX_RETURN_IF (adamix_json_string (module, where, "place", true, &places));
  if (!adamix_share_find (share, &shape->share)) return unknown (where, "share", share);
  if (!adamix_kind_find (kind, &shape->kind)) return unknown (where, "kind", kind);
  if (!adamix_places_find (places, &shape->places)) return unknown (where, "place", places);
  ADAMIX_RETURN_IF (adamix_json_string (module, where, "router", false, &router));
  if (router && !adamix_gating_find (router, &shape->gating)) return unknown (where, "router", router);
  return read_kind (module, where, shape);
}

adamix_err
adamix_adapter_read_config (adamix_adapter_config *out, const char *folder)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  json_t *json = NULL;
  int type, pool, backbone = 0;
  int64_t version;
  *out = (adamix_adapter_config){ 0 };
  ADAMIX_TRY (adamix_path_join (&path, folder, FILE_ADAPTER_CONFIG));
  ADAMIX_TRY (adamix_json_load (&json, path));
  ADAMIX_TRY (adamix_json_integer (json, path, "format_version", true, 1, FORMAT_VERSION, &version));
  const json_t *task = json_object_get (json, "task"), *base = json_object_get (json, "base_model");
  ADAMIX_TRY (read_copy (json, path, "method", &out->method));
  ADAMIX_TRY (read_copy (base, path, "sha256", &out->base_sha256));
  ADAMIX_TRY (read_copy (task, path, "name", &out->task));
  ADAMIX_TRY (read_copy (task, path, "metric", &out->metric));
  ADAMIX_TRY (read_copy (task, path, "metrics", &out->metrics));
  ADAMIX_TRY (read_name (task, path, "type", NAMES (task_type_names), &type));
  ADAMIX_TRY (read_labels (task, path, &out->labels));
  ADAMIX_TRY (read_name (json_object_get (json, "head"), path, "pool", NAMES (pool_names), &pool));
  ADAMIX_TRY (adamix_json_integer (json, path, "max_length", true, 1, INT32_MAX, &out->max_length));
  ADAMIX_TRY (adamix_json_integer (json, path, "step", true, 0, INT64_MAX, &out->step));
  ADAMIX_TRY (read_shape (json, path, out));
  if (json_object_get (json, "backbone"))
    ADAMIX_TRY (read_name (json, path, "backbone", NAMES (backbone_names), &backbone));
  out->backbone = (adamix_trainable) backbone;
  out->type = (adamix_task_type) type;
  out->pool = (adamix_pool) pool;
  if (out->type == ADAMIX_TASK_CLASSIFICATION && out->labels.count < 1)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT, "%s: a classification task without labels", path));
done:
  if (err) adamix_adapter_config_destroy (out);
  json_decref (json);
  free (path);
  return err;
}

/* ---- comparing ---- */

/* What modules may have in common, as text, so that a difference can be told. */
enum { OF_ENCODER, OF_TASK, OF_LENGTH, OF_METHOD, OF_HEAD, OF_BANK, TRAITS };
enum { TRAIT_WIDTH = 192 };
static const struct {
  const char *name;
  bool inside; /* of the modules themselves: where only answers meet it may differ */
} trait_rows[TRAITS] = {
  [OF_ENCODER] = { "encoder", false }, [OF_TASK] = { "kind of task", false }, [OF_LENGTH] = { "--max-length", false },
  [OF_METHOD] = { "--method", true },  [OF_HEAD] = { "--pool", true },        [OF_BANK] = { "modules", true }
};

static void
tell_traits (const adamix_adapter_config *c, char out[TRAITS][TRAIT_WIDTH])
{
  const adamix_bank_shape *s = &c->shape;
  char places[PLACES_WIDTH];
  snprintf (out[OF_ENCODER], TRAIT_WIDTH, "%s", c->base_sha256);
  snprintf (out[OF_TASK], TRAIT_WIDTH, "%s", task_type_names[c->type]);
  snprintf (out[OF_LENGTH], TRAIT_WIDTH, "%lld", (long long) c->max_length);
  snprintf (out[OF_METHOD], TRAIT_WIDTH, "%s", c->method);
  snprintf (out[OF_HEAD], TRAIT_WIDTH, "%s", pool_names[c->pool]);
  snprintf (out[OF_BANK], TRAIT_WIDTH, "none");
  if (!c->has_bank) return;
  list_places (s->places, places);
  snprintf (out[OF_BANK], TRAIT_WIDTH, "%s of rank %lld in %lld layers of %lld at %s, %s, scale %g",
            adamix_kind_name (s->kind), (long long) s->bottleneck, (long long) s->layers, (long long) s->hidden, places,
            s->kind == ADAMIX_LORA ? "linear" : adamix_activation_name (s->activation), s->scale);
}

static bool
same_labels (const adamix_labels *a, const adamix_labels *b)
{
  bool same = a->count == b->count;
  for (int64_t i = 0; same && i < a->count; i++) same = strcmp (a->name[i], b->name[i]) == 0;
  return same;
}

adamix_err
adamix_adapter_compare (const adamix_adapter_config *first, const char *first_path, const adamix_adapter_config *other,
                        const char *other_path, bool alike)
{
  char a[TRAITS][TRAIT_WIDTH], b[TRAITS][TRAIT_WIDTH];
  const char *const purpose = alike ? "averaged" : "asked together";
  tell_traits (first, a);
  tell_traits (other, b);
  for (int i = 0; i < TRAITS; i++)
    if ((alike || !trait_rows[i].inside) && strcmp (a[i], b[i]) != 0)
      return adamix_err_set (ADAMIX_EUSAGE, "%s and %s cannot be %s: they differ in %s (%s; %s)", first_path,
                             other_path, purpose, trait_rows[i].name, a[i], b[i]);
  if (same_labels (&first->labels, &other->labels)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "%s and %s cannot be %s: they differ in their labels", first_path, other_path,
                         purpose);
}

adamix_err
adamix_adapter_check (const adamix_adapter_config *config, const char *path, adamix_model *model)
{
  const char *hash;
  ADAMIX_RETURN_IF (adamix_model_hash (model, &hash));
  if (strcmp (config->base_sha256, hash) == 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA,
                         "%s was trained on other weights (model.safetensors with sha256 %.12s..., here it is "
                         "%.12s...); give the --model it was trained on",
                         path, config->base_sha256, hash);
}

adamix_err
adamix_adapter_open (adamix_adapter_config *config, adamix_module *module, const char *path, bool experts,
                     adamix_model *model)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *file = NULL;
  *config = (adamix_adapter_config){ 0 };
  *module = (adamix_module){ 0 };
  ADAMIX_TRY (adamix_adapter_locate (path, experts, &folder, &file));
  ADAMIX_TRY (adamix_adapter_read_config (config, folder));
  const adamix_module_form form = adamix_adapter_form (config, &config->shape);
  ADAMIX_TRY (adamix_module_create (module, model, &form));
  err = adamix_module_read (module, file);
  /* Tensors of another shape are those of another model, if it is one. */
  if (err && adamix_adapter_check (config, path, model)) err = ADAMIX_EDATA;
  if (err) goto done;
  if (config->backbone != ADAMIX_TRAIN_NONE) adamix_model_adopt (model, &module->params);
done:
  if (err) {
    adamix_module_destroy (module);
    adamix_adapter_config_destroy (config);
  }
  free (file);
  free (folder);
  return err;
}
