#include "tensor/fixture.h"

#include <string.h>

/* Query, key, value and upstream gradient lie in rows of one wider matrix, as in the model. */
typedef struct {
  adamix_attention_head head;
  float *rows, *dout, *out, *grads;
  int64_t out_stride, grad_stride;
} attention_case;

static attention_case
make_case (int64_t n, int64_t d, bool dropping)
{
  attention_case c = { .out_stride = d + 3, .grad_stride = 3 * d + 1 };
  int64_t stride = 3 * d + 2;
  c.rows = random_floats (1, n * stride);
  c.dout = random_floats (2, n * c.out_stride);
  c.out = zero_floats (n * c.out_stride);
  c.grads = zero_floats (n * c.grad_stride);
  c.head = (adamix_attention_head){ .n = n,
                                    .d = d,
                                    .queries = n,
                                    .q = c.rows,
                                    .k = c.rows + d,
                                    .v = c.rows + 2 * d,
                                    .stride = stride,
                                    .scale = 1.0f / sqrtf ((float) d) };
  if (dropping) c.head.dropout = fifth_dropped ();
  c.head.scratch = zero_floats ((int64_t) adamix_attention_scratch (n, d));
  return c;
}

static void
free_case (attention_case *c)
{
  free (c->rows), free (c->dout), free (c->out), free (c->grads), free (c->head.scratch);
}

static void
run_backward (const adamix_kernels *kernels, attention_case *c)
{
  int64_t d = c->head.d;
  kernels->attention.backward (&c->head, c->dout, c->out_stride, c->grads, c->grads + d, c->grads + 2 * d,
                               c->grad_stride);
}

/* The factors of all n x n elements; the caller's to free. */
static double *
all_factors (const adamix_attention_head *head)
{
  int64_t n = head->n, padded = (n + 15) / 16 * 16;
  double *factor = calloc ((size_t) (n * n), sizeof *factor);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      factor[i * n + j] = head->dropout.threshold > 0 ? dropout_factor (&head->dropout, i * padded + j) : 1.0;
  return factor;
}

/* out [n,D] in fp64 at rows + step * direction (direction NULL: at rows). */
static void
attention_f64 (const adamix_attention_head *head, const double *factor, const float *direction, double step,
               double *out)
{
  int64_t n = head->n, d = head->d, stride = head->stride;
  const float *rows = head->q;
  double *p = calloc ((size_t) n, sizeof *p);
#define AT(r, c) (rows[(r) *stride + (c)] + (direction != NULL ? step * direction[(r) *stride + (c)] : 0.0))
  for (int64_t i = 0; i < n; i++) {
    double sum = 0.0, top = -INFINITY;
    for (int64_t j = 0; j < n; j++) {
      p[j] = 0.0;
      for (int64_t c = 0; c < d; c++) p[j] += head->scale * AT (i, c) * AT (j, d + c);
      top = fmax (top, p[j]);
    }
    for (int64_t j = 0; j < n; j++) sum += p[j] = exp (p[j] - top);
    for (int64_t c = 0; c < d; c++) {
      double value = 0.0;
      for (int64_t j = 0; j < n; j++) value += p[j] / sum * factor[i * n + j] * AT (j, 2 * d + c);
      out[i * d + c] = value;
    }
  }
#undef AT
  free (p);
}

static const int64_t LENGTHS[] = { 1, 2, 5, 14, 16, 31, 33, 70, 129, 512 };
static const int64_t SIZES[] = { 8, 21, 32, 64 };
#define COUNT(array) (sizeof (array) / sizeof *(array))

static void
check_forward (const adamix_kernels *kernels, int64_t n, int64_t d, bool dropping)
{
  attention_case c = make_case (n, d, dropping);
  double *factor = all_factors (&c.head), *want = calloc ((size_t) (n * d), sizeof *want);
  attention_f64 (&c.head, factor, NULL, 0.0, want);
  kernels->attention.forward (&c.head, c.out, c.out_stride);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < d; j++)
      cr_assert (fabs (c.out[i * c.out_stride + j] - want[i * d + j]) <= 5e-6, "%s n %d D %d: out[%d,%d] %g, not %g",
                 kernels->isa, (int) n, (int) d, (int) i, (int) j, (double) c.out[i * c.out_stride + j],
                 want[i * d + j]);
    for (int64_t j = d; j < c.out_stride; j++) cr_assert_eq (c.out[i * c.out_stride + j], 0.0f, "beyond the head");
  }
  free (factor), free (want), free_case (&c);
}

Test (attention, forward_agrees_with_fp64, .timeout = 300)
{
  FOR_EACH_TABLE (kernels)
  for (size_t l = 0; l < COUNT (LENGTHS); l++)
    for (size_t s = 0; s < COUNT (SIZES); s++) check_forward (kernels, LENGTHS[l], SIZES[s], (l + s) % 2 == 0);
}

