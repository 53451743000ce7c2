#include "driver.h"

#include <stdlib.h>
#include <string.h>

typedef struct inspect_config {
  bool json, memory;
  int64_t ranks;
  adamix_train_config train; /* with --memory */
} inspect_config;

static const adamix_option own_rows[] = {
  { "json", ADAMIX_OPTION_FLAG, offsetof (inspect_config, json), "false", NULL, 0, 0, NULL,
    "print JSON instead of text" },
  { "memory", ADAMIX_OPTION_FLAG, offsetof (inspect_config, memory), "false", NULL, 0, 0, NULL,
    "of a model: the memory that a training with the options below takes" },
  { "ranks", ADAMIX_OPTION_INTEGER, offsetof (inspect_config, ranks), "1", NULL, 1, 1e6, "N",
    "ranks, all on one node" },
};
#define OWN_ROWS ((int) (sizeof own_rows / sizeof *own_rows))

/* Options of `adamix train` that its memory depends on. */
static const char *const train_rows[] = {
  "task",
  "data",
  "train-file",
  "dev-file",
  "test-file",
  "text-column",
  "label-column",
  "text-pair-column",
  "task-type",
  "limit-train",
  "order-file",
  "method",
  "experts",
  "rank",
  "share",
  "merge",
  "merge-samples",
  "hold-out",
  "ema",
  "passes",
  "task-loss",
  "consistency",
  "consistency-loss",
  "placement",
  "experts-per-rank",
  "reproducible",
  "epochs",
  "max-steps",
  "batch",
  "max-length",
  "pool",
  "seed",
  "select",
  "precision",
  "gemm",
  "kernels",
  "threads",
  "activation-memory",
};
#define TRAIN_ROWS ((int) (sizeof train_rows / sizeof *train_rows))
#define ROWS       (OWN_ROWS + TRAIN_ROWS)

static void
fill_table (adamix_option table[ROWS])
{
  memcpy (table, own_rows, sizeof own_rows);
  driver_train_rows (table + OWN_ROWS, train_rows, TRAIN_ROWS, offsetof (inspect_config, train));
}

/* ---- a model folder ---- */

/* Add the members of another object, as adamix_json_put adds one; steals it. */
static void
put_all (json_t **out, json_t *other)
{
  const char *key;
  json_t *value;
  if (!other) adamix_json_put (out, "", NULL);
  json_object_foreach (other, key, value) adamix_json_put (out, key, json_incref (value));
  json_decref (other);
}

static adamix_err
inspect_model (const char *path, adamix_log *log, json_t **out)
{
  (void) log;
  adamix_err err = ADAMIX_OK;
  adamix_compute compute;
  adamix_model *model = NULL;
  const char *hash;
  ADAMIX_TRY (adamix_compute_select (&compute, "auto", "auto", 1));
  ADAMIX_TRY (adamix_model_open (&model, path, &compute));
  ADAMIX_TRY (adamix_model_hash (model, &hash));
  const adamix_model_config *c = adamix_model_config_of (model);
  json_t *json =
      json_pack ("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:s}", "kind", "model",
                 "architecture", c->architecture, "parameters", (json_int_t) adamix_model_parameters (model),
                 "num_hidden_layers", (json_int_t) c->layers, "embedding_size", (json_int_t) c->embedding,
                 "hidden_size", (json_int_t) c->hidden, "num_attention_heads", (json_int_t) c->heads,
                 "intermediate_size", (json_int_t) c->ffn, "vocab_size", (json_int_t) c->vocabulary, "type_vocab_size",
                 (json_int_t) c->types, "max_position_embeddings", (json_int_t) c->positions, "longest_sequence",
                 (json_int_t) c->longest, "hidden_act", adamix_activation_name (c->activation), "pooler",
                 adamix_model_has_pooler (model), "mean_pooling", adamix_model_wants_mean (model), "sha256", hash);
  put_all (out, json);
  /* Multiply-adds count two: forward, without the attention's products, which grow with the length. */
  adamix_json_put (out, "flops_per_token", json_integer (2 * adamix_model_linear_parameters (c)));
done:
  adamix_model_destroy (model);
  return err;
}

/* ---- a module folder or a run ---- */

static adamix_err
inspect_module (const char *path, bool experts, json_t **out)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL, *file = NULL, *config_path = NULL;
  json_t *stored;
  adamix_adapter_config config = { 0 };
  ADAMIX_TRY (adamix_adapter_locate (path, experts, &folder, &file));
  ADAMIX_TRY (adamix_adapter_read_config (&config, folder));
  ADAMIX_TRY (adamix_path_join (&config_path, folder, "adamix_config.json"));
  ADAMIX_TRY (adamix_json_load (&stored, config_path));
  adamix_json_put (out, "kind", json_string (experts ? "experts" : "module"));
  adamix_json_put (out, "file", json_string (file));
  put_all (out, stored);
  if (config.has_bank) {
    const adamix_bank_shape *s = &config.shape;
    adamix_json_put (out, "merged_parameters", json_integer (adamix_bank_merged_parameters (s)));
    adamix_json_put (out, "module_flops_per_token", json_integer (adamix_bank_forward_flops (s)));
  }
