/* The whole of AdaMix on the tiny models: two passes through the encoder, bank and head, the loss with its consistency term,
 * and every gradient, against what PyTorch gave (tests/golden/make_bert.py, make_models.py).
 *
 * The golden gradients are fp64 rounded to fp32; ours go through 2 or 3 layers forward and back in fp32, some 100 roundings of
 * 6e-8 each, amplified by the wide random weights: 1e-4 of a tensor's norm is far below any real mistake. */
#include <math.h>
#include <stdio.h>

#include <criterion/criterion.h>

#include "adapt/fixture.h"
#include "model/fixture.h"

enum { LABELS = 5, EXPERTS = 3, BOTTLENECK = 6, PASSES = 2 };
static const double TOLERANCE = 1e-4, CONSISTENCY = 0.7;
/* A bias of the keys moves no attention: its gradient is a sum over the rows that vanishes, and both sides keep what rounding
 * leaves of it: ours of 146 terms below 1, each off by up to 6e-8, which add up at random. */
static const double VANISHED = 1e-12, ROUNDING = 7e-7;

typedef struct golden_case {
  const char *folder, *name;
  adamix_share share;
  adamix_pool pool;
  adamix_trainable backbone; /* whose gradients are golden too */
} golden_case;

/* All that one forward and backward needs. */
typedef struct whole {
  fixture fixture;
  bank_fixture adapters; /* the head is one of the shared tensors */
  adamix_params backbone;
  adamix_inserted_bank *inserted;
  adamix_head *head;
  adamix_workspace *workspace;
  adamix_forward_args args;
  adamix_view z, hidden;
  float *dz;
  adamix_loss loss;
} whole;

static const float *
golden (const whole *w, const char *prefix, const char *name, int64_t count)
{
  char full[128];
  snprintf (full, sizeof full, "%s%s", prefix, name);
  return fixture_golden (&w->fixture, full, count);
}

static void
load (whole *w, adamix_params *params)
{
  for (int64_t r = 0; r < params->rows; r++) {
    adamix_param *row = &params->row[r];
    memcpy (row->value, golden (w, "", row->name, row->count), (size_t) row->count * sizeof (float));
  }
}

static void
prescribe_route (whole *w, const char *name)
{
  const adamix_bank *bank = w->adapters.bank;
  int64_t L = bank->shape.layers;
  char full[64];
  snprintf (full, sizeof full, "%s.route", name);
  const adamix_stored_tensor *stored = adamix_safetensors_find (&w->fixture.golden, full);
  cr_assert (stored != NULL && stored->count == PASSES * L * ADAMIX_PROJECTIONS, "golden tensor %s", full);
  const int32_t *expert = stored->data;
  adamix_route *route = adamix_inserted_bank_route (w->inserted);
  adamix_route_clear (route);
  for (int64_t pass = 0; pass < PASSES; pass++)
    for (int64_t i = 0; i < L; i++)
      for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
        adamix_route_append (route, p, i, w->fixture.batch.tokens, adamix_bank_slot (bank, p, i, *expert++));
}

static void
open_whole (whole *w, const golden_case *c)
{
  *w = (whole){ 0 };
  fixture_open_golden (&w->fixture, c->folder, 2);
  adamix_model *model = w->fixture.model;
  const adamix_batch *batch = &w->fixture.batch;
  const adamix_model_config *config = adamix_model_config_of (model);
  bank_fixture *adapters = &w->adapters;
  adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                              .layers = config->layers,
                              .hidden = config->hidden,
                              .bottleneck = BOTTLENECK,
                              .experts = EXPERTS,
                              .share = c->share,
                              .activation = ADAMIX_ACTIVATION_GELU };
  adamix_workspace_size size = { .passes = PASSES,
                                 .tokens = batch->tokens,
                                 .sequences = batch->sequences,
                                 .longest = batch->tokens,
                                 .backward = true,
                                 .weight_gradients = c->backbone != ADAMIX_TRAIN_NONE,
                                 .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN) };
  must (adamix_model_announce (model, c->backbone, &w->backbone));
  must (adamix_params_allocate (&w->backbone));
  must (adamix_model_link (model, &w->backbone));
  must (adamix_model_pack (model, true));
  must (adamix_head_create (&w->head, model, c->pool, LABELS, PASSES * batch->sequences));
  must (adamix_head_announce (w->head, &adapters->shared));
  must (adamix_bank_create (&adapters->bank, &shape, NULL, &adapters->shared, &adapters->experts));
  must (adamix_params_allocate (&adapters->shared));
  must (adamix_params_allocate (&adapters->experts));
  adamix_head_link (w->head, &adapters->shared);
  adamix_bank_link (adapters->bank, &adapters->shared, &adapters->experts);
  load (w, &adapters->shared);
  load (w, &adapters->experts);
  must (adamix_inserted_bank_create (&w->inserted, adapters->bank, &w->fixture.compute, PASSES * batch->tokens,
                                     PASSES * batch->tokens, true));
  prescribe_route (w, c->name);
  must (adamix_workspace_create (&w->workspace, model, &size));
  w->args = (adamix_forward_args){
    .batch = batch, .passes = PASSES, .training = true, .insertion = adamix_inserted_bank_insertion (w->inserted)
  };
  must (ADAMIX_ALLOC (w->dz, PASSES * batch->sequences * LABELS));
}

