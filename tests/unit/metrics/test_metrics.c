#include <adamix/metrics.h>

#include <criterion/criterion.h>
#include <math.h>

/* fp64 sums of at most 60 terms, data up to 1e6 beside a spread of 1: errors stay below 1e-10. */
#define TOLERANCE 1e-9

typedef struct golden_classes {
  const char *name;
  int64_t n, classes;
  const int32_t *label, *predicted;
  double accuracy, f1, matthews;
} golden_classes;

typedef struct golden_numbers {
  const char *name;
  int64_t n;
  const double *target, *score;
  double pearson, spearman;
} golden_numbers;

#include "metrics/golden_metrics.h"

static void
check (const char *data, const char *metric, const adamix_predictions *predictions, double expected)
{
  const adamix_metric *found = adamix_metric_find (metric);
  cr_assert_not_null (found, "%s", metric);
  double value = found->compute (predictions);
  cr_assert_float_eq (value, expected, TOLERANCE, "%s of %s: %.12g, not %.12g", metric, data, value, expected);
}

Test (metrics, of_classes_are_those_of_scikit_learn)
{
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
    const golden_classes *row = &classes[i];
    adamix_predictions p = { .n = row->n, .classes = row->classes, .label = row->label, .predicted = row->predicted };
    check (row->name, "accuracy", &p, row->accuracy);
    if (row->classes == 2) check (row->name, "f1", &p, row->f1);
    check (row->name, "matthews_correlation", &p, row->matthews);
  }
}

Test (metrics, of_numbers_are_those_of_scipy)
{
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    const golden_numbers *row = &numbers[i];
    adamix_predictions p = { .n = row->n, .classes = 1, .target = row->target, .score = row->score };
    check (row->name, "pearson", &p, row->pearson);
    check (row->name, "spearmanr", &p, row->spearman);
  }
}

Test (metrics, what_is_undefined_is_not_a_number)
{
  const double constant[] = { 2, 2, 2 }, rising[] = { 1, 2, 3 }, broken[] = { 1, NAN, 3 };
  const double *const bad[] = { constant, broken };
  for (int i = 0; i < 2; i++) {
    adamix_predictions left = { .n = 3, .classes = 1, .target = bad[i], .score = rising };
    adamix_predictions right = { .n = 3, .classes = 1, .target = rising, .score = bad[i] };
    cr_assert (isnan (adamix_metric_pearson (&left)) && isnan (adamix_metric_pearson (&right)));
    cr_assert (isnan (adamix_metric_spearman (&left)) && isnan (adamix_metric_spearman (&right)));
  }
  adamix_predictions one = { .n = 1, .classes = 1, .target = rising, .score = rising };
  cr_assert (isnan (adamix_metric_pearson (&one)) && isnan (adamix_metric_spearman (&one)));
  adamix_predictions none = { .classes = 2 };
  cr_assert (isnan (adamix_metric_accuracy (&none)));
  cr_assert (isnan (adamix_metric_f1 (&none)));
  cr_assert (isnan (adamix_metric_matthews (&none)));
}

Test (metrics, an_unknown_name_is_none)
{
  cr_assert_null (adamix_metric_find ("Accuracy"));
  cr_assert_null (adamix_metric_find (""));
}
