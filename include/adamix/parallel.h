/* adamix/parallel.h - who owns which expert, and the exchange of gradients.
 *
 * Losses are scaled by 1/B of the global batch before the backward pass, so gradients are only ever summed: shared ones
 * over all ranks, an expert's over the ranks that hold it.  Nothing is divided by ranks or replicas anywhere.           */
#ifndef ADAMIX_PARALLEL_H
#define ADAMIX_PARALLEL_H

#include <adamix/adapt.h>
#include <adamix/comm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- placement --------------------------------------------------------------------------------------------------------- */

typedef struct adamix_placement_args {
  int64_t layers, experts;  /* L, M */
  int64_t experts_per_rank; /* K */
  uint64_t seed;
} adamix_placement_args;

/* A row of the table of placement policies. */
typedef struct adamix_placement_policy {
  const char *name; /* "owned", "replicated" */
  const char *help;
  /* Number of groups that W ranks form. */
  int (*groups) (const adamix_placement_args *args, int ranks);
  /* owner[i * M + j] = group that owns expert j of layer i in deal `round` (from 0), for a number of groups.  A group's
   * number of experts in a layer is the same in all rounds.  Pure: the same on every rank. */
  void (*deal) (const adamix_placement_args *args, int groups, int64_t round, int32_t *owner);
  /* Do all ranks draw the same route (shard 0), or each its own? */
  bool common_route;
} adamix_placement_policy;

/* "owned": G = max (1, min (W, floor (M / K))) groups, experts dealt so that sets differ by at most one, each expert in
 * exactly one group.  "replicated": one group, every rank holds all experts.  NULL for an unknown name. */
const adamix_placement_policy *adamix_placement_policy_find (const char *name);

typedef struct adamix_placement {
  const adamix_placement_policy *policy;
  adamix_placement_args args;
  adamix_comm *world; /* borrowed for life */
  adamix_comm group;  /* ranks that hold the same experts; owned */
  int groups, mine;   /* number of groups, this rank's */
  int64_t round;      /* of the deal in force */
  int32_t *owner;     /* [L * M] group of each expert */
  bool *owned;        /* [L * M] is it mine? what adamix_bank_create takes */
} adamix_placement;

/* Rank r belongs to group floor (r G / W).  Collective over world. */
adamix_err adamix_placement_create (adamix_placement *out, const adamix_placement_policy *policy,
                                    const adamix_placement_args *args, adamix_comm *world);
/* Collective over world. */
void adamix_placement_destroy (adamix_placement *placement);
/* Bring deal `round` into force: owner and owned change, the experts themselves do not move.  Local; pure, so the same on
 * all ranks. */
void adamix_placement_deal (adamix_placement *placement, int64_t round);
/* The number that keys the routes of shard `shard`: its own, or 0 where all draw the same.  Local. */
int64_t adamix_placement_route_key (const adamix_placement *placement, int64_t shard);

/* ---- exchange ---------------------------------------------------------------------------------------------------------- */

/* Sum the gradients (and touched flags and riders behind them): `shared` over the world, `experts` over the group.
 * Collective over world. */
adamix_err adamix_exchange_gradients (adamix_placement *placement, adamix_params *shared, adamix_params *experts);

/* The gradients of this rank's shards, one by one, for sums that do not depend on how shards are dealt to ranks. */
typedef struct adamix_gradient_parts {
  int64_t count;           /* shards of this rank */
  float *shared, *experts; /* [count, gradients, touched flags and riders of the set]; owned */
} adamix_gradient_parts;

/* Room for `count` shards' gradients of two sets that are allocated.  Local.  Errors: ENOMEM. */
adamix_err adamix_gradient_parts_create (adamix_gradient_parts *out, int64_t count, const adamix_params *shared,
                                         const adamix_params *experts);
void adamix_gradient_parts_destroy (adamix_gradient_parts *parts);
/* What they take; the sets need not be allocated.  Pure. */
size_t adamix_gradient_parts_bytes (int64_t count, const adamix_params *shared, const adamix_params *experts);
/* Keep the gradients that the sets hold now as part `part`.  Local. */
void adamix_gradient_parts_keep (adamix_gradient_parts *parts, int64_t part, const adamix_params *shared,
                                 const adamix_params *experts);
/* The sums of all ranks' parts in the order of shards, into the sets' gradients.  Collective over world. */
adamix_err adamix_exchange_parts (adamix_placement *placement, const adamix_gradient_parts *parts,
                                  adamix_params *shared, adamix_params *experts);

/* Global L2 norm of the summed gradients: each expert counts once, each shared parameter once.  Collective over world;
 * the same bits on every rank. */
adamix_err adamix_exchange_norm (adamix_placement *placement, const adamix_kernels *kernels,
                                 const adamix_params *shared, const adamix_params *experts, double *norm);

/* Do all ranks hold the same shared parameters, and those of a group the same experts?  ENUMERIC on all ranks if not.
 * Collective over world. */
adamix_err adamix_exchange_verify (adamix_placement *placement, const adamix_params *shared,
                                   const adamix_params *experts);

/* Bring one array of per-expert values together.  `mine` has the layout of this rank's experts set (its values, first or
 * second moments: [mine_set->count], or one number a row: [mine_set->rows] with per_row); `out` gets all experts in the
 * layout of `all_set`, the rows of a bank that owns every expert.  Rows are matched by name.  Collective over world. */
adamix_err adamix_exchange_collect (adamix_placement *placement, const adamix_bank_shape *shape,
                                    const adamix_params *mine_set, const float *mine, bool per_row,
                                    const adamix_params *all_set, float *out);
/* The reverse, without communication: cut this rank's part out of an array in the layout of all_set.  Local. */
adamix_err adamix_exchange_select (const adamix_params *all_set, const float *all, bool per_row,
                                   const adamix_params *mine_set, float *mine);

/* ---- what it costs ----------------------------------------------------------------------------------------------------- */

/* What W ranks exchange, without being there: bytes. */
typedef struct adamix_exchange_volume {
  int ranks, groups, group_ranks; /* W; G; ranks of the largest group */
  double shared, experts;         /* summed in each step: over all ranks; over a group, the one with most experts */
  double values, rows;            /* that this group gives at a rotation: its experts or a moment of theirs; their t */
} adamix_exchange_volume;

/* `shared` is the set of any rank: it is the same on all; shape NULL: there are no experts.  Local.  Errors: ENOMEM, ESHAPE. */
adamix_err adamix_exchange_volume_of (adamix_exchange_volume *out, const adamix_placement_policy *policy,
                                      const adamix_placement_args *args, const adamix_bank_shape *shape,
                                      const adamix_params *shared, int ranks);
/* Seconds of a step's exchange where all ranks arrive at once: adamix_comm_arrive, adamix_exchange_gradients,
 * adamix_exchange_norm.  Pure. */
double adamix_exchange_cost (const adamix_exchange_volume *volume, const adamix_network *network,
                             adamix_allreduce algorithm);
/* Seconds of the communication of one rotation: values, both moments and t are gathered from all groups.  Pure. */
double adamix_rotation_cost (const adamix_exchange_volume *volume, const adamix_network *network,
                             adamix_allreduce algorithm);

#ifdef __cplusplus
}
#endif
#endif
