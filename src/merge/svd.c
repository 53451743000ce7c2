#include "merge/merge_private.h"

#include <math.h>

/* Squared Frobenius norms of what was cut at all sites. */
typedef struct norms {
  double kept, whole;
} norms;

static adamix_err
check_finite (const adamix_expert_list *list)
{
  for (int64_t j = 0; j < list->count; j++) {
    const adamix_param *param = list->expert[j].weight;
    for (int64_t e = 0; e < param->count; e++)
      if (!isfinite (param->value[e]))
        return adamix_err_set (ADAMIX_ENUMERIC, "svd: %s holds a value that is not finite; train with a smaller --lr",
                               param->name);
  }
  return ADAMIX_OK;
}

/* The mean of the products B_j A_j as one: the As below each other, each over M, [M R,in]. */
static adamix_err
stack (const adamix_expert_list *down, adamix_matrix *a)
{
  const adamix_param *one = down->expert[0].weight;
  ADAMIX_RETURN_IF (check_finite (down));
  ADAMIX_RETURN_IF (adamix_matrix_create (a, down->count * one->shape[0], one->shape[1]));
  for (int64_t j = 0; j < down->count; j++)
    for (int64_t e = 0; e < one->count; e++)
      a->value[j * one->count + e] = adamix_merge_values (down, j, false)[e] / (double) down->count;
  return ADAMIX_OK;
}

/* The Bs beside each other, [out,M R]. */
static adamix_err
place_beside (const adamix_expert_list *up, adamix_matrix *b)
{
  const adamix_param *one = up->expert[0].weight;
  const int64_t rank = one->shape[1];
  ADAMIX_RETURN_IF (check_finite (up));
  ADAMIX_RETURN_IF (adamix_matrix_create (b, one->shape[0], up->count * rank));
  for (int64_t j = 0; j < up->count; j++)
    for (int64_t e = 0; e < one->count; e++)
      b->value[e / rank * b->columns + j * rank + e % rank] = adamix_merge_values (up, j, false)[e];
  return ADAMIX_OK;
}

/* Of u's column r the entry of largest magnitude, the first of several, times this is positive. */
static double
sign_of (const adamix_matrix *u, int64_t r)
{
  double largest = 0;
  for (int64_t h = 0; h < u->rows; h++) {
    const double value = u->value[h * u->columns + r];
    if (fabs (value) > fabs (largest)) largest = value;
  }
  return largest < 0 ? -1 : 1;
}

/* B' = U sqrt (S), A' = sqrt (S) V^T of the first R; 0 where there are fewer. */
static void
cut (const adamix_svd *svd, const adamix_param *b, const adamix_param *a, norms *norms)
{
  const int64_t rank = a->shape[0], in = a->shape[1], out = b->shape[0];
  for (int64_t r = 0; r < svd->count; r++) norms->whole += svd->s[r] * svd->s[r];
  for (int64_t r = 0; r < rank; r++) {
    const bool there = r < svd->count;
    const double factor = there ? sqrt (svd->s[r]) * sign_of (&svd->u, r) : 0;
    norms->kept += there ? svd->s[r] * svd->s[r] : 0;
    for (int64_t h = 0; h < out; h++)
      b->value[h * rank + r] = there ? (float) (factor * svd->u.value[h * svd->count + r]) : 0;
    for (int64_t c = 0; c < in; c++) a->value[r * in + c] = there ? (float) (factor * svd->vt.value[r * in + c]) : 0;
  }
}

/* Unlike processors may differ in the last bits of products, so all take what rank 0 has. */
static adamix_err
share (adamix_comm *comm, const adamix_param *param)
{
  return adamix_comm_broadcast (comm, 0, param->value, param->count * (int64_t) sizeof *param->value);
}

static adamix_err
merge_site (const adamix_merge_args *args, int64_t site, adamix_bank *merged, norms *norms)
{
  adamix_err err = ADAMIX_OK;
  adamix_matrix a = { 0 }, b = { 0 };
  adamix_svd svd = { 0 };
  const adamix_param *to_a = merged->local[ADAMIX_DOWN][site].expert[0].weight,
                     *to_b = merged->local[ADAMIX_UP][site].expert[0].weight;
  err = stack (&args->all->local[ADAMIX_DOWN][site], &a);
  if (!err) err = place_beside (&args->all->local[ADAMIX_UP][site], &b);
  ADAMIX_TRY (adamix_comm_agree (args->comm, err));
  ADAMIX_TRY (adamix_merge_decompose_product (args->comm, &b, &a, &svd));
  cut (&svd, to_b, to_a, norms);
  ADAMIX_TRY (share (args->comm, to_b));
  ADAMIX_TRY (share (args->comm, to_a));
done:
  adamix_svd_destroy (&svd);
  adamix_matrix_destroy (&b);
  adamix_matrix_destroy (&a);
  return err;
}

adamix_err
adamix_merge_svd (const adamix_merge_args *args, adamix_bank *merged)
{
  const adamix_bank_shape *from = &args->all->shape, shape = adamix_merge_shape (from);
  norms norms = { 0 };
  if (args->kept) *args->kept = 1;
  if (from->kind != ADAMIX_LORA)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "svd: modules of kind '%s' have no product of two matrices to cut; it takes '%s'",
                           adamix_kind_name (from->kind), adamix_kind_name (ADAMIX_LORA));
  /* The mean of products with a common factor is of rank R itself. */
  if (adamix_bank_copies (from, ADAMIX_DOWN) == 1 || adamix_bank_copies (from, ADAMIX_UP) == 1)
    return adamix_merge_average (args, merged);
  ADAMIX_RETURN_IF (adamix_merge_check (args->all, merged, &shape));
  for (int64_t i = 0; i < adamix_bank_sites (from); i++) ADAMIX_RETURN_IF (merge_site (args, i, merged, &norms));
  if (args->kept && norms.whole > 0) *args->kept = sqrt (norms.kept / norms.whole);
  return ADAMIX_OK;
}
