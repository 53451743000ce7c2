#include "train/run_private.h"

#include <math.h>
#include <string.h>

/* Fill the batch with a shard of step `step`: its examples and the experts that serve them. */
static void
pack (adamix_run *run, int64_t step, int64_t batch, int shard)
{
  const adamix_plan *plan = &run->plan;
  const int64_t first = plan->first[shard], n = plan->first[shard + 1] - first;
  adamix_batch_pack (&run->batch, plan->train, plan->dealt + first, n);
  if (!run->inserted || n == 0) return;
  adamix_route_context context = { .seed = (uint64_t) run->config->seed,
                                   .step = step,
                                   .shard = adamix_placement_route_key (&run->placement, shard),
                                   .passes = run->passes,
                                   .tokens = run->batch.tokens,
                                   .sequences = n,
                                   .offset = run->batch.offset,
                                   .sample = run->batch.sample,
                                   .capacity = run->config->capacity_factor,
                                   .balance = run->config->router_balance * (double) n / (double) batch };
  if (run->routes.expert) context.prescribed = run->routes.expert + step * run->routes.size;
  run->route->fill (run->bank, &context, adamix_inserted_bank_route (run->inserted));
}

/* Forward, loss and backward of the shard in the batch; one without examples adds nothing. */
static adamix_err
differentiate (adamix_run *run, int64_t step, int64_t batch, adamix_loss *loss)
{
  const adamix_train_config *c = run->config;
  const double rise = adamix_schedule_rise (c->consistency_warmup, step, run->plan.steps);
  *loss = (adamix_loss){ 0, 0 };
  if (run->batch.sequences == 0) return ADAMIX_OK;
  adamix_forward_args args = { .batch = &run->batch,
                               .passes = run->passes,
                               .training = true,
                               .dropout = (float) c->dropout,
                               .seed = (uint64_t) c->seed,
                               .step = step,
                               .first_only = adamix_head_reads_first (run->head) && !run->shape.gating,
                               .insertion = run->inserted ? adamix_inserted_bank_insertion (run->inserted) : NULL };
  adamix_view hidden, z, dhidden = { 0 };
  adamix_profile_begin (run->compute.profile);
  ADAMIX_RETURN_IF (adamix_model_forward (run->model, run->workspace, &args, &hidden));
  ADAMIX_RETURN_IF (adamix_head_forward (run->head, &args, hidden, &z));
  adamix_loss_args loss_args = { .examples = run->batch.sequences,
                                 .outputs = run->outputs,
                                 .passes = run->passes,
                                 .label = run->plan.train->label ? run->batch.label : NULL,
                                 .target = run->plan.train->target ? run->batch.target : NULL,
                                 .scale = 1.0 / (double) batch,
                                 .task_on_all = c->task_loss,
                                 .consistency = run->passes > 1 ? c->consistency * rise : 0,
                                 .divergence = (adamix_divergence) c->consistency_loss,
                                 .gradient = (adamix_consistency_gradient) c->consistency_gradient };
  adamix_view dz = adamix_view_of (run->dz, z.rows, z.cols);
  adamix_loss_compute (&loss_args, z, dz, loss);
  const bool below = run->inserted || adamix_run_backbone_trains (run);
  if (below) dhidden = adamix_workspace_gradient (run->workspace, hidden.rows);
  ADAMIX_RETURN_IF (adamix_head_backward (run->head, &args, dz, dhidden));
  adamix_profile_lap (run->compute.profile, ADAMIX_STAGE_HEAD, 0);
  if (!below) return ADAMIX_OK;
  return adamix_model_backward (run->model, run->workspace, &args, dhidden);
}

/* What the routes did in the backward pass. */
static void
take_tally (adamix_run *run, float *riders)
{
  adamix_tally tally = { .load = run->load };
  if (!run->inserted) return;
  memset (run->load, 0, (size_t) run->shape.experts * sizeof *run->load);
  adamix_inserted_bank_tally (run->inserted, &tally);
  riders[RIDER_BALANCE] = (float) tally.balance;
  riders[RIDER_DROPPED] = (float) tally.dropped;
  for (int64_t j = 0; j < run->shape.experts; j++) riders[RIDER_LOAD + j] = (float) run->load[j];
}

/* The gradients of this rank's shards: of its one shard in the sets, of several as parts.  Scalars, errors and the stop
 * flag ride along. */
