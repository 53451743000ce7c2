#include "metrics/metrics_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void
adamix_metric_entropy (int64_t n, int64_t classes, const double *log_p, double *out)
{
  for (int64_t i = 0; i < n; i++, log_p += classes) {
    out[i] = 0;
    for (int64_t k = 0; k < classes; k++) out[i] -= exp (log_p[k]) * log_p[k];
  }
}

void
adamix_metric_information (int64_t n, const double *predictive, const double *expected, double *out)
{
  /* Rounding may leave a little less than 0. */
  for (int64_t i = 0; i < n; i++) {
    const double information = predictive[i] - expected[i];
    out[i] = information < 0 ? 0 : information;
  }
}

/* (sum of the positives' ranks - its least) / (negatives x positives), Mann and Whitney */
static double
mann_whitney (const double *rank, int64_t negatives, int64_t positives)
{
  double sum = 0;
  for (int64_t i = 0; i < positives; i++) sum += rank[negatives + i];
  const double m = (double) negatives, n = (double) positives;
  return (sum - n * (n + 1) / 2) / (m * n);
}

adamix_err
adamix_metric_auroc (const double *negative, int64_t negatives, const double *positive, int64_t positives, double *out)
{
  adamix_err err = ADAMIX_OK;
  double *score = NULL, *rank = NULL;
  const int64_t n = negatives + positives;
  *out = NAN;
  if (negatives == 0 || positives == 0) return ADAMIX_OK;
  if (adamix_metric_has_nan (negative, negatives) || adamix_metric_has_nan (positive, positives)) return ADAMIX_OK;
  ADAMIX_TRY (ADAMIX_ALLOC (score, n));
  ADAMIX_TRY (ADAMIX_ALLOC (rank, n));
  memcpy (score, negative, (size_t) negatives * sizeof *score);
  memcpy (score + negatives, positive, (size_t) positives * sizeof *score);
  ADAMIX_TRY (adamix_metric_rank (score, n, rank));
  *out = mann_whitney (rank, negatives, positives);
done:
  free (rank);
  free (score);
  return err;
}

adamix_err
adamix_metric_risk (int64_t n, const double *score, const double *wrong, double *risk)
{
  adamix_ranked *sorted;
  double before = 0; /* errors of all lower scores */
  ADAMIX_RETURN_IF (adamix_metric_sort (score, n, &sorted));
  for (int64_t first = 0, end; first < n; first = end) {
    double errors = 0;
    end = adamix_metric_ties (sorted, n, first);
    for (int64_t i = first; i < end; i++) errors += wrong[sorted[i].index];
    for (int64_t i = first; i < end; i++) {
      const double share = (double) (i + 1 - first) / (double) (end - first);
      risk[i] = (before + share * errors) / (double) (i + 1);
    }
    before += errors;
  }
  free (sorted);
  return ADAMIX_OK;
}
