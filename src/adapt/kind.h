/* kind.h - a kind of module, and the steps that kinds are made of. */
#ifndef ADAMIX_ADAPT_KIND_H
#define ADAMIX_ADAPT_KIND_H

#include <adamix/adapt.h>

/* One call of a module. */
typedef struct adamix_module_call {
  struct adamix_inserted_bank *bank;
  const adamix_site *site;
  int64_t number;       /* of the site */
  const int32_t *order; /* row i of x is row order[i] of the site's; NULL: row i */
} adamix_module_call;

/* A row of the table of kinds. */
typedef struct adamix_kind_row {
  const char *name;
  adamix_place_set places; /* where it can stand */
  const char *weight[ADAMIX_PROJECTIONS],
      *bias[ADAMIX_PROJECTIONS]; /* endings of its tensors' names; bias NULL: none */
  /* Initial values of an expert at a site whose numbers start at `word`. */
  void (*initialise) (const adamix_bank_shape *shape, const adamix_expert *expert, adamix_projection projection,
                      adamix_rng rng, uint32_t word);
  /* y = base + module (x); base without data is 0, and may be y. */
  adamix_err (*forward) (const adamix_module_call *call, adamix_view x, adamix_view base, adamix_view y);
  /* After the forward of the same x.  dx += module'^T dy, unless dx has no data; dx may be dy.  Parameter gradients are added. */
  adamix_err (*backward) (const adamix_module_call *call, adamix_view x, adamix_view dy, adamix_view dx);
  /* Buffers beside u: floats a row of the batch that all sites share. */
  int64_t (*shared_floats) (const adamix_bank_shape *shape, bool backward);
} adamix_kind_row;

extern const adamix_kind_row adamix_kind_bottleneck, adamix_kind_lora;
const adamix_kind_row *adamix_kind_row_of (adamix_kind kind);

/* Second counter word of an expert's initial values: (list + 1) << 24 | its number. */
uint32_t adamix_initial_word (int list, const adamix_expert *expert);

/* What a gated site works on, in the arena of its bank.  H columns, M experts. */
typedef struct adamix_gate {
  float *w, *dw; /* [M,H] rows of the router, gathered, and their gradients */
  float *p, *dp; /* [rows,M] */
  float *x, *delta,
      *sum; /* [rows,H] rows in the order of their experts; their modules' outputs; that over all experts */
  int32_t *choice, *order; /* [rows] SWITCH: slot of a row; rows in the order of their slots */
  int64_t *share;          /* [M] rows of each slot */
} adamix_gate;

struct adamix_inserted_bank {
  adamix_insertion insertion; /* first: the model hands back a pointer to it */
  const adamix_bank *bank;
  const adamix_kind_row *kind;
  adamix_compute compute;
  adamix_route route;
  adamix_activations *activations; /* NULL: nobody looks */
  adamix_arena arena;
  int64_t rows; /* the most that a batch may have */
  bool backward;
  bool kept;          /* every site keeps its u, from forward to backward */
  float *u;           /* [sites or 1, rows, R] Down (x) */
  float *du;          /* [rows, R] its gradient, and before that of Up's input */
  float *shared;      /* [rows, shared_floats] the kind's own */
  adamix_gate gate;   /* of a gated bank */
  adamix_tally tally; /* load [M]; owned */
};

/* u of the call, [rows, R]; and a matrix of the same size in du, or of `cols` columns in `shared`. */
adamix_view adamix_module_u (const adamix_module_call *call, int64_t rows);
adamix_view adamix_module_du (const adamix_module_call *call, int64_t rows);
adamix_view adamix_module_shared (const adamix_module_call *call, int64_t rows, int64_t cols);

/* Over the spans of a route, each with the W and b of its expert.
 * out = base + b + scale in W^T; base without data is 0, and may be out. */
adamix_err adamix_module_project (const adamix_module_call *call, adamix_projection projection, adamix_view base,
                                  adamix_view in, double scale, adamix_view out);
/* dW += scale dout^T in;  db += column sums of dout;  both count as touched. */
adamix_err adamix_module_gradients (const adamix_module_call *call, adamix_projection projection, adamix_view dout,
                                    adamix_view in, double scale);
/* din = scale dout W + beta din */
adamix_err adamix_module_project_back (const adamix_module_call *call, adamix_projection projection, adamix_view dout,
                                       double scale, double beta, adamix_view din);
void adamix_module_copy (adamix_view from, adamix_view to);
/* FLOP of `products` products of `rows` rows with a projection. */
double adamix_module_flops (const adamix_inserted_bank *self, int64_t rows, int products);

/* Of a bank that is gated: its buffers in an arena; both directions as a kind has them, dx apart from dy, with the FLOP of
 * their products. */
void adamix_gate_plan (adamix_inserted_bank *self, adamix_arena *arena, const adamix_bank_shape *shape);
adamix_err adamix_gate_forward (const adamix_module_call *call, adamix_view x, adamix_view base, adamix_view y,
                                double *flops);
adamix_err adamix_gate_backward (const adamix_module_call *call, adamix_view x, adamix_view dy, adamix_view dx,
                                 double *flops);

#endif
