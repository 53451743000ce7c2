#include "train/train_private.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Examples that may be looked at before the first step, a tenth of a second: the steps of all but very long runs. */
#define WALKED ((int64_t) 1 << 20)

static int64_t
tokens_of (const adamix_plan *plan, int64_t example)
{
  return plan->train->offset[example + 1] - plan->train->offset[example];
}

/* The largest shard of the steps that there are. */
static void
measure (adamix_plan *plan)
{
  for (int64_t step = 0; step < plan->steps; step++) {
    adamix_plan_cut (plan, step);
    for (int s = 0; s < plan->shards; s++) {
      int64_t tokens = 0;
      for (int64_t i = plan->first[s]; i < plan->first[s + 1]; i++) {
        tokens += tokens_of (plan, plan->dealt[i]);
        plan->used[plan->dealt[i]] = true;
      }
      plan->shard_tokens = MAX (plan->shard_tokens, tokens);
      plan->shard_sequences = MAX (plan->shard_sequences, plan->first[s + 1] - plan->first[s]);
    }
  }
}

/* A step of the B longest examples has no fewer tokens than any other.  The last example of the fullest of its S shards was
 * dealt to what was then the emptiest, which had at most an S-th of the others:
 *   tokens of a shard <= (sum of the B longest - longest) / S + longest                                                   */
static adamix_err
bound (adamix_plan *plan)
{
  int64_t *of_length = NULL, left = plan->batch, sum = 0;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (of_length, plan->longest + 1));
  for (int64_t i = 0; i < plan->train->examples; i++) {
    of_length[tokens_of (plan, i)]++;
    plan->used[i] = true;
  }
  for (int64_t length = plan->longest; length >= 0 && left > 0; length--) {
    const int64_t taken = of_length[length] < left ? of_length[length] : left;
    sum += taken * length;
    left -= taken;
  }
  free (of_length);
  plan->shard_tokens = (sum - plan->longest) / plan->shards + plan->longest;
  plan->shard_sequences = plan->batch - left;
  return ADAMIX_OK;
}

/* The buffers are as large as the largest shard of the whole run. */
static adamix_err
size_shards (adamix_plan *plan)
{
  for (int64_t i = 0; i < plan->train->examples; i++) plan->longest = MAX (plan->longest, tokens_of (plan, i));
  if (plan->steps > WALKED / plan->batch) return bound (plan);
  measure (plan);
  return ADAMIX_OK;
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
  ADAMIX_TRY (size_shards (out));
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
