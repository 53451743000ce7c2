#include "data/fixture.h"

#include <math.h>

enum { EXAMPLES = 236, CLASSES = 5 };
static const int64_t size_of_class[CLASSES] = { 1, 2, 19, 100, 114 };
static const int64_t held_of_class[CLASSES] = { 0, 1, 1, 10, 11 };

/* Classes mixed, example i with i % 7 tokens, its tokens numbered through. */
static adamix_dataset
mixed_dataset (void)
{
  int64_t length[EXAMPLES];
  int32_t label[EXAMPLES];
  int at = 0;
  for (int c = 0; c < CLASSES; c++)
    for (int64_t i = 0; i < size_of_class[c]; i++) label[(at++ * 37) % EXAMPLES] = c;
  cr_assert_eq (at, EXAMPLES);
  for (int i = 0; i < EXAMPLES; i++) length[i] = i % 7;
  return made_dataset (EXAMPLES, length, label);
}

static void
count_examples (const adamix_dataset *part, const adamix_dataset *whole, int *seen, int64_t *of_class)
{
  int64_t before = -1;
  for (int64_t i = 0; i < part->examples; i++) {
    int64_t origin = part->line[i] - 2, tokens = whole->offset[origin + 1] - whole->offset[origin];
    cr_assert_gt (origin, before, "the order is kept");
    before = origin;
    seen[origin]++;
    of_class[part->label[i]]++;
    cr_assert_eq (part->label[i], whole->label[origin]);
    cr_assert_eq (part->offset[i + 1] - part->offset[i], tokens);
    cr_assert_arr_eq (part->id + part->offset[i], whole->id + whole->offset[origin],
                      (size_t) tokens * sizeof *part->id);
  }
}

Test (hold_out, is_stratified_and_complete)
{
  adamix_dataset whole = mixed_dataset (), kept = mixed_dataset (), held;
  int seen[EXAMPLES] = { 0 };
  int64_t of_kept[CLASSES] = { 0 }, of_held[CLASSES] = { 0 };
  cr_assert_succeeds (adamix_dataset_hold_out (&kept, &held, 3));
  count_examples (&kept, &whole, seen, of_kept);
  count_examples (&held, &whole, seen, of_held);
  for (int i = 0; i < EXAMPLES; i++) cr_assert_eq (seen[i], 1, "example %d", i);
  for (int c = 0; c < CLASSES; c++) cr_assert_eq (of_held[c], held_of_class[c], "class %d", c);
  cr_assert_str_eq (held.path, "made");
  adamix_dataset_destroy (&whole);
  adamix_dataset_destroy (&kept);
  adamix_dataset_destroy (&held);
}

static bool
same_held (uint64_t seed_a, uint64_t seed_b)
{
  const uint64_t seed[2] = { seed_a, seed_b };
  adamix_dataset kept[2], held[2];
  for (int i = 0; i < 2; i++) {
    kept[i] = mixed_dataset ();
    cr_assert_succeeds (adamix_dataset_hold_out (&kept[i], &held[i], seed[i]));
  }
  bool same = memcmp (held[0].line, held[1].line, (size_t) held[0].examples * sizeof *held[0].line) == 0;
  for (int i = 0; i < 2; i++) {
    adamix_dataset_destroy (&kept[i]);
    adamix_dataset_destroy (&held[i]);
  }
  return same;
}

Test (hold_out, depends_on_the_seed_alone)
{
  cr_assert (same_held (3, 3));
  cr_assert_not (same_held (3, 4));
}

Test (hold_out, of_a_regression_is_a_tenth)
{
  adamix_dataset kept = mixed_dataset (), held;
  free (kept.label);
  kept.label = NULL;
  cr_assert_succeeds (ADAMIX_ALLOC (kept.target, EXAMPLES));
  for (int i = 0; i < EXAMPLES; i++) kept.target[i] = (float) i;
  cr_assert_succeeds (adamix_dataset_hold_out (&kept, &held, 3));
  cr_assert_eq (held.examples, EXAMPLES / 10);
  cr_assert_eq (kept.examples + held.examples, EXAMPLES);
  for (int64_t i = 0; i < held.examples; i++) cr_assert_eq (held.target[i], (float) (held.line[i] - 2));
  adamix_dataset_destroy (&kept);
  adamix_dataset_destroy (&held);
}

Test (majority, is_the_share_of_the_largest_class)
{
  adamix_dataset d = mixed_dataset ();
  cr_assert_float_eq (adamix_dataset_majority (&d), 114.0 / EXAMPLES, 1e-15);
  d.examples = 0;
  cr_assert (isnan (adamix_dataset_majority (&d)));
  adamix_dataset_destroy (&d);
}
