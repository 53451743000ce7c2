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

/* A row of the table of merge methods. */
typedef struct adamix_merge_method {
  const char *name;
  const char *help;
  /* all: every expert; merged: shape of `all` with experts = 1, share none. */
  adamix_err (*merge) (const adamix_bank *all, adamix_bank *merged);
} adamix_merge_method;

/* NULL for an unknown name. */
const adamix_merge_method *adamix_merge_method_find (const char *name);

/* W' = 1/M sum_j W_j for each projection apart, biases too (AdaMix, section 3.3); each expert counts once, summed in the
 * order of j in fp64. */
adamix_err adamix_merge_average (const adamix_bank *all, adamix_bank *merged);

/* The shape of the module that a bank of `shape` merges into. */
adamix_bank_shape adamix_merge_shape (const adamix_bank_shape *shape);

#ifdef __cplusplus
}
#endif
#endif
