/* Weights in one file or in several: an index and its shards, what is refused of them, and what is told instead. */
#include "model/fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) cr_assert_eq ((call), ADAMIX_OK, "%s", adamix_err_message ())

enum { SHARDS = 3 };
static const char *const shard_names[SHARDS] = { "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                                                 "model-00003-of-00003.safetensors" };

/* A copy of the tiny BERT whose tensors are dealt to three files. */
typedef struct sharded {
  fixture_copy copy;
  json_t *index, *map; /* map is a part of index */
} sharded;

static void
put_json (const sharded *s, const char *name, const json_t *value)
{
  char *path = NULL;
  MUST (adamix_path_join (&path, s->copy.dir, name));
  MUST (adamix_json_store (value, path, false));
  free (path);
}

static void
put_bytes (const sharded *s, const char *name, const char *text)
{
  char *path = NULL;
  MUST (adamix_path_join (&path, s->copy.dir, name));
  MUST (adamix_file_write (path, text, strlen (text)));
  free (path);
}

static void
write_shard (const sharded *s, int which)
{
  adamix_tensor_source part[128];
  int64_t count = 0;
  char *path = NULL;
  for (int64_t i = which; i < s->copy.tensors; i += SHARDS) part[count++] = s->copy.tensor[i];
  MUST (adamix_path_join (&path, s->copy.dir, shard_names[which]));
  MUST (adamix_safetensors_write (path, part, count, NULL));
  free (path);
}

static void
begin (sharded *s)
{
  fixture_copy_begin (&s->copy);
  cr_assert_leq (s->copy.tensors, 128);
  s->map = json_object ();
  s->index = json_pack ("{s:{s:i}, s:o}", "metadata", "total_size", 1, "weight_map", s->map);
  for (int64_t i = 0; i < s->copy.tensors; ++i)
    json_object_set_new (s->map, s->copy.tensor[i].name, json_string (shard_names[i % SHARDS]));
  put_json (s, "config.json", s->copy.config);
  for (int which = 0; which < SHARDS; ++which) write_shard (s, which);
}

static void
end (sharded *s)
{
  json_decref (s->index);
  fixture_copy_remove (&s->copy);
}

static adamix_err
open_it (const sharded *s, adamix_model **model)
{
  static adamix_compute compute;
  MUST (adamix_compute_select (&compute, "auto", "auto", 1));
  return adamix_model_open (model, s->copy.dir, &compute);
}

static void
expect_refused (const sharded *s, adamix_err code, const char *word)
{
  adamix_model *model;
  adamix_err err = open_it (s, &model);
  cr_expect_eq (err, code, "error %d instead of %d for %s: %s", err, code, word, err ? adamix_err_message () : "none");
  cr_expect_null (model);
  if (err) cr_expect (strstr (adamix_err_message (), word), "\"%s\" does not name %s", adamix_err_message (), word);
  adamix_model_destroy (model);
}

#define INDEX "model.safetensors.index.json"

Test (weights, shards_are_one_model)
{
  sharded s;
  adamix_model *model;
  int64_t count;
  char list[SHARDS * 128] = "";
  begin (&s);
  put_json (&s, INDEX, s.index);
  MUST (open_it (&s, &model));
  const adamix_tensor *tensor = adamix_model_tensors (model, &count);
  cr_expect_eq (count, s.copy.tensors);
  for (int64_t i = 0; i < count; ++i) {
    const adamix_tensor_source *source = fixture_copy_find (&s.copy, tensor[i].name);
    cr_expect_not (tensor[i].converted);
    cr_expect_arr_eq (tensor[i].data, source->data, (size_t) tensor[i].count * sizeof (float));
  }
  for (int which = 0; which < SHARDS; ++which) { /* what sha256sum prints */
    adamix_sha256 hash;
    char *path = NULL;
    MUST (adamix_path_join (&path, s.copy.dir, shard_names[which]));
    MUST (adamix_sha256_file (&hash, path));
    free (path);
    snprintf (list + strlen (list), sizeof list - strlen (list), "%s  %s\n", hash.hex, shard_names[which]);
  }
  adamix_sha256 whole;
  MUST (adamix_sha256_memory (&whole, list, strlen (list)));
  const char *asked, *again;
  MUST (adamix_model_hash_begin (model));
  MUST (adamix_model_hash (model, &asked));
  MUST (adamix_model_hash (model, &again));
  cr_expect_str_eq (asked, whole.hex);
  cr_expect_str_eq (again, whole.hex);
  adamix_model_destroy (model);
  end (&s);
}

/* A file with all weights is taken before an index, as transformers does. */
Test (weights, one_file_comes_first)
{
  sharded s;
  adamix_model *model;
  begin (&s);
  put_bytes (&s, INDEX, "no JSON");
  fixture_copy_write (&s.copy);
  MUST (open_it (&s, &model));
  adamix_model_destroy (model);
  end (&s);
}

#define TENSOR "encoder.layer.1.output.dense.weight"

Test (weights, refuses_an_index_that_leads_elsewhere)
{
  const char *bad[] = { "../model-00001-of-00003.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "" };
  sharded s;
  begin (&s);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    json_object_set_new (s.map, TENSOR, json_string (bad[i]));
    put_json (&s, INDEX, s.index);
    expect_refused (&s, ADAMIX_EFORMAT, "in the same folder");
  }
  json_object_set_new (s.map, TENSOR, json_integer (7));
  put_json (&s, INDEX, s.index);
  expect_refused (&s, ADAMIX_EFORMAT, "is not a string");
  end (&s);
}

Test (weights, refuses_an_index_that_does_not_fit)
{
  sharded s;
  begin (&s);
  json_object_set_new (s.map, TENSOR, json_string ("model-00004-of-00003.safetensors"));
  put_json (&s, INDEX, s.index);
  expect_refused (&s, ADAMIX_EFORMAT, "model-00004-of-00003.safetensors");
  json_object_del (s.map, TENSOR);
  put_json (&s, INDEX, s.index);
  expect_refused (&s, ADAMIX_EFORMAT, TENSOR);
  for (int which = 0; which < SHARDS; ++which) {
    const adamix_tensor_source *other = &s.copy.tensor[which == 0]; /* a tensor of another shard */
    json_object_set_new (s.map, other->name, json_string (shard_names[which]));
  }
  put_json (&s, INDEX, s.index);
  expect_refused (&s, ADAMIX_EFORMAT, "same model");
  end (&s);
}

Test (weights, refuses_an_index_without_a_map)
{
  sharded s;
  begin (&s);
  const char *bad[] = { "{}", "{\"weight_map\": {}}", "{\"weight_map\": [1]}", "[]" };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    put_bytes (&s, INDEX, bad[i]);
    expect_refused (&s, ADAMIX_EFORMAT, "weight_map");
  }
  put_bytes (&s, INDEX, "{\"weight_map\": ");
  expect_refused (&s, ADAMIX_EFORMAT, "not valid JSON");
  end (&s);
}

Test (weights, tells_how_to_convert_a_pickle)
{
  const char *names[] = { "pytorch_model.bin.index.json", "pytorch_model.bin" };
  sharded s;
  begin (&s);
  for (int i = 0; i < 2; ++i) {
    put_bytes (&s, names[i], "x");
    expect_refused (&s, ADAMIX_EUNSUPPORTED, names[i]);
    cr_expect (strstr (adamix_err_message (), "save_file") && strstr (adamix_err_message (), s.copy.dir));
  }
  end (&s);
}
