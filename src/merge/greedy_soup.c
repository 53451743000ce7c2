#include "merge/merge_private.h"

#include <stdlib.h>

/* An expert by itself. */
typedef struct ingredient {
  int64_t number;
  double loss;
} ingredient;

/* A loss that is no number comes last. */
static int
best_first (const void *a, const void *b)
{
  const ingredient *x = a, *y = b;
  if (x->loss < y->loss || (x->loss == x->loss && y->loss != y->loss)) return -1;
  if (y->loss < x->loss || (y->loss == y->loss && x->loss != x->loss)) return 1;
  return (x->number > y->number) - (x->number < y->number);
}

adamix_err
adamix_merge_loss (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, double *mean)
{
  ADAMIX_RETURN_IF (adamix_comm_agree (scorer->comm, scorer->loss (scorer, bank, slot, mean)));
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (scorer->comm, mean, 1));
  *mean /= (double) scorer->examples;
  return ADAMIX_OK;
}

/* Weights are 1 for what is in the soup, else 0. */
static adamix_err
cook (const adamix_merge_args *args, const ingredient *list, double *weight, adamix_bank *merged)
{
  adamix_merge_args soup = *args;
  soup.weight = weight;
  weight[list[0].number] = 1;
  double best = list[0].loss, loss;
  for (int64_t i = 1; i < args->all->shape.experts; i++) {
    weight[list[i].number] = 1;
    ADAMIX_RETURN_IF (adamix_merge_weighted (&soup, merged));
    ADAMIX_RETURN_IF (adamix_merge_loss (args->scorer, merged, 0, &loss));
    if (loss <= best)
      best = loss;
    else
      weight[list[i].number] = 0;
  }
  adamix_merge_tell (args, weight);
  return adamix_merge_weighted (&soup, merged);
}

adamix_err
adamix_merge_greedy_soup (const adamix_merge_args *args, adamix_bank *merged)
{
  adamix_err err = ADAMIX_OK;
  const int64_t experts = args->all->shape.experts;
  ingredient *list = NULL;
  double *weight = NULL;
  err = ADAMIX_ALLOC (list, experts);
  if (!err) err = ADAMIX_ALLOC (weight, experts);
  ADAMIX_TRY (adamix_comm_agree (args->scorer->comm, err));
  for (int64_t j = 0; j < experts; j++) {
    list[j].number = j;
    ADAMIX_TRY (adamix_merge_loss (args->scorer, args->all, j, &list[j].loss));
  }
  qsort (list, (size_t) experts, sizeof *list, best_first);
  ADAMIX_TRY (cook (args, list, weight, merged));
done:
  free (weight);
  free (list);
  return err;
}
