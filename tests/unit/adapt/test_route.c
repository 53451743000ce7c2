#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "adapt/fixture.h"

enum { L = 2, M = 4, PASSES = 2, SEQUENCES = 3, TOKENS = 9 };

static const int64_t offset[SEQUENCES + 1] = { 0, 2, 3, 9 }, sample[SEQUENCES] = { 40, 7, 11 };
static const int32_t prescribed[PASSES * L * ADAMIX_PROJECTIONS] = { 3, 0, 1, 1, 2, 2, 0, 3 };
static bank_fixture fixture;
static adamix_route route;

static void
set_up (void)
{
  adamix_bank_shape shape = {
    .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN), .layers = L, .hidden = 4, .bottleneck = 2, .experts = M
  };
  bank_fixture_open (&fixture, &shape, NULL);
  must (adamix_route_create (&route, L, PASSES * TOKENS));
}

static void
tear_down (void)
{
  adamix_route_destroy (&route);
  bank_fixture_close (&fixture);
}

TestSuite (route, .init = set_up, .fini = tear_down);

static adamix_route_context
context_of (int64_t step, int64_t shard)
{
  return (adamix_route_context){ .seed = 5,
                                 .step = step,
                                 .shard = shard,
                                 .passes = PASSES,
                                 .tokens = TOKENS,
                                 .sequences = SEQUENCES,
                                 .offset = offset,
                                 .sample = sample,
                                 .prescribed = prescribed };
}

/* The slot that serves a row. */
static int64_t
slot_of (adamix_projection projection, int64_t layer, int64_t row)
{
  const adamix_span *span = route.span[projection] + layer * route.capacity;
  for (int64_t s = 0; s < route.count[projection][layer]; s++)
    if (row >= span[s].row && row < span[s].row + span[s].rows) return span[s].slot;
  return -1;
}

static void
fill (const char *name, int64_t step, int64_t shard)
{
  adamix_route_context context = context_of (step, shard);
  adamix_route_policy_find (name)->fill (fixture.bank, &context, &route);
}

static const char *const names[] = {
  "stochastic", "stochastic-sentence", "stochastic-token", "prescribed", "fixed", "round-robin", "hash", "balanced"
};
#define NAMES (sizeof names / sizeof *names)

Test (route, covers_all_rows_once_in_as_few_spans_as_needed)
{
  cr_expect (eq (ptr, (void *) adamix_route_policy_find ("topk"), NULL));
  for (size_t n = 0; n < NAMES; n++)
    for (int64_t step = 0; step < 20; step++) {
      fill (names[n], step, 0);
      for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
        for (int64_t i = 0; i < L; i++) {
          const adamix_span *span = route.span[p] + i * route.capacity;
          int64_t next = 0;
          for (int64_t s = 0; s < route.count[p][i]; s++) {
            cr_assert (eq (i64, span[s].row, next));
            cr_assert (span[s].rows > 0 && span[s].slot >= 0 && span[s].slot < M);
            cr_assert (s == 0 || span[s].slot != span[s - 1].slot, "neighbours of one slot are one span");
            next += span[s].rows;
          }
          cr_assert (eq (i64, next, PASSES * TOKENS));
          cr_assert (route.count[p][i] <= adamix_route_policy_find (names[n])->capacity (PASSES, SEQUENCES, TOKENS));
        }
    }
}

/* Pairs of draws that must be independent: each of the 16 outcomes of 4000 pairs is expected 250 times; chi squared of 15
 * degrees of freedom lies under 44 but for one case in 10,000, and the draws are fixed. */
static double
chi_squared (const int64_t *count, int64_t cells, double expected)
{
  double sum = 0;
  for (int64_t c = 0; c < cells; c++) sum += (count[c] - expected) * (count[c] - expected) / expected;
  return sum;
}

