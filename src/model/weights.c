#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

#define WEIGHTS "model.safetensors"
#define INDEX   "model.safetensors.index.json"

/* ---- where the weights are --------------------------------------------------------------------------------------------- */

/* Only PyTorch's own format, which is a program to run as much as it is data.  The lines take one file or many. */
static adamix_err
refuse_pickles (const char *dir, const char *name)
{
  return adamix_err_set (ADAMIX_EUNSUPPORTED,
                         "%s: there is no " WEIGHTS ", and %s is in a format that adamix does not read; make " WEIGHTS
                         " of it once with these lines of Python:\n"
                         "  import glob, torch\n"
                         "  from safetensors.torch import save_file\n"
                         "  weights = {}\n"
                         "  for file in glob.glob(\"%s/pytorch_model*.bin\"): weights |= torch.load(file, \"cpu\")\n"
                         "  save_file({name: t.contiguous().clone() for name, t in weights.items()}, \"%s/" WEIGHTS
                         "\")",
                         dir, name, dir, dir);
}

/* Which of the files that may hold weights is there: the first of the list. */
static adamix_err
find_weights (adamix_weights *weights, const char *dir, bool *sharded)
{
  static const char *const names[] = { WEIGHTS, INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json" };
  enum { NAMES = sizeof names / sizeof *names };
  int found = 0;
  for (int i = 0; i < NAMES; ++i) {
    free (weights->path);
    weights->path = NULL;
    ADAMIX_RETURN_IF (adamix_path_join (&weights->path, dir, names[i]));
    found = i;
    if (adamix_path_exists (weights->path)) break;
  }
  *sharded = found == 1;
  if (found < 2) return ADAMIX_OK;
  if (adamix_path_exists (weights->path)) return refuse_pickles (dir, names[found]);
  return adamix_err_set (ADAMIX_EIO, "%s: there is neither " WEIGHTS " nor " INDEX ": is this a model folder?", dir);
}

/* ---- an index and its shards ------------------------------------------------------------------------------------------- */

/* Shards lie beside their index; a name that leads elsewhere is not followed. */
static adamix_err
check_name (const adamix_weights *weights, const char *tensor, const json_t *value)
{
  const char *name = json_string_value (value);
  if (!name)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: \"weight_map\": the file of \"%s\" is not a string", weights->path,
                           tensor);
  if (!*name || !strcmp (name, ".") || strchr (name, '/') || strstr (name, ".."))
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: \"weight_map\": the file of \"%s\" is \"%s\", expected the name of a file in the "
                           "same folder",
                           weights->path, tensor, name);
  return ADAMIX_OK;
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const adamix_shard *) a)->name, ((const adamix_shard *) b)->name);
}

/* One shard for each name in the map, in the order of their names. */
static adamix_err
list_shards (adamix_weights *weights)
{
  const char *tensor;
  json_t *value;
  int64_t entries = 0;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (weights->shard, (int64_t) json_object_size (weights->map)));
  json_object_foreach (weights->map, tensor, value)
  {
    ADAMIX_RETURN_IF (check_name (weights, tensor, value));
    weights->shard[entries++].name = json_string_value (value);
  }
  qsort (weights->shard, (size_t) entries, sizeof *weights->shard, compare_names);
  for (int64_t i = 0; i < entries; ++i) {
    int64_t last = weights->shards - 1;
    if (last >= 0 && !strcmp (weights->shard[last].name, weights->shard[i].name)) continue;
    weights->shard[weights->shards++].name = weights->shard[i].name;
  }
  return ADAMIX_OK;
}

static adamix_err
open_shard (adamix_weights *weights, const char *dir, adamix_shard *shard)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  ADAMIX_TRY (adamix_path_join (&path, dir, shard->name));
  if (!adamix_path_exists (path))
    ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT,
                                "%s names the file %s, which is not in the folder; fetch the whole model again",
                                weights->path, shard->name));
  ADAMIX_TRY (adamix_safetensors_open (&shard->file, path));
done:
  free (path);
  return err;
}

