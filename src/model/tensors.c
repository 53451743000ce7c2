#include "model/model_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* `pattern` with the layer's number in place of "{i}". */
static adamix_err
tensor_name (char **out, const char *prefix, const char *pattern, int64_t layer)
{
  const char *mark = strstr (pattern, "{i}");
  if (!mark) return adamix_format (out, "%s%s", prefix, pattern);
  return adamix_format (out, "%s%.*s%" PRId64 "%s", prefix, (int) (mark - pattern), pattern, layer,
                        mark + strlen ("{i}"));
}

/* Files name a tensor with or without the prefix, and older ones by a former name. */
static adamix_err
find_stored (const adamix_model *model, const adamix_tensor_row *row, int64_t layer, const adamix_stored_tensor **out)
{
  const char *prefix[] = { "", model->architecture->prefix };
  const char *pattern[] = { row->name, row->former };
  *out = NULL;
  for (int i = 0; i < 4 && !*out; ++i) {
    char *name = NULL;
    if (!pattern[i / 2]) continue;
    ADAMIX_RETURN_IF (tensor_name (&name, prefix[i % 2], pattern[i / 2], layer));
    *out = adamix_safetensors_find (&model->file, name);
    free (name);
  }
  return ADAMIX_OK;
}

static adamix_err
check_shape (const char *path, const adamix_stored_tensor *stored, const adamix_tensor *tensor)
{
  bool same = stored->rank == tensor->rank;
  for (int i = 0; same && i < tensor->rank; ++i) same = stored->shape[i] == tensor->shape[i];
  if (same) return ADAMIX_OK;

  char is[256] = "";
  for (int i = 0; i < stored->rank; ++i) {
    size_t used = strlen (is);
    snprintf (is + used, sizeof is - used, "%s%" PRId64, i ? ", " : "", stored->shape[i]);
  }
  char expected[64];
  if (tensor->rank == 1)
    snprintf (expected, sizeof expected, "%" PRId64, tensor->shape[0]);
  else
    snprintf (expected, sizeof expected, "%" PRId64 ", %" PRId64, tensor->shape[0], tensor->shape[1]);
  return adamix_err_set (ADAMIX_EFORMAT,
                         "%s: tensor \"%s\" has the shape [%s], config.json asks for [%s]: do both files "
                         "belong to the same model?",
                         path, stored->name, is, expected);
}

/* Finite unless all exponent bits are set: an integer test that vectorises. */
static int64_t
count_non_finite (int64_t n, const float *x)
{
  const uint32_t exponent = 0x7f800000u;
  int64_t bad = 0;
#pragma omp parallel for simd reduction(+ : bad) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    memcpy (&bits, &x[i], sizeof bits);
    bad += (bits & exponent) == exponent;
  }
  return bad;
}

/* The values stay in the mapped file where they can. */
static adamix_err
load_values (const char *path, const adamix_stored_tensor *stored, adamix_tensor *tensor)
{
  if (stored->dtype == ADAMIX_DTYPE_F32 && (uintptr_t) stored->data % sizeof (float) == 0) {
    tensor->data = stored->data;
  } else {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (tensor->converted, tensor->count));
    adamix_err err = adamix_dtype_to_f32 (stored->dtype, stored->data, tensor->count, tensor->converted);
    if (err != ADAMIX_OK) return adamix_err_prefix (err, "%s: tensor \"%s\"", path, stored->name);
    tensor->data = tensor->converted;
  }
  int64_t bad = count_non_finite (tensor->count, tensor->data);
  if (bad)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor \"%s\" holds %" PRId64 " values that are NaN or infinite", path,
                           stored->name, bad);
  return ADAMIX_OK;
}

static adamix_err
load_tensor (adamix_model *model, const adamix_tensor_row *row, int64_t layer)
{
  const adamix_stored_tensor *stored;
  adamix_tensor *tensor = &model->tensor[model->tensors];
  const char *path = model->file.path;
  ADAMIX_RETURN_IF (find_stored (model, row, layer, &stored));
  if (!stored && row->optional) return ADAMIX_OK;

  model->tensors++; /* from here on destroy releases the row */
  *tensor = (adamix_tensor){ .rank = row->rank, .count = 1, .param = -1 };
  ADAMIX_RETURN_IF (tensor_name (&tensor->name, "", row->name, layer));
  if (!stored)
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: tensor \"%s\" is missing (neither so nor as \"%s%s\"): is this a %s model?", path,
                           tensor->name, model->architecture->prefix, tensor->name, model->architecture->name);
  for (int i = 0; i < row->rank; ++i) {
    tensor->shape[i] = *(const int64_t *) ((const char *) &model->config + row->shape[i]);
    tensor->count *= tensor->shape[i];
  }
  ADAMIX_RETURN_IF (check_shape (path, stored, tensor));
  ADAMIX_RETURN_IF (load_values (path, stored, tensor));
  model->slot[(layer + 1) * ADAMIX_ROLES + row->role] = tensor - model->tensor;
  return ADAMIX_OK;
}

adamix_err
adamix_model_load_tensors (adamix_model *model)
{
  const adamix_architecture *architecture = model->architecture;
  int64_t layers = model->config.layers, slots = (layers + 1) * ADAMIX_ROLES;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (model->tensor, (layers + 1) * architecture->tensors));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (model->slot, slots));
  for (int64_t i = 0; i < slots; ++i) model->slot[i] = -1;
  for (int64_t layer = ADAMIX_OUTSIDE; layer < layers; ++layer) {
    for (int i = 0; i < architecture->tensors; ++i) {
      const adamix_tensor_row *row = &architecture->tensor[i];
      bool inside = row->role >= ADAMIX_ROLE_IN_LAYER;
      if (inside == (layer != ADAMIX_OUTSIDE)) ADAMIX_RETURN_IF (load_tensor (model, row, layer));
    }
  }
  return ADAMIX_OK;
}

const adamix_tensor *
adamix_model_tensor (const adamix_model *model, int64_t layer, adamix_role role)
{
  int64_t row = model->slot[(layer + 1) * ADAMIX_ROLES + role];
  return row < 0 ? NULL : &model->tensor[row];
}

const float *
adamix_model_values (const adamix_model *model, int64_t layer, adamix_role role)
{
  const adamix_tensor *tensor = adamix_model_tensor (model, layer, role);
  ADAMIX_ASSERT (tensor);
  return tensor->data;
}

float *
adamix_model_gradient (const adamix_model *model, int64_t layer, adamix_role role)
{
  const adamix_tensor *tensor = adamix_model_tensor (model, layer, role);
  if (!tensor || tensor->param < 0) return NULL;
  adamix_param *param = &model->params->row[tensor->param];
  *param->touched = 1;
  return param->grad;
}