/* L = sum dout out along one direction, by central differences in fp64. */
static double
slope_along (const attention_case *c, const double *factor, const float *direction)
{
  const double step = 1e-5;
  int64_t n = c->head.n, d = c->head.d;
  double *out = calloc ((size_t) (n * d), sizeof *out), sum = 0.0;
  for (int sign = -1; sign <= 1; sign += 2) {
    attention_f64 (&c->head, factor, direction, sign * step, out);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < d; j++) sum += sign * c->dout[i * c->out_stride + j] * out[i * d + j];
  }
  free (out);
  return sum / (2.0 * step);
}

Test (attention, every_gradient_agrees_with_finite_differences)
{
  const int64_t n = 6, d = 21;
  FOR_EACH_TABLE (kernels)
  for (int dropping = 0; dropping < 2; dropping++) {
    attention_case c = make_case (n, d, dropping);
    double *factor = all_factors (&c.head);
    run_backward (kernels, &c);
    float *direction = zero_floats (n * c.head.stride);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < 3 * d; j++) {
        direction[i * c.head.stride + j] = 1.0f;
        double want = slope_along (&c, factor, direction), got = c.grads[i * c.grad_stride + j];
        direction[i * c.head.stride + j] = 0.0f;
        cr_assert (fabs (got - want) <= 1e-5, "%s: gradient [%d,%d] is %g, not %g", kernels->isa, (int) i, (int) j, got,
                   want);
      }
    free (direction), free (factor), free_case (&c);
  }
}

/* Along random directions in queries, keys and values apart, at every length. */
static void
check_directions (const adamix_kernels *kernels, int64_t n, int64_t d, bool dropping)
{
  attention_case c = make_case (n, d, dropping);
  double *factor = all_factors (&c.head);
  run_backward (kernels, &c);
  for (uint32_t part = 0; part < 3; part++) {
    float *direction = random_floats (10 + part, n * c.head.stride);
    double got = 0.0, size = 0.0;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < c.head.stride; j++) {
        float *value = &direction[i * c.head.stride + j];
        if (j < part * d || j >= (part + 1) * d) {
          *value = 0.0f;
          continue;
        }
        double term = (double) *value * (double) c.grads[i * c.grad_stride + j];
        got += term;
        size += fabs (term);
      }
    double want = slope_along (&c, factor, direction);
    cr_assert (fabs (got - want) <= 1e-5 * (size + 1e-3), "%s n %d D %d part %u: %g, not %g", kernels->isa, (int) n,
               (int) d, part, got, want);
    free (direction);
  }
  free (factor), free_case (&c);
}

Test (attention, backward_agrees_along_directions, .timeout = 300)
{
  FOR_EACH_TABLE (kernels)
  for (size_t l = 0; l + 1 < COUNT (LENGTHS); l++)
    for (size_t s = 0; s < COUNT (SIZES); s++) check_directions (kernels, LENGTHS[l], SIZES[s], (l + s) % 2 == 0);
}

/* The first queries alone: the same numbers as among all, and the gradients of an output whose other rows do not count. */
Test (attention, fewer_queries_are_a_part_of_all)
{
  static const int64_t lengths[] = { 1, 7, 33, 140 }, few[] = { 1, 3, 64, 100 };
  enum { D = 32 };
  FOR_EACH_TABLE (kernels)
  for (size_t l = 0; l < COUNT (lengths); l++)
    for (size_t q = 0; q < COUNT (few) && few[q] <= lengths[l]; q++) {
      const int64_t n = lengths[l];
      attention_case all = make_case (n, D, true), part = make_case (n, D, true);
      part.head.queries = few[q];
      memset (all.dout + few[q] * all.out_stride, 0, (size_t) ((n - few[q]) * all.out_stride) * sizeof (float));
      for (int64_t i = 0; i < n * part.grad_stride; i++) part.grads[i] = NAN;
      kernels->attention.forward (&all.head, all.out, all.out_stride);
      kernels->attention.forward (&part.head, part.out, part.out_stride);
      run_backward (kernels, &all);
      run_backward (kernels, &part);
      for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < D; j++)
          cr_assert_eq (part.out[i * part.out_stride + j], i < few[q] ? all.out[i * all.out_stride + j] : 0.0f);
        for (int64_t j = 0; j < 3 * D; j++)
          cr_assert_float_eq (part.grads[i * part.grad_stride + j], all.grads[i * all.grad_stride + j], 1e-6,
                              "%s, %d of %d queries: gradient [%d,%d]", kernels->isa, (int) few[q], (int) n, (int) i,
                              (int) j);
      }
      free_case (&all), free_case (&part);
    }
}

/* With one-hot values the output is the row of probabilities. */
Test (attention, probabilities_sum_to_one_and_survive_large_scores)
{
  enum { N = 30, D = 32 };
  FOR_EACH_TABLE (kernels)
  {
    attention_case c = make_case (N, D, false);
    for (int64_t i = 0; i < N; i++)
      for (int64_t j = 0; j < D; j++) {
        c.rows[i * c.head.stride + j] *= 300.0f;
        c.rows[i * c.head.stride + 2 * D + j] = i == j ? 1.0f : 0.0f;
      }
    kernels->attention.forward (&c.head, c.out, c.out_stride);
    for (int64_t i = 0; i < N; i++) {
      double sum = 0.0;
      for (int64_t j = 0; j < N; j++) sum += (double) c.out[i * c.out_stride + j];
      cr_expect (fabs (sum - 1.0) <= 1e-6, "%s: row %d sums to %.9g", kernels->isa, (int) i, sum);
    }
    free_case (&c);
  }
}

