#include "data/fixture.h"

enum { EXAMPLES = 300, LONGEST = 120, MAX_SHARDS = 16 };

/* Lengths from 2 to LONGEST, many short and few long ones. */
static adamix_dataset
lengths_dataset (void)
{
  int64_t length[EXAMPLES];
  int32_t label[EXAMPLES];
  for (int64_t i = 0; i < EXAMPLES; i++) {
    length[i] = 2 + (i * i * 7919) % 97 * ((i * 31) % 11) % (LONGEST - 1);
    label[i] = (int32_t) (i % 3);
  }
  return made_dataset (EXAMPLES, length, label);
}

static int64_t
tokens_of (const adamix_dataset *d, int64_t example)
{
  return d->offset[example + 1] - d->offset[example];
}

/* ---- order ------------------------------------------------------------------------------------------------------------- */

Test (order, is_a_permutation_that_depends_on_seed_and_epoch)
{
  int64_t order[4][EXAMPLES];
  int seen[EXAMPLES] = { 0 };
  adamix_order_epoch (1, 0, EXAMPLES, order[0]);
  adamix_order_epoch (1, 0, EXAMPLES, order[1]);
  adamix_order_epoch (1, 1, EXAMPLES, order[2]);
  adamix_order_epoch (2, 0, EXAMPLES, order[3]);
  for (int i = 0; i < EXAMPLES; i++) seen[order[0][i]]++;
  for (int i = 0; i < EXAMPLES; i++) cr_assert_eq (seen[i], 1);
  cr_assert_arr_eq (order[0], order[1], sizeof order[0]);
  cr_assert_arr_neq (order[0], order[2], sizeof order[0]);
  cr_assert_arr_neq (order[0], order[3], sizeof order[0]);
}

/* ---- shards -------------------------------------------------------------------------------------------------------------- */

/* The rule of the header, straight from its words, for a few examples. */
static void
cut_by_definition (const adamix_dataset *d, const int64_t *chosen, int64_t n, int shards, int *part)
{
  int64_t tokens[MAX_SHARDS] = { 0 }, examples[MAX_SHARDS] = { 0 };
  for (int64_t i = 0; i < n; i++) part[i] = -1;
  for (int64_t round = 0; round < n; round++) {
    int64_t longest = -1;
    int best = 0;
    for (int64_t i = 0; i < n; i++)
      if (part[i] < 0 && (longest < 0 || tokens_of (d, chosen[i]) > tokens_of (d, chosen[longest]))) longest = i;
    for (int s = 1; s < shards; s++)
      if (tokens[s] < tokens[best] || (tokens[s] == tokens[best] && examples[s] < examples[best])) best = s;
    part[longest] = best;
    tokens[best] += tokens_of (d, chosen[longest]);
    examples[best]++;
  }
}

static void
check_cut (const adamix_dataset *d, const int64_t *chosen, int64_t n, int shards)
{
  int64_t out[EXAMPLES], first[MAX_SHARDS + 1], scratch[EXAMPLES], least = INT64_MAX, most = 0;
  int part[EXAMPLES];
  adamix_shard_cut (d, chosen, n, shards, out, first, scratch);
  cut_by_definition (d, chosen, n, shards, part);
  cr_assert_eq (first[0], 0);
  cr_assert_eq (first[shards], n);
  for (int s = 0; s < shards; s++) {
    int64_t at = first[s], tokens = 0;
    for (int64_t i = 0; i < n; i++) {
      if (part[i] != s) continue;
      cr_assert_lt (at, first[s + 1]);
      cr_assert_eq (out[at++], chosen[i], "shard %d of %d", s, shards);
      tokens += tokens_of (d, chosen[i]);
    }
    cr_assert_eq (at, first[s + 1], "shard %d of %d has no others", s, shards);
    least = tokens < least ? tokens : least;
    most = tokens > most ? tokens : most;
  }
  if (n >= 2 * shards) cr_assert_leq (most - least, LONGEST, "%ld to %ld tokens", (long) least, (long) most);
}

Test (shard, each_example_is_in_one_shard_of_near_equal_tokens)
{
  adamix_dataset d = lengths_dataset ();
  int64_t order[EXAMPLES];
  adamix_order_epoch (5, 0, EXAMPLES, order);
  for (int shards = 1; shards <= MAX_SHARDS; shards++)
    for (int64_t n = 0; n <= 64; n++) check_cut (&d, order + n, n, shards);
  check_cut (&d, order, EXAMPLES, 12);
  adamix_dataset_destroy (&d);
}

Test (shard, fewer_examples_than_shards_leave_the_last_ones_empty)
{
  adamix_dataset d = lengths_dataset ();
  int64_t chosen[2] = { 4, 9 }, out[2], first[5], scratch[2];
  adamix_shard_cut (&d, chosen, 2, 4, out, first, scratch);
  cr_assert_arr_eq (first, ((const int64_t[]){ 0, 1, 2, 2, 2 }), sizeof first);
  adamix_dataset_destroy (&d);
}

/* ---- batches ------------------------------------------------------------------------------------------------------------ */

/* A batch with arrays of exactly this size, on the stack of the caller's arrays. */
Test (pack, is_a_concatenation)
{
  const int64_t length[4] = { 3, 0, 2, 4 }, chosen[3] = { 2, 1, 3 };
  const int32_t label[4] = { 7, 8, 9, 10 };
  adamix_dataset d = made_dataset (4, length, label);
  int64_t offset[4], sample[3];
  int32_t id[6], type[6], sequence[6], labels[3];
  adamix_batch batch = { .capacity_sequences = 3,
                         .capacity_tokens = 6,
                         .offset = offset,
                         .id = id,
                         .type = type,
                         .sequence = sequence,
                         .sample = sample,
                         .label = labels };
  for (int64_t i = 0; i < 9; i++) d.type[i] = (int32_t) i % 2;
  adamix_batch_pack (&batch, &d, chosen, 3);
  cr_assert_eq (batch.sequences, 3);
  cr_assert_eq (batch.tokens, 6);
  cr_assert_arr_eq (offset, ((const int64_t[]){ 0, 2, 2, 6 }), sizeof offset);
  cr_assert_arr_eq (id, ((const int32_t[]){ 3, 4, 5, 6, 7, 8 }), sizeof id);
  cr_assert_arr_eq (type, ((const int32_t[]){ 1, 0, 1, 0, 1, 0 }), sizeof type);
  cr_assert_arr_eq (sequence, ((const int32_t[]){ 0, 0, 2, 2, 2, 2 }), sizeof sequence);
  cr_assert_arr_eq (sample, chosen, sizeof sample);
  cr_assert_arr_eq (labels, ((const int32_t[]){ 9, 8, 10 }), sizeof labels);
  adamix_batch_pack (&batch, &d, chosen, 0);
  cr_assert_eq (batch.sequences + batch.tokens, 0);
  adamix_dataset_destroy (&d);
}
