#include <stdlib.h>
#include <string.h>

#include <adamix/adapt.h>

/* Columns that a thread sums at a time: a multiple of a cache line, so that threads never write to the same one. */
#define COLUMN_BLOCK 32

struct adamix_inserted_bank {
  adamix_insertion insertion; /* first: the model hands back a pointer to it */
  const adamix_bank *bank;
  adamix_compute compute;
  adamix_route route;
  adamix_activations *activations; /* NULL: nobody looks */
  adamix_arena arena;
  int64_t rows;  /* the most that a batch may have */
  bool backward; /* every layer keeps its u */
  float *u;      /* [L or 1, rows, R] x W_down^T + b_down */
  float *a;      /* [rows, R] act (u) */
  float *du;     /* [rows, R] gradient of a, then of u */
};

/* ---- parts of both directions --------------------------------------------------------------------------------------- */

static adamix_view
buffer (const adamix_inserted_bank *self, float *data, int64_t rows)
{
  return adamix_view_of (data, rows, self->bank->shape.bottleneck);
}

static adamix_view
saved (const adamix_inserted_bank *self, int64_t layer, int64_t rows)
{
  int64_t size = self->rows * self->bank->shape.bottleneck;
  return buffer (self, self->u + (self->backward ? layer * size : 0), rows);
}

static const adamix_expert *
expert_of (const adamix_inserted_bank *self, adamix_projection projection, int64_t layer, const adamix_span *span)
{
  const adamix_expert_list *list = &self->bank->local[projection][layer];
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
check (const adamix_inserted_bank *self, int64_t layer, const adamix_rows *rows, adamix_view x)
{
  const int64_t all = rows->row && rows->count ? rows->row[rows->count - 1] + 1 : x.rows;
  if (x.rows != rows->count || x.cols != self->bank->shape.hidden || x.rows > self->rows || layer < 0 ||
      layer >= self->bank->shape.layers)
    return adamix_err_set (
        ADAMIX_ESHAPE, "module of layer %lld: input [%lld,%lld] where at most [%lld,%lld] in %lld layers was planned",
        (long long) layer, (long long) x.rows, (long long) x.cols, (long long) self->rows,
        (long long) self->bank->shape.hidden, (long long) self->bank->shape.layers);
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    int64_t count, covered = 0;
    const adamix_span *span = spans_of (self, p, layer, &count);
    if (count > 0) covered = span[count - 1].row + span[count - 1].rows;
    if (rows->row ? covered < all : covered != all)
      return adamix_err_set (ADAMIX_ESHAPE, "module of layer %lld: the route covers %lld rows, the batch has %lld",
                             (long long) layer, (long long) covered, (long long) all);
  }
  return ADAMIX_OK;
}

/* out[r,:] = base[r,:] + bias; without base (data NULL) the bias alone.  base and out may alias. */
static void
start_rows (const adamix_inserted_bank *self, adamix_view base, const float *bias, adamix_view out)
{
  size_t bytes = (size_t) out.cols * sizeof (float);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < out.rows; r++) {
    float *row = out.data + r * out.stride;
    if (base.data == NULL) {
      memcpy (row, bias, bytes);
      continue;
    }
    if (base.data != out.data) memcpy (row, base.data + r * base.stride, bytes);
    self->compute.kernels->axpy (out.cols, 1.0f, bias, row);
  }
}

/* After `products` products of all rows with a projection. */
static void
lap (const adamix_inserted_bank *self, const adamix_view *x, int products)
{
  const double multiplications = (double) (x->rows * x->cols * self->bank->shape.bottleneck);
  adamix_profile_lap (self->compute.profile, ADAMIX_STAGE_MODULES, 2 * products * multiplications);
}

/* ---- forward -------------------------------------------------------------------------------------------------------- */

/* out += in W^T, W [out.cols, in.cols] */
static adamix_err
project (const adamix_inserted_bank *self, adamix_view in, const adamix_param *weight, adamix_view out)
{
  return adamix_gemm (self->compute.gemm, &(adamix_gemm_args){ .trans_b = true,
                                                               .m = out.rows,
                                                               .n = out.cols,
                                                               .k = in.cols,
                                                               .alpha = 1.0f,
                                                               .a = in.data,
                                                               .lda = in.stride,
                                                               .b = weight->value,
                                                               .ldb = in.cols,
                                                               .beta = 1.0f,
                                                               .c = out.data,
                                                               .ldc = out.stride });
}

