/* merge_private.h - what the merge methods share. */
#ifndef ADAMIX_MERGE_PRIVATE_H
#define ADAMIX_MERGE_PRIVATE_H

#include <adamix/merge.h>

/* A tensor of M experts and where it goes. */
typedef struct adamix_merge_tensor {
  const adamix_merge_args *args;
  const adamix_expert_list *list, *initial; /* initial NULL: not read */
  bool bias;
  uint32_t place; /* its number among all tensors of a merged module */
  const adamix_param *out;
} adamix_merge_tensor;

/* Of expert j, [out->count]. */
const float *adamix_merge_values (const adamix_expert_list *list, int64_t j, bool bias);
float *adamix_merge_gradient (const adamix_expert_list *list, int64_t j, bool bias);
/* How many tensors a merged module has, and the number of one among them. */
int64_t adamix_merge_places (const adamix_bank_shape *shape);
uint32_t adamix_merge_place (const adamix_bank_shape *shape, adamix_projection projection, int64_t site, bool bias);
/* Of value e: the mean over a list's experts, summed in their order; what training changed in expert j. */
double adamix_merge_mean_value (const adamix_expert_list *list, int64_t e, bool bias);
double adamix_merge_change (const adamix_merge_tensor *tensor, int64_t j, int64_t e);

/* Check the banks and call `merge` for every tensor that has several experts; the others are copied. */
adamix_err adamix_merge_each (const adamix_merge_args *args, adamix_bank *merged,
                              adamix_err (*merge) (const adamix_merge_tensor *tensor));
/* Does the bank hold all experts, and merged one that takes a module of `shape`?  Errors: ESHAPE. */
adamix_err adamix_merge_check (const adamix_bank *all, const adamix_bank *merged, const adamix_bank_shape *shape);
/* out = the mean over the experts. */
adamix_err adamix_merge_mean (const adamix_merge_tensor *tensor);

/* Tell the weights that a soup chose, of any sum, to whoever asks. */
void adamix_merge_tell (const adamix_merge_args *args, const double *weight);
/* Mean loss of expert `slot` over the examples of all ranks.  Collective over scorer->comm. */
adamix_err adamix_merge_loss (adamix_scorer *scorer, const adamix_bank *bank, int64_t slot, double *mean);

adamix_bank_shape adamix_merge_none_shape (const adamix_bank_shape *shape);
adamix_err adamix_merge_none (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_weighted (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_ties (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_dare (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_concat (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_greedy_soup (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_learned_soup (const adamix_merge_args *args, adamix_bank *merged);
adamix_err adamix_merge_fisher (const adamix_merge_args *args, adamix_bank *merged);
/* Let b [m,n] hold the m solutions x of A x = its rows, A [n,n] symmetric and positive definite, whole on every rank as is b.
 * Block-cyclic over a grid of all ranks; by LAPACK in a process without MPI.  Collective over comm.  Errors: ENUMERIC for a
 * singular A, EUNSUPPORTED in a build without ScaLAPACK. */
adamix_err adamix_merge_solve (adamix_comm *comm, int64_t n, int64_t m, const double *a, double *b);
adamix_err adamix_merge_regmean (const adamix_merge_args *args, adamix_bank *merged);

/* [rows, columns], row by row; owned. */
typedef struct adamix_matrix {
  int64_t rows, columns;
  double *value;
} adamix_matrix;
adamix_err adamix_matrix_create (adamix_matrix *out, int64_t rows, int64_t columns);
void adamix_matrix_destroy (adamix_matrix *matrix);

/* X [m,n] = U diag (s) V^T with `count` singular values: U [m,count] and V [n,count] have orthonormal columns. */
typedef struct adamix_svd {
  int64_t count;
  adamix_matrix u, vt;
  double *s; /* [count] descending */
} adamix_svd;
/* Of A, whole on every rank as is the result, count = min (m,n).  Block-cyclic over a grid of all ranks; by LAPACK in a process
 * without MPI.  What comes out is multiplied and compared with A.  Collective over comm.  Errors: ENUMERIC if they differ,
 * ENOMEM, EUNSUPPORTED in a build without ScaLAPACK; destroy *out then too. */
adamix_err adamix_merge_decompose (adamix_comm *comm, const adamix_matrix *a, adamix_svd *out);
/* The same of a product B [m,k] A [k,n] with count = min (m,k,n), by two decompositions of matrices as large as its factors:
 * B = Q diag (t) P^T, and that of diag (t) P^T A. */
adamix_err adamix_merge_decompose_product (adamix_comm *comm, const adamix_matrix *b, const adamix_matrix *a,
                                           adamix_svd *out);
void adamix_svd_destroy (adamix_svd *svd);
adamix_err adamix_merge_svd (const adamix_merge_args *args, adamix_bank *merged);
adamix_bank_shape adamix_merge_concat_shape (const adamix_bank_shape *shape);

#endif
