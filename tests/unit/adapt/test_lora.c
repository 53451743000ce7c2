/* LoRA modules beside query and value against their formula in fp64, and that against finite differences. */
#include <float.h>
#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "adapt/differences.h"
#include "adapt/fixture.h"

enum { L = 2, H = 20, R = 6, M = 3, TOKENS = 75, ROWS = 2 * TOKENS, LAYER = 1, STRIDE = 3 * H };

/* Sums of at most 150 products of numbers of order 1 in fp32, in any order. */
#define TOLERANCE (150 * FLT_EPSILON)

static const adamix_bank_shape shape = { .layers = L,
                                         .hidden = H,
                                         .bottleneck = R,
                                         .experts = M,
                                         .kind = ADAMIX_LORA,
                                         .places = ADAMIX_PLACES_LINEAR,
                                         .scale = 1.5,
                                         .dropout = 0.25 };

static bank_fixture fixture;
static adamix_compute compute;
static adamix_inserted_bank *inserted;
static adamix_insertion *insertion;
static adamix_batch batch;
static adamix_forward_args args;
static float x[ROWS * H], y[ROWS * STRIDE], dy[ROWS * STRIDE], dx[ROWS * H];

/* Two passes of a batch of three sequences; A and B change hands at different rows. */
static const int64_t a_slot[2] = { 2, 0 }, a_rows[2] = { 80, 70 }, b_slot[3] = { 1, 0, 1 }, b_rows[3] = { 64, 1, 85 };

static void
set_up (void)
{
  must (adamix_compute_select (&compute, "auto", "auto", 1));
  bank_fixture_open (&fixture, &shape, NULL);
  bank_fixture_randomise (&fixture, 0.3);
  must (adamix_inserted_bank_create (&inserted, fixture.bank, &compute, ROWS, 4, true));
  insertion = adamix_inserted_bank_insertion (inserted);
  adamix_route *route = adamix_inserted_bank_route (inserted);
  adamix_route_clear (route);
  for (int64_t i = 0; i < L; i++) {
    for (int s = 0; s < 2; s++) adamix_route_append (route, ADAMIX_DOWN, i, a_rows[s], a_slot[s]);
    for (int s = 0; s < 3; s++) adamix_route_append (route, ADAMIX_UP, i, b_rows[s], b_slot[s]);
  }
  batch_fixture_open (&batch, TOKENS);
  args = (adamix_forward_args){ .batch = &batch, .passes = 2, .training = true, .dropout = 0.1f, .seed = 4, .step = 2 };
  adamix_rng rng = adamix_rng_stream (3, ADAMIX_RNG_EVAL);
  adamix_rng_normal (rng, 0, 0, ROWS * H, 1.0, x);
  adamix_rng_normal (rng, 1, 0, ROWS * STRIDE, 1.0, dy);
}

static void
tear_down (void)
{
  adamix_batch_destroy (&batch);
  adamix_inserted_bank_destroy (inserted);
  bank_fixture_close (&fixture);
}

TestSuite (lora, .init = set_up, .fini = tear_down);

static adamix_site
site_of (adamix_place place)
{
  return (adamix_site){ .layer = LAYER, .place = place, .rows = { .count = ROWS }, .args = &args };
}

/* The columns of [ROWS,3H] that a place adds to. */
static adamix_view
block (float *data, adamix_place place)
{
  return adamix_view_cols (adamix_view_of (data, ROWS, STRIDE), place == ADAMIX_PLACE_QUERY ? 0 : 2 * H, H);
}

static const adamix_expert *
expert_at (adamix_place place, adamix_projection projection, int64_t row)
{
  const int64_t *slot = projection == ADAMIX_DOWN ? a_slot : b_slot;
  const int64_t *rows = projection == ADAMIX_DOWN ? a_rows : b_rows;
  for (; row >= *rows; row -= *rows++) slot++;
  return &fixture.bank->local[projection][adamix_bank_site (&shape, LAYER, place)].expert[*slot];
}

/* 0, or 1 / (1 - rate): what dropout makes of ones. */
static void
mask_of (adamix_place place, int64_t row, float *mask)
{
  const adamix_dropout base = adamix_dropout_at (
      &args, shape.dropout, 0, LAYER, place == ADAMIX_PLACE_QUERY ? ADAMIX_DROP_QUERY : ADAMIX_DROP_VALUE, 0);
  const adamix_dropout dropout = adamix_dropout_row (base, &batch, H, row);
  for (int h = 0; h < H; h++) mask[h] = 1;
  if (base.threshold) compute.kernels->dropout (&dropout, H, mask);
}

/* What the module at `where` adds: s B A dropout (x). */
static adamix_place where;