/* a = act (u) */
static void
activate (const adamix_inserted_bank *self, adamix_view u, adamix_view a)
{
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < u.rows; r += ADAMIX_ROW_BLOCK) {
    int64_t rows = u.rows - r < ADAMIX_ROW_BLOCK ? u.rows - r : ADAMIX_ROW_BLOCK;
    self->compute.kernels->activate[self->bank->shape.activation](rows * u.cols, u.data + r * u.cols,
                                                                  a.data + r * a.cols);
  }
}

static adamix_err
show (const adamix_inserted_bank *self, adamix_projection projection, int64_t layer, const adamix_span *span,
      adamix_view x)
{
  return self->activations ? self->activations->see (self->activations, projection, layer, span->slot, x) : ADAMIX_OK;
}

/* u = x W_down^T + b_down;  a = act (u);  y = x + a W_up^T + b_up */
static adamix_err
forward (adamix_insertion *insertion, int64_t layer, adamix_place place, const adamix_rows *rows, adamix_view x,
         adamix_view y)
{
  adamix_inserted_bank *self = (adamix_inserted_bank *) insertion;
  adamix_view u = saved (self, layer, x.rows), a = buffer (self, self->a, x.rows);
  const adamix_view none = { 0 };
  int64_t count;
  (void) place;
  ADAMIX_RETURN_IF (check (self, layer, rows, x));
  const adamix_span *span = spans_of (self, ADAMIX_DOWN, layer, &count);
  for (int64_t s = 0; s < count; s++) {
    const adamix_expert *down = expert_of (self, ADAMIX_DOWN, layer, &span[s]);
    ADAMIX_RETURN_IF (show (self, ADAMIX_DOWN, layer, &span[s], rows_of (x, rows, &span[s])));
    start_rows (self, none, down->bias->value, rows_of (u, rows, &span[s]));
    ADAMIX_RETURN_IF (project (self, rows_of (x, rows, &span[s]), down->weight, rows_of (u, rows, &span[s])));
  }
  activate (self, u, a);
  span = spans_of (self, ADAMIX_UP, layer, &count);
  for (int64_t s = 0; s < count; s++) {
    const adamix_expert *up = expert_of (self, ADAMIX_UP, layer, &span[s]);
    ADAMIX_RETURN_IF (show (self, ADAMIX_UP, layer, &span[s], rows_of (a, rows, &span[s])));
    start_rows (self, rows_of (x, rows, &span[s]), up->bias->value, rows_of (y, rows, &span[s]));
    ADAMIX_RETURN_IF (project (self, rows_of (a, rows, &span[s]), up->weight, rows_of (y, rows, &span[s])));
  }
  lap (self, &x, 2);
  return ADAMIX_OK;
}

/* ---- backward ------------------------------------------------------------------------------------------------------- */

/* dW += dout^T in;  db += column sums of dout;  both count as touched */
static adamix_err
add_gradients (const adamix_inserted_bank *self, adamix_view dout, adamix_view in, const adamix_expert *expert)
{
#pragma omp parallel for schedule(static)
  for (int64_t c = 0; c < dout.cols; c += COLUMN_BLOCK) {
    int64_t cols = dout.cols - c < COLUMN_BLOCK ? dout.cols - c : COLUMN_BLOCK;
    self->compute.kernels->column_sums (dout.rows, cols, dout.data + c, dout.stride, expert->bias->grad + c);
  }
  *expert->weight->touched = *expert->bias->touched = 1.0f;
  return adamix_gemm (self->compute.gemm, &(adamix_gemm_args){ .trans_a = true,
                                                               .m = dout.cols,
                                                               .n = in.cols,
                                                               .k = dout.rows,
                                                               .alpha = 1.0f,
                                                               .a = dout.data,
                                                               .lda = dout.stride,
                                                               .b = in.data,
                                                               .ldb = in.stride,
                                                               .beta = 1.0f,
                                                               .c = expert->weight->grad,
                                                               .ldc = in.cols });
}

