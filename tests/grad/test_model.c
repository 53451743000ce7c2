/* Finite differences of the encoder and its heads: the gradient of a fixed random functional <dz, z> of the logits.
 *
 * Five-point central differences, (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h, with h = 1/64: the truncation, of the order
 * of h^4 / 30 = 2e-9 of the fifth derivative, does not count.  The functional is about 1 / 4 and carries fp32 rounding of
 * a few 1e-8 from the logits, which the quotient turns into some 1e-6 to 1e-5 whatever the entry: NOISE.  Of each tensor the
 * largest entry is checked, where it is a hundred times that; RELATIVE is for large entries, whose f bends more. */
#include "model/fixture.h"
#include "model/run.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { H = 32, LAYERS = 3, LABELS = 3, SEQUENCES = 5, ROWS = 2 * SEQUENCES * LABELS, SAMPLES = 4 };
static const float STEP = 1.0f / 64;
static const double NOISE = 4e-5, RELATIVE = 1e-3;

/* d <dz, z> / d *x. */
static double
difference (run *run, const float *dz, float *x)
{
  const double weight[2] = { 8, -1 };
  float middle = *x;
  double sum = 0;
  for (int i = 0; i < 2; ++i) {
    float step = STEP * (float) (i + 1);
    double f[2];
    for (int side = 0; side < 2; ++side) {
      *x = side ? middle - step : middle + step;
      cr_assert_eq (adamix_model_repack (run->model), ADAMIX_OK);
      f[side] = run_value (run, dz);
    }
    sum += weight[i] * (f[0] - f[1]);
  }
  *x = middle;
  cr_assert_eq (adamix_model_repack (run->model), ADAMIX_OK);
  return sum / (12 * (double) STEP);
}

static void
check_entry (run *run, const float *dz, const char *name, float *value, double gradient, int64_t entry)
{
  double expected = difference (run, dz, value), error = fabs (gradient - expected);
  cr_expect_lt (error, NOISE + RELATIVE * fabs (expected), "%s[%d]: gradient %g, difference %g", name, (int) entry,
                gradient, expected);
}

/* The entry of the largest gradient, and others spread over the tensor. */
static void
check_param (run *run, const float *dz, const adamix_param *param)
{
  float gradient[SAMPLES];
  int64_t entry[SAMPLES] = { 0 };
  for (int64_t i = 0; i < param->count; ++i)
    if (fabsf (param->grad[i]) > fabsf (param->grad[entry[0]])) entry[0] = i;
  for (int i = 1; i < SAMPLES; ++i) entry[i] = i * 7919 % param->count;
  for (int i = 0; i < SAMPLES; ++i) gradient[i] = param->grad[entry[i]];
  for (int i = 0; i < SAMPLES; ++i) check_entry (run, dz, param->name, param->value + entry[i], gradient[i], entry[i]);
}

/* The head's matrices, not the tiny values they start with. */
static void
fill_head (run *run)
{
  for (int64_t i = 0; i < run->params.rows; ++i) {
    adamix_param *param = &run->params.row[i];
    if (param->rank == 2 && !strncmp (param->name, "head.", 5))
      run_noise (param->value, param->count, 2 + (uint32_t) i);
  }
}

static void
prepare (fixture *fixture, const char *folder, run *run, const run_shape *shape, float dz[ROWS])
{
  fixture_open_golden (fixture, folder, 1);
  run_create (run, fixture->model, &fixture->batch, shape, NULL, NULL);
  run_noise (dz, ROWS, 1);
  fill_head (run);
  for (int i = 0; i < ROWS; ++i) dz[i] /= ROWS;
  run->args.training = true;
  run->args.dropout = 0.1f;
}

/* Which rows the chosen set has, and whether the pooler's are touched, is part of what is checked. */
static void
check_backbone (const char *folder, adamix_pool pool, adamix_trainable which, int64_t rows)
{
  fixture fixture;
  run run;
  float dz[ROWS];
  const run_shape shape = { .pool = pool, .outputs = LABELS, .passes = 2, .trainable = which };
  prepare (&fixture, folder, &run, &shape, dz);
  run_forward (&run);
  run_backward (&run, dz);
  cr_expect_eq (run.params.rows, rows);
  for (int64_t i = 0; i < run.params.rows; ++i) {
    const adamix_param *param = &run.params.row[i];
    bool used = pool == ADAMIX_POOL_POOLER || !strstr (param->name, "pooler");
    cr_expect_eq (*param->touched, used, "%s", param->name);
    check_param (&run, dz, param);
  }
  run_destroy (&run);
  fixture_close (&fixture);
}

enum { ALL_TENSORS = 2 + 7 + 16 * LAYERS, ALL_BIASES = 2 + 2 + 8 * LAYERS };

Test (model, every_tensor_with_pooler)
{
  check_backbone (FIXTURE_BERT, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_ALL, ALL_TENSORS);
}

Test (model, every_tensor_with_mean)
{
  check_backbone (FIXTURE_BERT, ADAMIX_POOL_MEAN, ADAMIX_TRAIN_ALL, ALL_TENSORS);
}

Test (model, biases)
{
  check_backbone (FIXTURE_BERT, ADAMIX_POOL_POOLER, ADAMIX_TRAIN_BIASES, ALL_BIASES);
}

enum { ROBERTA_TENSORS = 4 + 5 + 16 * 2, ROBERTA_MEAN_TENSORS = ROBERTA_TENSORS - 2 };

Test (model, roberta_with_its_own_head)
{
  check_backbone ("roberta-tiny", ADAMIX_POOL_POOLER, ADAMIX_TRAIN_ALL, ROBERTA_TENSORS);
}

