/* The modules inside a layer against the same formulas in fp64, and those against finite differences. */
#include <float.h>
#include <math.h>
#include <omp.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "adapt/differences.h"
#include "adapt/fixture.h"

enum { L = 2, H = 20, R = 6, M = 3, ROWS = 150, LAYER = 1 };

/* Sums of at most 150 products of numbers of order 1 in fp32, in any order. */
#define TOLERANCE (150 * FLT_EPSILON)

static const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                         .layers = L,
                                         .hidden = H,
                                         .bottleneck = R,
                                         .experts = M,
                                         .share = ADAMIX_SHARE_NONE,
                                         .activation = ADAMIX_ACTIVATION_GELU };

static bank_fixture fixture;
static adamix_compute compute;
static adamix_inserted_bank *inserted;
static adamix_insertion *insertion;
static float x[ROWS * H], y[ROWS * H], dy[ROWS * H], dx[ROWS * H];

/* Spans that agree in neither projection, of sizes around the block of 64 rows. */
static const int64_t down_slot[3] = { 2, 0, 2 }, down_rows[3] = { 70, 1, 79 };
static const int64_t up_slot[2] = { 1, 0 }, up_rows[2] = { 64, 86 };

static void
set_up (void)
{
  must (adamix_compute_select (&compute, "auto", "auto", 1));
  bank_fixture_open (&fixture, &shape, NULL);
  bank_fixture_randomise (&fixture, 0.3);
  must (adamix_inserted_bank_create (&inserted, fixture.bank, &compute, ROWS, 8, true));
  insertion = adamix_inserted_bank_insertion (inserted);
  adamix_route *route = adamix_inserted_bank_route (inserted);
  adamix_route_clear (route);
  for (int64_t i = 0; i < L; i++) {
    for (int s = 0; s < 3; s++) adamix_route_append (route, ADAMIX_DOWN, i, down_rows[s], down_slot[s]);
    for (int s = 0; s < 2; s++) adamix_route_append (route, ADAMIX_UP, i, up_rows[s], up_slot[s]);
  }
  adamix_rng rng = adamix_rng_stream (3, ADAMIX_RNG_EVAL);
  adamix_rng_normal (rng, 0, 0, ROWS * H, 1.0, x);
  adamix_rng_normal (rng, 1, 0, ROWS * H, 1.0, dy);
}

static void
tear_down (void)
{
  adamix_inserted_bank_destroy (inserted);
  bank_fixture_close (&fixture);
}

TestSuite (inserted, .init = set_up, .fini = tear_down);

static const adamix_site site = { .layer = LAYER, .place = ADAMIX_PLACE_FFN, .rows = { .count = ROWS } };

static adamix_view
whole (float *data)
{
  return adamix_view_of (data, ROWS, H);
}

static adamix_err
forward (float *in, float *out)
{
  return insertion->forward (insertion, &site, whole (in), whole (out));
}

static adamix_err
backward (float *in, float *dout, adamix_view din)
{
  return insertion->backward (insertion, &site, whole (in), whole (dout), din);
}

/* ---- the module in fp64 ---------------------------------------------------------------------------------------------- */

static int64_t
slot_at (const int64_t *slots, const int64_t *rows, int64_t row)
{
  int64_t s = 0;
  while (row >= rows[s]) row -= rows[s++];
  return slots[s];
}

static const adamix_expert *
expert_at (adamix_projection projection, int64_t row)
{
  int64_t slot = projection == ADAMIX_DOWN ? slot_at (down_slot, down_rows, row) : slot_at (up_slot, up_rows, row);
  return &fixture.bank->local[projection][LAYER].expert[slot];
}

static void
row_of_y (int64_t row, disturbance d, double *out)
{
  const adamix_expert *down = expert_at (ADAMIX_DOWN, row), *up = expert_at (ADAMIX_UP, row);
  double a[R];
  for (int r = 0; r < R; r++) {
    double u = disturbed (&down->bias->value[r], d);
    for (int h = 0; h < H; h++) u += disturbed (&down->weight->value[r * H + h], d) * disturbed (&x[row * H + h], d);
    a[r] = 0.5 * u * (1 + erf (u / sqrt (2)));
  }
  for (int h = 0; h < H; h++) {
    out[h] = disturbed (&x[row * H + h], d) + disturbed (&up->bias->value[h], d);
    for (int r = 0; r < R; r++) out[h] += disturbed (&up->weight->value[h * R + r], d) * a[r];
  }
}

/* ---- tests ------------------------------------------------------------------------------------------------------------ */

Test (inserted, forward_is_the_formula)
{
  double expected[H];
  must (forward (x, y));
  for (int64_t row = 0; row < ROWS; row++) {
    row_of_y (row, (disturbance){ 0 }, expected);
    for (int h = 0; h < H; h++)
      cr_assert (fabs (y[row * H + h] - expected[h]) <= TOLERANCE * (1 + fabs (expected[h])), "row %d", (int) row);
  }
}

