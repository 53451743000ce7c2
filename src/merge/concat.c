#include "merge/merge_private.h"

#include <string.h>

adamix_bank_shape
adamix_merge_concat_shape (const adamix_bank_shape *shape)
{
  adamix_bank_shape merged = adamix_merge_shape (shape);
  const int64_t downs = adamix_bank_copies (shape, ADAMIX_DOWN), ups = adamix_bank_copies (shape, ADAMIX_UP);
  /* Where one factor is shared, the mean of products is the product with the mean of the other. */
  merged.bottleneck *= shape->kind == ADAMIX_LORA && ups == 1 ? 1 : downs;
  return merged;
}

/* The Downs below each other: [C R,H] and [C R]. */
static void
stack (const adamix_expert_list *list, bool bias, const adamix_param *out)
{
  const int64_t each = out->count / list->count;
  for (int64_t c = 0; c < list->count; c++)
    memcpy (out->value + c * each, adamix_merge_values (list, c, bias), (size_t) each * sizeof *out->value);
}

/* [H,C R]: in each row C times the row of the mean Up over C. */
static void
repeat (const adamix_expert_list *list, int64_t bottleneck, int64_t copies, const adamix_param *out)
{
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < out->count; e++) {
    const int64_t width = copies * bottleneck, at = e / width * bottleneck + e % width % bottleneck;
    double sum = 0;
    for (int64_t j = 0; j < list->count; j++) sum += adamix_merge_values (list, j, false)[at];
    out->value[e] = (float) (sum / (double) (list->count * copies));
  }
}

/* [H,M R]: the Bs beside each other, each over M. */
static void
place_beside (const adamix_expert_list *list, int64_t rank, const adamix_param *out)
{
  const int64_t width = list->count * rank;
#pragma omp parallel for schedule(static)
  for (int64_t e = 0; e < out->count; e++) {
    const int64_t h = e / width, j = e % width / rank, r = e % rank;
    out->value[e] = adamix_merge_values (list, j, false)[h * rank + r] / (float) list->count;
  }
}

/* B' A' = 1/M sum_j B_j A_j, where neither factor is shared. */
static adamix_err
concat_products (const adamix_merge_args *args, adamix_bank *merged)
{
  const adamix_bank *all = args->all;
  if (merged->shape.bottleneck == all->shape.bottleneck) return adamix_merge_average (args, merged);
  for (int64_t i = 0; i < adamix_bank_sites (&all->shape); i++) {
    stack (&all->local[ADAMIX_DOWN][i], false, merged->local[ADAMIX_DOWN][i].expert[0].weight);
    place_beside (&all->local[ADAMIX_UP][i], all->shape.bottleneck, merged->local[ADAMIX_UP][i].expert[0].weight);
  }
  return ADAMIX_OK;
}

adamix_err
adamix_merge_concat (const adamix_merge_args *args, adamix_bank *merged)
{
  const adamix_bank *all = args->all;
  const adamix_bank_shape shape = adamix_merge_concat_shape (&all->shape);
  ADAMIX_RETURN_IF (adamix_merge_check (all, merged, &shape));
  if (shape.kind == ADAMIX_LORA) return concat_products (args, merged);
  for (int64_t i = 0; i < adamix_bank_sites (&shape); i++) {
    const adamix_expert_list *down = &all->local[ADAMIX_DOWN][i], *up = &all->local[ADAMIX_UP][i];
    const adamix_expert *to[] = { &merged->local[ADAMIX_DOWN][i].expert[0], &merged->local[ADAMIX_UP][i].expert[0] };
    stack (down, false, to[0]->weight);
    stack (down, true, to[0]->bias);
    repeat (up, all->shape.bottleneck, down->count, to[1]->weight);
    ADAMIX_RETURN_IF (adamix_merge_mean (&(adamix_merge_tensor){ .list = up, .bias = true, .out = to[1]->bias }));
  }
  return ADAMIX_OK;
}