Test (route, draws_are_uniform_and_independent)
{
  int64_t down_up[M * M] = { 0 }, passes[M * M] = { 0 }, layers[M * M] = { 0 }, steps[M * M] = { 0 }, before = 0;
  for (int64_t step = 0; step < 4000; step++) {
    fill ("stochastic", step, 0);
    int64_t down = slot_of (ADAMIX_DOWN, 0, 0);
    down_up[down * M + slot_of (ADAMIX_UP, 0, 0)]++;
    passes[down * M + slot_of (ADAMIX_DOWN, 0, TOKENS)]++;
    layers[down * M + slot_of (ADAMIX_DOWN, 1, 0)]++;
    steps[down * M + before]++;
    before = down;
  }
  cr_expect (chi_squared (down_up, M * M, 250) < 44);
  cr_expect (chi_squared (passes, M * M, 250) < 44);
  cr_expect (chi_squared (layers, M * M, 250) < 44);
  cr_expect (chi_squared (steps, M * M, 250) < 44);
}

Test (route, one_draw_serves_a_pass_a_sentence_or_a_token)
{
  int64_t differing[3] = { 0 }, within_sentence[3] = { 0 };
  for (int64_t step = 0; step < 50; step++)
    for (int n = 0; n < 3; n++) {
      fill (names[n], step, 0);
      for (int64_t t = 1; t < TOKENS; t++) {
        bool differs = slot_of (ADAMIX_UP, 1, t) != slot_of (ADAMIX_UP, 1, t - 1);
        differing[n] += differs;
        within_sentence[n] += differs && t != offset[1] && t != offset[2];
      }
    }
  cr_expect (eq (i64, differing[0], 0));
  cr_expect (differing[1] > 0 && within_sentence[1] == 0);
  cr_expect (within_sentence[2] > 0);
}

Test (route, shard_and_sample_key_the_draws)
{
  int64_t shard_differs = 0, sentence_differs = 0;
  for (int64_t step = 0; step < 50; step++) {
    fill ("stochastic", step, 0);
    int64_t down = slot_of (ADAMIX_DOWN, 0, 0), again;
    fill ("stochastic", step, 0);
    again = slot_of (ADAMIX_DOWN, 0, 0);
    cr_assert (eq (i64, down, again));
    fill ("stochastic", step, 1);
    shard_differs += down != slot_of (ADAMIX_DOWN, 0, 0);
    fill ("stochastic-sentence", step, 0);
    int64_t sentence = slot_of (ADAMIX_DOWN, 0, 3);
    fill ("stochastic-sentence", step, 1);
    sentence_differs += sentence != slot_of (ADAMIX_DOWN, 0, 3);
  }
  cr_expect (shard_differs > 20, "about 3 of 4 draws of another shard differ");
  cr_expect (eq (i64, sentence_differs, 0), "a sentence keeps its experts wherever it is computed");
}

Test (route, fixed_keeps_an_expert_for_each_pass)
{
  for (int64_t step = 0; step < 20; step++) {
    fill ("fixed", step, step % 3);
    for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
      for (int64_t pass = 0; pass < PASSES; pass++) cr_assert (eq (i64, slot_of (p, 1, pass * TOKENS), pass));
  }
}

Test (route, round_robin_takes_all_pairs_in_turn)
{
  int64_t pairs[M * M] = { 0 };
  for (int64_t step = 0; step < M * M / PASSES; step++) {
    fill ("round-robin", step, 0);
    for (int64_t pass = 0; pass < PASSES; pass++) {
      const int64_t down = slot_of (ADAMIX_DOWN, 1, pass * TOKENS);
      cr_assert (eq (i64, down, (step * PASSES + pass) % M));
      pairs[down * M + slot_of (ADAMIX_UP, 1, pass * TOKENS)]++;
    }
  }
  for (int i = 0; i < M * M; i++) cr_expect (eq (i64, pairs[i], 1));
  fill ("round-robin", 0, 1);
  cr_expect (eq (i64, slot_of (ADAMIX_DOWN, 0, 0), 1), "shards start apart");
}

/* Slots of the sentences in pass 0. */
static void
sentences_of (int64_t layer, int64_t out[SEQUENCES])
{
  for (int s = 0; s < SEQUENCES; s++) out[s] = slot_of (ADAMIX_UP, layer, offset[s]);
}

Test (route, hash_is_the_example_alone)
{
  int64_t first[SEQUENCES], now[SEQUENCES], differing = 0;
  fill ("hash", 0, 0);
  sentences_of (1, first);
  for (int64_t step = 1; step < 20; step++) {
    fill ("hash", step, step % 3);
    sentences_of (1, now);
    for (int s = 0; s < SEQUENCES; s++) {
      cr_assert (eq (i64, now[s], first[s]));
      cr_assert (eq (i64, slot_of (ADAMIX_UP, 1, TOKENS + offset[s]), first[s]), "in both passes");
    }
  }
  sentences_of (0, now);
  for (int s = 0; s < SEQUENCES; s++) differing += now[s] != first[s];
  cr_expect (differing > 0, "layers differ");
}

