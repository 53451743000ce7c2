/* The head by itself: what it announces, how it starts, what its backward leaves alone. */
#include "model/fixture.h"
#include "model/run.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { H = 32, LABELS = 7, SEQUENCES = 5, TOKENS = 73 };

Test (head, starts_from_the_seed)
{
  fixture fixture;
  run run;
  float first[LABELS * H];
  const run_shape shape = { .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open (&fixture, NULL, 1);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  const adamix_param *weight = run_param (&run.params, "head.weight"), *bias = run_param (&run.params, "head.bias");
  cr_expect_eq (adamix_head_outputs (run.head), LABELS);
  cr_expect_eq (adamix_head_parameters (run.head), LABELS * (H + 1));
  cr_expect (weight->rank == 2 && weight->shape[0] == LABELS && weight->shape[1] == H && weight->decay);
  cr_expect (bias->rank == 1 && bias->shape[0] == LABELS && !bias->decay);
  adamix_head_initialise (run.head, 8);
  double squares = 0;
  for (int i = 0; i < LABELS * H; ++i) {
    first[i] = weight->value[i];
    squares += (double) first[i] * first[i];
  }
  for (int i = 0; i < LABELS; ++i) cr_expect_eq (bias->value[i], 0);
  cr_expect_float_eq (sqrt (squares / (LABELS * H)), 0.02, 0.003); /* three standard errors of 224 draws */
  adamix_head_initialise (run.head, 9);
  cr_expect_arr_neq (weight->value, first, sizeof first);
  adamix_head_initialise (run.head, 8);
  cr_expect_arr_eq (weight->value, first, sizeof first);
  run_destroy (&run);
  fixture_close (&fixture);
}

static void
check_head_alone (adamix_pool pool)
{
  fixture fixture;
  run run;
  float dz[SEQUENCES * LABELS], kept[LABELS * H];
  const run_shape shape = { .pool = pool, .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open (&fixture, NULL, 2);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  adamix_param *weight = run_param (&run.params, "head.weight");
  run_noise (dz, SEQUENCES * LABELS, 0);
  run_forward (&run);
  adamix_view dz_view = adamix_view_of (dz, SEQUENCES, LABELS), nothing = { NULL, TOKENS, H, H };
  cr_assert_eq (adamix_head_backward (run.head, &run.args, dz_view, nothing), ADAMIX_OK);
  for (int i = 0; i < LABELS * H; ++i) kept[i] = weight->grad[i];
  cr_expect_eq (*weight->touched, 1);

  static float room[TOKENS * H];
  adamix_params_zero_grads (&run.params);
  cr_assert_eq (adamix_head_backward (run.head, &run.args, dz_view, adamix_view_of (room, TOKENS, H)), ADAMIX_OK);
  cr_expect_arr_eq (weight->grad, kept, sizeof kept);
  for (int64_t t = 0; t < TOKENS; ++t) {
    int64_t first = fixture.batch.offset[fixture.batch.sequence[t]];
    cr_expect_eq (room[t * H + 5] != 0, pool == ADAMIX_POOL_MEAN || t == first, "row %d", (int) t);
  }
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (head, trains_alone_on_the_mean)
{
  check_head_alone (ADAMIX_POOL_MEAN);
}

Test (head, trains_alone_on_the_pooler)
{
  check_head_alone (ADAMIX_POOL_POOLER);
}

/* Dropout of the head is keyed by pass and example, and is on in training alone. */
Test (head, drops_in_training)
{
  fixture fixture;
  run run;
  const run_shape shape = { .pool = ADAMIX_POOL_MEAN, .outputs = LABELS, .passes = 2, .inference = true };
  fixture_open (&fixture, NULL, 1);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  run_forward (&run);
  size_t half = SEQUENCES * LABELS * sizeof (float);
  run.args.dropout = 0.5f;
  cr_assert_eq (adamix_head_forward (run.head, &run.args, run.hidden, &run.z), ADAMIX_OK);
  cr_expect_arr_eq (run.z.data, run.z.data + SEQUENCES * LABELS, half);
  run.args.training = true;
  cr_assert_eq (adamix_head_forward (run.head, &run.args, run.hidden, &run.z), ADAMIX_OK);
  cr_expect_arr_neq (run.z.data, run.z.data + SEQUENCES * LABELS, half);
  run_destroy (&run);
  fixture_close (&fixture);
}

/* ---- a head with a dense layer of its own ----------------------------------------------------------------------------- */

static const struct own_head {
  const char *folder;
  int64_t hidden;
  adamix_activation activation;
  bool drops_input;
} own_heads[] = { { "roberta-tiny", 28, ADAMIX_ACTIVATION_TANH, true },
                  { "distilbert-tiny", 24, ADAMIX_ACTIVATION_RELU, false },
                  { "electra-tiny", 32, ADAMIX_ACTIVATION_GELU, true } };

static void
expect_param (const adamix_param *param, const char *name, int64_t rows, int64_t cols)
{
  cr_expect_str_eq (param->name, name);
  cr_expect (param->shape[0] == rows && param->count == rows * cols);
  cr_expect_eq (param->decay, param->rank == 2, "%s", name);
}

static void
check_own_head (const struct own_head *own)
{
  fixture fixture;
  run run;
  int64_t hidden = own->hidden;
  const run_shape shape = { .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open_golden (&fixture, own->folder, 1);
  cr_expect_not (adamix_model_has_pooler (fixture.model));
  cr_expect (adamix_model_has_own_head (fixture.model));
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  cr_assert_eq (run.params.rows, 4);
  const adamix_param *param = run.params.row;
  expect_param (&param[0], "head.dense.weight", hidden, hidden);
  expect_param (&param[1], "head.dense.bias", hidden, 1);
  expect_param (&param[2], "head.out_proj.weight", LABELS, hidden);
  expect_param (&param[3], "head.out_proj.bias", LABELS, 1);
  int64_t sum = 0;
  for (int i = 0; i < 4; ++i) {
    double squares = 0;
    for (int64_t e = 0; e < param[i].count; ++e) squares += (double) param[i].value[e] * param[i].value[e];
    cr_expect_float_eq (sqrt (squares / (double) param[i].count), param[i].decay ? 0.02 : 0, 0.003, "%s",
                        param[i].name);
    sum += param[i].count;
  }
  cr_expect_eq (adamix_head_parameters (run.head), sum);
  cr_expect_arr_neq (param[0].value, param[2].value, (size_t) (LABELS * hidden) * sizeof (float));
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (head, may_have_a_dense_layer_of_its_own)
{
  for (size_t i = 0; i < sizeof own_heads / sizeof *own_heads; ++i) check_own_head (&own_heads[i]);
}

/* With dense the identity and an output layer that picks the first states, z = drop (f (drop (h[0]))) of these. */
static void
check_own_dropout (const struct own_head *own)
{
  fixture fixture;
  run run;
  const run_shape shape = { .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open_golden (&fixture, own->folder, 1);
  const adamix_kernels *kernels = fixture.compute.kernels;
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  for (int i = 0; i <= 2; i += 2) {
    adamix_param *matrix = &run.params.row[i];
    for (int64_t e = 0; e < matrix->count; ++e) matrix->value[e] = e % own->hidden == e / own->hidden;
  }
  run.args.training = true;
  run.args.dropout = 0.5f;
  run_forward (&run);
  for (int64_t s = 0; s < SEQUENCES; ++s) {
    float x[64];
    memcpy (x, run.hidden.data + fixture.batch.offset[s] * own->hidden, (size_t) own->hidden * sizeof *x);
    const adamix_drop drop[] = { ADAMIX_DROP_HEAD_INPUT, ADAMIX_DROP_HEAD };
    for (int i = 0; i < 2; ++i) {
      const adamix_dropout mask = adamix_dropout_of (&run.args, 0, 0, drop[i], fixture.batch.sample[s]);
      if (i) kernels->activate[own->activation](own->hidden, x, x);
      if (i || own->drops_input) kernels->dropout (&mask, own->hidden, x);
    }
    for (int k = 0; k < LABELS; ++k) cr_expect_float_eq (run.z.data[s * LABELS + k], x[k], 1e-6);
  }
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (head, drops_as_the_architecture_says)
{
  for (size_t i = 0; i < sizeof own_heads / sizeof *own_heads; ++i) check_own_dropout (&own_heads[i]);
}
