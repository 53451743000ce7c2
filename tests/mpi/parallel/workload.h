/* workload.h - a small problem that ranks share: rows through all modules of a bank, with the loss
 *   L = 1/(2 B) sum over all B rows of |y|^2
 * so that its gradient on one process is known, however the rows are cut. */
#ifndef TESTS_MPI_PARALLEL_WORKLOAD_H
#define TESTS_MPI_PARALLEL_WORKLOAD_H

#include <stdarg.h>

#include <adamix/parallel.h>

#include "adapt/fixture.h"

enum { WORKLOAD_HIDDEN = 12, WORKLOAD_LAYERS = 3, WORKLOAD_SEED = 9 };

/* How the rows are cut: rank r has first + growth r of them, the last of several ranks none if it idles. */
typedef struct workload_cut {
  int64_t first, growth;
  bool last_idles;
} workload_cut;

static inline int64_t
workload_rows (const workload_cut *cut, int rank, int ranks)
{
  return cut->last_idles && ranks > 1 && rank == ranks - 1 ? 0 : cut->first + cut->growth * rank;
}

static inline int64_t
workload_first_row (const workload_cut *cut, int rank, int ranks)
{
  int64_t first = 0;
  for (int r = 0; r < rank; r++) first += workload_rows (cut, r, ranks);
  return first;
}

typedef struct workload_case {
  const char *placement;
  int64_t experts, experts_per_rank;
  adamix_share share;
  workload_cut cut;
} workload_case;

/* M not a multiple of the groups, more ranks than experts, idle ranks, one expert, everything shared. */
static const workload_case workload_cases[] = {
  { "replicated", 4, 2, ADAMIX_SHARE_NONE, { 5, 3, false } }, { "replicated", 3, 1, ADAMIX_SHARE_DOWN, { 4, 7, true } },
  { "owned", 4, 2, ADAMIX_SHARE_UP, { 6, 0, false } },        { "owned", 5, 2, ADAMIX_SHARE_NONE, { 5, 3, false } },
  { "owned", 3, 1, ADAMIX_SHARE_NONE, { 2, 9, true } },       { "owned", 2, 1, ADAMIX_SHARE_DOWN, { 7, 1, true } },
  { "owned", 1, 2, ADAMIX_SHARE_NONE, { 3, 4, false } },      { "owned", 4, 1, ADAMIX_SHARE_BOTH, { 3, 2, false } },
};
enum { WORKLOAD_CASES = sizeof workload_cases / sizeof *workload_cases };

static inline adamix_bank_shape
workload_shape (const workload_case *c)
{
  return (adamix_bank_shape){ .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                              .layers = WORKLOAD_LAYERS,
                              .hidden = WORKLOAD_HIDDEN,
                              .bottleneck = 4,
                              .experts = c->experts,
                              .share = c->share,
                              .activation = ADAMIX_ACTIVATION_GELU };
}

static inline adamix_placement_args
workload_placement (const workload_case *c)
{
  return (adamix_placement_args){
    .layers = WORKLOAD_LAYERS, .experts = c->experts, .experts_per_rank = c->experts_per_rank, .seed = WORKLOAD_SEED
  };
}

/* Rows first .. first + rows - 1 of B, routed by the draw of `shard`, forward and backward through all layers: gradients
 * are added to the bank's. */
static inline void
workload_run (const adamix_compute *compute, const adamix_bank *bank, int64_t shard, int64_t first, int64_t rows,
              int64_t B)
{
  enum { H = WORKLOAD_HIDDEN, L = WORKLOAD_LAYERS };
  adamix_inserted_bank *inserted;
  const int64_t offset[2] = { 0, rows };
  adamix_route_context context = {
    .seed = WORKLOAD_SEED, .step = 1, .shard = shard, .passes = 1, .tokens = rows, .offset = offset
  };
  float *x = calloc ((size_t) (rows * H * (L + 1) + 1), sizeof (float));
  must (adamix_inserted_bank_create (&inserted, bank, compute, rows, 1, true));
  adamix_route_policy_find ("stochastic")->fill (bank, &context, adamix_inserted_bank_route (inserted));
  for (int64_t r = 0; r < rows; r++)
    adamix_rng_normal (adamix_rng_stream (WORKLOAD_SEED, ADAMIX_RNG_EVAL), (uint32_t) (first + r), 0, H, 1.0,
                       x + r * H);
  adamix_insertion *insertion = adamix_inserted_bank_insertion (inserted);
  adamix_view in = adamix_view_of (x, rows, H), out = in;
  for (int64_t i = 0; i < L; i++, in = out) {
    out = adamix_view_of (in.data + rows * H, rows, H);
    must (insertion->forward (
        insertion, &(adamix_site){ .layer = i, .place = ADAMIX_PLACE_FFN, .rows = { .count = rows } }, in, out));
  }
  compute->kernels->scale (rows * H, 1.0f / (float) B, out.data);
  for (int64_t i = L - 1; i >= 0; i--) {
    in = adamix_view_of (x + i * rows * H, rows, H);
    must (insertion->backward (
        insertion, &(adamix_site){ .layer = i, .place = ADAMIX_PLACE_FFN, .rows = { .count = rows } }, in, out, out));
  }
  adamix_inserted_bank_destroy (inserted);
  free (x);
}

/* Failures of this rank, told as they happen. */
static int workload_failures;

static inline void ADAMIX_PRINTF (2, 3) workload_expect (bool holds, const char *format, ...)
{
  va_list list;
  if (holds) return;
  workload_failures++;
  va_start (list, format);
  vfprintf (stderr, format, list);
  va_end (list);
  fputc ('\n', stderr);
}

#endif
