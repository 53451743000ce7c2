#include "model/fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(call) cr_assert_eq ((call), ADAMIX_OK, "%s", adamix_err_message ())

static char *
golden_path (const char *folder, const char *name)
{
  const char *root = getenv ("ADAMIX_SOURCE");
  char *path = NULL;
  MUST (adamix_format (&path, "%s/tests/golden/%s%s%s", root ? root : ".", folder, *name ? "/" : "", name));
  return path;
}

char *
fixture_path (const char *name)
{
  return golden_path (FIXTURE_BERT, name);
}

static const adamix_stored_tensor *
stored (const adamix_safetensors *file, const char *name)
{
  const adamix_stored_tensor *tensor = adamix_safetensors_find (file, name);
  cr_assert (tensor, "%s: no tensor %s", file->path, name);
  return tensor;
}

static void
read_batch (fixture *fixture)
{
  const adamix_safetensors *file = &fixture->golden;
  const adamix_stored_tensor *id = stored (file, "batch.id"), *offset = stored (file, "batch.offset");
  int64_t T = id->count, S = offset->count - 1;
  adamix_batch *batch = &fixture->batch;
  MUST (adamix_batch_create (batch, S, T));
  batch->sequences = S;
  batch->tokens = T;
  memcpy (batch->id, id->data, id->bytes);
  memcpy (batch->offset, offset->data, offset->bytes);
  memcpy (batch->type, stored (file, "batch.type")->data, (size_t) T * sizeof *batch->type);
  memcpy (batch->label, stored (file, "batch.label")->data, (size_t) S * sizeof *batch->label);
  for (int64_t s = 0; s < S; ++s) {
    batch->sample[s] = 100 + 7 * s;
    for (int64_t t = batch->offset[s]; t < batch->offset[s + 1]; ++t) batch->sequence[t] = (int32_t) s;
  }
}

static void
open_both (fixture *fixture, const char *folder, const char *dir, int threads)
{
  char *golden = golden_path (folder, "golden.safetensors"), *own = golden_path (folder, "");
  *fixture = (struct fixture){ 0 };
  MUST (adamix_compute_select (&fixture->compute, "auto", "auto", threads));
  MUST (adamix_safetensors_open (&fixture->golden, golden));
  MUST (adamix_model_open (&fixture->model, dir ? dir : own, &fixture->compute));
  read_batch (fixture);
  free (own);
  free (golden);
}

void
fixture_open (fixture *fixture, const char *dir, int threads)
{
  open_both (fixture, FIXTURE_BERT, dir, threads);
}

void
fixture_open_golden (fixture *fixture, const char *folder, int threads)
{
  open_both (fixture, folder, NULL, threads);
}

void
fixture_close (fixture *fixture)
{
  adamix_batch_destroy (&fixture->batch);
  adamix_model_destroy (fixture->model);
  adamix_safetensors_close (&fixture->golden);
}

const float *
fixture_golden (const fixture *fixture, const char *name, int64_t count)
{
  const adamix_stored_tensor *tensor = stored (&fixture->golden, name);
  cr_assert (tensor->dtype == ADAMIX_DTYPE_F32 && tensor->count == count, "golden tensor %s", name);
  return tensor->data;
}

void
fixture_single (const adamix_batch *batch, int64_t s, adamix_batch *out)
{
  int64_t first = batch->offset[s], n = batch->offset[s + 1] - first;
  MUST (adamix_batch_create (out, 1, n));
  out->sequences = 1;
  out->tokens = n;
  out->offset[1] = n;
  out->sample[0] = batch->sample[s];
  out->label[0] = batch->label[s];
  memcpy (out->id, batch->id + first, (size_t) n * sizeof *out->id);
  memcpy (out->type, batch->type + first, (size_t) n * sizeof *out->type);
}

double
fixture_error (const float *a, const float *b, int64_t count)
{
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!isfinite (a[i])) return INFINITY;
    worst = fmax (worst, fabs ((double) a[i] - b[i]));
    largest = fmax (largest, fabs (b[i]));
  }
  return worst == 0 ? 0 : worst / largest;
}

/* ---- changed copies ------------------------------------------------------------------------------------------------ */

void
fixture_copy_begin (fixture_copy *copy)
{
  fixture_copy_golden (copy, FIXTURE_BERT);
}

void
fixture_copy_golden (fixture_copy *copy, const char *folder)
{
  char *config = golden_path (folder, "config.json"), *weights = golden_path (folder, "model.safetensors");
  *copy = (fixture_copy){ .dir = "/tmp/adamix-model-XXXXXX" };
  cr_assert (mkdtemp (copy->dir));
  MUST (adamix_json_load (&copy->config, config));
  MUST (adamix_safetensors_open (&copy->file, weights));
  copy->tensors = copy->file.tensors;
  MUST (ADAMIX_ALLOC (copy->tensor, copy->tensors));
  for (int64_t i = 0; i < copy->tensors; ++i) {
    const adamix_stored_tensor *from = &copy->file.tensor[i];
    copy->tensor[i] =
        (adamix_tensor_source){ .name = from->name, .dtype = from->dtype, .rank = from->rank, .data = from->data };
    memcpy (copy->tensor[i].shape, from->shape, sizeof from->shape);
  }
  free (weights);
  free (config);
}

adamix_tensor_source *
fixture_copy_find (fixture_copy *copy, const char *name)
{
  for (int64_t i = 0; i < copy->tensors; ++i)
    if (!strcmp (copy->tensor[i].name, name)) return &copy->tensor[i];
  cr_assert_fail ("no tensor %s", name);
  return NULL;
}

void
fixture_copy_write (fixture_copy *copy)
{
  char *config = NULL, *weights = NULL;
  MUST (adamix_path_join (&config, copy->dir, "config.json"));
  MUST (adamix_path_join (&weights, copy->dir, "model.safetensors"));
  MUST (adamix_json_store (copy->config, config, false));
  MUST (adamix_safetensors_write (weights, copy->tensor, copy->tensors, NULL));
  free (weights);
  free (config);
}

void
fixture_copy_remove (fixture_copy *copy)
{
  MUST (adamix_directory_remove (copy->dir));
  json_decref (copy->config);
  free (copy->tensor);
  adamix_safetensors_close (&copy->file);
}
