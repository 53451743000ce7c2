#include "model/model_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The tensors of a part, by its kind. */
typedef struct part_tensor {
  const char *ending, *former; /* former: the ending that older files have, or NULL */
  int rank;
} part_tensor;

static const struct {
  int tensors;
  part_tensor tensor[2];
} kinds[] = {
  [ADAMIX_PART_TABLE] = { 1, { { ".weight", NULL, 2 } } },
  [ADAMIX_PART_LINEAR] = { 2, { { ".weight", NULL, 2 }, { ".bias", NULL, 1 } } },
  [ADAMIX_PART_NORM] = { 2, { { ".weight", ".gamma", 1 }, { ".bias", ".beta", 1 } } },
};

/* The part's name with the layer's number in place of "{i}", between a prefix and an ending. */
static adamix_err
tensor_name (char **out, const char *prefix, const char *name, const char *ending, int64_t layer)
{
  const char *mark = strstr (name, "{i}");
  if (!mark) return adamix_format (out, "%s%s%s", prefix, name, ending);
  return adamix_format (out, "%s%.*s%" PRId64 "%s%s", prefix, (int) (mark - name), name, layer, mark + strlen ("{i}"),
                        ending);
}

/* Files name a tensor with or without the prefix, and older ones by a former name. */
static adamix_err
find_stored (const adamix_model *model, const char *part, const part_tensor *which, int64_t layer,
             const adamix_stored_tensor **out, const char **path)
{
  const char *prefix[] = { "", model->architecture->prefix };
  const char *ending[] = { which->ending, which->former };
  *out = NULL;
  for (int i = 0; i < 4 && !*out; ++i) {
    char *name = NULL;
    if (!ending[i / 2]) continue;
    ADAMIX_RETURN_IF (tensor_name (&name, prefix[i % 2], part, ending[i / 2], layer));
    *out = adamix_weights_find (&model->weights, name, path);
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
read_values (const adamix_model *model, const char *path, const adamix_stored_tensor *stored, adamix_tensor *tensor)
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
  adamix_weights_release (&model->weights, stored->data, stored->bytes);
  if (bad)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor \"%s\" holds %" PRId64 " values that are NaN or infinite", path,
                           stored->name, bad);
  return ADAMIX_OK;
}

static adamix_err
load_values (adamix_model *model, const char *path, const adamix_stored_tensor *stored, adamix_part_kind kind,
             adamix_tensor *tensor)
{
  if (model->drawn) return adamix_model_draw_values (model, kind, tensor);
  if (!stored)
    return adamix_err_set (ADAMIX_EFORMAT,
                           "%s: tensor \"%s\" is missing (neither so nor as \"%s%s\"): is this a %s model?", path,
                           tensor->name, model->architecture->prefix, tensor->name, model->architecture->name);
  ADAMIX_RETURN_IF (check_shape (path, stored, tensor));
  return read_values (model, path, stored, tensor);
}

static int64_t
size_of (const adamix_model *model, size_t offset)
{
  return *(const int64_t *) ((const char *) &model->config + offset);
}

static adamix_err
load_tensor (adamix_model *model, const adamix_part *part, int which, int64_t layer)
{
  const part_tensor *kind = &kinds[part->kind].tensor[which];
  const adamix_stored_tensor *stored = NULL;
  adamix_tensor *tensor = &model->tensor[model->tensors];
  const char *path = model->weights.path;
  if (!model->drawn) ADAMIX_RETURN_IF (find_stored (model, part->name, kind, layer, &stored, &path));
  if (!model->drawn && !stored && part->presence == ADAMIX_POOLER) return ADAMIX_OK;

  model->tensors++; /* from here on destroy releases the row */
  *tensor = (adamix_tensor){ .rank = kind->rank, .param = -1 };
  ADAMIX_RETURN_IF (tensor_name (&tensor->name, "", part->name, kind->ending, layer));
  tensor->shape[0] = tensor->count = size_of (model, part->rows);
  if (kind->rank == 2) tensor->count *= tensor->shape[1] = size_of (model, part->cols);
  ADAMIX_RETURN_IF (load_values (model, path, stored, part->kind, tensor));
  model->slot[(layer + 1) * ADAMIX_ROLES + part->role + which] = tensor - model->tensor;
  return ADAMIX_OK;
}

static bool
looked_for (const adamix_model *model, const adamix_part *part, int64_t layer)
{
  bool inside = part->role >= ADAMIX_ROLE_IN_LAYER;
  if (inside != (layer != ADAMIX_OUTSIDE)) return false;
  if (part->presence == ADAMIX_PROJECTION) return adamix_model_projects (model);
  return part->presence == ADAMIX_ALWAYS || !model->architecture->head.trained;
}

adamix_err
adamix_model_load_tensors (adamix_model *model)
{
  const adamix_architecture *architecture = model->architecture;
  int64_t layers = model->config.layers, slots = (layers + 1) * ADAMIX_ROLES;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (model->tensor, slots));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (model->slot, slots));
  for (int64_t i = 0; i < slots; ++i) model->slot[i] = -1;
  for (int64_t layer = ADAMIX_OUTSIDE; layer < layers; ++layer) {
    for (int i = 0; i < architecture->parts; ++i) {
      const adamix_part *part = &architecture->part[i];
      int tensors = looked_for (model, part, layer) ? kinds[part->kind].tensors : 0;
      for (int which = 0; which < tensors; ++which) ADAMIX_RETURN_IF (load_tensor (model, part, which, layer));
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

bool
adamix_model_has_linear (const adamix_model *model, int64_t layer, adamix_role weight)
{
  return adamix_model_tensor (model, layer, weight) && adamix_model_tensor (model, layer, weight + 1);
}

bool
adamix_model_projects (const adamix_model *model)
{
  return model->config.embedding != model->config.hidden;
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