static adamix_err
differentiate_shards (adamix_run *run, int64_t step, int64_t batch)
{
  adamix_err err = run->deferred;
  float *riders = run->shared.riders;
  for (int shard = run->plan.mine; shard < run->plan.end; shard++) {
    adamix_loss loss = { 0, 0 };
    adamix_params_zero_grads (&run->shared);
    adamix_params_zero_grads (&run->experts);
    pack (run, step, batch, shard);
    if (!err) err = differentiate (run, step, batch, &loss);
    riders[RIDER_TASK] = (float) loss.task;
    riders[RIDER_CONSISTENCY] = (float) loss.consistency;
    riders[RIDER_TOKENS] = (float) run->batch.tokens;
    take_tally (run, riders);
    riders[RIDER_ERROR] = err != ADAMIX_OK;
    riders[RIDER_STOP] = run->args->stop && *run->args->stop;
    if (run->parts.count) adamix_gradient_parts_keep (&run->parts, shard - run->plan.mine, &run->shared, &run->experts);
  }
  return err;
}

/* Sum the gradients of all ranks. */
static adamix_err
exchange (adamix_run *run, adamix_err local, adamix_step_result *out)
{
  adamix_comm *world = run->args->world, *group = &run->placement.group;
  const float *riders = run->shared.riders;
  const double waited = world->waited, seconds = world->seconds + group->seconds;
  ADAMIX_RETURN_IF (adamix_comm_arrive (world));
  if (run->parts.count)
    ADAMIX_RETURN_IF (adamix_exchange_parts (&run->placement, &run->parts, &run->shared, &run->experts));
  else
    ADAMIX_RETURN_IF (adamix_exchange_gradients (&run->placement, &run->shared, &run->experts));
  if (riders[RIDER_ERROR] > 0) return adamix_comm_agree (world, local);
  out->task = riders[RIDER_TASK];
  out->consistency = riders[RIDER_CONSISTENCY];
  out->balance = riders[RIDER_BALANCE];
  out->dropped = riders[RIDER_DROPPED];
  for (int64_t j = 0; run->load && j < run->shape.experts; j++) run->load[j] = riders[RIDER_LOAD + j];
  out->tokens = (int64_t) riders[RIDER_TOKENS];
  out->stop = riders[RIDER_STOP] > 0;
  ADAMIX_RETURN_IF (
      adamix_exchange_norm (&run->placement, run->compute.kernels, &run->shared, &run->experts, &out->norm));
  run->wait_seconds += world->waited - waited;
  run->comm_seconds += world->seconds + group->seconds - seconds - (world->waited - waited);
  return ADAMIX_OK;
}

/* clip / (norm + 1e-6), at most 1, as torch.nn.utils.clip_grad_norm_ has it. */
static double
clip_factor (double clip, double norm)
{
  const double guard = 1e-6;
  double factor = clip / (norm + guard);
  return clip > 0 && factor < 1 ? factor : 1;
}

double
adamix_step_loss (const adamix_step_result *result)
{
  return result->task + result->consistency + result->balance;
}

adamix_err
adamix_run_step (adamix_run *run, int64_t step, adamix_step_result *out)
{
  const double start = adamix_clock (), flops = adamix_profile_flops (run->compute.profile);
  *out = (adamix_step_result){ .examples = adamix_plan_cut (&run->plan, step) };
  ADAMIX_RETURN_IF (adamix_run_rotate (run, step));
  ADAMIX_RETURN_IF (exchange (run, differentiate_shards (run, step, out->examples), out));
  if (!isfinite (adamix_step_loss (out) + out->norm))
    return adamix_err_set (ADAMIX_ENUMERIC,
                           "step %lld: the %s is not a number or infinite; the last checkpoint is kept, a smaller --lr "
                           "may help",
                           (long long) step + 1, isfinite (adamix_step_loss (out)) ? "gradient" : "loss");
  out->lr = adamix_schedule_linear (run->config->lr, run->config->warmup, step, run->plan.steps);
  const double factor = clip_factor (run->config->clip, out->norm);
  adamix_optimizer_update (&run->shared_optimizer, out->lr, factor);
  adamix_optimizer_update (&run->experts_optimizer, out->lr, factor);
  adamix_optimizer_average (&run->shared_optimizer, run->config->ema, step + 1);
  adamix_optimizer_average (&run->experts_optimizer, run->config->ema, step + 1);
  if (adamix_run_backbone_trains (run) && !run->deferred) run->deferred = adamix_model_repack (run->model);
  out->seconds = adamix_clock () - start;
  run->step_seconds += out->seconds;
  run->flops += adamix_profile_flops (run->compute.profile) - flops;
  return ADAMIX_OK;
}
