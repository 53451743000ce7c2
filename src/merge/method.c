#include "merge/merge_private.h"

#include <string.h>

static const adamix_merge_method methods[] = {
  { "average", "the mean of all experts (AdaMix)", false, 0, adamix_merge_shape, adamix_merge_average },
  { "weighted", "their mean by --merge-weights", false, 0, adamix_merge_shape, adamix_merge_weighted },
  { "ties", "TIES-Merging of what training changed", true, 0.2, adamix_merge_shape, adamix_merge_ties },
  { "dare", "DARE: random changes dropped, the others rescaled", true, 0.5, adamix_merge_shape, adamix_merge_dare },
  { "concat", "the mean of the modules' outputs, in a wider module", false, 0, adamix_merge_concat_shape,
    adamix_merge_concat },
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
