/* What must hold whatever the weights are: sequences do not see each other, passes without dropout are one, threads leave
 * no trace, the backward pass ends where the plan says. */
#include "model/fixture.h"
#include "model/run.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { H = 32, LAYERS = 3, LABELS = 3, SEQUENCES = 5, TOKENS = 73 };

/* ---- packing ------------------------------------------------------------------------------------------------------- */

static void
check_alone (fixture *fixture, const run *together, int64_t s, const run_shape *shape)
{
  run alone;
  adamix_batch batch;
  int64_t first = fixture->batch.offset[s];
  fixture_single (&fixture->batch, s, &batch);
  run_create (&alone, fixture->model, &batch, shape, NULL, NULL);
  alone.args.training = together->args.training;
  alone.args.dropout = together->args.dropout;
  run_forward (&alone);
  /* GEMM may add in another order where the number of rows differs: rounding, about 1e-7 a layer. */
  cr_expect_lt (fixture_error (alone.hidden.data, together->hidden.data + first * H, batch.tokens * H), 1e-5);
  cr_expect_lt (fixture_error (alone.z.data, together->z.data + s * LABELS, LABELS), 1e-5);
  run_destroy (&alone);
  adamix_batch_destroy (&batch);
}

static void
check_packing (bool training, adamix_pool pool)
{
  fixture fixture;
  run together;
  const run_shape shape = { .pool = pool, .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open (&fixture, NULL, 2);
  run_create (&together, fixture.model, &fixture.batch, &shape, NULL, NULL);
  together.args.training = training;
  together.args.dropout = 0.2f;
  run_forward (&together);
  for (int64_t s = 0; s < SEQUENCES; ++s) check_alone (&fixture, &together, s, &shape);
  run_destroy (&together);
  fixture_close (&fixture);
}

Test (encoder, sequences_do_not_see_each_other)
{
  check_packing (false, ADAMIX_POOL_POOLER);
}

/* Masks are keyed by the example, not by its place in a batch. */
Test (encoder, dropout_belongs_to_the_example)
{
  check_packing (true, ADAMIX_POOL_MEAN);
}

/* ---- passes and dropout ---------------------------------------------------------------------------------------------- */

Test (encoder, passes_differ_by_dropout_alone)
{
  fixture fixture;
  run run;
  static float kept[TOKENS * H];
  const run_shape shape = { .outputs = LABELS, .passes = 2, .inference = true };
  size_t half = sizeof kept;
  fixture_open (&fixture, NULL, 2);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  run.args.training = true;
  run_forward (&run);
  cr_expect_arr_eq (run.hidden.data, run.hidden.data + TOKENS * H, half);
  run.args.dropout = 0.1f;
  run_forward (&run);
  cr_expect_arr_neq (run.hidden.data, run.hidden.data + TOKENS * H, half);
  memcpy (kept, run.hidden.data, half);
  run_forward (&run);
  cr_expect_arr_eq (run.hidden.data, kept, half);
  run.args.step++;
  run_forward (&run);
  cr_expect_arr_neq (run.hidden.data, kept, half);
  run_destroy (&run);
  fixture_close (&fixture);
}

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

/* Gradients of all tensors after a training forward; the caller frees them. */
static float *
gradients (adamix_trainable trainable, int64_t recomputed, int threads, int64_t *count)
{
  fixture fixture;
  run run;
  float dz[2 * SEQUENCES * LABELS], *out = NULL;
  const run_shape shape = { .outputs = LABELS, .passes = 2, .trainable = trainable, .recomputed = recomputed };
  fixture_open (&fixture, NULL, threads);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  run.args.training = true;
  run.args.dropout = 0.1f;
  run_noise (dz, 2 * SEQUENCES * LABELS, 0);
  run_forward (&run);
  run_backward (&run, dz);
  *count = run.params.count + run.params.rows;
  cr_assert_eq (ADAMIX_ALLOC (out, *count), ADAMIX_OK);
  memcpy (out, run.params.grads, (size_t) *count * sizeof *out);
  run_destroy (&run);
  fixture_close (&fixture);
  return out;
}

Test (encoder, threads_leave_no_trace)
{
  int64_t count[3];
  float *gradient[3];
  for (int i = 0; i < 3; ++i) gradient[i] = gradients (ADAMIX_TRAIN_ALL, 0, i + 1, &count[i]);
  for (int i = 1; i < 3; ++i) {
    cr_assert_eq (count[i], count[0]);
    cr_expect_arr_eq (gradient[i], gradient[0], (size_t) count[0] * sizeof (float));
  }
  for (int i = 0; i < 3; ++i) free (gradient[i]);
}

/* ---- where the backward pass ends ---------------------------------------------------------------------------------- */

#define FFN    ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN)
#define BOTH   (FFN | ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION))
#define LINEAR ADAMIX_PLACES_LINEAR

/* Modules x / 4 that note how they are called. */
typedef struct recorder {
  adamix_insertion insertion;
  adamix_backward_hooks hooks;
  char log[256];
  double gradient[LAYERS];
} recorder;

static void
note (char log[256], const char *what, int64_t number)
{
  size_t used = strlen (log);
  snprintf (log + used, 256 - used, "%s%d ", what, (int) number);
}

/* A letter a place; in backward a capital one. */
static const char letters[] = "qvaf";

static bool
beside (const adamix_site *site)
{
  return ADAMIX_PLACE_BIT (site->place) & ADAMIX_PLACES_LINEAR;
}

static adamix_err
record_forward (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view y)
{
  const char word[2] = { letters[site->place] };
  note (((recorder *) self)->log, word, site->layer);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t h = 0; h < H; ++h) {
      const float in = x.data[r * x.stride + h];
      float *out = &y.data[r * y.stride + h];
      *out = beside (site) ? *out + 0.25f * in : 1.25f * in;
    }
  return ADAMIX_OK;
}

