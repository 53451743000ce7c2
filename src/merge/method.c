#include <string.h>

#include <adamix/merge.h>

static const adamix_merge_method methods[] = {
  { "average", "the mean of all experts (AdaMix)", adamix_merge_average },
};

const adamix_merge_method *
adamix_merge_method_find (const char *name)
{
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (strcmp (methods[i].name, name) == 0) return &methods[i];
  return NULL;
}

adamix_bank_shape
adamix_merge_shape (const adamix_bank_shape *shape)
{
  adamix_bank_shape merged = *shape;
  merged.experts = 1;
  merged.merged = true;
  merged.share = ADAMIX_SHARE_NONE;
  return merged;
}