done:
  free (config_path);
  adamix_adapter_config_destroy (&config);
  free (file);
  free (folder);
  return err;
}

static adamix_err
inspect_merged (const char *path, adamix_log *log, json_t **out)
{
  (void) log;
  return inspect_module (path, false, out);
}

static adamix_err
inspect_experts (const char *path, adamix_log *log, json_t **out)
{
  (void) log;
  return inspect_module (path, true, out);
}

/* Copy a member, if it is there, under another name. */
static void
put_copy (json_t **out, const char *key, const json_t *from, const char *member)
{
  json_t *value = json_object_get (from, member);
  if (value) adamix_json_put (out, key, json_incref (value));
}

/* A run has a merged module and, beside it, the experts it was made of; these may have been taken away (EUSAGE). */
static adamix_err
inspect_modules (const char *path, json_t **out)
{
  ADAMIX_RETURN_IF (inspect_module (path, false, out));
  json_t *experts = json_object ();
  adamix_err err = inspect_module (path, true, &experts);
  if (!experts) adamix_json_put (out, "", NULL);
  put_copy (out, "experts", json_object_get (experts, "module"), "experts");
  put_copy (out, "trainable_parameters", experts, "module_parameters");
  json_decref (experts);
  return err == ADAMIX_EUSAGE ? ADAMIX_OK : err;
}

#define MODULE_CONFIG "merged/adamix_config.json"

static bool
has_modules (const char *run)
{
  char *path;
  if (adamix_path_join (&path, run, MODULE_CONFIG)) return false;
  bool there = adamix_path_exists (path);
  free (path);
  return there;
}

/* Of what a finished run has to tell, what it has spent. */
static adamix_err
inspect_results (const char *path, json_t **out)
{
  char *file;
  json_t *results;
  ADAMIX_RETURN_IF (adamix_path_join (&file, path, "all_results.json"));
  const adamix_err err = adamix_json_load (&results, file);
  free (file);
  ADAMIX_RETURN_IF (err);
  put_copy (out, "train_flops", results, "train_flops");
  json_decref (results);
  return ADAMIX_OK;
}

/* A run that is under way, or was cut off, has a checkpoint to go on from and no modules yet. */
static adamix_err
inspect_run (const char *path, adamix_log *log, json_t **out)
{
  adamix_run_state state;
  adamix_err err = adamix_run_state_read (&state, path, log);
  if (!err && has_modules (path)) err = inspect_modules (path, out);
  if (!err && state.finished) err = inspect_results (path, out);
  adamix_json_put (out, "kind", json_string ("run"));
  adamix_json_put (out, "finished", json_boolean (state.finished));
  adamix_json_put (out, "checkpoint_step", json_integer (state.step));
  adamix_json_put (out, "checkpoint", state.checkpoint ? json_string (state.checkpoint) : json_null ());
  adamix_run_state_destroy (&state);
  return err;
}

/* ---- a safetensors file ---- */

static json_t *
shape_json (const adamix_stored_tensor *tensor)
{
  json_t *shape = json_array ();
  for (int d = 0; d < tensor->rank; d++) adamix_json_append (&shape, json_integer (tensor->shape[d]));
  return shape;
}

static adamix_err
inspect_tensors (const char *path, json_t **out)
{
  adamix_safetensors file = { 0 };
  ADAMIX_RETURN_IF (adamix_safetensors_open (&file, path));
  json_t *list = json_object ();
  int64_t parameters = 0;
  for (int64_t i = 0; i < file.tensors; i++) {
    const adamix_stored_tensor *t = &file.tensor[i];
    adamix_json_put (&list, t->name,
                     json_pack ("{s:s, s:o}", "dtype", adamix_dtype_name (t->dtype), "shape", shape_json (t)));
    parameters += t->count;
  }
  adamix_json_put (out, "kind", json_string ("safetensors"));
  adamix_json_put (out, "tensors", json_integer (file.tensors));
  adamix_json_put (out, "parameters", json_integer (parameters));
  adamix_json_put (out, "tensor", list);
  adamix_safetensors_close (&file);
  return ADAMIX_OK;
}

/* ---- which of these is it? ---- */

