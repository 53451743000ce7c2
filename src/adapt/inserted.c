#include "adapt/kind.h"

#include <stdlib.h>
#include <string.h>

/* Columns that a thread sums at a time: a multiple of a cache line, so that threads never write to the same one. */
#define COLUMN_BLOCK 32

/* ---- what a call works on ---- */

adamix_view
adamix_module_u (const adamix_module_call *call, int64_t rows)
{
  const adamix_inserted_bank *self = call->bank;
  const int64_t R = self->bank->shape.bottleneck;
  return adamix_view_of (self->u + (self->kept ? call->number * self->rows * R : 0), rows, R);
}

adamix_view
adamix_module_du (const adamix_module_call *call, int64_t rows)
{
  ADAMIX_ASSERT (call->bank->backward);
  return adamix_view_of (call->bank->du, rows, call->bank->bank->shape.bottleneck);
}

adamix_view
adamix_module_shared (const adamix_module_call *call, int64_t rows, int64_t cols)
{
  const adamix_inserted_bank *self = call->bank;
  ADAMIX_ASSERT (rows <= self->rows && cols <= self->kind->shared_floats (&self->bank->shape, self->backward));
  return adamix_view_of (self->shared, rows, cols);
}

static const adamix_expert *
expert_of (const adamix_module_call *call, adamix_projection projection, const adamix_span *span)
{
  const adamix_expert_list *list = &call->bank->bank->local[projection][call->number];
  ADAMIX_ASSERT (span->slot >= 0 && span->slot < list->count);
  return &list->expert[span->slot];
}

static const adamix_span *
spans_of (const adamix_inserted_bank *self, adamix_projection projection, int64_t layer, int64_t *count)
{
  *count = self->route.count[projection][layer];
  return self->route.span[projection] + layer * self->route.capacity;
}

/* How many of `rows` stand before row `row` of the batch. */
static int64_t
rows_before (const adamix_rows *rows, int64_t row)
{
  int64_t low = 0, high = rows->count;
  if (!rows->row) return row;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (rows->row[middle] < row)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The rows of x, which holds `rows`, that a span serves. */
static adamix_view
rows_of (adamix_view x, const adamix_rows *rows, const adamix_span *span)
{
  const int64_t first = rows_before (rows, span->row), end = rows_before (rows, span->row + span->rows);
  return adamix_view_rows (x, first, end - first);
}

static adamix_err
check (const adamix_inserted_bank *self, const adamix_site *site, adamix_view x)
{
  const adamix_bank_shape *shape = &self->bank->shape;
  const adamix_rows *rows = &site->rows;
  const int64_t all = rows->row && rows->count ? rows->row[rows->count - 1] + 1 : x.rows;
  if (x.rows != rows->count || x.cols != shape->hidden || x.rows > self->rows || site->layer < 0 ||
      site->layer >= shape->layers)
    return adamix_err_set (
        ADAMIX_ESHAPE, "module of layer %lld: input [%lld,%lld] where at most [%lld,%lld] in %lld layers was planned",
        (long long) site->layer, (long long) x.rows, (long long) x.cols, (long long) self->rows,
        (long long) shape->hidden, (long long) shape->layers);
  for (int p = 0; p < ADAMIX_PROJECTIONS && !self->route.gating; p++) {
    int64_t count, covered = 0;
    const adamix_span *span = spans_of (self, p, site->layer, &count);
    if (count > 0) covered = span[count - 1].row + span[count - 1].rows;
    if (rows->row ? covered < all : covered != all)
      return adamix_err_set (ADAMIX_ESHAPE, "module of layer %lld: the route covers %lld rows, the batch has %lld",
                             (long long) site->layer, (long long) covered, (long long) all);
  }
  return ADAMIX_OK;
}

/* ---- the steps of kinds ---- */

/* out[r,:] = base[r,:] + bias; either may be missing, and base may be out. */
static void
start_rows (const adamix_module_call *call, adamix_view base, const float *bias, adamix_view out)
{
  size_t bytes = (size_t) out.cols * sizeof (float);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < out.rows; r++) {
    float *row = out.data + r * out.stride;
    const float *from = base.data ? base.data + r * base.stride : bias;
    if (from != row) memcpy (row, from, bytes);
    if (base.data && bias) call->bank->compute.kernels->axpy (out.cols, 1.0f, bias, row);
  }
}

