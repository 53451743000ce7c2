#include "adapt/kind.h"

#include <math.h>
#include <string.h>

static void
initialise (const adamix_bank_shape *shape, const adamix_expert *expert, adamix_projection projection, adamix_rng rng,
            uint32_t word)
{
  const double bound = 1 / sqrt ((double) shape->hidden);
  if (projection == ADAMIX_DOWN)
    adamix_rng_uniform (rng, word, 0, expert->weight->count, bound, expert->weight->value);
  else
    memset (expert->weight->value, 0, (size_t) expert->weight->count * sizeof (float));
}

/* ---- dropout of the input ---- */

static adamix_dropout
mask_of (const adamix_module_call *call)
{
  const adamix_site *site = call->site;
  const double rate = call->bank->bank->shape.dropout;
  ADAMIX_ASSERT (site->args);
  return adamix_dropout_at (site->args, rate, 0, site->layer,
                            site->place == ADAMIX_PLACE_QUERY ? ADAMIX_DROP_QUERY : ADAMIX_DROP_VALUE, 0);
}

static void
drop (const adamix_module_call *call, adamix_dropout base, int64_t r, int64_t cols, float *row)
{
  const int64_t of_batch = call->order ? call->order[r] : r;
  const adamix_dropout dropout = adamix_dropout_row (base, call->site->args->batch, cols, of_batch);
  call->bank->compute.kernels->dropout (&dropout, cols, row);
}

/* dropout (x): x itself, or a copy that lies in the shared buffer. */
static adamix_view
dropped (const adamix_module_call *call, adamix_view x)
{
  const adamix_dropout base = mask_of (call);
  if (!base.threshold) return x;
  const adamix_view out = adamix_module_shared (call, x.rows, x.cols);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < x.rows; r++) {
    memcpy (out.data + r * out.stride, x.data + r * x.stride, (size_t) x.cols * sizeof (float));
    drop (call, base, r, x.cols, out.data + r * out.stride);
  }
  return out;
}

/* dx += du A through that dropout. */
static adamix_err
input_gradient (const adamix_module_call *call, adamix_view du, adamix_view dx)
{
  const adamix_dropout base = mask_of (call);
  if (!base.threshold) return adamix_module_project_back (call, ADAMIX_DOWN, du, 1, 1, dx);
  const adamix_view d = adamix_module_shared (call, dx.rows, dx.cols);
  ADAMIX_RETURN_IF (adamix_module_project_back (call, ADAMIX_DOWN, du, 1, 0, d));
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < dx.rows; r++) {
    drop (call, base, r, dx.cols, d.data + r * d.stride);
    call->bank->compute.kernels->axpy (dx.cols, 1, d.data + r * d.stride, dx.data + r * dx.stride);
  }
  return ADAMIX_OK;
}

/* ---- both directions ---- */

/* u = dropout (x) A^T;  y = base + s u B^T */
static adamix_err
forward (const adamix_module_call *call, adamix_view x, adamix_view base, adamix_view y)
{
  const adamix_view u = adamix_module_u (call, x.rows);
  ADAMIX_RETURN_IF (adamix_module_project (call, ADAMIX_DOWN, (adamix_view){ 0 }, dropped (call, x), 1, u));
  return adamix_module_project (call, ADAMIX_UP, base, u, call->bank->bank->shape.scale, y);
}

/* dB += s dy^T u;  du = s dy B;  dA += du^T dropout (x);  dx += du A through dropout */
static adamix_err
backward (const adamix_module_call *call, adamix_view x, adamix_view dy, adamix_view dx)
{
  const adamix_view u = adamix_module_u (call, x.rows), du = adamix_module_du (call, x.rows);
  const double scale = call->bank->bank->shape.scale;
  ADAMIX_RETURN_IF (adamix_module_gradients (call, ADAMIX_UP, dy, u, scale));
  ADAMIX_RETURN_IF (adamix_module_project_back (call, ADAMIX_UP, dy, scale, 0, du));
  ADAMIX_RETURN_IF (adamix_module_gradients (call, ADAMIX_DOWN, du, dropped (call, x), 1));
  return dx.data ? input_gradient (call, du, dx) : ADAMIX_OK;
}

/* The dropped input, or its gradient. */
static int64_t
shared_floats (const adamix_bank_shape *shape, bool backward_too)
{
  return backward_too && shape->dropout > 0 ? shape->hidden : 0;
}

const adamix_kind_row adamix_kind_lora = {
  .name = "lora",
  .places = ADAMIX_PLACES_LINEAR,
  .weight = { "lora_A", "lora_B" },
  .initialise = initialise,
  .forward = forward,
  .backward = backward,
  .shared_floats = shared_floats,
};
