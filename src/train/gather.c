#include "train/run_private.h"

#include <string.h>

/* One array of the shared set and one of the experts set, brought into the layout of all.params. */
static adamix_err
gather (adamix_run *run, const float *shared, const float *experts, bool per_row, float *out)
{
  (per_row ? adamix_params_copy_rows : adamix_params_copy) (&run->shared, shared, &run->all.params, out);
  if (!run->bank) return ADAMIX_OK;
  return adamix_exchange_collect (&run->placement, &run->shape, &run->experts, experts, per_row, &run->all.params, out);
}

adamix_err
adamix_run_gather_values (adamix_run *run)
{
  ADAMIX_RETURN_IF (gather (run, run->shared.values, run->experts.values, false, run->all.params.values));
  if (!run->snapshot.ema) return ADAMIX_OK;
  return gather (run, run->shared_optimizer.ema, run->experts_optimizer.ema, false, run->ema.params.values);
}

adamix_err
adamix_run_gather_optimizer (adamix_run *run)
{
  const adamix_optimizer *s = &run->shared_optimizer, *e = &run->experts_optimizer;
  ADAMIX_RETURN_IF (gather (run, s->first, e->first, false, run->snapshot.first));
  ADAMIX_RETURN_IF (gather (run, s->second, e->second, false, run->snapshot.second));
  return gather (run, s->steps, e->steps, true, run->snapshot.steps);
}

adamix_err
adamix_run_gather_flops (adamix_run *run)
{
  double sum = run->flops;
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (run->args->world, &sum, 1));
  run->snapshot.flops += sum;
  run->flops = 0;
  return ADAMIX_OK;
}

adamix_err
adamix_run_scatter (adamix_run *run)
{
  const adamix_params *all = &run->all.params;
  const struct {
    const adamix_params *to;
    const adamix_optimizer *optimizer;
  } sets[] = { { &run->shared, &run->shared_optimizer }, { &run->experts, &run->experts_optimizer } };
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    const adamix_params *to = sets[i].to;
    ADAMIX_RETURN_IF (adamix_exchange_select (all, all->values, false, to, to->values));
    ADAMIX_RETURN_IF (adamix_exchange_select (all, run->snapshot.first, false, to, sets[i].optimizer->first));
    ADAMIX_RETURN_IF (adamix_exchange_select (all, run->snapshot.second, false, to, sets[i].optimizer->second));
    ADAMIX_RETURN_IF (adamix_exchange_select (all, run->snapshot.steps, true, to, sets[i].optimizer->steps));
    if (run->snapshot.ema)
      ADAMIX_RETURN_IF (adamix_exchange_select (all, run->ema.params.values, false, to, sets[i].optimizer->ema));
  }
  return ADAMIX_OK;
}

/* Number of the deal under which step `step` is made. */
static int64_t
round_of (const adamix_run *run, int64_t step)
{
  const int64_t period = run->config->rotate_every;
  return run->bank && run->placement.groups > 1 && period > 0 ? step / period : 0;
}

adamix_err
adamix_run_rotate (adamix_run *run, int64_t step)
{
  const int64_t round = round_of (run, step);
  if (round == run->placement.round) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_run_gather_values (run));
  ADAMIX_RETURN_IF (adamix_run_gather_optimizer (run));
  adamix_placement_deal (&run->placement, round);
  adamix_err err = adamix_bank_deal (run->bank, run->placement.owned, &run->experts);
  if (!err) err = adamix_run_scatter (run);
  return adamix_comm_agree (run->args->world, err);
}
