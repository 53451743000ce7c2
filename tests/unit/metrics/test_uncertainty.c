#include <adamix/metrics.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* fp64 sums of at most 200 terms of order 1: errors stay below 1e-12. */
#define TOLERANCE 1e-9

typedef struct golden_forecast {
  const char *name;
  int64_t draws, n, classes;
  const double *z; /* [draws, n, classes] */
  const int32_t *label;
  double nll, brier, ece;
  const int64_t *bin;                  /* [ADAMIX_RELIABILITY_BINS] */
  const double *entropy, *information; /* [n] */
} golden_forecast;

typedef struct golden_ranking {
  const char *name;
  int64_t negatives, positives;
  const double *negative, *positive;
  double auroc;
} golden_ranking;

typedef struct golden_risk {
  const char *name;
  int64_t n;
  const double *score, *wrong, *risk;
} golden_risk;

typedef struct golden_pair {
  const char *name;
  int64_t n, width;
  const double *a, *b;
  double cosine, cka, disagreement;
} golden_pair;

#include "metrics/golden_uncertainty.h"

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static void
expect (const char *data, const char *what, double value, double expected)
{
  cr_assert_float_eq (value, expected, TOLERANCE, "%s of %s: %.12g, not %.12g", what, data, value, expected);
}

static double *
allocate (int64_t count)
{
  double *out;
  cr_assert_eq (ADAMIX_ALLOC (out, count), ADAMIX_OK);
  return out;
}

/* The draws' mean, and the mean of their entropies. */
static void
combine (const golden_forecast *row, double *log_p, double *expected)
{
  const int64_t values = row->n * row->classes;
  double *one = allocate (values), *entropy = allocate (row->n);
  for (int64_t s = 0; s < row->draws; s++) {
    memcpy (one, row->z + s * values, (size_t) values * sizeof *one);
    adamix_metric_log_softmax (row->n, row->classes, one);
    adamix_metric_entropy (row->n, row->classes, one, entropy);
    for (int64_t i = 0; i < row->n; i++) expected[i] += entropy[i] / (double) row->draws;
    if (s == 0)
      memcpy (log_p, one, (size_t) values * sizeof *one);
    else
      adamix_metric_log_add (values, one, log_p);
  }
  for (int64_t i = 0; i < values; i++) log_p[i] -= log ((double) row->draws);
  free (entropy);
  free (one);
}

Test (uncertainty, of_probabilities_is_that_of_scikit_learn_and_scipy)
{
  for (size_t r = 0; r < COUNT (forecasts); r++) {
    const golden_forecast *row = &forecasts[r];
    double *log_p = allocate (row->n * row->classes), *expected = allocate (row->n), *entropy = allocate (row->n);
    adamix_reliability reliability;
    combine (row, log_p, expected);
    const adamix_forecast forecast = { row->n, row->classes, log_p, row->label };
    expect (row->name, "nll", adamix_metric_nll (&forecast), row->nll);
    expect (row->name, "brier", adamix_metric_brier (&forecast), row->brier);
    adamix_metric_reliability (&forecast, &reliability);
    expect (row->name, "ece", reliability.error, row->ece);
    for (int b = 0; b < ADAMIX_RELIABILITY_BINS; b++)
      cr_assert_eq (reliability.bin[b].count, row->bin[b], "%s: bin %d", row->name, b);
    adamix_metric_entropy (row->n, row->classes, log_p, entropy);
    for (int64_t i = 0; i < row->n; i++) expect (row->name, "entropy", entropy[i], row->entropy[i]);
    adamix_metric_information (row->n, entropy, expected, expected);
    for (int64_t i = 0; i < row->n; i++) {
      expect (row->name, "information", expected[i], row->information[i]);
      cr_assert_geq (expected[i], 0.0);
    }
    free (entropy);
    free (expected);
    free (log_p);
  }
}

Test (uncertainty, of_probabilities_too_small_for_a_number_stays_finite)
{
  const double z[] = { 0, -2000, -1000 };
  const int32_t label = 1;
  double log_p[3], other[] = { -2000, 0, -1000 };
  memcpy (log_p, z, sizeof z);
  adamix_metric_log_softmax (1, 3, log_p);
  cr_assert_float_eq (adamix_metric_nll (&(adamix_forecast){ 1, 3, log_p, &label }), 2000, TOLERANCE);
  adamix_metric_log_add (3, other, log_p);
  cr_assert_float_eq (log_p[2], log (2) - 1000, TOLERANCE, "half of each stays: %g", log_p[2]);
}

