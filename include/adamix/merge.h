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

typedef struct adamix_merge_args {
  const adamix_bank *all;     /* every expert of every layer */
  const adamix_bank *initial; /* the same before training, for methods that need it; else NULL */
  const double *weight;       /* [M] not negative, not all 0; NULL: equal.  For weighted */
  double density;             /* share of the changes that ties and dare keep, above 0 to 1; 0: the method's own */
  uint64_t seed;              /* of what dare drops */
} adamix_merge_args;

/* What a method reads beside the experts: a set of bits. */
typedef enum adamix_merge_reads {
  ADAMIX_MERGE_WEIGHTS = 1, /* args->weight */
  ADAMIX_MERGE_INITIAL = 2  /* args->initial */
} adamix_merge_reads;

/* A row of the table of merge methods. */
typedef struct adamix_merge_method {
  const char *name;
  const char *help;
  unsigned reads; /* adamix_merge_reads */
  double density; /* its own; 0: it keeps all */
  /* Of the module that a bank of `shape` merges into: one expert, nothing shared. */
  adamix_bank_shape (*shape) (const adamix_bank_shape *shape);
  /* merged has that shape.  Errors: ESHAPE. */
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
 *              each other, bottleneck C R, and C times the mean Up over C.  With a shared Down that is average. */
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