/* out = scale in W^T + beta out, W [out.cols, in.cols] */
static adamix_err
project (const adamix_module_call *call, adamix_view in, double scale, const adamix_param *weight, float beta,
         adamix_view out)
{
  return adamix_gemm (call->bank->compute.gemm, &(adamix_gemm_args){ .trans_b = true,
                                                                     .m = out.rows,
                                                                     .n = out.cols,
                                                                     .k = in.cols,
                                                                     .alpha = (float) scale,
                                                                     .a = in.data,
                                                                     .lda = in.stride,
                                                                     .b = weight->value,
                                                                     .ldb = in.cols,
                                                                     .beta = beta,
                                                                     .c = out.data,
                                                                     .ldc = out.stride });
}

static adamix_err
show (const adamix_module_call *call, adamix_projection projection, const adamix_span *span, adamix_view in)
{
  adamix_activations *activations = call->bank->activations;
  return activations ? activations->see (activations, projection, call->number, span->slot, in) : ADAMIX_OK;
}

adamix_err
adamix_module_project (const adamix_module_call *call, adamix_projection projection, adamix_view base, adamix_view in,
                       double scale, adamix_view out)
{
  int64_t count;
  const adamix_rows *rows = &call->site->rows;
  const adamix_span *span = spans_of (call->bank, projection, call->site->layer, &count);
  for (int64_t s = 0; s < count; s++) {
    const adamix_expert *expert = expert_of (call, projection, &span[s]);
    const adamix_view to = rows_of (out, rows, &span[s]);
    ADAMIX_RETURN_IF (show (call, projection, &span[s], rows_of (in, rows, &span[s])));
    const float *bias = expert->bias ? expert->bias->value : NULL;
    if (bias || base.data) start_rows (call, base.data ? rows_of (base, rows, &span[s]) : base, bias, to);
    ADAMIX_RETURN_IF (
        project (call, rows_of (in, rows, &span[s]), scale, expert->weight, bias || base.data ? 1 : 0, to));
  }
  return ADAMIX_OK;
}

/* Of one expert. */
static adamix_err
add_gradients (const adamix_module_call *call, adamix_view dout, adamix_view in, double scale,
               const adamix_expert *expert)
{
  const adamix_compute *compute = &call->bank->compute;
  if (expert->bias) {
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < dout.cols; c += COLUMN_BLOCK) {
      int64_t cols = dout.cols - c < COLUMN_BLOCK ? dout.cols - c : COLUMN_BLOCK;
      compute->kernels->column_sums (dout.rows, cols, dout.data + c, dout.stride, expert->bias->grad + c);
    }
    *expert->bias->touched = 1.0f;
  }
  *expert->weight->touched = 1.0f;
  return adamix_gemm (compute->gemm, &(adamix_gemm_args){ .trans_a = true,
                                                          .m = dout.cols,
                                                          .n = in.cols,
                                                          .k = dout.rows,
                                                          .alpha = (float) scale,
                                                          .a = dout.data,
                                                          .lda = dout.stride,
                                                          .b = in.data,
                                                          .ldb = in.stride,
                                                          .beta = 1.0f,
                                                          .c = expert->weight->grad,
                                                          .ldc = in.cols });
}

adamix_err
adamix_module_gradients (const adamix_module_call *call, adamix_projection projection, adamix_view dout, adamix_view in,
                         double scale)
{
  int64_t count;
  const adamix_rows *rows = &call->site->rows;
  const adamix_span *span = spans_of (call->bank, projection, call->site->layer, &count);
  for (int64_t s = 0; s < count; s++)
    ADAMIX_RETURN_IF (add_gradients (call, rows_of (dout, rows, &span[s]), rows_of (in, rows, &span[s]), scale,
                                     expert_of (call, projection, &span[s])));
  return ADAMIX_OK;
}

