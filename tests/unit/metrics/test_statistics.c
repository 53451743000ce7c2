#include <adamix/metrics.h>

#include <criterion/criterion.h>
#include <math.h>

/* Of the value, or of 1 below that: fp64, and scipy's own error. */
#define TOLERANCE 1e-10

enum { MOST = 64 };

typedef struct golden_student {
  int64_t df;
  double p, t;
} golden_student;

typedef struct golden_paired {
  const char *name;
  int64_t n;
  const double *a, *b;
  double confidence, mean, deviation, margin, t, p;
} golden_paired;

typedef struct golden_holm {
  int64_t n;
  const double *p, *adjusted;
} golden_holm;

#include "metrics/golden_statistics.h"

static void
check (double value, double expected, const char *what)
{
  const double allowed = TOLERANCE * fmax (1, fabs (expected));
  cr_assert (fabs (value - expected) <= allowed, "%s: %.15g, not %.15g", what, value, expected);
}

Test (statistics, student_is_that_of_scipy)
{
  for (size_t i = 0; i < sizeof students / sizeof *students; i++) {
    const golden_student *row = &students[i];
    check (adamix_metric_student (row->t, row->df), row->p, "P (|T| <= t)");
    check (adamix_metric_student (-row->t, row->df), row->p, "P (|T| <= |-t|)");
    check (adamix_metric_student_quantile (row->p, row->df), row->t, "quantile");
  }
  cr_assert_eq (adamix_metric_student_quantile (0, 3), 0);
}

Test (statistics, paired_tests_are_those_of_scipy)
{
  double scratch[MOST];
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    const golden_paired *row = &pairs[i];
    const adamix_paired r = adamix_metric_paired (row->n, row->a, row->b, scratch, row->confidence);
    /* Differences of numbers of 1e6 have lost six digits. */
    const double lost = fmax (fabs (row->a[0]), 1);
    cr_assert_eq (r.difference.n, row->n);
    check (r.difference.mean / lost, row->mean / lost, row->name);
    check (r.difference.deviation / lost, row->deviation / lost, row->name);
    check (r.difference.margin / lost, row->margin / lost, row->name);
    check (r.t / lost, row->t / lost, row->name);
    check (r.p, row->p, row->name);
  }
}

Test (statistics, few_repetitions_say_little)
{
  const double x[] = { 0.5, 0.7, 0.9 }, above[] = { 0.6, 0.8, 1.0 };
  double scratch[3];
  adamix_sample s = adamix_metric_sample (0, x, 0.95);
  cr_assert (s.n == 0 && isnan (s.mean) && isnan (s.deviation) && isnan (s.margin));
  s = adamix_metric_sample (1, x, 0.95);
  cr_assert (s.mean == 0.5 && isnan (s.deviation) && isnan (s.margin));
  cr_assert (isnan (adamix_metric_paired (1, x, above, scratch, 0.95).p));
  /* Equal differences, but for rounding: 0.6 - 0.5 is not 1 - 0.9. */
  const adamix_paired r = adamix_metric_paired (3, above, x, scratch, 0.95);
  cr_assert (isnan (r.t) && isnan (r.p));
  check (r.difference.mean, 0.1, "mean");
  cr_assert (isnan (adamix_metric_paired (3, x, x, scratch, 0.95).p));
}

Test (statistics, holm_is_that_of_its_definition)
{
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    const golden_holm *row = &families[i];
    double adjusted[MOST];
    adamix_metric_holm (row->n, row->p, adjusted);
    for (int64_t k = 0; k < row->n; k++)
      if (isnan (row->adjusted[k]))
        cr_assert (isnan (adjusted[k]));
      else
        check (adjusted[k], row->adjusted[k], "Holm");
  }
}

Test (statistics, quantiles_are_interpolated)
{
  const double x[] = { 1, 2, 4, 8, 16 };
  check (adamix_metric_quantile (5, x, 0), 1, "least");
  check (adamix_metric_quantile (5, x, 0.25), 2, "quarter");
  check (adamix_metric_quantile (5, x, 0.6), 5.6, "0.6");
  check (adamix_metric_quantile (5, x, 1), 16, "most");
  check (adamix_metric_quantile (1, x, 0.7), 1, "of one");
}

Test (statistics, equal_numbers_have_no_deviation)
{
  /* Their sum over three is not quite the number. */
  const double x[] = { 279.0 / 408, 279.0 / 408, 279.0 / 408 };
  const adamix_sample s = adamix_metric_sample (3, x, 0.95);
  cr_assert (s.mean == x[0] && s.deviation == 0 && s.margin == 0);
}
