#include "train/run_private.h"

#include <stdlib.h>

/* Not timed: the first step touches its memory for the first time. */
#define FIRST_STEPS 1

/* How often updates and rotations are made, to take the median. */
#define REPETITIONS 5

enum { PART_SECONDS, PART_COMPUTE, PART_WAIT, PART_EXCHANGE, PARTS };

/* A list of times for each part of a step. */
typedef struct samples {
  double *part[PARTS];
  int64_t tokens, examples;
} samples;

static adamix_err
time_steps (adamix_run *run, int64_t steps, samples *s)
{
  for (int64_t step = 0; step < FIRST_STEPS + steps; step++) {
    adamix_step_result result;
    const double wait = run->wait_seconds, comm = run->comm_seconds;
    const int64_t i = step - FIRST_STEPS;
    if (i == 0 && run->compute.profile) *run->compute.profile = (adamix_profile){ 0 };
    ADAMIX_RETURN_IF (adamix_run_step (run, step, &result));
    if (i < 0) continue;
    s->part[PART_SECONDS][i] = result.seconds;
    s->part[PART_WAIT][i] = run->wait_seconds - wait;
    s->part[PART_EXCHANGE][i] = run->comm_seconds - comm;
    s->part[PART_COMPUTE][i] = result.seconds - s->part[PART_WAIT][i] - s->part[PART_EXCHANGE][i];
    s->tokens += result.tokens;
    s->examples += result.examples;
  }
  return ADAMIX_OK;
}

/* The last step's gradients once more, at a rate of 0. */
static double
time_update (adamix_run *run)
{
  double seconds[REPETITIONS];
  for (int i = 0; i < REPETITIONS; i++) {
    const double start = adamix_clock ();
    adamix_optimizer_update (&run->shared_optimizer, 0, 1);
    adamix_optimizer_update (&run->experts_optimizer, 0, 1);
    seconds[i] = adamix_clock () - start;
  }
  return adamix_median (seconds, REPETITIONS);
}

/* To the deals after that in force; the steps behind them are not made. */
static adamix_err
time_rotation (adamix_run *run, double *out)
{
  double seconds[REPETITIONS];
  const int64_t period = run->config->rotate_every;
  *out = 0;
  if (!run->bank || run->placement.groups == 1 || period == 0) return ADAMIX_OK;
  for (int i = 0; i < REPETITIONS; i++) {
    ADAMIX_RETURN_IF (adamix_comm_arrive (run->args->world));
    const double start = adamix_clock ();
    ADAMIX_RETURN_IF (adamix_run_rotate (run, (run->placement.round + 1) * period));
    seconds[i] = adamix_clock () - start;
  }
  *out = adamix_median (seconds, REPETITIONS);
  return ADAMIX_OK;
}

/* Of a step, with the FLOP of all ranks and means of their seconds. */
static adamix_err
summarise_profile (const adamix_run *run, int64_t steps, adamix_profile *out)
{
  adamix_comm *world = run->args->world;
  if (!run->compute.profile) return ADAMIX_OK;
  *out = *run->compute.profile;
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (world, out->seconds, ADAMIX_STAGE_COUNT));
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (world, out->flops, ADAMIX_STAGE_COUNT));
  for (int s = 0; s < ADAMIX_STAGE_COUNT; s++) {
    out->seconds[s] /= (double) steps * world->size;
    out->flops[s] /= (double) steps;
  }
  return ADAMIX_OK;
}

static double
mean (const double *seconds, int64_t count)
{
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += seconds[i];
  return sum / (double) count;
}

/* Means over the ranks. */
static adamix_err
summarise (const adamix_run *run, samples *s, int64_t steps, double update, double rotation, adamix_step_times *out)
{
  adamix_comm *world = run->args->world;
  double sum[PARTS + 2];
  for (int p = 0; p < PARTS; p++) sum[p] = mean (s->part[p], steps);
  sum[PARTS] = update;
  sum[PARTS + 1] = rotation;
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (world, sum, PARTS + 2));
  for (int p = 0; p < PARTS + 2; p++) sum[p] /= world->size;
  *out = (adamix_step_times){ .passes = run->passes,
                              .examples = (double) s->examples / (double) steps,
                              .tokens = (double) s->tokens / (double) steps,
                              .seconds = sum[PART_SECONDS],
                              .differentiate = sum[PART_COMPUTE] - sum[PARTS],
                              .wait = sum[PART_WAIT],
                              .exchange = sum[PART_EXCHANGE],
                              .update = sum[PARTS],
                              .rotation = sum[PARTS + 1],
                              .has_bank = run->bank != NULL,
                              .shape = run->shape,
                              .shared_values = run->shared.count,
                              .shared_rows = run->shared.rows };
  return summarise_profile (run, steps, &out->profile);
}

static adamix_err
measure (adamix_run *run, int64_t steps, samples *s, adamix_step_times *out)
{
  double rotation;
  ADAMIX_RETURN_IF (adamix_comm_arrive (run->args->world));
  ADAMIX_RETURN_IF (time_steps (run, steps, s));
  const double update = time_update (run);
  ADAMIX_RETURN_IF (time_rotation (run, &rotation));
  return summarise (run, s, steps, update, rotation, out);
}

adamix_err
adamix_train_measure (const adamix_measure_args *args, adamix_step_times *out)
{
  adamix_err err = ADAMIX_OK;
  const int64_t last = FIRST_STEPS + args->steps;
  adamix_train_config config = *args->config;
  config.max_steps = last;
  /* Rotations are made apart, behind the last step. */
  if (config.rotate_every > 0) config.rotate_every = last;
  const adamix_train_args train = { .config = &config, .world = args->world, .threads = args->compute->threads };
  const adamix_run_inputs inputs = {
    .model = args->model, .compute = args->compute, .train = args->train, .outputs = args->outputs
  };
  samples s = { 0 };
  adamix_run run;
  ADAMIX_RETURN_IF (adamix_run_open_on (&run, &train, &inputs));
  for (int p = 0; p < PARTS && !err; p++) err = ADAMIX_ALLOC (s.part[p], args->steps);
  ADAMIX_TRY (adamix_comm_agree (args->world, err));
  ADAMIX_TRY (measure (&run, args->steps, &s, out));
done:
  for (int p = 0; p < PARTS; p++) free (s.part[p]);
  adamix_run_close_on (&run);
  return err;
}