/* What the index promises has to be there, also tensors that nobody asks for: else the files belong to different models. */
static adamix_err
check_map (const adamix_weights *weights)
{
  const char *tensor, *path;
  json_t *value;
  json_object_foreach (
      weights->map, tensor,
      value) if (!adamix_weights_find (weights, tensor,
                                       &path)) return adamix_err_set (ADAMIX_EFORMAT,
                                                                      "%s: \"weight_map\": tensor \"%s\" is not in %s; "
                                                                      "do the files belong to the same model?",
                                                                      weights->path, tensor, json_string_value (value));
  return ADAMIX_OK;
}

static adamix_err
open_sharded (adamix_weights *weights, const char *dir)
{
  ADAMIX_RETURN_IF (adamix_json_load (&weights->index, weights->path));
  weights->map = json_object_get (weights->index, "weight_map");
  if (!json_object_size (weights->map))
    return adamix_err_set (ADAMIX_EFORMAT, "%s: \"weight_map\" is not an object that gives each tensor its file",
                           weights->path);
  ADAMIX_RETURN_IF (list_shards (weights));
  for (int64_t i = 0; i < weights->shards; ++i) ADAMIX_RETURN_IF (open_shard (weights, dir, &weights->shard[i]));
  return check_map (weights);
}

/* ---- both --------------------------------------------------------------------------------------------------------------- */

adamix_err
adamix_weights_open (adamix_weights *weights, const char *dir)
{
  bool sharded;
  ADAMIX_RETURN_IF (find_weights (weights, dir, &sharded));
  if (sharded) return open_sharded (weights, dir);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (weights->shard, 1));
  weights->shard[0].name = WEIGHTS;
  weights->shards = 1;
  return open_shard (weights, dir, &weights->shard[0]);
}

void
adamix_weights_close (adamix_weights *weights)
{
  adamix_hashing_destroy (weights->hashing);
  for (int64_t i = 0; i < weights->shards; ++i) adamix_safetensors_close (&weights->shard[i].file);
  free (weights->shard);
  json_decref (weights->index);
  free (weights->path);
  *weights = (adamix_weights){ 0 };
}

void
adamix_weights_release (const adamix_weights *weights, const void *data, size_t bytes)
{
  for (int64_t i = 0; i < weights->shards; ++i) adamix_file_map_release (&weights->shard[i].file.map, data, bytes);
}

const adamix_stored_tensor *
adamix_weights_find (const adamix_weights *weights, const char *name, const char **path)
{
  adamix_shard *shard = weights->shard;
  if (weights->map) {
    const adamix_shard key = { .name = json_string_value (json_object_get (weights->map, name)) };
    if (!key.name) return NULL;
    shard = bsearch (&key, weights->shard, (size_t) weights->shards, sizeof key, compare_names);
  }
  *path = shard->file.path;
  return adamix_safetensors_find (&shard->file, name);
}

/* ---- their hash --------------------------------------------------------------------------------------------------------- */

adamix_err
adamix_weights_hash_begin (adamix_weights *weights)
{
  adamix_file_map *map = NULL;
  if (weights->hashing) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (map, weights->shards));
  for (int64_t i = 0; i < weights->shards; ++i) map[i] = weights->shard[i].file.map;
  adamix_err err = adamix_hashing_begin (&weights->hashing, map, weights->shards);
  free (map);
  return err;
}

/* As `sha256sum SHARD... | sha256sum` in the folder, with the shards in the order of their names, tells it. */
static adamix_err
join_hashes (adamix_weights *weights, const adamix_sha256 *hash)
{
  adamix_err err = ADAMIX_OK;
  char *list = NULL;
  for (int64_t i = 0; i < weights->shards; ++i) {
    char *longer = NULL;
    ADAMIX_TRY (adamix_format (&longer, "%s%s  %s\n", list ? list : "", hash[i].hex, weights->shard[i].name));
    free (list);
    list = longer;
  }
  ADAMIX_TRY (adamix_sha256_memory (&weights->hash, list, strlen (list)));
done:
  free (list);
  return err;
}

adamix_err
adamix_weights_hash (adamix_weights *weights, const char **hex)
{
  const adamix_sha256 *hash;
  *hex = weights->hash.hex;
  if (weights->hash.hex[0] || weights->shards == 0) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_weights_hash_begin (weights));
  ADAMIX_RETURN_IF (adamix_hashing_end (weights->hashing, &hash));
  if (weights->map) return join_hashes (weights, hash);
  weights->hash = hash[0];
  return ADAMIX_OK;
}
