#include "adapt/kind.h"

#include <math.h>
#include <string.h>

/* A batch at a site, and what its router makes of it.  Local experts are numbered by their slots. */
typedef struct gated {
  const adamix_module_call *call;
  const adamix_gate *gate; /* the buffers */
  adamix_view x, w, p;     /* [n,H], [m,H], [n,m] */
  const adamix_expert_list *router;
} gated;

/* Rows and the experts that serve them, as many as a call of the kind takes: share[slot] rows of each, one after the other. */
typedef struct turn {
  int64_t rows, slot; /* of SOFT: the one expert */
  const int32_t *order, *choice;
} turn;

/* A row of the table of gatings. */
typedef struct gating_row {
  /* Choose from p; `tally` counts what that did, if it is not NULL. */
  void (*choose) (const gated *g, adamix_tally *tally);
  int64_t (*turns) (const gated *g);
  /* Fill gate->share too. */
  turn (*turn) (const gated *g, int64_t number);
  /* dp += the gradient of a loss of the router's own, whose value is added to *loss. */
  void (*own_loss) (const gated *g, adamix_view dp, double *loss);
} gating_row;

static int64_t
row_of (const turn *t, int64_t i)
{
  return t->order ? t->order[i] : i;
}

static int64_t
slot_of (const turn *t, int64_t row)
{
  return t->choice ? t->choice[row] : t->slot;
}

static const adamix_gating_rule *
rule_of (const gated *g)
{
  return &g->call->bank->route.rule;
}

/* Rows of a pass; a batch in inference is one. */
static int64_t
pass_rows (const gated *g)
{
  return g->x.rows / rule_of (g)->passes;
}

/* ---- switch ---- */

static int32_t
largest (const float *p, int64_t m)
{
  int32_t best = 0;
  for (int32_t j = 1; j < m; j++)
    if (p[j] > p[best]) best = j;
  return best;
}

/* How many rows of a pass find a place at an expert. */
static int64_t
places_of (const gated *g)
{
  const double capacity = rule_of (g)->capacity, even = (double) pass_rows (g) / (double) g->p.cols;
  return capacity > 0 ? (int64_t) ceil (capacity * even) : g->x.rows;
}

/* Rows by their slots, those without a place (slot m) behind all; share[j] rows each. */
static void
sort_rows (const gated *g)
{
  int64_t next = 0;
  for (int64_t slot = 0; slot <= g->p.cols; slot++) {
    const int64_t first = next;
    for (int64_t r = 0; r < g->x.rows; r++)
      if (g->gate->choice[r] == slot) g->gate->order[next++] = (int32_t) r;
    if (slot < g->p.cols) g->gate->share[slot] = next - first;
  }
}

static void
choose_one (const gated *g, adamix_tally *tally)
{
  const int64_t m = g->p.cols, T = pass_rows (g), places = places_of (g);
  int32_t *choice = g->gate->choice;
  int64_t *taken = g->gate->share;
  for (int64_t r = 0; r < g->x.rows; r++) {
    if (r % T == 0) memset (taken, 0, (size_t) m * sizeof *taken);
    choice[r] = largest (g->p.data + r * m, m);
    if (++taken[choice[r]] > places) choice[r] = (int32_t) m;
  }
  sort_rows (g);
  if (!tally) return;
  int64_t served = 0;
  for (int64_t j = 0; j < m; j++) {
    tally->load[g->router->expert[j].number] += (double) g->gate->share[j];
    served += g->gate->share[j];
  }
  tally->dropped += (double) (g->x.rows - served);
}

static int64_t
one_turn (const gated *g)
{
  (void) g;
  return 1;
}

static turn
turn_of_sorted (const gated *g, int64_t number)
{
  int64_t rows = 0;
  (void) number;
  for (int64_t j = 0; j < g->p.cols; j++) rows += g->gate->share[j];
  return (turn){ .rows = rows, .order = g->gate->order, .choice = g->gate->choice };
}

/* balance / passes m sum_j f_j P_j of each pass: f_j the share of rows whose largest p is p_j, P_j the mean of p_j.
 * d / dp_j of a row = balance / passes m f_j / T. */
