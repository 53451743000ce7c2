/* The head by itself: what it announces, how it starts, what its backward leaves alone. */
#include "model/fixture.h"
#include "model/run.h"

#include <criterion/criterion.h>
#include <math.h>

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