static adamix_err
record_backward (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view dy, adamix_view dx)
{
  recorder *recorder = (struct recorder *) self;
  char word[8];
  snprintf (word, sizeof word, "%c%s", toupper (letters[site->place]), dx.data ? "" : "end");
  note (recorder->log, word, site->layer);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t h = 0; h < H; ++h) {
      const float d = dy.data[r * dy.stride + h];
      recorder->gradient[site->layer] += (double) d * x.data[r * x.stride + h];
      if (!dx.data) continue;
      float *out = &dx.data[r * dx.stride + h];
      *out = beside (site) ? *out + 0.25f * d : 1.25f * d;
    }
  return ADAMIX_OK;
}

static adamix_err
record_ready (adamix_backward_hooks *self, int64_t layer)
{
  note (((recorder *) ((char *) self - offsetof (recorder, hooks)))->log, "r", layer);
  return ADAMIX_OK;
}

static recorder
record (run_shape shape, adamix_place_set places)
{
  fixture fixture;
  run run;
  float dz[2 * SEQUENCES * LABELS];
  recorder recorder = { .insertion = { places, record_forward, record_backward }, .hooks = { record_ready } };
  shape.outputs = LABELS;
  shape.passes = 2;
  shape.places = places;
  fixture_open (&fixture, NULL, 2);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  run.args.insertion = &recorder.insertion;
  run.args.hooks = &recorder.hooks;
  run.args.training = true;
  run.args.dropout = 0.1f;
  run_noise (dz, 2 * SEQUENCES * LABELS, 0);
  run_forward (&run);
  run_backward (&run, dz);
  run_destroy (&run);
  fixture_close (&fixture);
  return recorder;
}

Test (encoder, backward_ends_at_the_lowest_module)
{
  recorder all = record ((run_shape){ 0 }, FFN);
  cr_expect_str_eq (all.log, "f0 f1 f2 F2 r2 F1 r1 Fend0 r0 ");
  recorder upper = record ((run_shape){ .lowest_layer = 1 }, FFN);
  cr_expect_str_eq (upper.log, "f0 f1 f2 F2 r2 Fend1 r1 ");
  cr_expect_eq (upper.gradient[2], all.gradient[2]);
  cr_expect_eq (upper.gradient[1], all.gradient[1]);
}

