/* adamix/adapt.h - adaptation modules, the bank of M experts a layer, routes, the AdaMix loss.
 *
 * A module is of a kind, and stands at one or several places of every layer:
 *   bottleneck  y = x + Up (act (Down (x))); Down [R,H] and Up [H,R], with biases; after attention, after the FFN
 *   lora        y = W x + s Up (Down (dropout (x))), Down = A [R,H], Up = B [H,R]; beside the linear maps W of query and value
 * A bank holds, at each site (a place in a layer), the experts this rank owns ("local" experts) of Down and of Up apart; a
 * shared projection has the one expert j = 0 (AdaMix, section 3.4).  Routes say which expert serves which rows: expert j of a
 * layer is expert j at all its places.  Where experts are gated, each site has a router that learns to say it, a row for
 * each expert.  All functions are Local. */
#ifndef ADAMIX_ADAPT_H
#define ADAMIX_ADAPT_H

#include <adamix/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the bank -------------------------------------------------------------------------------------------------------- */

typedef enum adamix_projection { ADAMIX_DOWN, ADAMIX_UP, ADAMIX_PROJECTIONS } adamix_projection;
/* The lists of a site: those of the projections, and the experts' rows of its router, which are never shared. */
enum { ADAMIX_ROUTER = ADAMIX_PROJECTIONS, ADAMIX_LISTS };

/* Which projections have one copy for all experts; a set of bits, 1 << projection. */
typedef enum adamix_share {
  ADAMIX_SHARE_NONE = 0,
  ADAMIX_SHARE_DOWN = 1,
  ADAMIX_SHARE_UP = 2,
  ADAMIX_SHARE_BOTH = 3
} adamix_share;

const char *adamix_share_name (adamix_share share); /* static */
bool adamix_share_find (const char *name, adamix_share *out);

#define ADAMIX_MOST_EXPERTS 1024 /* M is at most */

typedef enum adamix_kind { ADAMIX_BOTTLENECK, ADAMIX_LORA, ADAMIX_KINDS } adamix_kind;

/* "bottleneck", "lora"; static.  False for an unknown name. */
const char *adamix_kind_name (adamix_kind kind);
bool adamix_kind_find (const char *name, adamix_kind *out);
/* Who says which local expert serves a row of x: a route, or, with p = softmax (W x) over the local experts j, W [M,H],
 *   SWITCH   the one with the largest p, times that p (Switch Transformer, eq. 2)
 *   SOFT     all of them, each times its p */
typedef enum adamix_gating {
  ADAMIX_GATING_NONE,
  ADAMIX_GATING_SWITCH,
  ADAMIX_GATING_SOFT,
  ADAMIX_GATINGS
} adamix_gating;

/* "none", "switch", "soft"; static.  False for an unknown name. */
const char *adamix_gating_name (adamix_gating gating);
bool adamix_gating_find (const char *name, adamix_gating *out);

/* Where modules of a kind can stand. */
adamix_place_set adamix_kind_places (adamix_kind kind);
/* "query", "value", "attention", "ffn"; static. */
const char *adamix_place_name (adamix_place place);
/* Of a text such as "query|value".  False if a name is unknown, or none is there. */
bool adamix_places_find (const char *text, adamix_place_set *out);

typedef struct adamix_bank_shape {
  int64_t layers, hidden, bottleneck, experts; /* L, H, R, M */
  adamix_share share;
  adamix_kind kind;
  adamix_place_set places;
  adamix_activation activation; /* of bottlenecks */
  double scale;                 /* s of lora: alpha / R */
  double dropout;               /* rate of lora's */
  adamix_gating gating;         /* but for NONE every site has a router */
  bool merged; /* the module that the experts became (M = 1): its tensors' names have no "experts.{j}." */
} adamix_bank_shape;

/* Sites are numbered layer by layer, places in their order. */
int64_t adamix_bank_sites (const adamix_bank_shape *shape);
int64_t adamix_bank_site (const adamix_bank_shape *shape, int64_t layer, adamix_place place);