static void
close_whole (whole *w)
{
  free (w->dz);
  adamix_workspace_destroy (w->workspace);
  adamix_inserted_bank_destroy (w->inserted);
  adamix_head_destroy (w->head);
  adamix_params_destroy (&w->backbone);
  bank_fixture_close (&w->adapters);
  fixture_close (&w->fixture);
}

static void
run (whole *w)
{
  const adamix_batch *batch = &w->fixture.batch;
  must (adamix_model_forward (w->fixture.model, w->workspace, &w->args, &w->hidden));
  must (adamix_head_forward (w->head, &w->args, w->hidden, &w->z));
  adamix_loss_args args = { .examples = batch->sequences,
                            .outputs = LABELS,
                            .passes = PASSES,
                            .label = batch->label,
                            .scale = 1.0 / (double) batch->sequences,
                            .consistency = CONSISTENCY };
  adamix_view dz = adamix_view_of (w->dz, w->z.rows, w->z.cols);
  adamix_loss_compute (&args, w->z, dz, &w->loss);
  adamix_view dhidden = adamix_workspace_gradient (w->workspace, w->hidden.rows);
  must (adamix_head_backward (w->head, &w->args, dz, dhidden));
  must (adamix_model_backward (w->fixture.model, w->workspace, &w->args, dhidden));
}

static void
expect_close (const char *what, const float *value, const float *expected, int64_t count)
{
  double error = 0, norm = 0;
  for (int64_t e = 0; e < count; e++) {
    double difference = (double) value[e] - expected[e];
    error += difference * difference;
    norm += (double) expected[e] * expected[e];
  }
  bool vanishes = norm > 0 && sqrt (norm) < VANISHED;
  double allowed = vanishes ? ROUNDING : TOLERANCE * sqrt (norm);
  cr_expect (sqrt (error) <= allowed, "%s: off by %g of %g", what, sqrt (error), sqrt (norm));
}

/* Where no route leads the golden gradient is zero, and so has ours to be. */
static int64_t
check_gradients (const whole *w, const char *prefix, const adamix_params *params)
{
  int64_t reached = 0;
  for (int64_t r = 0; r < params->rows; r++) {
    const adamix_param *row = &params->row[r];
    expect_close (row->name, row->grad, golden (w, prefix, row->name, row->count), row->count);
    reached += *row->touched > 0;
  }
  return reached;
}

/* Of all rows, or of the first of each sequence. */
static void
check_hidden (const whole *w, const char *prefix)
{
  const adamix_batch *batch = w->args.batch;
  const int64_t H = w->hidden.cols, all = PASSES * batch->tokens;
  const float *expected = golden (w, prefix, "hidden", all * H);
  if (w->hidden.rows == all) {
    expect_close ("hidden", w->hidden.data, expected, all * H);
    return;
  }
  cr_assert_eq (w->hidden.rows, PASSES * batch->sequences);
  for (int64_t i = 0; i < w->hidden.rows; i++) {
    const int64_t row = i / batch->sequences * batch->tokens + batch->offset[i % batch->sequences];
    expect_close ("a first row of hidden", w->hidden.data + i * H, expected + row * H, H);
  }
}

static void
check_rows (const golden_case *c, bool first_only)
{
  whole w;
  char prefix[32], grad[48];
  snprintf (prefix, sizeof prefix, "%s.", c->name);
  snprintf (grad, sizeof grad, "%s.grad.", c->name);
  open_whole (&w, c);
  w.args.first_only = first_only;
  run (&w);
  cr_expect_eq (w.hidden.rows == PASSES * w.args.batch->sequences, first_only && c->backbone == ADAMIX_TRAIN_NONE);
  int64_t outputs = w.z.rows * w.z.cols;
  const float *loss = golden (&w, prefix, "loss", 3);
  check_hidden (&w, prefix);
  expect_close ("z", w.z.data, golden (&w, prefix, "z", outputs), outputs);
  expect_close ("dz", w.dz, golden (&w, prefix, "dz", outputs), outputs);
  cr_expect (fabs (w.loss.task - loss[0]) <= TOLERANCE * loss[0]);
  cr_expect (fabs (w.loss.consistency - loss[1]) <= TOLERANCE * loss[1] + TOLERANCE * TOLERANCE);
  cr_expect (fabs (w.loss.task + w.loss.consistency - loss[2]) <= TOLERANCE * loss[2]);
  int64_t reached = check_gradients (&w, grad, &w.adapters.experts);
  cr_expect (reached > 0 || c->share == ADAMIX_SHARE_BOTH, "no expert got a gradient");
  cr_expect_eq (check_gradients (&w, grad, &w.adapters.shared), w.adapters.shared.rows);
  cr_expect_eq (check_gradients (&w, grad, &w.backbone), w.backbone.rows);
  close_whole (&w);
}

