#include "model/model_private.h"

/* A page of a file that is touched comes with its neighbours: Linux maps 64 KiB around it (fault_around_bytes). */
#define MAPPED_AT_ONCE ((uintptr_t) 64 << 10)

/* Bytes of the pieces from that of `first` to that of `last`, less those up to *seen, which moves on. */
static size_t
pieces (const void *first, const void *last, uintptr_t *seen)
{
  uintptr_t from = (uintptr_t) first / MAPPED_AT_ONCE + 1, end = (uintptr_t) last / MAPPED_AT_ONCE + 1;
  if (from <= *seen) from = *seen + 1;
  if (end < from) return 0;
  *seen = end;
  return (size_t) (end - from + 1) * MAPPED_AT_ONCE;
}

static size_t
mapped_bytes (const adamix_tensor *tensor, const bool *row)
{
  const int64_t cols = tensor->rank == 2 ? tensor->shape[1] : 1;
  uintptr_t seen = 0;
  size_t sum = 0;
  for (int64_t r = 0; r < tensor->shape[0]; ++r)
    if (!row || row[r]) sum += pieces (tensor->data + r * cols, tensor->data + (r + 1) * cols - 1, &seen);
  return sum;
}

void
adamix_model_resident (const adamix_model *model, const bool *word, size_t *mapped, size_t *own)
{
  *mapped = *own = 0;
  for (int64_t slot = 0; slot < (model->config.layers + 1) * ADAMIX_ROLES; ++slot) {
    const adamix_role role = (adamix_role) (slot % ADAMIX_ROLES);
    if (model->slot[slot] < 0) continue;
    const adamix_tensor *tensor = &model->tensor[model->slot[slot]];
    if (tensor->converted)
      *own += (size_t) tensor->count * sizeof *tensor->converted;
    else if (tensor->param < 0 && !adamix_model_packs (role))
      *mapped += mapped_bytes (tensor, role == ADAMIX_ROLE_WORD ? word : NULL);
  }
}