static void
row_of_module (int64_t row, disturbance d, double *out)
{
  const adamix_place place = where;
  const float *a = expert_at (place, ADAMIX_DOWN, row)->weight->value,
              *b = expert_at (place, ADAMIX_UP, row)->weight->value;
  float mask[H];
  mask_of (place, row, mask);
  for (int h = 0; h < H; h++) out[h] = 0;
  for (int r = 0; r < R; r++) {
    double u = 0;
    for (int h = 0; h < H; h++) u += disturbed (&a[r * H + h], d) * mask[h] * disturbed (&x[row * H + h], d);
    for (int h = 0; h < H; h++) out[h] += shape.scale * disturbed (&b[h * R + r], d) * u;
  }
}

static void
check_forward (adamix_place place)
{
  const adamix_site site = site_of (place);
  double expected[H];
  where = place;
  for (int64_t i = 0; i < ROWS * STRIDE; i++) y[i] = 0.5f;
  must (insertion->forward (insertion, &site, adamix_view_of (x, ROWS, H), block (y, place)));
  const adamix_view out = block (y, place);
  for (int64_t row = 0; row < ROWS; row++) {
    row_of_module (row, (disturbance){ 0 }, expected);
    for (int h = 0; h < H; h++)
      cr_assert (fabs (out.data[row * out.stride + h] - 0.5 - expected[h]) <= TOLERANCE * (1 + fabs (expected[h])),
                 "row %d", (int) row);
    for (int h = H; h < 2 * H; h++) cr_assert (y[row * STRIDE + h] == 0.5f, "keys have no module");
  }
}

Test (lora, forward_is_the_formula)
{
  check_forward (ADAMIX_PLACE_QUERY);
  check_forward (ADAMIX_PLACE_VALUE);
}

Test (lora, there_is_no_dropout_outside_training)
{
  args.training = false;
  check_forward (ADAMIX_PLACE_QUERY);
}

static void
check_backward (adamix_place place, const char *prefix)
{
  const adamix_site site = site_of (place);
  const adamix_view d = block (dy, place);
  where = place;
  for (int64_t i = 0; i < ROWS * H; i++) dx[i] = 0.25f;
  must (insertion->forward (insertion, &site, adamix_view_of (x, ROWS, H), block (y, place)));
  must (insertion->backward (insertion, &site, adamix_view_of (x, ROWS, H), block (dy, place),
                             adamix_view_of (dx, ROWS, H)));
  for (int64_t r = 0; r < fixture.experts.rows; r++) {
    const adamix_param *param = &fixture.experts.row[r];
    if (strncmp (param->name, prefix, strlen (prefix)) == 0)
      expect_gradient (row_of_module, d, TOLERANCE, param->name, param->value, param->grad, param->count);
  }
  for (int64_t i = 0; i < ROWS * H; i++) dx[i] -= 0.25f;
  expect_gradient (row_of_module, d, TOLERANCE, "x", x + 62 * H, dx + 62 * H, 4 * H);
  expect_gradient (row_of_module, d, TOLERANCE, "x", x + 79 * H, dx + 79 * H, 2 * H);
}

Test (lora, backward_is_the_derivative)
{
  check_backward (ADAMIX_PLACE_QUERY, "layers.1.query.");
  check_backward (ADAMIX_PLACE_VALUE, "layers.1.value.");
}

/* The masks of query and value are not the same. */
Test (lora, each_place_drops_by_itself)
{
  float query[H], value[H];
  int64_t different = 0;
  for (int64_t row = 0; row < ROWS; row++) {
    mask_of (ADAMIX_PLACE_QUERY, row, query);
    mask_of (ADAMIX_PLACE_VALUE, row, value);
    different += memcmp (query, value, sizeof query) != 0;
  }
  cr_expect (different > ROWS / 2);
}

Test (lora, starts_as_the_encoder_alone)
{
  const double bound = 1 / sqrt (H);
  adamix_bank_initialise (fixture.bank, 11);
  for (int64_t i = 0; i < adamix_bank_sites (&shape); i++) {
    const adamix_expert *a = fixture.bank->local[ADAMIX_DOWN][i].expert, *b = fixture.bank->local[ADAMIX_UP][i].expert;
    double most = 0, sum = 0;
    for (int64_t e = 0; e < R * H; e++) {
      most = fmax (most, fabs (a[0].weight->value[e]));
      sum += a[0].weight->value[e];
      for (int64_t j = 0; j < M; j++) {
        cr_assert (a[j].weight->value[e] == a[0].weight->value[e], "experts start with one A");
        cr_assert (b[j].weight->value[e] == 0);
      }
    }
    /* 120 numbers: the mean's deviation is bound / 19, and the largest is above 0.9 of it but for a chance of 3e-6. */
    cr_expect (most <= bound && most > 0.9 * bound && fabs (sum / (R * H)) < bound / 4);
    if (i > 0)
      cr_expect (a[0].weight->value[0] != fixture.bank->local[ADAMIX_DOWN][i - 1].expert[0].weight->value[0],
                 "no two sites have the same A");
  }
}