/* din = dout W + beta din */
static adamix_err
project_back (const adamix_inserted_bank *self, adamix_view dout, const adamix_param *weight, float beta,
              adamix_view din)
{
  return adamix_gemm (self->compute.gemm, &(adamix_gemm_args){ .m = din.rows,
                                                               .n = din.cols,
                                                               .k = dout.cols,
                                                               .alpha = 1.0f,
                                                               .a = dout.data,
                                                               .lda = dout.stride,
                                                               .b = weight->value,
                                                               .ldb = din.cols,
                                                               .beta = beta,
                                                               .c = din.data,
                                                               .ldc = din.stride });
}

/* du = da act'(u), in place on da */
static void
activate_back (const adamix_inserted_bank *self, adamix_view u, adamix_view du)
{
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < u.rows; r += ADAMIX_ROW_BLOCK) {
    int64_t rows = u.rows - r < ADAMIX_ROW_BLOCK ? u.rows - r : ADAMIX_ROW_BLOCK;
    float *block = du.data + r * du.cols;
    self->compute.kernels->activate_backward[self->bank->shape.activation](rows * u.cols, u.data + r * u.cols, block,
                                                                           block);
  }
}

static void
copy_rows (adamix_view from, adamix_view to)
{
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < from.rows; r++)
    memcpy (to.data + r * to.stride, from.data + r * from.stride, (size_t) from.cols * sizeof (float));
}

/* dW_up += dy^T a;  db_up += sums of dy;  du = (dy W_up) act'(u);  dW_down += du^T x;  db_down += sums of du;
 * dx = dy + du W_down.  dx comes last: it may overwrite dy. */
static adamix_err
backward (adamix_insertion *insertion, int64_t layer, adamix_place place, const adamix_rows *rows, adamix_view x,
          adamix_view dy, adamix_view dx)
{
  adamix_inserted_bank *self = (adamix_inserted_bank *) insertion;
  adamix_view u = saved (self, layer, x.rows), a = buffer (self, self->a, x.rows), du = buffer (self, self->du, x.rows);
  int64_t count;
  (void) place;
  ADAMIX_ASSERT (self->backward);
  ADAMIX_RETURN_IF (check (self, layer, rows, x));
  activate (self, u, a);
  const adamix_span *span = spans_of (self, ADAMIX_UP, layer, &count);
  for (int64_t s = 0; s < count; s++) {
    const adamix_expert *up = expert_of (self, ADAMIX_UP, layer, &span[s]);
    ADAMIX_RETURN_IF (add_gradients (self, rows_of (dy, rows, &span[s]), rows_of (a, rows, &span[s]), up));
    ADAMIX_RETURN_IF (
        project_back (self, rows_of (dy, rows, &span[s]), up->weight, 0.0f, rows_of (du, rows, &span[s])));
  }
  activate_back (self, u, du);
  if (dx.data != NULL && dx.data != dy.data) copy_rows (dy, dx);
  span = spans_of (self, ADAMIX_DOWN, layer, &count);
  for (int64_t s = 0; s < count; s++) {
    const adamix_expert *down = expert_of (self, ADAMIX_DOWN, layer, &span[s]);
    ADAMIX_RETURN_IF (add_gradients (self, rows_of (du, rows, &span[s]), rows_of (x, rows, &span[s]), down));
    if (dx.data != NULL)
      ADAMIX_RETURN_IF (
          project_back (self, rows_of (du, rows, &span[s]), down->weight, 1.0f, rows_of (dx, rows, &span[s])));
  }
  lap (self, &x, dx.data ? 4 : 3);
  return ADAMIX_OK;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static void
plan (adamix_inserted_bank *self, adamix_arena *arena, const adamix_bank_shape *shape)
{
  int64_t size = self->rows * shape->bottleneck;
  self->u = adamix_arena_take (arena, self->backward ? shape->layers * size : size, sizeof (float));
  self->a = adamix_arena_take (arena, size, sizeof (float));
  self->du = adamix_arena_take (arena, self->backward ? size : 0, sizeof (float));
}

size_t
adamix_inserted_bank_measure (const adamix_bank_shape *shape, int64_t rows, bool backward_too)
{
  adamix_inserted_bank self = { .rows = rows, .backward = backward_too };
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
  self->insertion = (adamix_insertion){ .serves_ffn = true, .forward = forward, .backward = backward };
  self->bank = bank;
  self->compute = *compute;
  self->rows = rows;
  self->backward = backward_too;
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
