#include "merge/merge_private.h"

#include <string.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_SCALAPACK
#define SCALAPACK_LACKS NULL
#else
#define SCALAPACK_LACKS "ScaLAPACK"
#endif

static const adamix_merge_method methods[] = {
  { .name = "average",
    .help = "the mean of all experts (AdaMix)",
    .shape = adamix_merge_shape,
    .merge = adamix_merge_average },
  { .name = "weighted",
    .help = "their mean by --merge-weights",
    .reads = ADAMIX_MERGE_WEIGHTS,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_weighted },
  { .name = "ties",
    .help = "TIES-Merging of what training changed",
    .reads = ADAMIX_MERGE_INITIAL,
    .density = 0.2,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_ties },
  { .name = "dare",
    .help = "DARE: random changes dropped, the others rescaled",
    .reads = ADAMIX_MERGE_INITIAL,
    .density = 0.5,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_dare },
  { .name = "concat",
    .help = "the mean of the modules' outputs, in a wider module",
    .shape = adamix_merge_concat_shape,
    .merge = adamix_merge_concat },
  { .name = "svd",
    .help = "lora: the mean of the products B A, cut to rank R",
    .lora = true,
    .lacks = SCALAPACK_LACKS,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_svd },
  { .name = "greedy-soup",
    .help = "the mean of those experts that do not make it worse on samples",
    .reads = ADAMIX_MERGE_SAMPLES | ADAMIX_MERGE_UNSEEN,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_greedy_soup },
  { .name = "learned-soup",
    .help = "their mean by the weights that are best on samples",
    .reads = ADAMIX_MERGE_SAMPLES | ADAMIX_MERGE_UNSEEN,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_learned_soup },
  { .name = "fisher",
    .help = "their mean by the squared gradients of samples",
    .reads = ADAMIX_MERGE_SAMPLES,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_fisher },
  { .name = "regmean",
    .help = "RegMean: what is nearest to all experts' outputs on samples",
    .reads = ADAMIX_MERGE_SAMPLES | ADAMIX_MERGE_ALPHA,
    .lacks = SCALAPACK_LACKS,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_regmean },
  { .name = "ema",
    .help = "the mean of their moving averages over the steps (--ema)",
    .reads = ADAMIX_MERGE_EMA,
    .shape = adamix_merge_shape,
    .merge = adamix_merge_average },
  { .name = "none",
    .help = "all experts and the learned router that chooses among them",
    .reads = ADAMIX_MERGE_ROUTER,
    .shape = adamix_merge_none_shape,
    .merge = adamix_merge_none },
};

const adamix_merge_method *
adamix_merge_method_find (const char *name)
{
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (strcmp (methods[i].name, name) == 0) return &methods[i];
  return NULL;
}

const adamix_merge_method *
adamix_merge_methods (int *count)
{
  *count = (int) (sizeof methods / sizeof *methods);
  return methods;
}

adamix_bank_shape
adamix_merge_shape (const adamix_bank_shape *shape)
{
  adamix_bank_shape merged = *shape;
  merged.experts = 1;
  merged.merged = true;
  merged.share = ADAMIX_SHARE_NONE;
  merged.gating = ADAMIX_GATING_NONE;
  return merged;
}
