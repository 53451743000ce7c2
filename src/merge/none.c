#include "merge/merge_private.h"

#include <string.h>

adamix_bank_shape
adamix_merge_none_shape (const adamix_bank_shape *shape)
{
  return *shape;
}

static void
copy_list (const adamix_expert_list *from, const adamix_expert_list *to)
{
  for (int64_t j = 0; j < from->count; j++) {
    const adamix_expert *source = &from->expert[j], *target = &to->expert[j];
    memcpy (target->weight->value, source->weight->value, (size_t) source->weight->count * sizeof (float));
    if (source->bias) memcpy (target->bias->value, source->bias->value, (size_t) source->bias->count * sizeof (float));
  }
}

/* What a learned router chooses among stays as it is. */
adamix_err
adamix_merge_none (const adamix_merge_args *args, adamix_bank *merged)
{
  const adamix_bank *all = args->all;
  for (int list = 0; list < ADAMIX_LISTS; list++)
    for (int64_t i = 0; all->local[list] && i < adamix_bank_sites (&all->shape); i++)
      copy_list (&all->local[list][i], &merged->local[list][i]);
  return ADAMIX_OK;
}