/* A folder is what the first of these names in it says. */
static const struct {
  const char *name;
  adamix_err (*inspect) (const char *path, adamix_log *log, json_t **out);
} kinds[] = { { "config.json", inspect_model },
              { "experts.safetensors", inspect_experts },
              { "adapter.safetensors", inspect_merged },
              { "run.json", inspect_run },
              { MODULE_CONFIG, inspect_run } };

static adamix_err
inspect (const char *path, adamix_log *log, json_t **out)
{
  if (!adamix_path_exists (path)) return adamix_err_set (ADAMIX_EIO, "%s does not exist", path);
  if (!adamix_path_is_directory (path)) return inspect_tensors (path, out);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char *inside;
    ADAMIX_RETURN_IF (adamix_path_join (&inside, path, kinds[i].name));
    const bool there = adamix_path_exists (inside);
    free (inside);
    if (there) return kinds[i].inspect (path, log, out);
  }
  return adamix_err_set (ADAMIX_EUSAGE,
                         "%s is neither a model folder (config.json), nor a run or module folder, nor a safetensors "
                         "file",
                         path);
}

/* A long list (labels) is told by its length; --json has it whole. */
static void
print_value (const json_t *value)
{
  enum { SHORT = 8 };
  if (json_is_string (value)) {
    printf (" %s\n", json_string_value (value));
    return;
  }
  if (json_array_size (value) > SHORT) {
    printf (" %zu\n", json_array_size (value));
    return;
  }
  char *text = json_dumps (value, JSON_ENCODE_ANY | JSON_COMPACT);
  printf (" %s\n", text ? text : "");
  free (text);
}

static void
print_text (const json_t *json, int depth)
{
  enum { INDENT = 2, WIDTH = 26 };
  const char *key;
  json_t *value;
  json_object_foreach ((json_t *) json, key, value)
  {
    printf ("%*s%-*s", depth * INDENT, "", WIDTH, key);
    if (json_is_object (value) && depth == 0) {
      putchar ('\n');
      print_text (value, depth + 1);
      continue;
    }
    print_value (value);
  }
}

static adamix_err
print (const json_t *json, const inspect_config *config)
{
  if (!json) return adamix_err_set (ADAMIX_ENOMEM, "no memory for what was found");
  if (!config->json) {
    if (config->memory)
      driver_print_memory (json);
    else
      print_text (json, 0);
    return ADAMIX_OK;
  }
  char *text = json_dumps (json, JSON_INDENT (2));
  if (!text) return adamix_err_set (ADAMIX_ENOMEM, "no memory for the JSON text");
  puts (text);
  free (text);
  return ADAMIX_OK;
}

/* ---- the command ---- */

/* Options of a training say nothing of anything else. */
static adamix_err
refuse_train_rows (const adamix_options *options)
{
  for (int i = 0; i < TRAIN_ROWS; i++)
    if (adamix_options_source (options, train_rows[i]) != ADAMIX_SOURCE_DEFAULT)
      return adamix_err_set (ADAMIX_EUSAGE, "--%s goes with --memory", train_rows[i]);
  return ADAMIX_OK;
}

static adamix_err
plan_memory (inspect_config *config, const adamix_options *options, const char *path, driver_session *session,
             json_t **out)
{
  adamix_train_config *c = &config->train;
  const int ranks = (int) config->ranks, cores = session->cores / ranks;
  c->model = path;
  ADAMIX_RETURN_IF (driver_train_check (c, options));
  const adamix_train_args args = { .config = c,
                                   .options = options,
                                   .log = driver_session_log (session),
                                   .threads = c->threads  ? (int) c->threads
                                              : cores > 1 ? cores
                                                          : 1 };
  return driver_plan_memory (&args, ranks, out);
}

int
driver_inspect (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  inspect_config config = { 0 };
  adamix_option table[ROWS];
  adamix_options *options = NULL;
  const char *path = NULL;
  int paths = 0;
  json_t *out = json_object ();
  fill_table (table);
  if (driver_help (self, table, ROWS, argc, argv)) {
    json_decref (out);
    return 0;
  }
  ADAMIX_TRY (driver_session_start (&session, false));
  ADAMIX_TRY (driver_train_defaults (&config.train));
  ADAMIX_TRY (adamix_options_create (&options, table, ROWS));
  ADAMIX_TRY (adamix_options_parse (options, argc, argv, &path, 1, &paths));
  ADAMIX_TRY (adamix_options_store (options, &config));
  if (!paths) ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "which PATH? see 'adamix inspect --help'"));
  if (!config.memory) ADAMIX_TRY (refuse_train_rows (options));
  ADAMIX_TRY (config.memory ? plan_memory (&config, options, path, &session, &out)
                            : inspect (path, &session.log, &out));
  ADAMIX_TRY (print (out, &config));
done:
  json_decref (out);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
