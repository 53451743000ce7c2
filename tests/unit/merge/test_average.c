#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/merge.h>

#include "adapt/fixture.h"

static const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                         .layers = 2,
                                         .hidden = 9,
                                         .bottleneck = 4,
                                         .experts = 4,
                                         .share = ADAMIX_SHARE_UP };

static bank_fixture all, merged;

static void
set_up (void)
{
  adamix_bank_shape to = adamix_merge_shape (&shape);
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&merged, &to, NULL);
  bank_fixture_randomise (&all, 1.0);
}

static void
tear_down (void)
{
  bank_fixture_close (&merged);
  bank_fixture_close (&all);
}

TestSuite (average, .init = set_up, .fini = tear_down);

Test (average, is_in_the_table)
{
  cr_expect (adamix_merge_method_find ("average")->merge == adamix_merge_average);
  cr_expect (eq (ptr, (void *) adamix_merge_method_find ("mean"), NULL));
}

Test (average, is_the_exact_mean_of_weights_and_biases)
{
  must (adamix_merge_average (&(adamix_merge_args){ .all = all.bank }, merged.bank));
  for (int64_t i = 0; i < shape.layers; i++) {
    const adamix_expert_list *down = &all.bank->local[ADAMIX_DOWN][i];
    const adamix_expert *to = &merged.bank->local[ADAMIX_DOWN][i].expert[0];
    for (int64_t e = 0; e < to->weight->count; e++) {
      double sum = 0;
      for (int64_t j = 0; j < 4; j++) sum += down->expert[j].weight->value[e];
      cr_assert (to->weight->value[e] == (float) (sum / 4));
    }
    for (int64_t e = 0; e < to->bias->count; e++) {
      double sum = 0;
      for (int64_t j = 0; j < 4; j++) sum += down->expert[j].bias->value[e];
      cr_assert (to->bias->value[e] == (float) (sum / 4));
    }
    const adamix_expert *up = &all.bank->local[ADAMIX_UP][i].expert[0],
                        *up_to = &merged.bank->local[ADAMIX_UP][i].expert[0];
    cr_expect (memcmp (up->weight->value, up_to->weight->value, (size_t) up->weight->count * sizeof (float)) == 0);
    cr_expect (memcmp (up->bias->value, up_to->bias->value, (size_t) up->bias->count * sizeof (float)) == 0);
  }
}

/* fp32 sums would lose the small terms: 1e8 + 1 is 1e8. */
Test (average, sums_in_double)
{
  const float value[4] = { 1e8f, 1, -1e8f, 2 };
  for (int64_t j = 0; j < 4; j++) all.bank->local[ADAMIX_DOWN][0].expert[j].weight->value[3] = value[j];
  must (adamix_merge_average (&(adamix_merge_args){ .all = all.bank }, merged.bank));
  cr_expect (merged.bank->local[ADAMIX_DOWN][0].expert[0].weight->value[3] == 0.75f);
}

Test (average, refuses_a_bank_with_experts_missing)
{
  bool owned[8] = { true, true, true, true, true, false, true, true };
  bank_fixture part;
  bank_fixture_open (&part, &shape, owned);
  cr_expect (adamix_merge_average (&(adamix_merge_args){ .all = part.bank }, merged.bank) == ADAMIX_ESHAPE);
  cr_expect (strstr (adamix_err_message (), "layer 1 holds 3 of 4") != NULL);
  cr_expect (adamix_merge_average (&(adamix_merge_args){ .all = all.bank }, all.bank) == ADAMIX_ESHAPE);
  bank_fixture_close (&part);
}