/* Copies of a projection in a layer: 1 if it is shared, else M. */
int64_t adamix_bank_copies (const adamix_bank_shape *shape, adamix_projection projection);
/* Parameters of all experts with their routers, and those of the merged module (the head apart). */
int64_t adamix_bank_trainable_parameters (const adamix_bank_shape *shape);
int64_t adamix_bank_merged_parameters (const adamix_bank_shape *shape);
/* FLOP of a forward a row, 2 for a multiplication with an addition, of products alone: a module at every site, whatever M is,
 * or what a gating asks for.  Pure. */
int64_t adamix_bank_forward_flops (const adamix_bank_shape *shape);

/* A local expert of one list at one site. */
typedef struct adamix_expert {
  int64_t number;              /* j, 0 <= j < M */
  adamix_param *weight, *bias; /* rows of a params set; NULL before adamix_bank_link; lora and routers have no biases */
  int64_t weight_row, bias_row; /* -1: none */
} adamix_expert;

typedef struct adamix_expert_list {
  adamix_expert *expert; /* ascending numbers */
  int64_t count;
} adamix_expert_list;

typedef struct adamix_bank {
  adamix_bank_shape shape;
  adamix_expert_list *local[ADAMIX_LISTS]; /* [sites] each; without gating the router's is NULL */
} adamix_bank;

/* The local experts of a layer, those of its first place: the numbers are the same at all. */
const adamix_expert_list *adamix_bank_list (const adamix_bank *bank, adamix_projection projection, int64_t layer);

/* A bank whose layer i owns the experts j with owned[i * M + j]; NULL: all of them.  Announces its tensors
 * ("layers.{i}.ffn.experts.{j}.down.weight", "layers.{i}.query.experts.{j}.lora_A", ..., of a router
 * "layers.{i}.ffn.experts.{j}.router.weight" [1,H]) site by site, Down before Up before the router, ascending j, weight before
 * bias: shared projections in `shared`, the others in `experts` (both borrowed only for this call; they may be the same set).
 * With M = 1 nothing is shared. */
adamix_err adamix_bank_create (adamix_bank **out, const adamix_bank_shape *shape, const bool *owned,
                               adamix_params *shared, adamix_params *experts);
/* After adamix_params_allocate: let the experts point to their rows (sets borrowed for the bank's life). */
void adamix_bank_link (adamix_bank *bank, adamix_params *shared, adamix_params *experts);
/* Let the places of this rank's experts stand for those of another deal, owned[i * M + j], of as many in each layer:
 * numbers and the names of rows change, values do not (the caller brings them).  `experts` is the set that it was created
 * with.  Errors: ESHAPE if the numbers of experts differ, ENOMEM. */
adamix_err adamix_bank_deal (adamix_bank *bank, const bool *owned, adamix_params *experts);
void adamix_bank_destroy (adamix_bank *bank);
/* Keyed by (seed, layer, place, projection, expert): the same on any number of ranks.
 *   bottleneck  weights ~ N(0, 0.02), biases 0
 *   lora        A ~ U(-1/sqrt(H), 1/sqrt(H)), the same in all experts of a site (as in the published code); B = 0
 *   routers     ~ N(0, 0.02) */
void adamix_bank_initialise (adamix_bank *bank, uint64_t seed);
/* Place of expert `number` in the layer's local list (0 for a shared projection), -1 if it is not local. */
int64_t adamix_bank_slot (const adamix_bank *bank, adamix_projection projection, int64_t layer, int64_t number);

/* ---- routes ------------------------------------------------------------------------------------------------------------ */

/* Rows row .. row + rows - 1 are served by local expert number `slot` of the layer's list. */
typedef struct adamix_span {
  int64_t row, rows, slot;
} adamix_span;

/* What a router in training is held to. */
typedef struct adamix_gating_rule {
  int64_t passes; /* pass after pass with as many rows; each is a batch of its own for what follows */
  double
      capacity; /* SWITCH: an expert serves at most ceil (capacity x rows / experts) rows of a pass, in their order; the
                      rows behind them get no module.  0: any number */
  double balance; /* SWITCH: weight of the loss that asks for equal loads, mean over passes, sum over sites: experts x
                      sum_j (share of the rows whose largest p is p_j) (mean of p_j)  (Switch Transformer, eq. 4) */
} adamix_gating_rule;