/* Windows of M turns hold each expert once; their orders are drawn: 24 orders of 2,400 windows, 100 expected of each, chi
 * squared of 23 degrees of freedom under 57 but for one case in 10,000. */
Test (route, balanced_uses_all_equally_in_every_window)
{
  enum { ORDERS = 24, WINDOWS = 100 * ORDERS };
  int64_t count[M * M * M * M] = { 0 }, of_order[ORDERS], orders = 0, pairs[M * M] = { 0 };
  for (int64_t window = 0; window < WINDOWS; window++) {
    int64_t code = 0, used = 0;
    for (int64_t turn = window * M; turn < (window + 1) * M; turn++) {
      if (turn % PASSES == 0) fill ("balanced", turn / PASSES, 0);
      const int64_t row = turn % PASSES * TOKENS, down = slot_of (ADAMIX_DOWN, 1, row);
      code = code * M + down;
      used |= 1 << down;
      pairs[down * M + slot_of (ADAMIX_UP, 1, row)]++;
    }
    cr_assert (eq (i64, used, (1 << M) - 1), "window %lld", (long long) window);
    count[code]++;
  }
  for (int i = 0; i < M * M * M * M; i++)
    if (count[i] > 0 && orders < ORDERS) of_order[orders++] = count[i];
  cr_assert (eq (i64, orders, ORDERS));
  cr_expect (chi_squared (of_order, ORDERS, 100) < 57);
  cr_expect (chi_squared (pairs, M * M, WINDOWS * M / (M * M)) < 44, "Down and Up are drawn apart");
}

/* [pass][layer] = [down, up] */
Test (route, prescribed_is_what_was_given)
{
  fill ("prescribed", 1, 1);
  for (int64_t pass = 0; pass < PASSES; pass++)
    for (int64_t i = 0; i < L; i++)
      for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
        for (int64_t row = pass * TOKENS; row < (pass + 1) * TOKENS; row++)
          cr_assert (eq (i64, slot_of (p, i, row), prescribed[(pass * L + i) * ADAMIX_PROJECTIONS + p]));
}

/* Numbers are of the run, slots of the rank. */
Test (route, prescribed_numbers_find_their_slots)
{
  const bool owned[L * M] = { true, true, false, true, true, true, true, false };
  adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                              .layers = L,
                              .hidden = 4,
                              .bottleneck = 2,
                              .experts = M,
                              .share = ADAMIX_SHARE_UP };
  const int32_t experts[L * ADAMIX_PROJECTIONS] = { 3, 0, 2, 0 };
  adamix_route_context context = context_of (0, 0);
  context.passes = 1;
  context.prescribed = experts;
  bank_fixture part;
  bank_fixture_open (&part, &shape, owned);
  adamix_route_policy_find ("prescribed")->fill (part.bank, &context, &route);
  cr_expect (eq (i64, slot_of (ADAMIX_DOWN, 0, 0), 2));
  cr_expect (eq (i64, slot_of (ADAMIX_DOWN, 1, 0), 2));
  cr_expect (eq (i64, slot_of (ADAMIX_UP, 0, 0), 0), "a shared projection has one slot");
  bank_fixture_close (&part);
}

Test (route, fixed_sends_all_rows_to_one_slot)
{
  adamix_route_fixed (fixture.bank, 9, 6, &route);
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < L; i++) {
      cr_expect (eq (i64, route.count[p][i], 1));
      cr_expect (eq (i64, slot_of (p, i, 8), 6 % M));
    }
}

Test (route, of_no_rows_is_empty)
{
  const int64_t none[1] = { 0 };
  adamix_route_context context = context_of (1, 0);
  context.tokens = context.sequences = 0;
  context.offset = none;
  for (size_t n = 0; n < NAMES; n++) {
    adamix_route_policy_find (names[n])->fill (fixture.bank, &context, &route);
    cr_expect (eq (i64, route.count[ADAMIX_DOWN][0], 0));
  }
}
