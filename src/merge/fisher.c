#include "merge/merge_private.h"

#include <stdlib.h>
#include <string.h>

/* What adamix_merge_each hands to a tensor's turn: first the args. */
typedef struct fisher {
  adamix_merge_args args;
  int64_t slot;    /* the expert whose turn it is */
  double **square; /* [places] of each tensor, NULL or [experts, count]: sums of squared gradients */
} fisher;

static double *
squares_of (const adamix_merge_tensor *tensor, int64_t j)
{
  return ((const fisher *) tensor->args)->square[tensor->place] + j * tensor->out->count;
}

static adamix_err
allocate (const adamix_merge_tensor *tensor)
{
  return ADAMIX_ALLOC (((const fisher *) tensor->args)->square[tensor->place],
                       tensor->list->count * tensor->out->count);
}

static adamix_err
forget_gradient (const adamix_merge_tensor *tensor)
{
  const int64_t slot = ((const fisher *) tensor->args)->slot;
  float *grad = adamix_merge_gradient (tensor->list, slot, tensor->bias);
  memset (grad, 0, (size_t) tensor->out->count * sizeof *grad);
  return ADAMIX_OK;
}

static adamix_err
add_squares (const adamix_merge_tensor *tensor)
{
  const int64_t slot = ((const fisher *) tensor->args)->slot;
  const float *grad = adamix_merge_gradient (tensor->list, slot, tensor->bias);
  double *square = squares_of (tensor, slot);
  for (int64_t e = 0; e < tensor->out->count; e++) square[e] += (double) grad[e] * grad[e];
  return ADAMIX_OK;
}

static adamix_err
sum_over_ranks (const adamix_merge_tensor *tensor)
{
  return adamix_comm_sum_f64 (tensor->args->scorer->comm, squares_of (tensor, 0),
                              tensor->list->count * tensor->out->count);
}

/* Where no expert's gradient says anything, the mean. */
static adamix_err
merge (const adamix_merge_tensor *tensor)
{
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < tensor->out->count; e++) {
    double sum = 0, whole = 0;
    for (int64_t j = 0; j < tensor->list->count; j++) {
      const double square = squares_of (tensor, j)[e];
      sum += square * adamix_merge_values (tensor->list, j, tensor->bias)[e];
      whole += square;
    }
    const double value = whole > 0 ? sum / whole : adamix_merge_mean_value (tensor->list, e, tensor->bias);
    tensor->out->value[e] = (float) value;
  }
  return ADAMIX_OK;
}

/* This rank's examples, each by itself: the square is that of one example's gradient. */
static adamix_err
differentiate (fisher *f, adamix_bank *merged)
{
  adamix_scorer *scorer = f->args.scorer;
  ADAMIX_RETURN_IF (adamix_merge_each (&f->args, merged, allocate));
  for (f->slot = 0; f->slot < f->args.all->shape.experts; f->slot++)
    for (int64_t i = 0; i < scorer->mine; i++) {
      double unread;
      ADAMIX_RETURN_IF (adamix_merge_each (&f->args, merged, forget_gradient));
      ADAMIX_RETURN_IF (scorer->gradient (scorer, f->args.all, f->slot, i, 1, &unread));
      ADAMIX_RETURN_IF (adamix_merge_each (&f->args, merged, add_squares));
    }
  return ADAMIX_OK;
}

adamix_err
adamix_merge_fisher (const adamix_merge_args *args, adamix_bank *merged)
{
  adamix_err err = ADAMIX_OK;
  const int64_t places = adamix_merge_places (&args->all->shape);
  fisher f = { .args = *args };
  err = ADAMIX_ALLOC (f.square, places);
  if (!err) err = differentiate (&f, merged);
  ADAMIX_TRY (adamix_comm_agree (args->scorer->comm, err));
  ADAMIX_TRY (adamix_merge_each (&f.args, merged, sum_over_ranks));
  ADAMIX_TRY (adamix_merge_each (&f.args, merged, merge));
done:
  for (int64_t i = 0; f.square && i < places; i++) free (f.square[i]);
  free (f.square);
  return err;
}
