/* differences.h - derivatives of modules by finite differences in fp64. */
#ifndef TESTS_ADAPT_DIFFERENCES_H
#define TESTS_ADAPT_DIFFERENCES_H

#include <math.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include <adamix/tensor.h>

/* Where a finite difference disturbs a module: one value of one tensor, or of x. */
typedef struct disturbance {
  const float *value;
  double by;
} disturbance;

static inline double
disturbed (const float *value, disturbance d)
{
  return *value + (value == d.value ? d.by : 0);
}

/* A module in fp64: what it makes of a row. */
typedef void (*module_row) (int64_t row, disturbance d, double *out);

/* dL/dvalue of L = sum dy y by central differences, whose error is of the order of step^2. */
static inline double
difference (module_row module, adamix_view dy, const float *value)
{
  const double step = 1e-5;
  double sum = 0, *plus = calloc ((size_t) (2 * dy.cols), sizeof *plus), *minus = plus + dy.cols;
  for (int64_t row = 0; row < dy.rows; row++) {
    module (row, (disturbance){ value, step }, plus);
    module (row, (disturbance){ value, -step }, minus);
    for (int64_t c = 0; c < dy.cols; c++) sum += dy.data[row * dy.stride + c] * (plus[c] - minus[c]);
  }
  free (plus);
  return sum / (2 * step);
}

static inline void
expect_gradient (module_row module, adamix_view dy, double tolerance, const char *what, const float *value,
                 const float *grad, int64_t count)
{
  double error = 0, norm = 0;
  for (int64_t e = 0; e < count; e++) {
    const double expected = difference (module, dy, &value[e]);
    error += (grad[e] - expected) * (grad[e] - expected);
    norm += expected * expected;
  }
  cr_expect (sqrt (error) <= tolerance * (sqrt (norm) + 1e-3), "%s: off by %g of %g", what, sqrt (error), sqrt (norm));
}

#endif
