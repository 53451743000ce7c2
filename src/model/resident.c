#include "model/model_private.h"

/* A page of a file that is touched comes with its neighbours: Linux maps 64 KiB around it (fault_around_bytes). */
#define MAPPED_AT_ONCE ((int64_t) 64 << 10)

/* Pieces of a tensor that rows lie in; they are counted from its start, so that the sum does not depend on addresses. */
static size_t
mapped_bytes (const adamix_tensor *tensor, const bool *row)
{
  const int64_t bytes = tensor->count / tensor->shape[0] * (int64_t) sizeof *tensor->data;
  int64_t pieces = 0, next = 0;
  for (int64_t r = 0; r < tensor->shape[0]; ++r) {
    const int64_t first = r * bytes / MAPPED_AT_ONCE, last = ((r + 1) * bytes - 1) / MAPPED_AT_ONCE;
    if ((row && !row[r]) || last < next) continue;
    pieces += last - (first > next ? first : next) + 1;
    next = last + 1;
  }
  return (size_t) (pieces * MAPPED_AT_ONCE);
}

size_t
adamix_model_resident (const adamix_model *model, const bool *word)
{
  size_t mapped = 0;
  for (int64_t slot = 0; slot < (model->config.layers + 1) * ADAMIX_ROLES; ++slot) {
    const adamix_role role = (adamix_role) (slot % ADAMIX_ROLES);
    if (model->slot[slot] < 0) continue;
    const adamix_tensor *tensor = &model->tensor[model->slot[slot]];
    if (!tensor->converted && tensor->param < 0 && !adamix_model_packs (role))
      mapped += mapped_bytes (tensor, role == ADAMIX_ROLE_WORD ? word : NULL);
  }
  return mapped;
}
