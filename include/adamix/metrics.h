/* adamix/metrics.h - the numbers a task is judged by, under transformers' run_glue names.
 *
 * Equal to scikit-learn's and scipy's; an undefined value is NaN (null in JSON).  Pure functions in fp64; Local.         */
#ifndef ADAMIX_METRICS_H
#define ADAMIX_METRICS_H

#include <adamix/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Predictions of n examples against the truth: classes or numbers, the other pair NULL. */
typedef struct adamix_predictions {
  int64_t n;
  int64_t classes; /* K; 1 for regression */
  const int32_t *label, *predicted;
  const double *target, *score;
} adamix_predictions;

/* A row of the table of metrics. */
typedef struct adamix_metric {
  const char *name; /* "accuracy", "f1", "matthews_correlation", "pearson", "spearmanr" */
  double (*compute) (const adamix_predictions *predictions);
} adamix_metric;

/* NULL for an unknown name. */
const adamix_metric *adamix_metric_find (const char *name);

/* Of classes, with C_ab examples of class a that are predicted as b, t_k of class k, p_k predicted as k, and c = sum_k C_kk:
 *   accuracy              c / n
 *   f1                    of class 1, two classes: 2 C_11 / (2 C_11 + C_01 + C_10); 0 if there is no true positive
 *   matthews_correlation  (c n - sum_k t_k p_k) / sqrt ((n^2 - sum_k p_k^2) (n^2 - sum_k t_k^2)); 0 if a marginal is constant
 * Of numbers x (score) and y (target); both are NaN for a constant input or n < 2:
 *   pearson               sum (x - mean x) (y - mean y) / sqrt (sum (x - mean x)^2 sum (y - mean y)^2)
 *   spearmanr             pearson of the ranks, ties with their mean rank */
double adamix_metric_accuracy (const adamix_predictions *predictions);
double adamix_metric_f1 (const adamix_predictions *predictions);
double adamix_metric_matthews (const adamix_predictions *predictions);
double adamix_metric_pearson (const adamix_predictions *predictions);
double adamix_metric_spearman (const adamix_predictions *predictions);

#ifdef __cplusplus
}
#endif
#endif