adamix_err
adamix_module_project_back (const adamix_module_call *call, adamix_projection projection, adamix_view dout,
                            double scale, double beta, adamix_view din)
{
  int64_t count;
  const adamix_rows *rows = &call->site->rows;
  const adamix_span *span = spans_of (call->bank, projection, call->site->layer, &count);
  for (int64_t s = 0; s < count; s++) {
    const adamix_view from = rows_of (dout, rows, &span[s]), to = rows_of (din, rows, &span[s]);
    ADAMIX_RETURN_IF (adamix_gemm (call->bank->compute.gemm,
                                   &(adamix_gemm_args){ .m = to.rows,
                                                        .n = to.cols,
                                                        .k = from.cols,
                                                        .alpha = (float) scale,
                                                        .a = from.data,
                                                        .lda = from.stride,
                                                        .b = expert_of (call, projection, &span[s])->weight->value,
                                                        .ldb = to.cols,
                                                        .beta = (float) beta,
                                                        .c = to.data,
                                                        .ldc = to.stride }));
  }
  return ADAMIX_OK;
}

void
adamix_module_copy (adamix_view from, adamix_view to)
{
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < from.rows; r++)
    memcpy (to.data + r * to.stride, from.data + r * from.stride, (size_t) from.cols * sizeof (float));
}

/* ---- the insertion ---- */

static adamix_module_call
call_of (adamix_inserted_bank *self, const adamix_site *site)
{
  return (adamix_module_call){ self, site, adamix_bank_site (&self->bank->shape, site->layer, site->place), NULL };
}

double
adamix_module_flops (const adamix_inserted_bank *self, int64_t rows, int products)
{
  return 2.0 * products * (double) (rows * self->bank->shape.hidden * self->bank->shape.bottleneck);
}

/* Rows of a route that each expert served. */
static void
tally (adamix_inserted_bank *self, const adamix_module_call *call)
{
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    int64_t count;
    const adamix_span *span = spans_of (self, p, call->site->layer, &count);
    if (adamix_bank_copies (&self->bank->shape, p) < self->bank->shape.experts) continue;
    for (int64_t s = 0; s < count; s++)
      self->tally.load[expert_of (call, p, &span[s])->number] += (double) span[s].rows;
  }
}

/* Beside a linear map a module adds to what is there, elsewhere to its input. */
static bool
is_beside (const adamix_site *site)
{
  return ADAMIX_PLACE_BIT (site->place) & ADAMIX_PLACES_LINEAR;
}

static adamix_err
forward (adamix_insertion *insertion, const adamix_site *site, adamix_view x, adamix_view y)
{
  adamix_inserted_bank *self = (adamix_inserted_bank *) insertion;
  ADAMIX_RETURN_IF (check (self, site, x));
  const adamix_module_call call = call_of (self, site);
  const adamix_view base = is_beside (site) ? y : x;
  double flops = adamix_module_flops (self, x.rows, 2);
  if (self->route.gating)
    ADAMIX_RETURN_IF (adamix_gate_forward (&call, x, base, y, &flops));
  else
    ADAMIX_RETURN_IF (self->kind->forward (&call, x, base, y));
  adamix_profile_lap (self->compute.profile, ADAMIX_STAGE_MODULES, flops);
  return ADAMIX_OK;
}

