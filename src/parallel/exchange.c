#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/placement.h"

/* ---- gradients ------------------------------------------------------------------------------------------------------ */

/* The shared set is summed even without a row: its riders are the step's own scalars. */
adamix_err
adamix_exchange_gradients (adamix_placement *placement, adamix_params *shared, adamix_params *experts)
{
  ADAMIX_RETURN_IF (adamix_comm_sum_f32 (placement->world, shared->grads, adamix_params_exchanged (shared)));
  if (experts->count == 0 || placement->group.size == 1) return ADAMIX_OK;
  return adamix_comm_sum_f32 (&placement->group, experts->grads, adamix_params_exchanged (experts));
}

adamix_err
adamix_gradient_parts_create (adamix_gradient_parts *out, int64_t count, const adamix_params *shared,
                              const adamix_params *experts)
{
  *out = (adamix_gradient_parts){ .count = count };
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->shared, count * adamix_params_exchanged (shared)));
  return ADAMIX_ALLOC (out->experts, count * adamix_params_exchanged (experts));
}

size_t
adamix_gradient_parts_bytes (int64_t count, const adamix_params *shared, const adamix_params *experts)
{
  return (size_t) (count * (adamix_params_exchanged (shared) + adamix_params_exchanged (experts))) * sizeof (float);
}

void
adamix_gradient_parts_destroy (adamix_gradient_parts *parts)
{
  free (parts->shared);
  free (parts->experts);
  *parts = (adamix_gradient_parts){ 0 };
}

void
adamix_gradient_parts_keep (adamix_gradient_parts *parts, int64_t part, const adamix_params *shared,
                            const adamix_params *experts)
{
  const int64_t s = adamix_params_exchanged (shared), e = adamix_params_exchanged (experts);
  memcpy (parts->shared + part * s, shared->grads, (size_t) s * sizeof (float));
  memcpy (parts->experts + part * e, experts->grads, (size_t) e * sizeof (float));
}

adamix_err
adamix_exchange_parts (adamix_placement *placement, const adamix_gradient_parts *parts, adamix_params *shared,
                       adamix_params *experts)
{
  ADAMIX_RETURN_IF (adamix_comm_sum_ordered_f32 (placement->world, parts->shared, parts->count,
                                                 adamix_params_exchanged (shared), shared->grads));
  return adamix_comm_sum_ordered_f32 (&placement->group, parts->experts, parts->count,
                                      adamix_params_exchanged (experts), experts->grads);
}

/* Partial sums of a fixed number of blocks, added in their order: the threads do not show. */
#define NORM_BLOCKS 64

static double
sum_squares (const adamix_kernels *kernels, const adamix_params *params)
{
  double part[NORM_BLOCKS], sum = 0;
  int64_t block = (params->count + NORM_BLOCKS - 1) / NORM_BLOCKS;
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < NORM_BLOCKS; b++) {
    int64_t left = params->count - b * block;
    int64_t n = left < block ? left : block;
    part[b] = n > 0 ? kernels->sum_squares (n, params->grads + b * block) : 0;
  }
  for (int64_t b = 0; b < NORM_BLOCKS; b++) sum += part[b];
  return sum;
}

/* One rank speaks for its group.  With one group every rank knows all experts already. */
adamix_err
adamix_exchange_norm (adamix_placement *placement, const adamix_kernels *kernels, const adamix_params *shared,
                      const adamix_params *experts, double *norm)
{
  bool speaks = placement->groups == 1 || placement->group.rank == 0;
  double sum = speaks ? sum_squares (kernels, experts) : 0;
  if (placement->groups > 1) ADAMIX_RETURN_IF (adamix_comm_sum_f64 (placement->world, &sum, 1));
  *norm = sqrt (sum + sum_squares (kernels, shared));
  return ADAMIX_OK;
}

static int64_t
bytes_of (const adamix_params *params)
{
  return params->count * (int64_t) sizeof *params->values;
}

adamix_err
adamix_exchange_verify (adamix_placement *placement, const adamix_params *shared, const adamix_params *experts)
{
  ADAMIX_RETURN_IF (adamix_comm_same (placement->world, "the shared parameters", shared->values, bytes_of (shared)));
  adamix_err err = adamix_comm_same (&placement->group, "the experts of a group", experts->values, bytes_of (experts));
  return adamix_comm_agree (placement->world, err);
}

