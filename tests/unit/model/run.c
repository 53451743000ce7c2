#include "model/run.h"

#include <criterion/criterion.h>
#include <string.h>

#define MUST(call) cr_assert_eq ((call), ADAMIX_OK, "%s", adamix_err_message ())

static int64_t
longest_of (const adamix_batch *batch)
{
  int64_t longest = 0;
  for (int64_t s = 0; s < batch->sequences; ++s) {
    int64_t n = batch->offset[s + 1] - batch->offset[s];
    if (n > longest) longest = n;
  }
  return longest;
}

void
run_create (run *run, adamix_model *model, const adamix_batch *batch, const run_shape *shape, const float *weight,
            const float *bias)
{
  *run = (struct run){ .model = model };
  run->args = (adamix_forward_args){ .batch = batch, .passes = shape->passes, .seed = 5, .step = 3 };
  MUST (adamix_head_create (&run->head, model, shape->pool, shape->outputs, shape->passes * batch->sequences));
  MUST (adamix_head_announce (run->head, &run->params));
  MUST (adamix_model_announce (model, shape->trainable, &run->params));
  MUST (adamix_params_allocate (&run->params));
  MUST (adamix_model_link (model, &run->params));
  adamix_head_link (run->head, &run->params);
  adamix_head_initialise (run->head, 1);
  MUST (adamix_model_pack (model, true));
  const char *names[] = { "head.weight", "head.bias" };
  const float *values[] = { weight, bias };
  for (int i = 0; i < 2; ++i) {
    const adamix_param *row = values[i] ? run_param (&run->params, names[i]) : NULL;
    if (row) memcpy (row->value, values[i], (size_t) row->count * sizeof (float));
  }

  const adamix_workspace_size size = { .passes = shape->passes,
                                       .tokens = batch->tokens,
                                       .sequences = batch->sequences,
                                       .longest = longest_of (batch),
                                       .backward = !shape->inference,
                                       .weight_gradients = shape->trainable != ADAMIX_TRAIN_NONE,
                                       .places = shape->places,
                                       .lowest_layer = shape->lowest_layer,
                                       .recomputed = shape->recomputed };
  MUST (adamix_workspace_create (&run->workspace, model, &size));
}

void
run_destroy (run *run)
{
  adamix_workspace_destroy (run->workspace);
  adamix_head_destroy (run->head);
  adamix_params_destroy (&run->params);
}

void
run_forward (run *run)
{
  MUST (adamix_model_forward (run->model, run->workspace, &run->args, &run->hidden));
  MUST (adamix_head_forward (run->head, &run->args, run->hidden, &run->z));
}

void
run_backward (run *run, const float *dz)
{
  adamix_params_zero_grads (&run->params);
  adamix_view gradient = adamix_workspace_gradient (run->workspace, run->hidden.rows);
  adamix_view dz_view = adamix_view_of ((float *) dz, run->z.rows, run->z.cols);
  MUST (adamix_head_backward (run->head, &run->args, dz_view, gradient));
  MUST (adamix_model_backward (run->model, run->workspace, &run->args, gradient));
}

double
run_value (run *run, const float *dz)
{
  double sum = 0;
  run_forward (run);
  for (int64_t i = 0; i < run->z.rows * run->z.cols; ++i) sum += (double) dz[i] * run->z.data[i];
  return sum;
}

void
run_noise (float *out, int64_t count, uint32_t which)
{
  const adamix_rng rng = adamix_rng_stream (99, ADAMIX_RNG_EVAL);
  for (int64_t i = 0; i < count; ++i) {
    adamix_rng_counter bits = adamix_rng_bits (rng, (adamix_rng_counter){ { which, (uint32_t) i, 0, 0 } });
    out[i] = (float) (bits.word[0] / 2147483648.0 - 1);
  }
}

adamix_param *
run_param (const adamix_params *params, const char *name)
{
  for (int64_t i = 0; i < params->rows; ++i)
    if (!strcmp (params->row[i].name, name)) return &params->row[i];
  cr_assert_fail ("no parameter %s", name);
  return NULL;
}