/* Where the head reads first rows alone, also with no other computed by the last layer. */
static void
check_case (const golden_case *c)
{
  check_rows (c, false);
  if (c->pool == ADAMIX_POOL_POOLER) check_rows (c, true);
}

Test (adamix_gradients, nothing_shared)
{
  check_case (&(golden_case){ FIXTURE_BERT, "none.mean", ADAMIX_SHARE_NONE, ADAMIX_POOL_MEAN, ADAMIX_TRAIN_NONE });
}

Test (adamix_gradients, down_shared)
{
  check_case (&(golden_case){ FIXTURE_BERT, "down.mean", ADAMIX_SHARE_DOWN, ADAMIX_POOL_MEAN, ADAMIX_TRAIN_NONE });
}

Test (adamix_gradients, up_shared)
{
  check_case (&(golden_case){ FIXTURE_BERT, "up.pooler", ADAMIX_SHARE_UP, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_NONE });
}

Test (adamix_gradients, both_shared)
{
  check_case (&(golden_case){ FIXTURE_BERT, "both.pooler", ADAMIX_SHARE_BOTH, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_NONE });
}

/* ---- the other architectures, with their own heads and, once, every tensor of the backbone ---------------------------- */

static void
check_architecture (const char *folder)
{
  check_case (&(golden_case){ folder, "none.pooler", ADAMIX_SHARE_NONE, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_ALL });
  check_case (&(golden_case){ folder, "up.pooler", ADAMIX_SHARE_UP, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_NONE });
}

Test (adamix_gradients, roberta)
{
  check_architecture ("roberta-tiny");
}

Test (adamix_gradients, distilbert)
{
  check_architecture ("distilbert-tiny");
}

Test (adamix_gradients, electra)
{
  check_architecture ("electra-tiny");
}

/* ---- first rows alone, with dropout and a route for each token --------------------------------------------------------- */

static void
open_random (whole *w, const golden_case *c, bool first_only)
{
  open_whole (w, c);
  const adamix_batch *batch = w->args.batch;
  const adamix_route_context context = { .passes = PASSES,
                                         .tokens = batch->tokens,
                                         .sequences = batch->sequences,
                                         .offset = batch->offset,
                                         .sample = batch->sample };
  adamix_route_policy_find ("stochastic-token")
      ->fill (w->adapters.bank, &context, adamix_inserted_bank_route (w->inserted));
  w->args.dropout = 0.3F;
  w->args.first_only = first_only;
  run (w);
}

/* Sums over rows of which all but the first of a sequence are zero, with the zeros and without: in another order. */
static void
expect_same (const char *what, const float *value, const float *expected, int64_t count)
{
  const double rounding = 2e-6;
  double error = 0, norm = 0;
  for (int64_t e = 0; e < count; e++) {
    error += ((double) value[e] - expected[e]) * ((double) value[e] - expected[e]);
    norm += (double) expected[e] * expected[e];
  }
  cr_expect (sqrt (error) <= rounding * sqrt (norm), "%s: off by %g of %g", what, sqrt (error), sqrt (norm));
}

Test (adamix_gradients, first_rows_alone_are_those_of_all)
{
  static const char *const folder[] = { FIXTURE_BERT, "roberta-tiny", "distilbert-tiny", "electra-tiny" };
  for (size_t f = 0; f < sizeof folder / sizeof *folder; f++) {
    const golden_case c = { folder[f], "up.pooler", ADAMIX_SHARE_UP, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_NONE };
    whole all, first;
    open_random (&all, &c, false);
    open_random (&first, &c, true);
    const adamix_params *sets[2][2] = { { &all.adapters.shared, &first.adapters.shared },
                                        { &all.adapters.experts, &first.adapters.experts } };
    expect_same ("z", first.z.data, all.z.data, all.z.rows * all.z.cols);
    for (int s = 0; s < 2; s++)
      for (int64_t r = 0; r < sets[s][0]->rows; r++) {
        const adamix_param *a = &sets[s][0]->row[r], *b = &sets[s][1]->row[r];
        expect_same (a->name, b->grad, a->grad, a->count);
        cr_expect_eq (*a->touched, *b->touched, "%s: touched", a->name);
      }
    close_whole (&first);
    close_whole (&all);
  }
}
