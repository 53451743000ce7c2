/* scorer.h - a scorer without a model: example e's loss is c_e |W - T|^2 over all values of a module W, and what an expert's
 * projections read is drawn by the expert's name. */
#ifndef TESTS_MERGE_SCORER_H
#define TESTS_MERGE_SCORER_H

#include <adamix/merge.h>

#include "adapt/fixture.h"

#define SCORER_EXPERTS 4 /* at most */
#define SCORER_ROWS    40

typedef struct test_scorer {
  adamix_scorer scorer; /* first */
  adamix_comm alone;
  const adamix_bank *target;    /* T, one expert */
  int64_t name[SCORER_EXPERTS]; /* of the experts' inputs: they keep it where experts change places */
  int64_t looks;
} test_scorer;

static const double test_scorer_scale[] = { 0.5, 1, 1.5 }; /* c_e: the mean is 1 */
#define SCORER_EXAMPLES ((int64_t) (sizeof test_scorer_scale / sizeof *test_scorer_scale))

#define FOR_EACH_TENSOR_OF(bank, p, i, bias)                                                                           \
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)                                                                         \
    for (int64_t i = 0; i < (bank)->shape.layers; i++)                                                                 \
      for (int bias = 0; bias < 2; bias++)

static inline adamix_param *
test_tensor (const adamix_bank *bank, int p, int64_t layer, int64_t j, bool bias)
{
  const adamix_expert_list *list = &bank->local[p][layer];
  return bias ? list->expert[j % list->count].bias : list->expert[j % list->count].weight;
}

static inline adamix_err
test_scorer_run (test_scorer *self, const adamix_bank *bank, int64_t slot, int64_t first, int64_t n, bool gradient,
                 double *loss)
{
  double scale = 0, sum = 0;
  self->looks++;
  for (int64_t e = first; e < first + n; e++) scale += test_scorer_scale[e];
  FOR_EACH_TENSOR_OF (bank, p, i, bias)
  {
    const adamix_param *w = test_tensor (bank, p, i, slot, bias), *t = test_tensor (self->target, p, i, 0, bias);
    for (int64_t v = 0; v < w->count; v++) {
      const double off = (double) w->value[v] - t->value[v];
      sum += off * off;
      if (gradient) w->grad[v] += (float) (2 * scale * off);
    }
  }
  *loss = scale * sum;
  return ADAMIX_OK;
}

static inline adamix_err
test_scorer_loss (adamix_scorer *self, const adamix_bank *bank, int64_t slot, double *loss)
{
  return test_scorer_run ((test_scorer *) self, bank, slot, 0, SCORER_EXAMPLES, false, loss);
}

static inline adamix_err
test_scorer_gradient (adamix_scorer *self, const adamix_bank *bank, int64_t slot, int64_t first, int64_t n,
                      double *loss)
{
  return test_scorer_run ((test_scorer *) self, bank, slot, first, n, true, loss);
}

/* SCORER_ROWS rows of a projection's inputs, into x. */
static inline void
test_scorer_inputs (const test_scorer *self, int p, int64_t layer, int64_t slot, int64_t inputs, float *x)
{
  const uint32_t key = (uint32_t) (self->name[slot] * ADAMIX_PROJECTIONS + p);
  adamix_rng_normal (adamix_rng_stream (9, ADAMIX_RNG_DATA), key, (uint32_t) layer, SCORER_ROWS * inputs, 1, x);
}

/* In two batches, the second of them in rows that lie apart. */
static inline adamix_err
test_scorer_show (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, adamix_activations *activations)
{
  enum { FIRST = 27, STRIDE = 64 };
  static float x[SCORER_ROWS * STRIDE], apart[SCORER_ROWS * STRIDE];
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < bank->shape.layers; i++) {
      const int64_t inputs = p == ADAMIX_DOWN ? bank->shape.hidden : bank->shape.bottleneck, rest = SCORER_ROWS - FIRST;
      const int64_t local = slot % bank->local[p][i].count;
      test_scorer_inputs ((test_scorer *) scorer, p, i, slot, inputs, x);
      for (int64_t r = 0; r < rest; r++)
        memcpy (apart + r * STRIDE, x + (FIRST + r) * inputs, (size_t) inputs * sizeof *x);
      const adamix_view second = { .data = apart, .rows = rest, .cols = inputs, .stride = STRIDE };
      ADAMIX_RETURN_IF (
          activations->see (activations, (adamix_projection) p, i, local, adamix_view_of (x, FIRST, inputs)));
      ADAMIX_RETURN_IF (activations->see (activations, (adamix_projection) p, i, local, second));
    }
  return ADAMIX_OK;
}

static inline void
test_scorer_open (test_scorer *out, const adamix_bank *target)
{
  *out = (test_scorer){ .alone = { .handle = MPI_COMM_NULL, .size = 1 }, .target = target };
  out->scorer = (adamix_scorer){ .comm = &out->alone,
                                 .examples = SCORER_EXAMPLES,
                                 .mine = SCORER_EXAMPLES,
                                 .loss = test_scorer_loss,
                                 .gradient = test_scorer_gradient,
                                 .show = test_scorer_show };
  for (int64_t j = 0; j < SCORER_EXPERTS; j++) out->name[j] = j;
}

#endif
