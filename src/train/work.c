#include "train/run_private.h"

#include <math.h>

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static double
tokens_of (const adamix_dataset *data)
{
  return data->examples ? (double) data->offset[data->examples] : 0;
}

/* A whole epoch has the tokens of the file; so has each part of one, but for chance. */
static double
trained_tokens (const adamix_run *run)
{
  return tokens_of (&run->data[ADAMIX_SPLIT_TRAIN]) * (double) run->plan.steps / (double) run->plan.steps_per_epoch;
}

/* The dev file during training and, like the test file, at the end. */
static double
evaluated_tokens (const adamix_run *run)
{
  int64_t period;
  adamix_period_parse (run->config->eval_every, run->plan.steps_per_epoch, &period);
  const int64_t during = period ? run->plan.steps / period : 0;
  return (double) (during + 1) * tokens_of (&run->data[ADAMIX_SPLIT_DEV]) + tokens_of (&run->data[ADAMIX_SPLIT_TEST]);
}

/* Two FLOP a parameter and token for each of forward, input gradient and weight gradient. */
static double
flops_per_token (const adamix_run *run)
{
  const bool all = run->method->backbone == ADAMIX_TRAIN_ALL, back = run->method->modules || run->method->backbone;
  const double parameters = (double) adamix_model_linear_parameters (adamix_model_config_of (run->model));
  return 2.0 * (double) (1 + back + all) * (double) run->passes * parameters;
}

static void
count (const adamix_run *run, adamix_train_work *out)
{
  const double parameters = (double) adamix_model_linear_parameters (adamix_model_config_of (run->model));
  *out = (adamix_train_work){ .steps = run->plan.steps, .flops_per_token = flops_per_token (run) };
  out->flops = trained_tokens (run) * out->flops_per_token + evaluated_tokens (run) * 2 * parameters;
}

adamix_err
adamix_train_plan_work (adamix_train_work *out, const adamix_train_args *args)
{
  adamix_err err = ADAMIX_OK;
  const adamix_train_config *c = args->config;
  adamix_run run;
  adamix_run_begin (&run, args);
  ADAMIX_TRY (adamix_compute_agree (&run.compute, args->world, c->gemm, c->precision, c->kernels, args->threads));
  ADAMIX_TRY (adamix_run_open_inputs (&run));
  count (&run, out);
done:
  adamix_run_close (&run);
  return err;
}

/* ---- trying ------------------------------------------------------------------------------------------------------ */

/* The first step touches its memory for the first time. */
#define FIRST_STEPS 1

static adamix_err
time_steps (adamix_run *run, double most, double *tokens, double *seconds)
{
  enum { FEWEST = 3 };
  const double begun = adamix_clock ();
  *tokens = *seconds = 0;
  for (int64_t step = 0; step < run->plan.steps; step++) {
    adamix_step_result result;
    ADAMIX_RETURN_IF (adamix_run_step (run, step, &result));
    if (step < FIRST_STEPS) continue;
    *tokens += (double) result.tokens;
    *seconds += result.seconds;
    if (step >= FEWEST && adamix_clock () - begun > most) break;
  }
  return ADAMIX_OK;
}

adamix_err
adamix_train_try (double *flops_per_second, const adamix_train_args *args, double most)
{
  adamix_err err = ADAMIX_OK;
  double tokens, seconds;
  adamix_run run;
  ADAMIX_RETURN_IF (adamix_run_open_aside (&run, args));
  ADAMIX_TRY (time_steps (&run, most, &tokens, &seconds));
  *flops_per_second = seconds > 0 ? tokens * flops_per_token (&run) / seconds : NAN;
done:
  adamix_run_close (&run);
  return err;
}
