#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "adapt/fixture.h"

static adamix_bank_shape
shape_of (int64_t experts, adamix_share share)
{
  return (adamix_bank_shape){ .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                              .layers = 3,
                              .hidden = 20,
                              .bottleneck = 6,
                              .experts = experts,
                              .share = share,
                              .activation = ADAMIX_ACTIVATION_GELU };
}

Test (bank, counts_parameters)
{
  const int64_t down = 6 * 20 + 6, up = 20 * 6 + 20;
  const int64_t expected[] = { 3 * (4 * down + 4 * up), 3 * (down + 4 * up), 3 * (4 * down + up), 3 * (down + up) };
  for (int share = ADAMIX_SHARE_NONE; share <= ADAMIX_SHARE_BOTH; share++) {
    adamix_bank_shape shape = shape_of (4, share);
    bank_fixture f;
    int64_t announced = 0;
    bank_fixture_open (&f, &shape, NULL);
    for (int64_t r = 0; r < f.shared.rows; r++) announced += f.shared.row[r].count;
    for (int64_t r = 0; r < f.experts.rows; r++) announced += f.experts.row[r].count;
    cr_expect (eq (i64, adamix_bank_trainable_parameters (&shape), expected[share]));
    cr_expect (eq (i64, announced, expected[share]));
    cr_expect (eq (i64, adamix_bank_merged_parameters (&shape), 3 * (down + up)));
    bank_fixture_close (&f);
  }
}

/* The rows of a router are those of local experts, behind their projections, and never shared. */
Test (bank, gated_has_routers)
{
  static const bool owned[3 * 2] = { true, false, false, true, true, false };
  adamix_bank_shape shape = shape_of (2, ADAMIX_SHARE_DOWN);
  const int64_t plain = adamix_bank_trainable_parameters (&shape), flops = adamix_bank_forward_flops (&shape);
  bank_fixture f;
  cr_expect (eq (i64, flops, 3 * 4 * 20 * 6));
  shape.gating = ADAMIX_GATING_SWITCH;
  cr_expect (eq (i64, adamix_bank_trainable_parameters (&shape), plain + 3 * 2 * 20));
  cr_expect (eq (i64, adamix_bank_forward_flops (&shape), flops + 3 * 2 * 2 * 20));
  shape.gating = ADAMIX_GATING_SOFT;
  cr_expect (eq (i64, adamix_bank_forward_flops (&shape), 2 * flops + 3 * 2 * 2 * 20));
  bank_fixture_open (&f, &shape, owned);
  cr_assert (eq (i64, f.experts.rows, 3 * 3));
  cr_expect (eq (str, f.experts.row[1].name, "layers.0.ffn.experts.0.up.bias"));
  cr_expect (eq (str, f.experts.row[2].name, "layers.0.ffn.experts.0.router.weight"));
  cr_expect (eq (str, f.experts.row[5].name, "layers.1.ffn.experts.1.router.weight"));
  cr_expect (f.experts.row[2].shape[0] == 1 && f.experts.row[2].shape[1] == 20);
  adamix_bank_initialise (f.bank, 7);
  cr_expect (ne (flt, f.experts.row[2].value[0], 0.0f));
  cr_expect (ne (flt, f.experts.row[2].value[0], f.experts.row[5].value[0]));
  const bool other[3 * 2] = { false, true, false, true, true, false };
  must (adamix_bank_deal (f.bank, other, &f.experts));
  cr_expect (eq (str, f.experts.row[2].name, "layers.0.ffn.experts.1.router.weight"));
  bank_fixture_close (&f);
}

