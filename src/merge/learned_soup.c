#include "merge/merge_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The search ends after so many looks at the samples, or where no weights can be better by more than this share of the loss,
 * were the loss linear. */
#define LOOKS     24
#define TOLERANCE 1e-3

/* A point of the simplex: weights w [M], L (w) and dL/dw. */
typedef struct point {
  double *weight, *slope; /* [M] */
  double loss;
} point;

/* What adamix_merge_each hands to a tensor's turn: first the args. */
typedef struct search {
  adamix_merge_args args;
  double *slope;
} search;

static adamix_err
forget_gradient (const adamix_merge_tensor *tensor)
{
  memset (tensor->out->grad, 0, (size_t) tensor->out->count * sizeof *tensor->out->grad);
  return ADAMIX_OK;
}

/* dL/dw_j += <dL/dW, W_j> */
static adamix_err
project_gradient (const adamix_merge_tensor *tensor)
{
  double *slope = ((const search *) tensor->args)->slope;
  for (int64_t j = 0; j < tensor->list->count; j++) {
    const float *value = adamix_merge_values (tensor->list, j, tensor->bias), *grad = tensor->out->grad;
    double sum = 0;
    for (int64_t e = 0; e < tensor->out->count; e++) sum += (double) value[e] * grad[e];
    slope[j] += sum;
  }
  return ADAMIX_OK;
}

/* Sums over this rank's examples. */
static adamix_err
look_local (search *s, point *p, adamix_bank *merged)
{
  adamix_scorer *scorer = s->args.scorer;
  s->args.weight = p->weight;
  s->slope = p->slope;
  memset (p->slope, 0, (size_t) s->args.all->shape.experts * sizeof *p->slope);
  ADAMIX_RETURN_IF (adamix_merge_weighted (&s->args, merged));
  ADAMIX_RETURN_IF (adamix_merge_each (&s->args, merged, forget_gradient));
  ADAMIX_RETURN_IF (scorer->gradient (scorer, merged, 0, 0, scorer->mine, &p->loss));
  return adamix_merge_each (&s->args, merged, project_gradient);
}

static adamix_err
look (search *s, point *p, adamix_bank *merged)
{
  adamix_scorer *scorer = s->args.scorer;
  const int64_t experts = s->args.all->shape.experts;
  ADAMIX_RETURN_IF (adamix_comm_agree (scorer->comm, look_local (s, p, merged)));
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (scorer->comm, p->slope, experts));
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (scorer->comm, &p->loss, 1));
  for (int64_t j = 0; j < experts; j++) p->slope[j] /= (double) scorer->examples;
  p->loss /= (double) scorer->examples;
  return ADAMIX_OK;
}

static double
mean_slope (const point *p, int64_t experts)
{
  double mean = 0;
  for (int64_t j = 0; j < experts; j++) mean += p->weight[j] * p->slope[j];
  return mean;
}

/* By how much a linear loss could fall, at most. */
static double
gap (const point *p, int64_t experts)
{
  double least = p->slope[0];
  for (int64_t j = 1; j < experts; j++) least = fmin (least, p->slope[j]);
  return mean_slope (p, experts) - least;
}

/* The step at which no weight changes by more than a factor e. */
static double
unit_step (const point *p, int64_t experts)
{
  double most = 0;
  for (int64_t j = 0; j < experts; j++) most = fmax (most, fabs (p->slope[j] - mean_slope (p, experts)));
  return 1 / most;
}

/* w'_j = w_j exp (-step dL/dw_j) / sum */
static void
move (const point *from, int64_t experts, double step, point *to)
{
  const double mean = mean_slope (from, experts);
  double sum = 0;
  for (int64_t j = 0; j < experts; j++) {
    to->weight[j] = from->weight[j] * exp (-step * (from->slope[j] - mean));
    sum += to->weight[j];
  }
  for (int64_t j = 0; j < experts; j++) to->weight[j] /= sum;
}

/* Exponentiated gradient descent: the step doubles where the loss falls, and shrinks to a quarter where it does not. */
static adamix_err
descend (search *s, point *at, point *next, adamix_bank *merged)
{
  const int64_t experts = s->args.all->shape.experts;
  for (int64_t j = 0; j < experts; j++) at->weight[j] = 1 / (double) experts;
  ADAMIX_RETURN_IF (look (s, at, merged));
  double step = 0;
  for (int looks = 1; looks < LOOKS && gap (at, experts) > TOLERANCE * at->loss; looks++) {
    if (step == 0) step = unit_step (at, experts);
    move (at, experts, step, next);
    ADAMIX_RETURN_IF (look (s, next, merged));
    if (next->loss < at->loss) {
      const point before = *at;
      *at = *next;
      *next = before;
      step *= 2;
    } else {
      step /= 4;
    }
  }
  s->args.weight = at->weight;
  adamix_merge_tell (&s->args, at->weight);
  return adamix_merge_weighted (&s->args, merged);
}

adamix_err
adamix_merge_learned_soup (const adamix_merge_args *args, adamix_bank *merged)
{
  adamix_err err = ADAMIX_OK;
  const int64_t experts = args->all->shape.experts;
  search s = { .args = *args };
  point p[2] = { 0 };
  for (int i = 0; i < 2 && !err; i++) {
    err = ADAMIX_ALLOC (p[i].weight, experts);
    if (!err) err = ADAMIX_ALLOC (p[i].slope, experts);
  }
  ADAMIX_TRY (adamix_comm_agree (args->scorer->comm, err));
  ADAMIX_TRY (descend (&s, &p[0], &p[1], merged));
done:
  for (int i = 0; i < 2; i++) {
    free (p[i].slope);
    free (p[i].weight);
  }
  return err;
}
