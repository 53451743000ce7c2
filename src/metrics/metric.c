#include <adamix/metrics.h>

#include <string.h>

static const adamix_metric metrics[] = {
  { "accuracy", adamix_metric_accuracy },
  { "f1", adamix_metric_f1 },
  { "matthews_correlation", adamix_metric_matthews },
  { "pearson", adamix_metric_pearson },
  { "spearmanr", adamix_metric_spearman },
};

const adamix_metric *
adamix_metric_find (const char *name)
{
  for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
    if (strcmp (metrics[i].name, name) == 0) return &metrics[i];
  return NULL;
}