static void
balance (const gated *g, adamix_view dp, double *loss)
{
  const int64_t m = g->p.cols, passes = rule_of (g)->passes, T = pass_rows (g);
  int64_t *count = g->gate->share;
  for (int64_t pass = 0; pass < passes; pass++) {
    const float *p = g->p.data + pass * T * m;
    float *d = dp.data + pass * T * m;
    const double factor = rule_of (g)->balance / (double) passes * (double) m / (double) T / (double) T;
    memset (count, 0, (size_t) m * sizeof *count);
    for (int64_t r = 0; r < T; r++) count[largest (p + r * m, m)]++;
    for (int64_t r = 0; r < T; r++)
      for (int64_t j = 0; j < m; j++) {
        const double slope = factor * (double) count[j];
        *loss += slope * p[r * m + j];
        d[r * m + j] += (float) slope;
      }
  }
}

/* ---- soft ---- */

static void
choose_all (const gated *g, adamix_tally *tally)
{
  for (int64_t j = 0; tally && j < g->p.cols; j++) {
    double sum = 0;
    for (int64_t r = 0; r < g->x.rows; r++) sum += g->p.data[r * g->p.cols + j];
    tally->load[g->router->expert[j].number] += sum;
  }
}

static int64_t
turn_each (const gated *g)
{
  return g->p.cols;
}

static turn
turn_of_all (const gated *g, int64_t number)
{
  memset (g->gate->share, 0, (size_t) g->p.cols * sizeof *g->gate->share);
  g->gate->share[number] = g->x.rows;
  return (turn){ .rows = g->x.rows, .slot = number };
}

static void
no_loss (const gated *g, adamix_view dp, double *loss)
{
  (void) g;
  (void) dp;
  (void) loss;
}

static const gating_row gatings[ADAMIX_GATINGS] = {
  [ADAMIX_GATING_SWITCH] = { choose_one, one_turn, turn_of_sorted, balance },
  [ADAMIX_GATING_SOFT] = { choose_all, turn_each, turn_of_all, no_loss },
};

/* ---- what they share ---- */

void
adamix_gate_plan (adamix_inserted_bank *self, adamix_arena *arena, const adamix_bank_shape *shape)
{
  const int64_t M = shape->experts, H = shape->hidden, rows = self->rows, back = self->backward ? 1 : 0;
  adamix_gate *gate = &self->gate;
  gate->w = adamix_arena_take (arena, M * H, sizeof (float));
  gate->dw = adamix_arena_take (arena, back * M * H, sizeof (float));
  gate->p = adamix_arena_take (arena, rows * M, sizeof (float));
  gate->dp = adamix_arena_take (arena, back * rows * M, sizeof (float));
  gate->x = adamix_arena_take (arena, rows * H, sizeof (float));
  gate->delta = adamix_arena_take (arena, rows * H, sizeof (float));
  gate->sum = adamix_arena_take (arena, rows * H, sizeof (float));
  gate->choice = adamix_arena_take (arena, rows, sizeof (int32_t));
  gate->order = adamix_arena_take (arena, rows, sizeof (int32_t));
  gate->share = adamix_arena_take (arena, M, sizeof (int64_t));
}

/* p = softmax, over its m columns. */
static void
softmax (adamix_view p)
{
  const int64_t m = p.cols;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < p.rows; r++) {
    float *row = p.data + r * m, sum = 0;
    const float most = row[largest (row, m)];
    for (int64_t j = 0; j < m; j++) sum += row[j] = expf (row[j] - most);
    for (int64_t j = 0; j < m; j++) row[j] /= sum;
  }
}

/* p = softmax (x W^T) */
static adamix_err
score (gated *g, const adamix_module_call *call, adamix_view x)
{
  adamix_inserted_bank *self = call->bank;
  g->call = call;
  g->gate = &self->gate;
  g->x = x;
  g->router = &self->bank->local[ADAMIX_ROUTER][call->number];
  g->w = adamix_view_of (self->gate.w, g->router->count, x.cols);
  g->p = adamix_view_of (self->gate.p, x.rows, g->router->count);
  for (int64_t j = 0; j < g->w.rows; j++)
    memcpy (g->w.data + j * x.cols, g->router->expert[j].weight->value, (size_t) x.cols * sizeof (float));
  ADAMIX_RETURN_IF (adamix_gemm (self->compute.gemm, &(adamix_gemm_args){ .trans_b = true,
                                                                          .m = g->p.rows,
                                                                          .n = g->p.cols,
                                                                          .k = x.cols,
                                                                          .alpha = 1,
                                                                          .a = x.data,
                                                                          .lda = x.stride,
                                                                          .b = g->w.data,
                                                                          .ldb = g->w.cols,
                                                                          .c = g->p.data,
                                                                          .ldc = g->p.cols }));
  softmax (g->p);
  return ADAMIX_OK;
}