/* Per projection and layer a list of spans that covers all rows once, in ascending order; or a gating, and no list. */
typedef struct adamix_route {
  adamix_gating gating; /* but for NONE the routers of the bank take the place of lists */
  adamix_gating_rule rule;
  int64_t layers, capacity;              /* capacity: spans a list can hold */
  adamix_span *span[ADAMIX_PROJECTIONS]; /* [L * capacity] */
  int64_t *count[ADAMIX_PROJECTIONS];    /* [L] */
} adamix_route;

adamix_err adamix_route_create (adamix_route *out, int64_t layers, int64_t capacity);
void adamix_route_destroy (adamix_route *route);
/* Empty all lists, without a gating, then fill them: the next `rows` rows of a list go to `slot`; neighbours of one slot
 * become one span. */
void adamix_route_clear (adamix_route *route);
void adamix_route_append (adamix_route *route, adamix_projection projection, int64_t layer, int64_t rows, int64_t slot);

/* What a routing policy may look at. */
typedef struct adamix_route_context {
  uint64_t seed;
  int64_t step, shard;    /* shard 0 in replicated placement */
  int64_t passes, tokens; /* rows of a pass */
  int64_t sequences;
  const int64_t *offset;     /* [sequences + 1], rows of the sequences within a pass */
  const int64_t *sample;     /* [sequences] global numbers of the examples */
  const int32_t *prescribed; /* [passes,L,2] expert numbers, Down then Up; NULL but for "prescribed"; view */
  double capacity, balance;  /* of "switch" (adamix_gating_rule) */
} adamix_route_context;

/* A row of the table of routing policies: fills the route of one step. */
typedef struct adamix_route_policy {
  const char *name;
  const char *help;
  adamix_gating gating; /* of the bank that it routes: NONE but for learned routers */
  /* spans a list needs for a batch of `sequences` and `tokens` rows a pass */
  int64_t (*capacity) (int64_t passes, int64_t sequences, int64_t tokens);
  void (*fill) (const adamix_bank *bank, const adamix_route_context *context, adamix_route *route);
} adamix_route_policy;

/* Local experts only; Down and Up apart.  NULL for an unknown name.
 *   stochastic            AdaMix, section 3.1: one draw a pass, layer and projection, uniform
 *   stochastic-sentence   one draw a sentence
 *   stochastic-token      one draw a token
 *   fixed                 pass p to expert p, always
 *   round-robin           turn by turn; turn t, of passes of all steps, goes to Down t and Up t + t / (number of experts)
 *   hash                  one draw an example, the same in all steps and passes
 *   balanced              as stochastic, but every expert once in each window of as many turns as there are experts
 *   switch, soft          learned routers (adamix_gating): each site's decides, when its rows are there
 *   prescribed            the experts that context->prescribed names; they have to be local
 * Draws are keyed by (seed, step, pass, layer, projection) and the shard, the sample, or the sample and its token: those by
 * sample do not depend on how examples are cut into batches and shards. */
const adamix_route_policy *adamix_route_policy_find (const char *name);
/* Every row to local expert `slot` of both projections (modulo their counts): merged inference (slot 0), one fixed route. */
void adamix_route_fixed (const adamix_bank *bank, int64_t rows, int64_t slot, adamix_route *route);

/* ---- the modules inside a layer ---------------------------------------------------------------------------------------- */

/* The insertion that serves a bank: pass &inserted->insertion as adamix_forward_args.insertion.  Fill `route` before each
 * forward. */
typedef struct adamix_inserted_bank adamix_inserted_bank;
adamix_err adamix_inserted_bank_create (adamix_inserted_bank **out, const adamix_bank *bank,
                                        const adamix_compute *compute, int64_t rows, int64_t route_capacity,
                                        bool backward);
void adamix_inserted_bank_destroy (adamix_inserted_bank *inserted);
size_t adamix_inserted_bank_bytes (const adamix_inserted_bank *inserted); /* of its buffers */
/* What the buffers of a bank of that shape would have.  Pure. */
size_t adamix_inserted_bank_measure (const adamix_bank_shape *shape, int64_t rows, bool backward);
adamix_route *adamix_inserted_bank_route (adamix_inserted_bank *inserted);