Test (bank, names_and_orders_its_tensors)
{
  static const char *const first[] = { "layers.0.ffn.experts.0.down.weight", "layers.0.ffn.experts.0.down.bias",
                                       "layers.0.ffn.experts.1.down.weight", "layers.0.ffn.experts.1.down.bias",
                                       "layers.1.ffn.experts.0.down.weight" };
  adamix_bank_shape shape = shape_of (2, ADAMIX_SHARE_UP);
  bank_fixture f;
  bank_fixture_open (&f, &shape, NULL);
  for (int r = 0; r < 5; r++) cr_expect (eq (str, f.experts.row[r].name, (char *) first[r]));
  cr_expect (eq (str, f.shared.row[0].name, "layers.0.ffn.experts.0.up.weight"));
  cr_expect (eq (i64, f.shared.row[0].shape[0], 20));
  cr_expect (eq (i64, f.shared.row[0].shape[1], 6));
  cr_expect (f.shared.row[0].decay && !f.shared.row[1].decay);
  cr_expect (eq (ptr, f.bank->local[ADAMIX_UP][2].expert[0].bias, &f.shared.row[5]));
  cr_expect (eq (ptr, f.bank->local[ADAMIX_DOWN][1].expert[1].weight, &f.experts.row[6]));
  bank_fixture_close (&f);
}

Test (bank, of_one_expert_shares_nothing_and_numbers_it)
{
  adamix_bank_shape shape = shape_of (1, ADAMIX_SHARE_UP);
  bank_fixture f;
  bank_fixture_open (&f, &shape, NULL);
  cr_expect (eq (i64, f.shared.rows, 0), "one expert shares nothing");
  cr_expect (eq (str, f.experts.row[0].name, "layers.0.ffn.experts.0.down.weight"));
  cr_expect (eq (str, f.experts.row[3].name, "layers.0.ffn.experts.0.up.bias"));
  bank_fixture_close (&f);
}

Test (bank, of_a_merged_module_has_no_numbers_in_its_names)
{
  adamix_bank_shape shape = shape_of (1, ADAMIX_SHARE_NONE);
  bank_fixture f;
  shape.merged = true;
  bank_fixture_open (&f, &shape, NULL);
  cr_expect (eq (str, f.experts.row[0].name, "layers.0.ffn.down.weight"));
  cr_expect (eq (str, f.experts.row[3].name, "layers.0.ffn.up.bias"));
  bank_fixture_close (&f);
}

Test (bank, holds_what_it_owns)
{
  adamix_bank_shape shape = shape_of (3, ADAMIX_SHARE_DOWN);
  const bool owned[9] = { true, false, true, false, true, false, true, true, true };
  bank_fixture f;
  bank_fixture_open (&f, &shape, owned);
  cr_expect (eq (i64, f.bank->local[ADAMIX_UP][0].count, 2));
  cr_expect (eq (i64, f.bank->local[ADAMIX_UP][0].expert[1].number, 2));
  cr_expect (eq (i64, f.bank->local[ADAMIX_UP][1].count, 1));
  cr_expect (eq (i64, adamix_bank_slot (f.bank, ADAMIX_UP, 0, 2), 1));
  cr_expect (eq (i64, adamix_bank_slot (f.bank, ADAMIX_UP, 0, 1), -1));
  for (int64_t i = 0; i < 3; i++) cr_expect (eq (i64, f.bank->local[ADAMIX_DOWN][i].count, 1));
  cr_expect (eq (i64, adamix_bank_slot (f.bank, ADAMIX_DOWN, 1, 2), 0), "a shared projection serves every expert");
  bank_fixture_close (&f);
}

Test (bank, initial_values_do_not_depend_on_ownership)
{
  adamix_bank_shape shape = shape_of (3, ADAMIX_SHARE_NONE);
  const bool owned[9] = { true, false, true, false, true, false, true, true, true };
  bank_fixture all, part;
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&part, &shape, owned);
  adamix_bank_initialise (all.bank, 7);
  adamix_bank_initialise (part.bank, 7);
  for (int64_t r = 0; r < part.experts.rows; r++) {
    adamix_param *mine = &part.experts.row[r], *whole = bank_fixture_row (&all.experts, mine->name);
    cr_assert (whole != NULL);
    cr_expect (memcmp (mine->value, whole->value, (size_t) mine->count * sizeof (float)) == 0);
  }
  bank_fixture_close (&part);
  bank_fixture_close (&all);
}