Test (encoder, backward_serves_both_places)
{
  recorder all = record ((run_shape){ 0 }, BOTH);
  cr_expect_str_eq (all.log, "a0 f0 a1 f1 a2 f2 F2 A2 r2 F1 A1 r1 F0 Aend0 r0 ");
  recorder upper = record ((run_shape){ .lowest_layer = 2 }, BOTH);
  cr_expect_str_eq (upper.log, "a0 f0 a1 f1 a2 f2 F2 Aend2 r2 ");
  cr_expect_eq (upper.gradient[2], all.gradient[2]);
}

Test (encoder, backward_serves_query_and_value)
{
  recorder all = record ((run_shape){ 0 }, LINEAR);
  cr_expect_str_eq (all.log, "q0 v0 q1 v1 q2 v2 V2 Q2 r2 V1 Q1 r1 Vend0 Qend0 r0 ");
  recorder upper = record ((run_shape){ .lowest_layer = 2 }, LINEAR);
  cr_expect_str_eq (upper.log, "q0 v0 q1 v1 q2 v2 Vend2 Qend2 r2 ");
  cr_expect_eq (upper.gradient[2], all.gradient[2]);
  recorder every = record ((run_shape){ 0 }, LINEAR | BOTH);
  cr_expect_str_eq (every.log,
                    "q0 v0 a0 f0 q1 v1 a1 f1 q2 v2 a2 f2 F2 A2 V2 Q2 r2 F1 A1 V1 Q1 r1 F0 A0 Vend0 Qend0 r0 ");
}

Test (encoder, backward_goes_down_where_the_backbone_trains)
{
  recorder frozen = record ((run_shape){ 0 }, FFN);
  recorder biases = record ((run_shape){ .trainable = ADAMIX_TRAIN_BIASES, .lowest_layer = 1 }, FFN);
  cr_expect_str_eq (biases.log, "f0 f1 f2 F2 r2 F1 r1 F0 r0 r-1 ");
  for (int i = 0; i < LAYERS; ++i) cr_expect_eq (biases.gradient[i], frozen.gradient[i]);
}

/* ---- layers that are computed again ------------------------------------------------------------------------------------ */

static void
check_recomputed (run_shape shape, adamix_place_set places, const char *log)
{
  recorder again = record (shape, places);
  shape.recomputed = 0;
  recorder kept = record (shape, places);
  cr_expect_str_eq (again.log, log);
  cr_expect_arr_eq (again.gradient, kept.gradient, sizeof kept.gradient);
}

Test (encoder, layers_that_are_computed_again_have_the_same_gradients)
{
  check_recomputed ((run_shape){ .recomputed = 1 }, FFN, "f0 f1 f2 F2 r2 f1 F1 r1 Fend0 r0 ");
  check_recomputed ((run_shape){ .recomputed = 2 }, FFN, "f0 f1 f2 F2 r2 f1 F1 r1 f0 Fend0 r0 ");
  check_recomputed ((run_shape){ .recomputed = 2, .pool = ADAMIX_POOL_MEAN }, BOTH,
                    "a0 f0 a1 f1 a2 f2 F2 A2 r2 a1 f1 F1 A1 r1 a0 f0 F0 Aend0 r0 ");
  check_recomputed ((run_shape){ .recomputed = 1 }, LINEAR,
                    "q0 v0 q1 v1 q2 v2 V2 Q2 r2 q1 v1 V1 Q1 r1 Vend0 Qend0 r0 ");
  check_recomputed ((run_shape){ .recomputed = 1, .lowest_layer = 1 }, FFN, "f0 f1 f2 F2 r2 f1 Fend1 r1 ");
}

Test (encoder, so_do_the_backbones_tensors)
{
  const adamix_trainable which[] = { ADAMIX_TRAIN_BIASES, ADAMIX_TRAIN_ALL };
  for (int i = 0; i < 2; ++i) {
    int64_t count[LAYERS];
    float *gradient[LAYERS];
    for (int64_t r = 0; r < LAYERS; ++r) gradient[r] = gradients (which[i], r, 2, &count[r]);
    for (int r = 1; r < LAYERS; ++r) cr_expect_arr_eq (gradient[r], gradient[0], (size_t) count[0] * sizeof (float));
    for (int r = 0; r < LAYERS; ++r) free (gradient[r]);
  }
}

