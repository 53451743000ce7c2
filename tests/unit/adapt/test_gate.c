/* Learned routers against their formula in fp64, and that against finite differences. */
#include <float.h>
#include <math.h>
#include <omp.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "adapt/differences.h"
#include "adapt/fixture.h"

enum { L = 2, H = 20, R = 6, M = 4, TOKENS = 75, PASSES = 2, ROWS = PASSES * TOKENS, LAYER = 1 };

/* Sums of at most 150 products of numbers of order 1 in fp32, in any order, twice on the way to a router's gradient. */
#define TOLERANCE (2 * 150 * FLT_EPSILON)

#define CAPACITY 0.8
#define BALANCE  0.7

static const adamix_bank_shape bottleneck = { .layers = L,
                                              .hidden = H,
                                              .bottleneck = R,
                                              .experts = M,
                                              .share = ADAMIX_SHARE_DOWN,
                                              .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                              .activation = ADAMIX_ACTIVATION_GELU };
static const adamix_bank_shape lora = { .layers = L,
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
static adamix_site site;
static float x[ROWS * H], y[ROWS * H], dx[ROWS * H];
static float dy[ROWS * (H + 1)]; /* the last column: the derivative by the router's own loss, 1 */
static float dy_rows[ROWS * H];  /* dy without it */
static double load[M];

/* What the routers choose without disturbance: the slot of a row, -1 for none; and f_j of its pass. */
static int64_t choice[ROWS];
static double frequency[PASSES][M];

static adamix_view
whole (float *data)
{
  return adamix_view_of (data, ROWS, H);
}

static const adamix_bank_shape *
shape (void)
{
  return &fixture.bank->shape;
}

static const adamix_expert *
expert_at (int list, int64_t slot)
{
  const adamix_expert_list *at = &fixture.bank->local[list][adamix_bank_site (shape (), LAYER, site.place)];
  return &at->expert[slot % at->count];
}

/* ---- in fp64 ---- */

static int64_t
experts (void)
{
  return fixture.bank->local[ADAMIX_ROUTER][0].count;
}

static void
probabilities (int64_t row, disturbance d, double *p)
{
  double sum = 0;
  for (int64_t j = 0; j < experts (); j++) {
    p[j] = 0;
    for (int h = 0; h < H; h++)
      p[j] += disturbed (&expert_at (ADAMIX_ROUTER, j)->weight->value[h], d) * disturbed (&x[row * H + h], d);
    sum += p[j] = exp (p[j]);
  }
  for (int64_t j = 0; j < experts (); j++) p[j] /= sum;
}

static double
activated (double u)
{
  return shape ()->kind == ADAMIX_LORA ? u : 0.5 * u * (1 + erf (u / sqrt (2)));
}

/* What expert `slot` adds to a row. */
static void
add_module (int64_t row, int64_t slot, double gate, disturbance d, double *out)
{
  const adamix_expert *down = expert_at (ADAMIX_DOWN, slot), *up = expert_at (ADAMIX_UP, slot);
  const bool is_lora = shape ()->kind == ADAMIX_LORA;
  float mask[H];
  for (int h = 0; h < H; h++) mask[h] = 1;
  if (is_lora) {
    const adamix_dropout base = adamix_dropout_at (&args, shape ()->dropout, 0, LAYER, ADAMIX_DROP_VALUE, 0);
    const adamix_dropout dropout = adamix_dropout_row (base, &batch, H, row);
    if (base.threshold) compute.kernels->dropout (&dropout, H, mask);
  }
  for (int r = 0; r < R; r++) {
    double u = down->bias ? disturbed (&down->bias->value[r], d) : 0;
    for (int h = 0; h < H; h++)
      u += disturbed (&down->weight->value[r * H + h], d) * mask[h] * disturbed (&x[row * H + h], d);
    for (int h = 0; h < H; h++)
      out[h] += gate * (is_lora ? shape ()->scale : 1) * disturbed (&up->weight->value[h * R + r], d) * activated (u);
  }
  for (int h = 0; up->bias && h < H; h++) out[h] += gate * disturbed (&up->bias->value[h], d);
}

/* H outputs, and the row's part of the router's own loss. */
static void
row_of_y (int64_t row, disturbance d, double *out)
{
  double p[M];
  probabilities (row, d, p);
  for (int h = 0; h < H; h++) out[h] = shape ()->kind == ADAMIX_LORA ? 0.5 : disturbed (&x[row * H + h], d);
  out[H] = 0;
  if (shape ()->gating == ADAMIX_GATING_SOFT) {
    for (int64_t j = 0; j < experts (); j++) add_module (row, j, p[j], d, out);
    return;
  }
  if (choice[row] >= 0) add_module (row, choice[row], p[choice[row]], d, out);
  for (int64_t j = 0; j < experts (); j++)
    out[H] += BALANCE / PASSES * (double) experts () * frequency[row / TOKENS][j] * p[j] / TOKENS;
}

/* First come, first served. */
static void
choose (void)
{
  for (int64_t row = 0; row < ROWS; row++) {
    static int64_t taken[M];
    const int64_t pass = row / TOKENS, places = (int64_t) ceil (CAPACITY * TOKENS / (double) experts ());
    double p[M];
    int64_t best = 0;
    if (row % TOKENS == 0) memset (taken, 0, sizeof taken);
    probabilities (row, (disturbance){ 0 }, p);
    for (int64_t j = 1; j < experts (); j++)
      if (p[j] > p[best]) best = j;
    frequency[pass][best] += 1.0 / TOKENS;
    choice[row] = ++taken[best] > places ? -1 : best;
  }
}

/* ---- the same by the library ---- */

static void
open_gate (const adamix_bank_shape *of, adamix_gating gating, const bool *owned)
{
  adamix_bank_shape gated = *of;
  gated.gating = gating;
  must (adamix_compute_select (&compute, "auto", "auto", 1));
  bank_fixture_open (&fixture, &gated, owned);
  bank_fixture_randomise (&fixture, 0.3);
  const adamix_route_policy *policy = adamix_route_policy_find (adamix_gating_name (gating));
  must (adamix_inserted_bank_create (&inserted, fixture.bank, &compute, ROWS, policy->capacity (PASSES, 3, TOKENS),
                                     true));
  insertion = adamix_inserted_bank_insertion (inserted);
  policy->fill (fixture.bank,
                &(adamix_route_context){ .passes = PASSES, .tokens = TOKENS, .capacity = CAPACITY, .balance = BALANCE },
                adamix_inserted_bank_route (inserted));
  batch_fixture_open (&batch, TOKENS);
  args = (adamix_forward_args){ .batch = &batch, .passes = PASSES, .training = true, .seed = 4, .step = 2 };
  site = (adamix_site){ .layer = LAYER,
                        .place = of->kind == ADAMIX_LORA ? ADAMIX_PLACE_VALUE : ADAMIX_PLACE_FFN,
                        .rows = { .count = ROWS },
                        .args = &args };
  adamix_rng rng = adamix_rng_stream (3, ADAMIX_RNG_EVAL);
  adamix_rng_normal (rng, 0, 0, ROWS * H, 1.0, x);
  adamix_rng_normal (rng, 1, 0, ROWS * H, 1.0, dy_rows);
  for (int64_t row = 0; row < ROWS; row++) {
    memcpy (dy + row * (H + 1), dy_rows + row * H, H * sizeof *dy);
    dy[row * (H + 1) + H] = 1;
  }
  choose ();
}

static void
close_gate (void)
{
  adamix_batch_destroy (&batch);
  adamix_inserted_bank_destroy (inserted);
  bank_fixture_close (&fixture);
}

TestSuite (gate, .fini = close_gate);

static void
forward (void)
{
  for (int64_t i = 0; i < ROWS * H; i++) y[i] = 0.5f;
  must (insertion->forward (insertion, &site, whole (x), whole (y)));
}

/* dx of a module that stands alone, without what comes past it. */
static void
backward (void)
{
  memcpy (dx, dy_rows, sizeof dx);
  if (shape ()->kind == ADAMIX_LORA) memset (dx, 0, sizeof dx);
  must (insertion->backward (insertion, &site, whole (x), whole (dy_rows), whole (dx)));
}

static void
check_forward (void)
{
  double expected[H + 1];
  forward ();
  for (int64_t row = 0; row < ROWS; row++) {
    row_of_y (row, (disturbance){ 0 }, expected);
    for (int h = 0; h < H; h++)
      cr_assert (fabs (y[row * H + h] - expected[h]) <= TOLERANCE * (1 + fabs (expected[h])), "row %d", (int) row);
  }
}

static void
check_gradients (const adamix_params *params, const char *prefix)
{
  for (int64_t r = 0; r < params->rows; r++) {
    const adamix_param *param = &params->row[r];
    if (strncmp (param->name, prefix, strlen (prefix)) == 0)
      expect_gradient (row_of_y, adamix_view_of (dy, ROWS, H + 1), TOLERANCE, param->name, param->value, param->grad,
                       param->count);
  }
}

static void
check_backward (void)
{
  const char *prefix = site.place == ADAMIX_PLACE_VALUE ? "layers.1.value." : "layers.1.ffn.";
  forward ();
  backward ();
  check_gradients (&fixture.shared, prefix);
  check_gradients (&fixture.experts, prefix);
  for (int64_t row = 0; row < ROWS; row += 37)
    expect_gradient (row_of_y, adamix_view_of (dy, ROWS, H + 1), TOLERANCE, "x", x + row * H, dx + row * H, H);
}

/* Rows that each expert served, those that none did, and the router's own loss. */
static void
check_tally (void)
{
  double expected[M] = { 0 }, dropped = 0, balance = 0, out[H + 1];
  adamix_tally tally = { .load = load };
  for (int64_t row = 0; row < ROWS; row++) {
    double p[M];
    probabilities (row, (disturbance){ 0 }, p);
    row_of_y (row, (disturbance){ 0 }, out);
    balance += out[H];
    for (int64_t j = 0; j < experts (); j++) {
      const int64_t number = expert_at (ADAMIX_ROUTER, j)->number;
      if (shape ()->gating == ADAMIX_GATING_SOFT)
        expected[number] += p[j];
      else
        expected[number] += choice[row] == j;
    }
    dropped += shape ()->gating == ADAMIX_GATING_SWITCH && choice[row] < 0;
  }
  memset (load, 0, sizeof load);
  adamix_inserted_bank_tally (inserted, &tally);
  for (int j = 0; j < M; j++)
    cr_expect (fabs (load[j] - expected[j]) <= TOLERANCE * ROWS, "expert %d: %g of %g", j, load[j], expected[j]);
  cr_expect_eq (tally.dropped, dropped);
  cr_expect (fabs (tally.balance - balance) <= TOLERANCE * (1 + balance), "%g of %g", tally.balance, balance);
  adamix_inserted_bank_tally (inserted, &tally);
  cr_expect_eq (tally.dropped, dropped, "it starts anew");
}

static void
check (void)
{
  check_forward ();
  check_backward ();
  check_tally ();
}

Test (gate, switch_of_bottlenecks)
{
  open_gate (&bottleneck, ADAMIX_GATING_SWITCH, NULL);
  int64_t dropped = 0;
  for (int64_t row = 0; row < ROWS; row++) dropped += choice[row] < 0;
  cr_assert (dropped > 0 && dropped < ROWS / 2, "%d", (int) dropped);
  check ();
}

Test (gate, soft_of_bottlenecks)
{
  open_gate (&bottleneck, ADAMIX_GATING_SOFT, NULL);
  check ();
}

Test (gate, switch_of_lora)
{
  open_gate (&lora, ADAMIX_GATING_SWITCH, NULL);
  check ();
}

Test (gate, soft_of_lora)
{
  open_gate (&lora, ADAMIX_GATING_SOFT, NULL);
  check ();
}

/* A rank's routers know its own experts only. */
Test (gate, of_local_experts)
{
  static const bool owned[L * M] = { true, false, false, true, false, true, true, false };
  open_gate (&bottleneck, ADAMIX_GATING_SWITCH, owned);
  cr_assert_eq (experts (), 2);
  cr_assert_eq (expert_at (ADAMIX_ROUTER, 0)->number, 1);
  check ();
}

Test (gate, works_in_place)
{
  static float in_place[ROWS * H], d_in_place[ROWS * H];
  open_gate (&bottleneck, ADAMIX_GATING_SOFT, NULL);
  memcpy (in_place, x, sizeof x);
  memcpy (d_in_place, dy_rows, sizeof d_in_place);
  forward ();
  must (insertion->forward (insertion, &site, whole (in_place), whole (in_place)));
  cr_expect (memcmp (in_place, y, sizeof y) == 0);
  backward ();
  must (insertion->backward (insertion, &site, whole (x), whole (d_in_place), whole (d_in_place)));
  cr_expect (memcmp (d_in_place, dx, sizeof dx) == 0);
}

Test (gate, lowest_module_needs_no_input_gradient)
{
  open_gate (&bottleneck, ADAMIX_GATING_SWITCH, NULL);
  const adamix_param *router = expert_at (ADAMIX_ROUTER, 2)->weight, *up = expert_at (ADAMIX_UP, 2)->weight;
  forward ();
  backward ();
  const float of_router = router->grad[7], of_up = up->grad[7];
  adamix_params_zero_grads (&fixture.experts);
  must (insertion->backward (insertion, &site, whole (x), whole (dy_rows), (adamix_view){ 0 }));
  cr_expect (router->grad[7] == of_router && up->grad[7] == of_up);
}

Test (gate, threads_do_not_show)
{
  static float y1[ROWS * H], dx1[ROWS * H];
  open_gate (&lora, ADAMIX_GATING_SWITCH, NULL);
  omp_set_num_threads (1);
  forward ();
  backward ();
  memcpy (y1, y, sizeof y);
  memcpy (dx1, dx, sizeof dx);
  omp_set_num_threads (3);
  forward ();
  backward ();
  cr_expect (memcmp (y, y1, sizeof y) == 0 && memcmp (dx, dx1, sizeof dx) == 0);
}

/* Nothing is dropped in inference, and no expert is marked that served no row. */
Test (gate, without_a_capacity_all_are_served)
{
  open_gate (&bottleneck, ADAMIX_GATING_SWITCH, NULL);
  adamix_route_policy_find ("switch")->fill (fixture.bank, &(adamix_route_context){ .passes = 1, .tokens = ROWS },
                                             adamix_inserted_bank_route (inserted));
  adamix_param *router = expert_at (ADAMIX_ROUTER, 3)->weight;
  for (int h = 0; h < H; h++) router->value[h] = 0;
  for (int64_t row = 0; row < ROWS; row++) { /* expert 0 is always ahead of 3 */
    double ahead = 0;
    for (int h = 0; h < H; h++) ahead += expert_at (ADAMIX_ROUTER, 0)->weight->value[h] * x[row * H + h];
    for (int h = 0; h < H && ahead < 0; h++) x[row * H + h] = -x[row * H + h];
  }
  forward ();
  backward ();
  adamix_tally tally = { .load = load };
  memset (load, 0, sizeof load);
  adamix_inserted_bank_tally (inserted, &tally);
  cr_expect_eq (tally.dropped, 0);
  cr_expect_eq (load[0] + load[1] + load[2], ROWS);
  cr_expect_eq (load[3], 0);
  cr_expect_eq (*expert_at (ADAMIX_UP, 3)->weight->touched, 0.0f);
  cr_expect_eq (*router->touched, 1.0f, "its probability has a gradient all the same");
}

/* One expert for all rows, whatever the routers say; the other layer is used in between. */
static void
serve_by_one (const adamix_bank_shape *of)
{
  static float dx1[ROWS * H];
  open_gate (of, ADAMIX_GATING_SWITCH, NULL);
  adamix_route_policy_find ("fixed")->fill (fixture.bank, &(adamix_route_context){ .passes = PASSES, .tokens = TOKENS },
                                            adamix_inserted_bank_route (inserted));
  const adamix_param *down = expert_at (ADAMIX_DOWN, 0)->weight, *up = expert_at (ADAMIX_UP, 0)->weight;
  forward ();
  backward ();
  memcpy (dx1, dx, sizeof dx);
  const float of_down = down->grad[7], of_up = up->grad[7];
  adamix_params_zero_grads (&fixture.shared);
  adamix_params_zero_grads (&fixture.experts);
  forward ();
  adamix_site other = site;
  other.layer = 0;
  must (insertion->forward (insertion, &other, whole (y), whole (y)));
  backward ();
  cr_expect (memcmp (dx, dx1, sizeof dx) == 0);
  cr_expect_eq (down->grad[7], of_down);
  cr_expect_eq (up->grad[7], of_up);
}

Test (gate, one_expert_of_many_layers)
{
  serve_by_one (&bottleneck);
}

Test (gate, one_expert_of_many_layers_of_lora)
{
  serve_by_one (&lora);
}