/* 3 layers, 2 projections, 4 experts of 120 weights: the standard error of the deviation is 1.3 %. */
Test (bank, initial_values_are_normal_and_independent)
{
  adamix_bank_shape shape = shape_of (4, ADAMIX_SHARE_NONE);
  bank_fixture f;
  double squares = 0;
  int64_t count = 0;
  bank_fixture_open (&f, &shape, NULL);
  for (int64_t i = 0; i < f.experts.count; i++) f.experts.values[i] = 1;
  adamix_bank_initialise (f.bank, 0);
  for (int64_t r = 0; r < f.experts.rows; r++) {
    const adamix_param *row = &f.experts.row[r];
    for (int64_t e = 0; e < row->count && row->rank == 1; e++) cr_assert (row->value[e] == 0);
    for (int64_t e = 0; e < row->count && row->rank == 2; e++, count++) squares += row->value[e] * row->value[e];
    for (int64_t other = 0; other < r && row->rank == 2; other++)
      cr_expect (f.experts.row[other].value[0] != row->value[0], "%s repeats %s", row->name, f.experts.row[other].name);
  }
  cr_expect (fabs (sqrt (squares / (double) count) / 0.02 - 1) < 0.05);
  bank_fixture_close (&f);
}

Test (bank, refuses_what_cannot_be)
{
  adamix_params shared = { 0 }, experts = { 0 };
  adamix_bank *bank = NULL;
  adamix_bank_shape shape = shape_of (0, ADAMIX_SHARE_NONE);
  cr_expect (adamix_bank_create (&bank, &shape, NULL, &shared, &experts) == ADAMIX_ESHAPE);
  shape = shape_of (2, ADAMIX_SHARE_NONE);
  shape.bottleneck = 0;
  cr_expect (adamix_bank_create (&bank, &shape, NULL, &shared, &experts) == ADAMIX_ESHAPE);
  shape = shape_of (2, ADAMIX_SHARE_NONE);
  const bool none_in_layer_1[6] = { true, true, false, false, true, true };
  cr_expect (adamix_bank_create (&bank, &shape, none_in_layer_1, &shared, &experts) == ADAMIX_ESHAPE);
  cr_expect (strstr (adamix_err_message (), "layer 1") != NULL);
  cr_expect (eq (ptr, bank, NULL));
  adamix_params_destroy (&experts);
  adamix_params_destroy (&shared);
}

/* Sizes that the papers give in millions: BERT-base and RoBERTa-large. */
Test (bank, merged_modules_have_the_published_sizes)
{
  const adamix_place_set ffn = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                         both = ffn | ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION);
  const struct {
    adamix_bank_shape shape;
    const char *millions;
  } published[] = {
    { { .layers = 12, .hidden = 768, .bottleneck = 48, .experts = 4, .places = ffn }, "0.9" },  /* AdaMix */
    { { .layers = 24, .hidden = 1024, .bottleneck = 16, .experts = 4, .places = ffn }, "0.8" }, /* AdaMix; Pfeiffer */
    { { .layers = 24, .hidden = 1024, .bottleneck = 8, .experts = 1, .places = both }, "0.8" }, /* Houlsby */
    { { .layers = 12, .hidden = 768, .bottleneck = 24, .experts = 1, .places = both }, "0.9" }, /* Houlsby */
    { { .layers = 24,
        .hidden = 1024,
        .bottleneck = 8,
        .experts = 4,
        .places = ADAMIX_PLACES_LINEAR,
        .kind = ADAMIX_LORA },
      "0.8" }, /* LoRA */
  };
  for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
    char text[16];
    snprintf (text, sizeof text, "%.1f", (double) adamix_bank_merged_parameters (&published[i].shape) / 1e6);
    cr_expect_str_eq (text, published[i].millions, "number %zu", i);
  }
}

Test (bank, refuses_places_of_another_kind)
{
  adamix_params params = { 0 };
  adamix_bank *bank;
  adamix_bank_shape shape = shape_of (2, ADAMIX_SHARE_NONE);
  shape.places = ADAMIX_PLACES_LINEAR;
  cr_expect (adamix_bank_create (&bank, &shape, NULL, &params, &params) == ADAMIX_ESHAPE);
  shape.kind = ADAMIX_LORA;
  cr_assert (adamix_bank_create (&bank, &shape, NULL, &params, &params) == ADAMIX_OK);
  cr_expect_str_eq (params.row[0].name, "layers.0.query.experts.0.lora_A");
  cr_expect (eq (i64, params.rows, 2 * 2 * 2 * shape.layers));
  adamix_bank_destroy (bank);
  adamix_params_destroy (&params);
}