/* What routes did in the backward passes since the last call. */
typedef struct adamix_tally {
  double balance; /* loss of SWITCH, weight included */
  double dropped; /* rows that found no place, over all sites */
  double *
      load; /* [M] rows that expert j served, over all sites and projections that are not shared; of SOFT the sum of p_j */
} adamix_tally;
/* Add to `out` and start anew. */
void adamix_inserted_bank_tally (adamix_inserted_bank *inserted, adamix_tally *out);

/* Who looks at what the projections of a bank read.  The implementer embeds it as the first member of its own struct. */
typedef struct adamix_activations adamix_activations;
struct adamix_activations {
  /* x [n, inputs of the projection], n may be 0: the rows that local expert `slot` serves.  Once a span in each forward. */
  adamix_err (*see) (adamix_activations *self, adamix_projection projection, int64_t site, int64_t slot, adamix_view x);
};
/* Show it all forwards from here on (borrowed; NULL: nobody looks). */
void adamix_inserted_bank_show (adamix_inserted_bank *inserted, adamix_activations *activations);
adamix_insertion *adamix_inserted_bank_insertion (adamix_inserted_bank *inserted);

/* ---- the loss ---------------------------------------------------------------------------------------------------------- */

#define ADAMIX_PASSES 3 /* at most */

/* How far two passes are apart: X (name, text). */
#define ADAMIX_DIVERGENCES(X)                                                                                          \
  X (KL, "kl")                                                                                                         \
  X (KL_FORWARD, "kl-forward")                                                                                         \
  X (KL_REVERSE, "kl-reverse")                                                                                         \
  X (JS, "js")                                                                                                         \
  X (MSE, "mse")
typedef enum adamix_divergence {
#define ADAMIX_DIVERGENCE_ENUM(name, text) ADAMIX_CONSISTENCY_##name,
  ADAMIX_DIVERGENCES (ADAMIX_DIVERGENCE_ENUM)
#undef ADAMIX_DIVERGENCE_ENUM
} adamix_divergence;

/* What the gradient of the consistency term lets through. */
typedef enum adamix_consistency_gradient {
  ADAMIX_CONSISTENCY_STOP, /* the target of each divergence is fixed (the published code) */
  ADAMIX_CONSISTENCY_BOTH  /* the derivative of the whole term */
} adamix_consistency_gradient;

typedef struct adamix_loss_args {
  int64_t examples, outputs, passes; /* n, K; passes 1 to ADAMIX_PASSES */
  const int32_t *label;              /* [n], or NULL: regression */
  const float *target;               /* [n], or NULL */
  double scale;                      /* 1 / B of the global batch: sums over ranks give the mean */
  bool task_on_all;                  /* the task loss is the mean over the passes; else that of the first */
  double consistency;                /* weight; 0 with one pass */
  adamix_divergence divergence;
  adamix_consistency_gradient gradient;
} adamix_loss_args;

typedef struct adamix_loss {
  double task, consistency; /* scaled sums over this rank's examples; the total is their sum */
} adamix_loss;

/* L = task + c C:  task = CE (z1, y), or (z1 - y)^2 for regression (K = 1), of the first pass or the mean over all; C is the
 * mean over all pairs of passes of their distance.  With p = softmax z of the earlier pass and q that of the later:
 *   KL          [KL (q || p) + KL (p || q)] / 2   (AdaMix, section 3.2)
 *   KL_FORWARD  KL (p || q)
 *   KL_REVERSE  KL (q || p)
 *   JS          [KL (p || m) + KL (q || m)] / 2, m = (p + q) / 2
 *   MSE         mean_k (z_p - z_q)^2
 * STOP: the first argument of each KL is a fixed target; JS and MSE are halved in two, with either pass as a fixed target.
 * Of one logit all but MSE are 0.  With d = log p - log q:
 *   dKL (q || p) / dz_p = p - q     dKL (q || p) / dz_q = q (-d - KL (q || p)), elementwise.
 * z, dz [passes * n, K], pass after pass; dz is overwritten.  `consistency` in *out holds the weight already. */
void adamix_loss_compute (const adamix_loss_args *args, adamix_view z, adamix_view dz, adamix_loss *out);

#ifdef __cplusplus
}
#endif
#endif