static size_t
bytes_of (const adamix_model *model, int64_t recomputed)
{
  size_t bytes = 0;
  const adamix_workspace_size size = { .passes = 2,
                                       .tokens = TOKENS,
                                       .sequences = SEQUENCES,
                                       .longest = TOKENS,
                                       .backward = true,
                                       .places = FFN,
                                       .recomputed = recomputed };
  cr_assert_eq (adamix_workspace_recomputable (model, &size), LAYERS - 1);
  cr_assert_eq (adamix_workspace_measure (&bytes, model, &size), ADAMIX_OK);
  return bytes;
}

Test (encoder, each_layer_that_is_computed_again_saves_memory)
{
  fixture fixture;
  fixture_open (&fixture, NULL, 1);
  for (int64_t r = 1; r < LAYERS; ++r) cr_expect_lt (bytes_of (fixture.model, r), bytes_of (fixture.model, r - 1));
  fixture_close (&fixture);
}

/* ---- mistakes -------------------------------------------------------------------------------------------------------- */

Test (encoder, refuses_what_does_not_fit)
{
  fixture fixture;
  run run;
  adamix_view hidden;
  const run_shape shape = { .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open (&fixture, NULL, 1);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  struct {
    int32_t *where, value;
    const char *word;
  } wrong[] = { { &fixture.batch.id[3], 104, "104" },
                { &fixture.batch.id[3], -1, "-1" },
                { &fixture.batch.type[3], 2, "type" } };
  for (int i = 0; i < 3; ++i) {
    int32_t right = *wrong[i].where;
    *wrong[i].where = wrong[i].value;
    cr_expect_eq (adamix_model_forward (run.model, run.workspace, &run.args, &hidden), ADAMIX_EDATA);
    cr_expect (strstr (adamix_err_message (), wrong[i].word));
    *wrong[i].where = right;
  }
  fixture.batch.offset[1] = 41; /* longer than the 40 positions */
  cr_expect_eq (adamix_model_forward (run.model, run.workspace, &run.args, &hidden), ADAMIX_EDATA);
  cr_expect (strstr (adamix_err_message (), "--max-length"));
  fixture.batch.offset[1] = 7;
  run.args.passes = 2;
  cr_expect_eq (adamix_model_forward (run.model, run.workspace, &run.args, &hidden), ADAMIX_ESHAPE);
  run.args.passes = 1;
  run_forward (&run);
  cr_expect_eq (adamix_model_backward (run.model, run.workspace, &run.args, hidden), ADAMIX_EUSAGE);
  run_destroy (&run);
  fixture_close (&fixture);
}

/* A model with one token type, and texts that came as pairs. */
Test (encoder, refuses_a_type_that_the_model_lacks)
{
  fixture fixture;
  run run;
  adamix_view hidden;
  const run_shape shape = { .outputs = LABELS, .passes = 1, .inference = true };
  fixture_open_golden (&fixture, "roberta-tiny", 1);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  fixture.batch.type[3] = 1;
  cr_expect_eq (adamix_model_forward (run.model, run.workspace, &run.args, &hidden), ADAMIX_EDATA);
  cr_expect (strstr (adamix_err_message (), "token type 1"));
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (encoder, empty_batch_is_no_special_case)
{
  recorder recorder = { .insertion = { FFN, record_forward, record_backward }, .hooks = { record_ready } };
  fixture fixture;
  run run;
  float dz = 0;
  const run_shape shape = { .outputs = LABELS, .passes = 2, .places = FFN };
  fixture_open (&fixture, NULL, 1);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  fixture.batch.sequences = fixture.batch.tokens = 0;
  run.args.insertion = &recorder.insertion;
  run.args.hooks = &recorder.hooks;
  run_forward (&run);
  cr_expect (run.hidden.rows == 0 && run.z.rows == 0);
  run_backward (&run, &dz);
  cr_expect_str_eq (recorder.log, "r2 r1 r0 ");
  run_destroy (&run);
  fixture_close (&fixture);
}
