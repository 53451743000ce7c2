/* adamix/merge.h - from M experts to one module.
 *
 * A merge reads a bank that holds all experts of all layers and fills a bank with one expert a layer.  All functions are
 * Local unless their row in the table says otherwise.                                                                   */
#ifndef ADAMIX_MERGE_H
#define ADAMIX_MERGE_H

#include <adamix/adapt.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Training examples, each rank with a part of them, and modules run over them: what a merge asks the room above that knows
 * data, heads and models.  In all of it every row goes to local expert `slot` of a bank (adamix_route_fixed) and nothing is
 * dropped.  The implementer embeds it as the first member of its own struct. */
typedef struct adamix_scorer adamix_scorer;
struct adamix_scorer {
  adamix_comm *comm;      /* of all ranks; borrowed */
  int64_t examples, mine; /* of all ranks; of this one */
  /* *loss = the sum over this rank's examples of the task's loss, -log p (y|x) or a squared error.  Local. */
  adamix_err (*loss) (adamix_scorer *self, const adamix_bank *bank, int64_t slot, double *loss);
  /* The same of the examples first .. first + n - 1, and its derivative is added to the gradients of the expert.  Local. */
  adamix_err (*gradient) (adamix_scorer *self, const adamix_bank *bank, int64_t slot, int64_t first, int64_t n,
                          double *loss);
  /* Let `activations` see what the expert's projections read of this rank's examples.  Local. */
  adamix_err (*show) (adamix_scorer *self, const adamix_bank *bank, int64_t slot, adamix_activations *activations);
};

typedef struct adamix_merge_args {
  const adamix_bank *all;     /* every expert of every layer */
  const adamix_bank *initial; /* the same before training, for methods that need it; else NULL */
  const double *weight;       /* [M] not negative, not all 0; NULL: equal.  For weighted */
  double density;             /* share of the changes that ties and dare keep, above 0 to 1; 0: the method's own */
  double alpha;               /* of regmean, 0 to 1 */
  uint64_t seed;              /* of what dare drops */
  adamix_scorer *scorer;      /* for methods that read samples; else NULL */
  adamix_comm *comm;          /* of all ranks, for svd; borrowed */
  double *chosen;             /* [M] gets the weights that a soup chose, of sum 1; NULL: nobody asks */
  double *kept;               /* gets the share that svd kept of the Frobenius norm over all sites; NULL: nobody asks */
} adamix_merge_args;

/* What a method reads beside the experts: a set of bits. */
typedef enum adamix_merge_reads {
  ADAMIX_MERGE_WEIGHTS = 1, /* args->weight */
  ADAMIX_MERGE_INITIAL = 2, /* args->initial */
  ADAMIX_MERGE_SAMPLES = 4, /* args->scorer */
  ADAMIX_MERGE_UNSEEN = 8,  /* its samples, with them, should be unknown to the experts */
  ADAMIX_MERGE_ALPHA = 16,  /* args->alpha */
  ADAMIX_MERGE_EMA = 32,    /* moving averages in the place of all experts */
  ADAMIX_MERGE_ROUTER = 64  /* the routers of a gated bank; other methods leave them out */
} adamix_merge_reads;

/* A row of the table of merge methods. */
typedef struct adamix_merge_method {
  const char *name;
  const char *help;
  unsigned reads;    /* adamix_merge_reads */
  bool lora;         /* it merges the products B A, so it takes LoRA alone */
  double density;    /* its own; 0: it keeps all */
  const char *lacks; /* the library that this build lacks for it; NULL: it has all */
  /* Of the module that a bank of `shape` merges into: one expert, nothing shared; by none that of the bank. */
  adamix_bank_shape (*shape) (const adamix_bank_shape *shape);
  /* merged has that shape.  Where it reads samples: Collective over args->scorer->comm; svd: over args->comm; the same bits on
   * every rank.  Errors: ESHAPE; those of the scorer; ENUMERIC, ENOMEM. */
  adamix_err (*merge) (const adamix_merge_args *args, adamix_bank *merged);
} adamix_merge_method;

/* NULL for an unknown name.  Each projection apart, weights and biases alike, sums over j in its order and in fp64; a shared
 * projection is its own merge, whatever the method:
 *   average    W' = 1/M sum_j W_j  (AdaMix, section 3.3)
 *   weighted   W' = sum_j w_j W_j / sum_j w_j
 *   ties       T_j = W_j - I_j, I_j the initial values, keeps its `density` largest magnitudes a tensor; where most of sum_j T_j
 *              goes up, W' = mean_j I_j + the mean of those T_j that go up, else of those that go down (TIES-Merging)
 *   dare       T_j keeps each value with probability `density`, divided by it;  W' = mean_j (I_j + T_j) (DARE)
 *   concat     one module whose output is the mean of the modules' outputs over all pairs of a Down and an Up: the C Downs below
 *              each other, bottleneck C R, and C times the mean Up over C.  With a shared Down that is average.
 *              Of LoRA the exact mean of the products, B' A' = 1/M sum_j B_j A_j, of rank M R; with a shared factor that is
 *              average (which else is the mean of all B_k A_j, that of routes with independent A and B).
 *   svd        of LoRA, what is nearest to the mean of the products among all modules of rank R (in the Frobenius norm):
 *              1/M sum_j B_j A_j = U S V^T, B' = U sqrt (S), A' = sqrt (S) V^T of the R largest singular values, so that both
 *              factors are of one size; of each column of U the largest entry is positive.  With a shared factor, or one
 *              expert, the mean is of rank R itself: that is average.
 * On samples, their mean task loss L (W) as the score of a module W; expert j is expert j in every layer:
 *   greedy-soup   experts in the order of their own L; each joins the average unless L of the average gets worse
 *   learned-soup  weighted by the w_j >= 0, sum_j w_j = 1, that lessen L (sum_j w_j W_j), by exponentiated gradients
 *   fisher        W' = sum_j F_j W_j / sum_j F_j elementwise, F_j the mean over samples (x, y) of the squared derivative of
 *                 log p (y|x) by W_j; where all F_j are 0, the mean
 *   regmean       W' = (sum_j W_j G_j) (sum_j G_j)^-1, G_j = X_j^T X_j of the inputs X_j of expert j on samples, what is off its
 *                 diagonal times alpha (RegMean); biases by their mean, as the columns of inputs that were never there
 *   ema           average, of the experts' exponential moving averages over the steps of training
 *   none          nothing is merged: all experts and their routers, for a gated bank */
const adamix_merge_method *adamix_merge_method_find (const char *name);
/* The whole table.  View. */
const adamix_merge_method *adamix_merge_methods (int *count);

/* The shape of a module that is as large as one expert. */
adamix_bank_shape adamix_merge_shape (const adamix_bank_shape *shape);
adamix_err adamix_merge_average (const adamix_merge_args *args, adamix_bank *merged);

#ifdef __cplusplus
}
#endif
#endif
