#include "merge/merge_private.h"

#include <string.h>

adamix_bank_shape
adamix_merge_concat_shape (const adamix_bank_shape *shape)
{
  adamix_bank_shape merged = adamix_merge_shape (shape);
  merged.bottleneck *= adamix_bank_copies (shape, ADAMIX_DOWN);
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

adamix_err
adamix_merge_concat (const adamix_merge_args *args, adamix_bank *merged)
{
  const adamix_bank *all = args->all;
  const adamix_bank_shape shape = adamix_merge_concat_shape (&all->shape);
  ADAMIX_RETURN_IF (adamix_merge_check (all, merged, &shape));
  for (int64_t i = 0; i < shape.layers; i++) {
    const adamix_expert_list *down = &all->local[ADAMIX_DOWN][i], *up = &all->local[ADAMIX_UP][i];
    const adamix_expert *to[] = { &merged->local[ADAMIX_DOWN][i].expert[0], &merged->local[ADAMIX_UP][i].expert[0] };
    stack (down, false, to[0]->weight);
    stack (down, true, to[0]->bias);
    repeat (up, all->shape.bottleneck, down->count, to[1]->weight);
    ADAMIX_RETURN_IF (adamix_merge_mean (&(adamix_merge_tensor){ .list = up, .bias = true, .out = to[1]->bias }));
  }
  return ADAMIX_OK;
}
