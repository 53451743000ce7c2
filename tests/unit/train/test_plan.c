/* What a plan promises of the largest shard holds for every step, whether it looked at all of them or not. */
#include "train/train_private.h"

#include "data/fixture.h"

enum { EXAMPLES = 100, BATCH = 8 };

static adamix_plan plan;
static adamix_dataset train;

static void
tear_down (void)
{
  adamix_plan_destroy (&plan);
  adamix_dataset_destroy (&train);
}

TestSuite (plan, .fini = tear_down);

/* Lengths from 1 to about 90, few of them long, in no order. */
static void
make_plan (int64_t examples, int64_t steps, int shards)
{
  const adamix_comm world = { .handle = MPI_COMM_NULL, .size = 1 };
  const adamix_train_config config = { .batch = BATCH, .max_steps = steps, .seed = 7 };
  int64_t length[EXAMPLES];
  for (int64_t i = 0; i < examples; i++) length[i] = 1 + i * 37 % 101 * (i * 37 % 101) / 110;
  train = made_dataset (examples, length, NULL);
  cr_assert_succeeds (adamix_plan_create (&plan, &config, &train, shards, &world));
}

/* The largest shard among steps `from` to `to`. */
static void
find_largest (int64_t from, int64_t to, int64_t *tokens, int64_t *sequences)
{
  *tokens = *sequences = 0;
  for (int64_t step = from; step < to; step++) {
    adamix_plan_cut (&plan, step);
    for (int s = 0; s < plan.shards; s++) {
      int64_t here = 0;
      for (int64_t i = plan.first[s]; i < plan.first[s + 1]; i++)
        here += train.offset[plan.dealt[i] + 1] - train.offset[plan.dealt[i]];
      if (here > *tokens) *tokens = here;
      if (plan.first[s + 1] - plan.first[s] > *sequences) *sequences = plan.first[s + 1] - plan.first[s];
    }
  }
}

Test (plan, a_run_of_ordinary_length_is_known_exactly)
{
  int64_t tokens, sequences;
  make_plan (EXAMPLES, 300, 3);
  find_largest (0, 300, &tokens, &sequences);
  cr_expect_eq (plan.shard_tokens, tokens);
  cr_expect_eq (plan.shard_sequences, sequences);
}

/* A walk through its steps would outlive any patience. */
Test (plan, a_run_without_end_is_planned_at_once, .timeout = 60)
{
  static const int shards[] = { 1, 2, 3, 12 };
  for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
    int64_t tokens, sequences;
    make_plan (EXAMPLES, (int64_t) 1e15, shards[i]);
    find_largest (0, 20000, &tokens, &sequences);
    cr_expect (tokens <= plan.shard_tokens && sequences <= plan.shard_sequences, "%d shards: %lld > %lld", shards[i],
               (long long) tokens, (long long) plan.shard_tokens);
    tear_down ();
  }
}

/* One batch is the whole set: the step of the longest examples is met in each epoch. */
Test (plan, the_bound_is_met, .timeout = 60)
{
  int64_t tokens, sequences;
  make_plan (BATCH, (int64_t) 1e15, 1);
  find_largest (0, 3, &tokens, &sequences);
  cr_expect_eq (plan.shard_tokens, tokens);
  cr_expect_eq (plan.shard_sequences, sequences);
}