/* What the kind does of a turn: with the lists of its experts, on its rows. */
typedef struct kind_call {
  adamix_module_call call;
  adamix_site site;
  adamix_view x, delta, sum; /* sum: of the site's rows */
} kind_call;

static void
begin_turn (const gated *g, const turn *t, kind_call *out)
{
  adamix_inserted_bank *self = g->call->bank;
  const int64_t layer = g->call->site->layer, H = g->x.cols;
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    const int64_t count = self->bank->local[p][g->call->number].count;
    self->route.count[p][layer] = 0;
    for (int64_t j = 0; j < g->p.cols; j++)
      adamix_route_append (&self->route, (adamix_projection) p, layer, g->gate->share[j], j % count);
  }
  out->site = *g->call->site;
  out->site.rows = (adamix_rows){ .count = t->rows };
  out->call = *g->call;
  out->call.site = &out->site;
  out->call.order = t->order;
  out->x = adamix_view_rows (g->x, 0, t->rows);
  out->delta = adamix_view_of (g->gate->delta, t->rows, H);
  out->sum = adamix_view_of (g->gate->sum, g->x.rows, H);
  if (!t->order) return;
  out->x = adamix_view_of (g->gate->x, t->rows, H);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < t->rows; i++)
    memcpy (out->x.data + i * H, g->x.data + t->order[i] * g->x.stride, (size_t) H * sizeof (float));
}

/* delta = what the experts of the turn make of its rows. */
static adamix_err
run_turn (const gated *g, const turn *t, kind_call *out)
{
  begin_turn (g, t, out);
  return t->rows ? g->call->bank->kind->forward (&out->call, out->x, (adamix_view){ 0 }, out->delta) : ADAMIX_OK;
}

static const float *
gate_of (const gated *g, const turn *t, int64_t row)
{
  return g->p.data + row * g->p.cols + slot_of (t, row);
}

/* FLOP of the router and of all turns. */
static double
flops_of (const gated *g, int64_t served, int products, int router_products)
{
  return adamix_module_flops (g->call->bank, served, products) +
         2.0 * router_products * (double) (g->x.rows * g->x.cols * g->p.cols);
}

/* y = base + sum_j g_j module_j (x) */
adamix_err
adamix_gate_forward (const adamix_module_call *call, adamix_view x, adamix_view base, adamix_view y, double *flops)
{
  gated g;
  int64_t served = 0;
  const adamix_kernels *kernels = call->bank->compute.kernels;
  const gating_row *row = &gatings[call->bank->route.gating];
  ADAMIX_RETURN_IF (score (&g, call, x));
  row->choose (&g, NULL);
  memset (g.gate->sum, 0, (size_t) (x.rows * x.cols) * sizeof (float));
  for (int64_t number = 0; number < row->turns (&g); number++) {
    const turn t = row->turn (&g, number);
    kind_call of;
    ADAMIX_RETURN_IF (run_turn (&g, &t, &of));
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < t.rows; i++)
      kernels->axpy (x.cols, *gate_of (&g, &t, row_of (&t, i)), of.delta.data + i * x.cols,
                     of.sum.data + row_of (&t, i) * x.cols);
    served += t.rows;
  }
  if (y.data != base.data) adamix_module_copy (base, y);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < y.rows; r++) kernels->axpy (y.cols, 1, g.gate->sum + r * y.cols, y.data + r * y.stride);
  *flops = flops_of (&g, served, 2, 1);
  return ADAMIX_OK;
}

