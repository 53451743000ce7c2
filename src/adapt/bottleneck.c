#include "adapt/kind.h"

#include <string.h>

#define INIT_DEVIATION 0.02

static void
initialise (const adamix_bank_shape *shape, const adamix_expert *expert, adamix_projection projection, adamix_rng rng,
            uint32_t word)
{
  const uint32_t which = adamix_initial_word ((int) projection, expert);
  (void) shape;
  adamix_rng_normal (rng, word, which, expert->weight->count, INIT_DEVIATION, expert->weight->value);
  memset (expert->bias->value, 0, (size_t) expert->bias->count * sizeof (float));
}

/* a = act (u) */
static void
activate (const adamix_module_call *call, adamix_view u, adamix_view a)
{
  const adamix_inserted_bank *self = call->bank;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < u.rows; r += ADAMIX_ROW_BLOCK) {
    int64_t rows = u.rows - r < ADAMIX_ROW_BLOCK ? u.rows - r : ADAMIX_ROW_BLOCK;
    self->compute.kernels->activate[self->bank->shape.activation](rows * u.cols, u.data + r * u.cols,
                                                                  a.data + r * a.cols);
  }
}

/* du = da act'(u), in place on da */
static void
activate_back (const adamix_module_call *call, adamix_view u, adamix_view du)
{
  const adamix_inserted_bank *self = call->bank;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < u.rows; r += ADAMIX_ROW_BLOCK) {
    int64_t rows = u.rows - r < ADAMIX_ROW_BLOCK ? u.rows - r : ADAMIX_ROW_BLOCK;
    float *block = du.data + r * du.cols;
    self->compute.kernels->activate_backward[self->bank->shape.activation](rows * u.cols, u.data + r * u.cols, block,
                                                                           block);
  }
}

/* u = x W_down^T + b_down;  a = act (u);  y = base + a W_up^T + b_up */
static adamix_err
forward (const adamix_module_call *call, adamix_view x, adamix_view base, adamix_view y)
{
  const adamix_view u = adamix_module_u (call, x.rows), a = adamix_module_shared (call, x.rows, u.cols);
  ADAMIX_RETURN_IF (adamix_module_project (call, ADAMIX_DOWN, (adamix_view){ 0 }, x, 1, u));
  activate (call, u, a);
  return adamix_module_project (call, ADAMIX_UP, base, a, 1, y);
}

/* dW_up += dy^T a;  db_up += sums of dy;  du = (dy W_up) act'(u);  dW_down += du^T x;  db_down += sums of du;
 * dx += du W_down.  dx comes last: it may overwrite dy. */
static adamix_err
backward (const adamix_module_call *call, adamix_view x, adamix_view dy, adamix_view dx)
{
  const adamix_view u = adamix_module_u (call, x.rows), a = adamix_module_shared (call, x.rows, u.cols),
                    du = adamix_module_du (call, x.rows);
  activate (call, u, a);
  ADAMIX_RETURN_IF (adamix_module_gradients (call, ADAMIX_UP, dy, a, 1));
  ADAMIX_RETURN_IF (adamix_module_project_back (call, ADAMIX_UP, dy, 1, 0, du));
  activate_back (call, u, du);
  ADAMIX_RETURN_IF (adamix_module_gradients (call, ADAMIX_DOWN, du, x, 1));
  return dx.data ? adamix_module_project_back (call, ADAMIX_DOWN, du, 1, 1, dx) : ADAMIX_OK;
}

/* a */
static int64_t
shared_floats (const adamix_bank_shape *shape, bool backward_too)
{
  (void) backward_too;
  return shape->bottleneck;
}

const adamix_kind_row adamix_kind_bottleneck = {
  .name = "bottleneck",
  .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION) | ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
  .weight = { "down.weight", "up.weight" },
  .bias = { "down.bias", "up.bias" },
  .initialise = initialise,
  .forward = forward,
  .backward = backward,
  .shared_floats = shared_floats,
};