Test (uncertainty, certain_errors_are_in_the_last_bin)
{
  /* 0.58 is between 8/15 and 9/15; the Brier score of an error of probability 1 is 2. */
  const double log_p[] = { log (0.58), log (0.42), 0, -HUGE_VAL };
  const int32_t label[] = { 0, 1 };
  const adamix_forecast forecast = { 2, 2, log_p, label };
  adamix_reliability reliability;
  adamix_metric_reliability (&forecast, &reliability);
  cr_assert_eq (reliability.bin[8].count, 1);
  cr_assert_eq (reliability.bin[14].count, 1);
  cr_assert_float_eq (reliability.bin[8].confidence, 0.58, TOLERANCE);
  cr_assert_float_eq (reliability.error, (0.42 + 1) / 2, TOLERANCE);
  cr_assert_float_eq (adamix_metric_brier (&forecast), (2 * 0.42 * 0.42 + 2) / 2, TOLERANCE);
  cr_assert (isnan (reliability.bin[0].accuracy));
}

Test (uncertainty, the_first_of_equal_classes_is_predicted)
{
  const double log_p[] = { -1, -0.5, -0.5, -3, -2, -2 };
  int32_t predicted[2];
  adamix_metric_classify (2, 3, log_p, predicted);
  cr_assert_eq (predicted[0], 1);
  cr_assert_eq (predicted[1], 1);
}

static double
auroc (const double *negative, int64_t negatives, const double *positive, int64_t positives)
{
  double out;
  cr_assert_eq (adamix_metric_auroc (negative, negatives, positive, positives, &out), ADAMIX_OK);
  return out;
}

Test (uncertainty, auroc_is_that_of_scikit_learn)
{
  for (size_t r = 0; r < COUNT (rankings); r++) {
    const golden_ranking *row = &rankings[r];
    expect (row->name, "auroc", auroc (row->negative, row->negatives, row->positive, row->positives), row->auroc);
  }
  const double one = 1, broken = NAN;
  cr_assert (isnan (auroc (&one, 1, &one, 0)));
  cr_assert (isnan (auroc (&one, 0, &one, 1)));
  cr_assert (isnan (auroc (&one, 1, &broken, 1)));
}

Test (uncertainty, risk_over_coverage_is_that_of_numpy)
{
  for (size_t r = 0; r < COUNT (risks); r++) {
    const golden_risk *row = &risks[r];
    double *risk = allocate (row->n);
    cr_assert_eq (adamix_metric_risk (row->n, row->score, row->wrong, risk), ADAMIX_OK);
    for (int64_t k = 0; k < row->n; k++) expect (row->name, "risk", risk[k], row->risk[k]);
    free (risk);
  }
}

Test (diversity, of_pairs_is_that_of_scipy_and_numpy)
{
  for (size_t r = 0; r < COUNT (pairs); r++) {
    const golden_pair *row = &pairs[r];
    const int64_t n = row->n, values = n * row->width;
    double *gram[2] = { allocate (n * n), allocate (n * n) }, *x = allocate (values);
    int32_t *predicted[2];
    expect (row->name, "cosine", adamix_metric_cosine (values, row->a, row->b), row->cosine);
    for (int i = 0; i < 2; i++) {
      const double *of = i ? row->b : row->a;
      memcpy (x, of, (size_t) values * sizeof *x);
      adamix_metric_gram (n, row->width, x, gram[i]);
      cr_assert_eq (ADAMIX_ALLOC (predicted[i], n), ADAMIX_OK);
      adamix_metric_classify (n, row->width, of, predicted[i]);
    }
    expect (row->name, "cka", adamix_metric_cosine (n * n, gram[0], gram[1]), row->cka);
    expect (row->name, "disagreement", adamix_metric_disagreement (n, predicted[0], predicted[1]), row->disagreement);
    for (int i = 0; i < 2; i++) {
      free (predicted[i]);
      free (gram[i]);
    }
    free (x);
  }
  const double zero[] = { 0, 0 }, one[] = { 1, 0 };
  cr_assert (isnan (adamix_metric_cosine (2, zero, one)));
}

Test (diversity, a_barrier_is_what_rises_above_the_line_between_the_ends)
{
  double at;
  const double t[] = { -0.5, 0, 0.25, 0.5, 1, 1.5 };
  /* The straight line is 1 1.25 1.5 2 at t = 0 1/4 1/2 1; what is beyond the ends does not count. */
  const double hill[] = { 9, 1, 1.75, 1.875, 2, 9 }, valley[] = { 9, 1, 0.5, 0.5, 2, 9 };
  cr_assert_float_eq (adamix_metric_barrier (6, t, hill, &at), 0.5, TOLERANCE);
  cr_assert_float_eq (at, 0.25, TOLERANCE);
  cr_assert_float_eq (adamix_metric_barrier (6, t, valley, &at), 0, TOLERANCE);
  cr_assert (isnan (adamix_metric_barrier (3, t, hill, &at)), "there is no end at 1");
}