/* dp of a turn's rows = dy . delta, and delta = g dy in its place. */
static void
gate_gradients (const gated *g, const turn *t, adamix_view dy, adamix_view delta, adamix_view dp)
{
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < t->rows; i++) {
    const int64_t r = row_of (t, i);
    const float *from = dy.data + r * dy.stride, factor = *gate_of (g, t, r);
    float *d = delta.data + i * delta.cols, sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < delta.cols; c++) {
      sum += from[c] * d[c];
      d[c] = factor * from[c];
    }
    dp.data[r * dp.cols + slot_of (t, r)] = sum;
  }
}

/* dl = p (dp - sum_k p_k dp_k), in place on dp */
static void
softmax_back (adamix_view p, adamix_view dp)
{
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < p.rows; r++) {
    const float *row = p.data + r * p.cols;
    float *d = dp.data + r * p.cols, mean = 0;
    for (int64_t j = 0; j < p.cols; j++) mean += row[j] * d[j];
    for (int64_t j = 0; j < p.cols; j++) d[j] = row[j] * (d[j] - mean);
  }
}

/* dW += dl^T x;  dx += dl W */
static adamix_err
router_gradients (const gated *g, adamix_view dl, adamix_view dx)
{
  const adamix_gemm_backend *gemm = g->call->bank->compute.gemm;
  const int64_t H = g->x.cols, m = dl.cols;
  ADAMIX_RETURN_IF (adamix_gemm (gemm, &(adamix_gemm_args){ .trans_a = true,
                                                            .m = m,
                                                            .n = H,
                                                            .k = dl.rows,
                                                            .alpha = 1,
                                                            .a = dl.data,
                                                            .lda = m,
                                                            .b = g->x.data,
                                                            .ldb = g->x.stride,
                                                            .c = g->gate->dw,
                                                            .ldc = H }));
  for (int64_t j = 0; j < m; j++) {
    g->call->bank->compute.kernels->axpy (H, 1, g->gate->dw + j * H, g->router->expert[j].weight->grad);
    *g->router->expert[j].weight->touched = 1.0f;
  }
  if (!dx.data) return ADAMIX_OK;
  return adamix_gemm (gemm, &(adamix_gemm_args){ .m = dl.rows,
                                                 .n = H,
                                                 .k = m,
                                                 .alpha = 1,
                                                 .a = dl.data,
                                                 .lda = m,
                                                 .b = g->w.data,
                                                 .ldb = H,
                                                 .beta = 1,
                                                 .c = dx.data,
                                                 .ldc = dx.stride });
}

/* Everything but x is computed once more.  dx may be dy, which all turns read: it is added to at the end. */
adamix_err
adamix_gate_backward (const adamix_module_call *call, adamix_view x, adamix_view dy, adamix_view dx, double *flops)
{
  gated g;
  int64_t served = 0;
  adamix_inserted_bank *self = call->bank;
  const gating_row *row = &gatings[self->route.gating];
  const adamix_view dp = adamix_view_of (self->gate.dp, x.rows, self->bank->local[ADAMIX_ROUTER][call->number].count);
  ADAMIX_RETURN_IF (score (&g, call, x));
  row->choose (&g, &self->tally);
  memset (dp.data, 0, (size_t) (dp.rows * dp.cols) * sizeof (float));
  memset (g.gate->sum, 0, (size_t) (x.rows * x.cols) * sizeof (float));
  turn t = { 0 };
  for (int64_t number = 0; number < row->turns (&g); number++) {
    kind_call of;
    t = row->turn (&g, number);
    ADAMIX_RETURN_IF (run_turn (&g, &t, &of));
    gate_gradients (&g, &t, dy, of.delta, dp);
    const adamix_view back = dx.data ? adamix_view_rows (of.sum, 0, t.rows) : dx;
    if (t.rows) ADAMIX_RETURN_IF (self->kind->backward (&of.call, of.x, of.delta, back));
    served += t.rows;
  }
  row->own_loss (&g, dp, &self->tally.balance);
  if (dx.data)
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < t.rows; i++)
      self->compute.kernels->axpy (x.cols, 1, g.gate->sum + i * x.cols, dx.data + row_of (&t, i) * dx.stride);
  softmax_back (g.p, dp);
  *flops = flops_of (&g, served, dx.data ? 6 : 5, dx.data ? 3 : 2);
  return router_gradients (&g, dp, dx);
}