/* ---- experts of all ranks -------------------------------------------------------------------------------------------- */

/* Copy what the rows of `part` mean between an array in its layout and one in the layout of `all_set`. */
static adamix_err
copy_part (const adamix_params *part, const adamix_params *all_set, bool per_row, const float *from, float *to,
           bool gather)
{
  int64_t next = 0;
  for (int64_t r = 0; r < part->rows; r++) {
    const adamix_param *mine = &part->row[r], *whole = adamix_params_find (all_set, mine->name, &next);
    if (whole == NULL || whole->count != mine->count)
      return adamix_err_set (ADAMIX_ESHAPE,
                             "exchange: tensor %s of %lld values is not among the bank's, or not so large", mine->name,
                             (long long) mine->count);
    int64_t in_part = per_row ? r : mine->offset, in_all = per_row ? whole - all_set->row : whole->offset;
    memcpy (to + (gather ? in_all : in_part), from + (gather ? in_part : in_all),
            (size_t) (per_row ? 1 : mine->count) * sizeof (float));
  }
  return ADAMIX_OK;
}

adamix_err
adamix_exchange_select (const adamix_params *all_set, const float *all, bool per_row, const adamix_params *mine_set,
                        float *mine)
{
  return copy_part (mine_set, all_set, per_row, all, mine, false);
}

/* The rows that group `g` holds, without values. */
static adamix_err
layout_of_group (const adamix_placement *placement, const adamix_bank_shape *shape, int g, adamix_params *experts)
{
  adamix_err err = ADAMIX_OK;
  int64_t count = placement->args.layers * placement->args.experts;
  adamix_params shared = { 0 };
  adamix_bank *bank = NULL;
  bool *owned = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (owned, count));
  for (int64_t e = 0; e < count; e++) owned[e] = placement->owner[e] == g;
  ADAMIX_TRY (adamix_bank_create (&bank, shape, owned, &shared, experts));
done:
  adamix_bank_destroy (bank);
  adamix_params_destroy (&shared);
  free (owned);
  return err;
}

/* Put the part that group `g` sent, `values` floats, into its places. */
static adamix_err
place_group (const adamix_placement *placement, const adamix_bank_shape *shape, int g, bool per_row, const float *part,
             int64_t values, const adamix_params *all_set, float *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_params layout = { 0 };
  ADAMIX_TRY (layout_of_group (placement, shape, g, &layout));
  if (values != (per_row ? layout.rows : layout.count)) {
    err = adamix_err_set (ADAMIX_ESHAPE, "exchange: group %d sent %lld values where its experts have %lld", g,
                          (long long) values, (long long) (per_row ? layout.rows : layout.count));
    goto done;
  }
  ADAMIX_TRY (copy_part (&layout, all_set, per_row, part, out, true));
done:
  adamix_params_destroy (&layout);
  return err;
}

adamix_err
adamix_exchange_collect (adamix_placement *placement, const adamix_bank_shape *shape, const adamix_params *mine_set,
                         const float *mine, bool per_row, const adamix_params *all_set, float *out)
{
  adamix_err err = ADAMIX_OK;
  int ranks = placement->world->size;
  int64_t values = per_row ? mine_set->rows : mine_set->count;
  int64_t bytes = placement->group.rank == 0 ? values * (int64_t) sizeof (float) : 0;
  int64_t *offsets = NULL;
  void *parts = NULL;
  ADAMIX_TRY (adamix_comm_agree (placement->world, ADAMIX_ALLOC (offsets, ranks + 1)));
  ADAMIX_TRY (adamix_comm_gather_all (placement->world, mine, bytes, &parts, offsets));
  for (int r = 0; r < ranks && !err; r++) {
    int g = adamix_placement_group_of (placement, r);
    bool spoke = r == 0 || g != adamix_placement_group_of (placement, r - 1);
    int64_t sent = (offsets[r + 1] - offsets[r]) / (int64_t) sizeof (float);
    const float *part = (const float *) ((const char *) parts + offsets[r]);
    if (spoke) err = place_group (placement, shape, g, per_row, part, sent, all_set, out);
  }
  err = adamix_comm_agree (placement->world, err);
done:
  free (parts);
  free (offsets);
  return err;
}
