#include "train/train_private.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The buffers are as large as the largest shard of the whole run, which is known: walk through all steps once. */
static void
measure (adamix_plan *plan)
{
  for (int64_t step = 0; step < plan->steps; step++) {
    adamix_plan_cut (plan, step);
    for (int s = 0; s < plan->shards; s++) {
      int64_t tokens = 0;
      for (int64_t i = plan->first[s]; i < plan->first[s + 1]; i++)
        tokens += plan->train->offset[plan->dealt[i] + 1] - plan->train->offset[plan->dealt[i]];
      plan->shard_tokens = MAX (plan->shard_tokens, tokens);
      plan->shard_sequences = MAX (plan->shard_sequences, plan->first[s + 1] - plan->first[s]);
    }
  }
  for (int64_t i = 0; i < plan->train->examples; i++)
    plan->longest = MAX (plan->longest, plan->train->offset[i + 1] - plan->train->offset[i]);
}

adamix_err
adamix_plan_create (adamix_plan *out, const adamix_train_config *config, const adamix_dataset *train, int shards)
{
  adamix_err err = ADAMIX_OK;
  *out = (adamix_plan){
    .train = train, .seed = (uint64_t) config->seed, .batch = config->batch, .shards = shards, .epoch = -1
  };
  out->steps_per_epoch = (train->examples + config->batch - 1) / config->batch;
  out->steps = config->max_steps ? config->max_steps : (int64_t) (config->epochs * (double) out->steps_per_epoch);
  out->steps = MAX (out->steps, 1);
  ADAMIX_TRY (ADAMIX_ALLOC (out->order, train->examples));
  ADAMIX_TRY (ADAMIX_ALLOC (out->dealt, config->batch));
  ADAMIX_TRY (ADAMIX_ALLOC (out->scratch, config->batch));
  ADAMIX_TRY (ADAMIX_ALLOC (out->first, shards + 1));
  measure (out);
done:
  if (err) adamix_plan_destroy (out);
  return err;
}

void
adamix_plan_destroy (adamix_plan *plan)
{
  if (!plan) return;
  free (plan->first);
  free (plan->scratch);
  free (plan->dealt);
  free (plan->order);
  *plan = (adamix_plan){ 0 };
}

int64_t
adamix_plan_cut (adamix_plan *plan, int64_t step)
{
  int64_t epoch = step / plan->steps_per_epoch;
  if (epoch != plan->epoch) {
    adamix_order_epoch (plan->seed, epoch, plan->train->examples, plan->order);
    plan->epoch = epoch;
  }
  int64_t begin = step % plan->steps_per_epoch * plan->batch;
  int64_t n = plan->train->examples - begin < plan->batch ? plan->train->examples - begin : plan->batch;
  adamix_shard_cut (plan->train, plan->order + begin, n, plan->shards, plan->dealt, plan->first, plan->scratch);
  return n;
}