Test (model, roberta_with_mean)
{
  check_backbone ("roberta-tiny", ADAMIX_POOL_MEAN, ADAMIX_TRAIN_ALL, ROBERTA_MEAN_TENSORS);
}

enum { ELECTRA_TENSORS = 4 + 5 + 2 + 16 * 2, ELECTRA_BIASES = 4 + 1 + 1 + 8 * 2 };

/* Its embeddings are narrower than its layers: a projection joins them. */
Test (model, electra_with_its_own_head)
{
  check_backbone ("electra-tiny", ADAMIX_POOL_POOLER, ADAMIX_TRAIN_ALL, ELECTRA_TENSORS);
}

Test (model, electra_biases)
{
  check_backbone ("electra-tiny", ADAMIX_POOL_POOLER, ADAMIX_TRAIN_BIASES, ELECTRA_BIASES);
}

/* Gradients are added to what is there. */
Test (model, gradients_add_up)
{
  fixture fixture;
  run run;
  float dz[ROWS];
  const run_shape shape = { .outputs = LABELS, .passes = 2, .trainable = ADAMIX_TRAIN_ALL };
  static float once[64 * 1024];
  prepare (&fixture, FIXTURE_BERT, &run, &shape, dz);
  run_forward (&run);
  run_backward (&run, dz);
  cr_assert_leq (run.params.count, 64 * 1024);
  memcpy (once, run.params.grads, (size_t) run.params.count * sizeof *once);
  run_forward (&run);
  adamix_view gradient = adamix_workspace_gradient (run.workspace, run.hidden.rows);
  cr_assert_eq (adamix_head_backward (run.head, &run.args, adamix_view_of (dz, 2 * SEQUENCES, LABELS), gradient), 0);
  cr_assert_eq (adamix_model_backward (run.model, run.workspace, &run.args, gradient), 0);
  for (int64_t i = 0; i < run.params.count; ++i)
    cr_assert_float_eq (run.params.grads[i], 2 * once[i], 1e-5 * (1 + fabsf (once[i])));
  run_destroy (&run);
  fixture_close (&fixture);
}

/* ---- modules in a frozen backbone ---------------------------------------------------------------------------------- */

/* module (x) = scale x, a vector for each layer and place. */
typedef struct scaling {
  adamix_insertion insertion;
  float scale[ADAMIX_PLACES][LAYERS][H], grad[ADAMIX_PLACES][LAYERS][H];
} scaling;

/* Beside a linear map a module is added to what is there, else to its input. */
static bool
beside (const adamix_site *site)
{
  return ADAMIX_PLACE_BIT (site->place) & ADAMIX_PLACES_LINEAR;
}

static adamix_err
scale_forward (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view y)
{
  const float *scale = ((scaling *) self)->scale[site->place][site->layer];
  for (int64_t i = 0; i < x.rows * H; ++i) {
    const float in = x.data[i / H * x.stride + i % H];
    float *out = &y.data[i / H * y.stride + i % H];
    *out = (beside (site) ? *out : in) + in * scale[i % H];
  }
  return ADAMIX_OK;
}

static adamix_err
scale_backward (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view dy, adamix_view dx)
{
  const float *scale = ((scaling *) self)->scale[site->place][site->layer];
  float *grad = ((scaling *) self)->grad[site->place][site->layer];
  for (int64_t i = 0; i < x.rows * H; ++i) {
    const float d = dy.data[i / H * dy.stride + i % H];
    grad[i % H] += d * x.data[i / H * x.stride + i % H];
    if (!dx.data) continue;
    float *out = &dx.data[i / H * dx.stride + i % H];
    *out = (beside (site) ? *out : d) + d * scale[i % H];
  }
  return ADAMIX_OK;
}

#define FFN       ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN)
#define ATTENTION ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION)

static void
check_modules (adamix_place_set places, adamix_pool pool)
{
  fixture fixture;
  run run;
  float dz[ROWS];
  scaling scaling = { .insertion = { places, scale_forward, scale_backward } };
  const run_shape shape = { .pool = pool, .outputs = LABELS, .passes = 2, .places = places };
  prepare (&fixture, FIXTURE_BERT, &run, &shape, dz);
  run.args.insertion = &scaling.insertion;
  run_noise (&scaling.scale[0][0][0], ADAMIX_PLACES * LAYERS * H, 3);
  run_forward (&run);
  run_backward (&run, dz);
  for (int place = 0; place < ADAMIX_PLACES; ++place) {
    for (int64_t i = 0; (places & ADAMIX_PLACE_BIT (place)) && i < LAYERS * H; i += 5) {
      char name[32];
      snprintf (name, sizeof name, "place %d layer %d", place, (int) (i / H));
      float *value = &scaling.scale[place][0][0] + i;
      check_entry (&run, dz, name, value, (&scaling.grad[place][0][0])[i], i % H);
    }
  }
  run_destroy (&run);
  fixture_close (&fixture);
}

Test (model, modules_after_ffn)
{
  check_modules (FFN, ADAMIX_POOL_MEAN);
}

Test (model, modules_in_both_places)
{
  check_modules (FFN | ATTENTION, ADAMIX_POOL_POOLER);
}

Test (model, modules_beside_query_and_value)
{
  check_modules (ADAMIX_PLACES_LINEAR, ADAMIX_POOL_MEAN);
}

Test (model, modules_in_all_places)
{
  check_modules (ADAMIX_PLACES_LINEAR | FFN | ATTENTION, ADAMIX_POOL_POOLER);
}
