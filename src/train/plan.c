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
      for (int64_t i = plan->first[s]; i < plan->first[s + 1]; i++) {
        tokens += plan->train->offset[plan->dealt[i] + 1] - plan->train->offset[plan->dealt[i]];
        plan->used[plan->dealt[i]] = true;
      }
      plan->shard_tokens = MAX (plan->shard_tokens, tokens);
      plan->shard_sequences = MAX (plan->shard_sequences, plan->first[s + 1] - plan->first[s]);
    }
  }
  for (int64_t i = 0; i < plan->train->examples; i++)
    plan->longest = MAX (plan->longest, plan->train->offset[i + 1] - plan->train->offset[i]);
}

/* The next batch of the epoch's permutation. */
static int64_t
choose_shuffled (adamix_plan *plan, int64_t step, const int64_t **chosen)
{
  const int64_t epoch = step / plan->steps_per_epoch, begin = step % plan->steps_per_epoch * plan->batch;
  const int64_t left = plan->train->examples - begin;
  if (epoch != plan->epoch) {
    adamix_order_epoch (plan->seed, epoch, plan->train->examples, plan->order);
    plan->epoch = epoch;
  }
  *chosen = plan->order + begin;
  return left < plan->batch ? left : plan->batch;
}

/* The step's line of --order-file. */
static int64_t
choose_prescribed (adamix_plan *plan, int64_t step, const int64_t **chosen)
{
  const adamix_prescribed_order *p = &plan->prescribed;
  *chosen = p->record + p->first[step];
  return p->first[step + 1] - p->first[step];
}

adamix_err
adamix_plan_create (adamix_plan *out, const adamix_train_config *config, const adamix_dataset *train, int shards,
                    const adamix_comm *world)
{
  adamix_err err = ADAMIX_OK;
  *out = (adamix_plan){ .train = train,
                        .seed = (uint64_t) config->seed,
                        .batch = config->batch,
                        .shards = shards,
                        .choose = config->order_file ? choose_prescribed : choose_shuffled,
                        .epoch = -1 };
  adamix_plan_take (out, world->rank, world->size);
  out->steps_per_epoch = (train->examples + config->batch - 1) / config->batch;
  out->steps = config->max_steps ? config->max_steps : (int64_t) (config->epochs * (double) out->steps_per_epoch);
  out->steps = MAX (out->steps, 1);
  if (config->order_file)
    ADAMIX_TRY (adamix_prescribed_order_read (&out->prescribed, config->order_file, out->steps, config->batch,
                                              train->examples));
  ADAMIX_TRY (ADAMIX_ALLOC (out->order, train->examples));
  ADAMIX_TRY (ADAMIX_ALLOC (out->used, train->examples));
  ADAMIX_TRY (ADAMIX_ALLOC (out->dealt, config->batch));
  ADAMIX_TRY (ADAMIX_ALLOC (out->scratch, config->batch));
  ADAMIX_TRY (ADAMIX_ALLOC (out->first, shards + 1));
  measure (out);
done:
  if (err) adamix_plan_destroy (out);
  return err;
}

void
adamix_plan_take (adamix_plan *plan, int rank, int ranks)
{
  plan->mine = plan->shards * rank / ranks;
  plan->end = plan->shards * (rank + 1) / ranks;
}

void
adamix_plan_destroy (adamix_plan *plan)
{
  if (!plan) return;
  free (plan->first);
  free (plan->scratch);
  free (plan->dealt);
  free (plan->order);
  free (plan->used);
  adamix_prescribed_order_destroy (&plan->prescribed);
  *plan = (adamix_plan){ 0 };
}

int64_t
adamix_plan_cut (adamix_plan *plan, int64_t step)
{
  const int64_t *chosen;
  const int64_t n = plan->choose (plan, step, &chosen);
  adamix_shard_cut (plan->train, chosen, n, plan->shards, plan->dealt, plan->first, plan->scratch);
  return n;
}