static adamix_err
backward (adamix_insertion *insertion, const adamix_site *site, adamix_view x, adamix_view dy, adamix_view dx)
{
  adamix_inserted_bank *self = (adamix_inserted_bank *) insertion;
  ADAMIX_ASSERT (self->backward);
  ADAMIX_RETURN_IF (check (self, site, x));
  const adamix_module_call call = call_of (self, site);
  double flops = adamix_module_flops (self, x.rows, dx.data ? 4 : 3);
  if (dx.data && !is_beside (site) && dx.data != dy.data) adamix_module_copy (dy, dx);
  if (self->route.gating) {
    ADAMIX_RETURN_IF (adamix_gate_backward (&call, x, dy, dx, &flops));
  } else {
    /* One expert of a bank with routers, which keeps nothing. */
    if (!self->kept)
      ADAMIX_RETURN_IF (self->kind->forward (&call, x, (adamix_view){ 0 },
                                             adamix_view_of (self->gate.delta, x.rows, self->bank->shape.hidden)));
    ADAMIX_RETURN_IF (self->kind->backward (&call, x, dy, dx));
    tally (self, &call);
  }
  adamix_profile_lap (self->compute.profile, ADAMIX_STAGE_MODULES, flops);
  return ADAMIX_OK;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static void
plan (adamix_inserted_bank *self, adamix_arena *arena, const adamix_bank_shape *shape)
{
  const int64_t size = self->rows * shape->bottleneck;
  const int64_t shared = self->kind->shared_floats (shape, self->backward);
  self->kept = self->backward && !shape->gating; /* gated modules are computed again */
  self->u = adamix_arena_take (arena, self->kept ? adamix_bank_sites (shape) * size : size, sizeof (float));
  self->shared = adamix_arena_take (arena, self->rows * shared, sizeof (float));
  self->du = adamix_arena_take (arena, self->backward ? size : 0, sizeof (float));
  if (shape->gating) adamix_gate_plan (self, arena, shape);
}

size_t
adamix_inserted_bank_measure (const adamix_bank_shape *shape, int64_t rows, bool backward_too)
{
  adamix_inserted_bank self = { .kind = adamix_kind_row_of (shape->kind), .rows = rows, .backward = backward_too };
  adamix_arena measure = { 0 };
  plan (&self, &measure, shape);
  return measure.used;
}

adamix_err
adamix_inserted_bank_create (adamix_inserted_bank **out, const adamix_bank *bank, const adamix_compute *compute,
                             int64_t rows, int64_t route_capacity, bool backward_too)
{
  adamix_err err = ADAMIX_OK;
  adamix_inserted_bank *self = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (self, 1));
  self->insertion = (adamix_insertion){ .serves = bank->shape.places, .forward = forward, .backward = backward };
  self->bank = bank;
  self->kind = adamix_kind_row_of (bank->shape.kind);
  self->compute = *compute;
  self->rows = rows;
  self->backward = backward_too;
  ADAMIX_TRY (ADAMIX_ALLOC (self->tally.load, bank->shape.experts));
  ADAMIX_TRY (adamix_route_create (&self->route, bank->shape.layers, route_capacity));
  ADAMIX_TRY (adamix_arena_create (&self->arena, adamix_inserted_bank_measure (&bank->shape, rows, backward_too)));
  plan (self, &self->arena, &bank->shape);
  *out = self;
  self = NULL;
done:
  adamix_inserted_bank_destroy (self);
  return err;
}

void
adamix_inserted_bank_destroy (adamix_inserted_bank *inserted)
{
  if (inserted == NULL) return;
  adamix_arena_destroy (&inserted->arena);
  adamix_route_destroy (&inserted->route);
  free (inserted->tally.load);
  free (inserted);
}

size_t
adamix_inserted_bank_bytes (const adamix_inserted_bank *inserted)
{
  return inserted->arena.size;
}

adamix_route *
adamix_inserted_bank_route (adamix_inserted_bank *inserted)
{
  return &inserted->route;
}

void
adamix_inserted_bank_tally (adamix_inserted_bank *inserted, adamix_tally *out)
{
  adamix_tally *tally = &inserted->tally;
  out->balance += tally->balance;
  out->dropped += tally->dropped;
  for (int64_t j = 0; j < inserted->bank->shape.experts; j++) {
    out->load[j] += tally->load[j];
    tally->load[j] = 0;
  }
  tally->balance = tally->dropped = 0;
}

adamix_insertion *
adamix_inserted_bank_insertion (adamix_inserted_bank *inserted)
{
  return &inserted->insertion;
}

void
adamix_inserted_bank_show (adamix_inserted_bank *inserted, adamix_activations *activations)
{
  inserted->activations = activations;
}