Test (inserted, backward_is_the_derivative)
{
  must (forward (x, y));
  must (backward (x, dy, whole (dx)));
  for (int64_t r = 0; r < fixture.experts.rows; r++) {
    const adamix_param *param = &fixture.experts.row[r];
    if (strncmp (param->name, "layers.1.", 9) != 0) continue;
    expect_gradient (row_of_y, whole (dy), TOLERANCE, param->name, param->value, param->grad, param->count);
  }
  expect_gradient (row_of_y, whole (dy), TOLERANCE, "x", x, dx, 3 * H);
  expect_gradient (row_of_y, whole (dy), TOLERANCE, "x", x + 69 * H, dx + 69 * H, 3 * H);
  expect_gradient (row_of_y, whole (dy), TOLERANCE, "x", x + (ROWS - 1) * H, dx + (ROWS - 1) * H, H);
}

static bool
is_touched (const adamix_param *param)
{
  return *param->touched > 0;
}

Test (inserted, gradients_add_up_and_mark_what_they_touched)
{
  const adamix_expert_list *down = &fixture.bank->local[ADAMIX_DOWN][LAYER],
                           *up = &fixture.bank->local[ADAMIX_UP][LAYER];
  must (forward (x, y));
  must (backward (x, dy, whole (dx)));
  float once = down->expert[2].weight->grad[5], sums = up->expert[0].bias->grad[3];
  must (backward (x, dy, whole (dx)));
  cr_expect (fabsf (down->expert[2].weight->grad[5] - 2 * once) <= 4 * FLT_EPSILON * fabsf (once));
  cr_expect (fabsf (up->expert[0].bias->grad[3] - 2 * sums) <= TOLERANCE * (1 + fabsf (sums)));
  for (int64_t j = 0; j < M; j++) {
    cr_expect (is_touched (down->expert[j].weight) == (j != 1), "Down %d", (int) j);
    cr_expect (is_touched (up->expert[j].bias) == (j != 2), "Up %d", (int) j);
  }
  cr_expect (is_touched (fixture.bank->local[ADAMIX_DOWN][0].expert[2].weight) == false,
             "layer 0 did not run backward");
}

Test (inserted, may_work_in_place)
{
  static float in_place[ROWS * H], d_in_place[ROWS * H];
  memcpy (in_place, x, sizeof x);
  memcpy (d_in_place, dy, sizeof dy);
  must (forward (x, y));
  must (forward (in_place, in_place));
  cr_expect (memcmp (in_place, y, sizeof y) == 0);
  must (backward (x, dy, whole (dx)));
  must (backward (x, d_in_place, whole (d_in_place)));
  cr_expect (memcmp (d_in_place, dx, sizeof dx) == 0);
}

Test (inserted, lowest_module_needs_no_input_gradient)
{
  const adamix_param *weight = fixture.bank->local[ADAMIX_DOWN][LAYER].expert[2].weight;
  must (forward (x, y));
  must (backward (x, dy, whole (dx)));
  float expected = weight->grad[7];
  adamix_params_zero_grads (&fixture.experts);
  must (backward (x, dy, (adamix_view){ 0 }));
  cr_expect (weight->grad[7] == expected);
}

Test (inserted, layers_keep_their_own_values_for_backward)
{
  const adamix_param *weight = fixture.bank->local[ADAMIX_UP][LAYER].expert[1].weight;
  must (forward (x, y));
  must (backward (x, dy, whole (dx)));
  float expected = weight->grad[7];
  adamix_params_zero_grads (&fixture.experts);
  must (forward (x, y));
  must (insertion->forward (insertion, &(adamix_site){ .place = ADAMIX_PLACE_FFN, .rows = { .count = ROWS } },
                            whole (y), whole (y)));
  must (backward (x, dy, whole (dx)));
  cr_expect (weight->grad[7] == expected);
}

Test (inserted, threads_do_not_show)
{
  static float y1[ROWS * H], dx1[ROWS * H];
  omp_set_num_threads (1);
  must (forward (x, y1));
  must (backward (x, dy, whole (dx1)));
  size_t bytes = (size_t) fixture.experts.count * sizeof (float);
  float *grads = malloc (bytes);
  memcpy (grads, fixture.experts.grads, bytes);
  adamix_params_zero_grads (&fixture.experts);
  omp_set_num_threads (3);
  must (forward (x, y));
  must (backward (x, dy, whole (dx)));
  cr_expect (memcmp (y, y1, sizeof y) == 0);
  cr_expect (memcmp (dx, dx1, sizeof dx) == 0);
  cr_expect (memcmp (grads, fixture.experts.grads, bytes) == 0);
  free (grads);
}

Test (inserted, refuses_a_route_of_other_rows)
{
  adamix_view fewer = adamix_view_of (x, ROWS - 1, H), none = adamix_view_of (x, 0, H);
  adamix_err err = insertion->forward (
      insertion, &(adamix_site){ .layer = LAYER, .place = ADAMIX_PLACE_FFN, .rows = { .count = fewer.rows } }, fewer,
      fewer);
  cr_expect (err == ADAMIX_ESHAPE);
  adamix_route_clear (adamix_inserted_bank_route (inserted));
  must (insertion->forward (insertion, &(adamix_site){ .layer = LAYER, .place = ADAMIX_PLACE_FFN }, none, none));
  must (insertion->backward (insertion, &(adamix_site){ .layer = LAYER, .place = ADAMIX_PLACE_FFN }, none, none, none));
}