/* ---- products in bf16 -------------------------------------------------------------------------------------------------- */

#define BF16_ERROR 0x1p-8 /* relative, of a number rounded to nearest: bf16 keeps 8 bits */

/* Inputs that bf16 holds: then only the probabilities and their gradients are rounded, and that is bounded. */
static void
round_inputs (attention_case *c)
{
  const int64_t n = c->head.n, stride = c->head.stride;
  for (int64_t i = 0; i < n * stride; i++) c->rows[i] = nearest_bf16 (c->rows[i]);
  for (int64_t i = 0; i < n * c->out_stride; i++) c->dout[i] = nearest_bf16 (c->dout[i]);
}

/* What fp64 gives, and how far rounding may move it: out and dq, dk, dv, [n,D] each. */
typedef struct {
  double *value[4], *bound[4];
} expected;

/* value += left * right; the one on the left is rounded. */
static void
add_term (expected *e, int which, int64_t at, double left, double right)
{
  e->value[which][at] += left * right;
  e->bound[which][at] += BF16_ERROR * fabs (left * right);
}

static void
add_query (const attention_case *c, const double *factor, int64_t i, expected *e)
{
  const adamix_attention_head *h = &c->head;
  const int64_t n = h->n, d = h->d;
  const float *q = h->q + i * h->stride, *dout = c->dout + i * c->out_stride;
  double p[512], dp[512], sum = 0, along = 0, top = -INFINITY;
  for (int64_t j = 0; j < n; j++) {
    p[j] = dp[j] = 0;
    for (int64_t x = 0; x < d; x++) {
      p[j] += h->scale * (double) q[x] * (double) h->k[j * h->stride + x];
      dp[j] += (double) dout[x] * (double) h->v[j * h->stride + x];
    }
    top = fmax (top, p[j]);
    dp[j] *= factor[j];
  }
  for (int64_t j = 0; j < n; j++) sum += p[j] = exp (p[j] - top);
  for (int64_t j = 0; j < n; j++) along += (p[j] /= sum) * dp[j];
  for (int64_t j = 0; j < n; j++) {
    const double ds = p[j] * (dp[j] - along), kept = p[j] * factor[j];
    for (int64_t x = 0; x < d; x++) {
      add_term (e, 0, i * d + x, kept, (double) h->v[j * h->stride + x]);
      add_term (e, 1, i * d + x, h->scale * ds, (double) h->k[j * h->stride + x]);
      add_term (e, 2, j * d + x, h->scale * ds, (double) q[x]);
      add_term (e, 3, j * d + x, kept, (double) dout[x]);
    }
  }
}

static void
expect_within (const attention_case *c, const expected *e, int which, const float *got, int64_t stride,
               const char *what)
{
  const double fp32 = 1e-5; /* sums of up to 512 terms of size 1 */
  const int64_t d = c->head.d;
  for (int64_t i = 0; i < c->head.n; i++)
    for (int64_t x = 0; x < d; x++)
      cr_assert (fabs (got[i * stride + x] - e->value[which][i * d + x]) <= e->bound[which][i * d + x] + fp32,
                 "%s n %d D %d: [%d,%d] is %g, not %g", what, (int) c->head.n, (int) d, (int) i, (int) x,
                 (double) got[i * stride + x], e->value[which][i * d + x]);
}

static void
check_bf16 (const adamix_kernels *kernels, int64_t n, int64_t d, bool dropping)
{
  attention_case c = make_case (n, d, dropping);
  expected e;
  double *factor = all_factors (&c.head);
  round_inputs (&c);
  for (int i = 0; i < 4; i++) {
    e.value[i] = calloc ((size_t) (n * d), sizeof (double));
    e.bound[i] = calloc ((size_t) (n * d), sizeof (double));
  }
  for (int64_t i = 0; i < n; i++) add_query (&c, factor + i * n, i, &e);
  kernels->attention_bf16.forward (&c.head, c.out, c.out_stride);
  kernels->attention_bf16.backward (&c.head, c.dout, c.out_stride, c.grads, c.grads + d, c.grads + 2 * d,
                                    c.grad_stride);
  expect_within (&c, &e, 0, c.out, c.out_stride, kernels->isa);
  for (int i = 1; i < 4; i++) expect_within (&c, &e, i, c.grads + (i - 1) * d, c.grad_stride, kernels->isa);
  for (int i = 0; i < 4; i++) free (e.value[i]), free (e.bound[i]);
  free (factor), free_case (&c);
}

Test (attention, bf16_rounds_its_operands_and_no_more, .timeout = 300)
{
  FOR_EACH_TABLE (kernels)
  for (size_t n = 0; n < COUNT (LENGTHS); n++)
    for (size_t d = 0; d < COUNT (SIZES); d++)
      for (int dropping = 0; dropping < 2; dropping++) check_bf16 (kernels, LENGTHS[n], SIZES[d], dropping);
}
