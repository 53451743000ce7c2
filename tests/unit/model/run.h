/* One forward, and one backward from a given gradient, of a model and its head. */
#ifndef ADAMIX_TESTS_MODEL_RUN_H
#define ADAMIX_TESTS_MODEL_RUN_H

#include <adamix/model.h>

typedef struct run {
  adamix_model *model;
  adamix_workspace *workspace;
  adamix_head *head;
  adamix_params params; /* head, and the backbone where it trains */
  adamix_forward_args args;
  adamix_view hidden, z;
} run;

typedef struct run_shape {
  adamix_pool pool;
  int64_t outputs, passes;
  adamix_trainable trainable;
  bool inference;
  adamix_place_set places;
  int64_t lowest_layer, recomputed;
} run_shape;

/* Make head, parameters and workspace for batches up to the size of `batch`; the head gets `weight` and `bias`, or
 * random values where they are NULL. */
void run_create (run *run, adamix_model *model, const adamix_batch *batch, const run_shape *shape, const float *weight,
                 const float *bias);
void run_destroy (run *run);
void run_forward (run *run);
/* Gradients of <dz, z>; they are zeroed first. */
void run_backward (run *run, const float *dz);
/* <dz, z> of a forward, in fp64. */
double run_value (run *run, const float *dz);
/* Fixed numbers without a pattern in [-1, 1]. */
void run_noise (float *out, int64_t count, uint32_t which);
/* The row of a parameter set that has this name. */
adamix_param *run_param (const adamix_params *params, const char *name);

#endif
