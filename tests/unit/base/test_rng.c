#include <adamix/base.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random123's published vectors for philox4x32 with 10 rounds: counter, key, expected bits. */
static const struct {
  adamix_rng_counter counter;
  adamix_rng key;
  adamix_rng_counter expected;
} vectors[] = {
  { { { 0, 0, 0, 0 } }, { { 0, 0 } }, { { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } } },
  { { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff } },
    { { 0xffffffff, 0xffffffff } },
    { { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } } },
  { { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 } },
    { { 0xa4093822, 0x299f31d0 } },
    { { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } } },
};

Test (rng, known_answers)
{
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    adamix_rng_counter got = adamix_rng_bits (vectors[i].key, vectors[i].counter);
    cr_assert_eq (memcmp (&got, &vectors[i].expected, sizeof got), 0, "vector %zu", i);
  }
}

Test (rng, streams_differ_by_seed_and_purpose)
{
  adamix_rng streams[6] = {
    adamix_rng_stream (0, ADAMIX_RNG_INIT),          adamix_rng_stream (0, ADAMIX_RNG_ORDER),
    adamix_rng_stream (1, ADAMIX_RNG_INIT),          adamix_rng_stream (UINT64_C (1) << 32, ADAMIX_RNG_INIT),
    adamix_rng_stream (UINT64_MAX, ADAMIX_RNG_EVAL), adamix_rng_stream (1, ADAMIX_RNG_ORDER),
  };
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < i; j++) cr_assert_neq (memcmp (&streams[i], &streams[j], sizeof *streams), 0, "%d %d", i, j);
  adamix_rng again = adamix_rng_stream (0, ADAMIX_RNG_INIT);
  cr_assert_eq (memcmp (&streams[0], &again, sizeof again), 0);
}

/* Counts of n draws from `bound` equal cells: a chi-square of bound - 1 degrees stays below 5 deviations. */
Test (rng, below_is_uniform)
{
  enum { BOUND = 7, DRAWS = 70000 };
  adamix_rng rng = adamix_rng_stream (3, ADAMIX_RNG_ROUTE);
  int count[BOUND] = { 0 };
  for (uint32_t i = 0; i < DRAWS; i++) {
    uint32_t draw = adamix_rng_below (rng, (adamix_rng_counter){ { i, 0, 0, 0 } }, BOUND);
    cr_assert_lt (draw, BOUND);
    count[draw]++;
  }
  double chi_square = 0, expected = (double) DRAWS / BOUND;
  for (int i = 0; i < BOUND; i++) chi_square += (count[i] - expected) * (count[i] - expected) / expected;
  cr_assert_lt (chi_square, BOUND - 1 + 5 * sqrt (2.0 * (BOUND - 1)));
  cr_assert_eq (adamix_rng_below (rng, (adamix_rng_counter){ { 9, 9, 9, 9 } }, 1), 0);
}

Test (rng, normal_has_the_moments_and_no_dependence_on_the_length)
{
  enum { N = 100000 };
  const double deviation = 0.02;
  adamix_rng rng = adamix_rng_stream (1, ADAMIX_RNG_INIT);
  float *values = malloc (N * sizeof *values), part[7];
  adamix_rng_normal (rng, 1, 2, N, deviation, values);
  adamix_rng_normal (rng, 1, 2, 7, deviation, part);
  cr_assert_eq (memcmp (values, part, sizeof part), 0);
  double sum = 0, squares = 0, cubes = 0, fourths = 0, neighbours = 0;
  for (int i = 0; i < N; i++) {
    double z = values[i] / deviation;
    sum += z;
    squares += z * z;
    cubes += z * z * z;
    fourths += z * z * z * z;
    if (i) neighbours += z * values[i - 1] / deviation;
  }
  /* five deviations of each estimate: 1, 2, 15 and 96 are the variances of z, z^2, z^3, z^4 and 1 that of z z' */
  const double five = 5 / sqrt (N);
  cr_assert_lt (fabs (sum / N), five);
  cr_assert_lt (fabs (squares / N - 1), five * sqrt (2));
  cr_assert_lt (fabs (cubes / N), five * sqrt (15));
  cr_assert_lt (fabs (fourths / N - 3), five * sqrt (96));
  cr_assert_lt (fabs (neighbours / N), five);
  adamix_rng_normal (rng, 1, 3, 7, deviation, part);
  cr_assert_neq (memcmp (values, part, sizeof part), 0);
  free (values);
}

Test (rng, permutation_is_one_and_depends_on_its_words)
{
  enum { N = 1000 };
  int64_t first[N], second[N];
  bool seen[N] = { false };
  adamix_rng rng = adamix_rng_stream (5, ADAMIX_RNG_ORDER);
  adamix_rng_permutation (rng, 0, 0, N, first);
  adamix_rng_permutation (rng, 1, 0, N, second);
  int fixed = 0, same = 0;
  for (int64_t i = 0; i < N; i++) {
    cr_assert (first[i] >= 0 && first[i] < N && !seen[first[i]]);
    seen[first[i]] = true;
    fixed += first[i] == i;
    same += first[i] == second[i];
  }
  cr_assert (fixed < 10 && same < 10, "%d in place, %d alike", fixed, same);
  adamix_rng_permutation (rng, 0, 0, N, second);
  cr_assert_eq (memcmp (first, second, sizeof first), 0);
  adamix_rng_permutation (rng, 0, 0, 1, first);
  cr_assert_eq (first[0], 0);
}

/* All 6 orders of three come up equally often. */
Test (rng, permutations_are_uniform)
{
  enum { ORDERS = 6, DRAWS = 60000 };
  adamix_rng rng = adamix_rng_stream (6, ADAMIX_RNG_ORDER);
  int count[9] = { 0 };
  for (uint32_t i = 0; i < DRAWS; i++) {
    int64_t order[3];
    adamix_rng_permutation (rng, i, 0, 3, order);
    count[3 * order[0] + order[1]]++;
  }
  double chi_square = 0, expected = (double) DRAWS / ORDERS;
  for (int i = 0; i < 9; i++)
    if (i / 3 != i % 3) chi_square += (count[i] - expected) * (count[i] - expected) / expected;
  cr_assert_lt (chi_square, ORDERS - 1 + 5 * sqrt (2.0 * (ORDERS - 1)));
}
