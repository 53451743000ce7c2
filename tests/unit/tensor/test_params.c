#include "tensor/fixture.h"

#include <stdio.h>
#include <string.h>

static void
add_two (adamix_params *params)
{
  char name[] = "layers.0.ffn.down.weight";
  int64_t index;
  cr_assert_eq (adamix_params_add (params, name, 2, 5, 7, true, &index), ADAMIX_OK);
  cr_expect_eq (index, 0);
  memset (name, 'x', sizeof name - 1);
  cr_assert_eq (adamix_params_add (params, "head.bias", 1, 3, 0, false, &index), ADAMIX_OK);
  cr_expect_eq (index, 1);
}

Test (params, rows_lie_behind_each_other)
{
  adamix_params params = { 0 };
  add_two (&params);
  cr_assert_eq (adamix_params_allocate (&params), ADAMIX_OK);

  cr_expect_eq (params.rows, 2);
  cr_expect_eq (params.count, 48 + 16, "35 and 3 values, each rounded up to 16");
  cr_expect_str_eq (params.row[0].name, "layers.0.ffn.down.weight", "the name is copied");
  cr_expect_eq (params.row[0].count, 35);
  cr_expect (params.row[0].decay && !params.row[1].decay);
  cr_expect_eq (params.row[1].offset, 48);
  cr_expect_eq (params.row[1].shape[1], 1);
  cr_expect_eq (params.row[1].value, params.values + 48);
  cr_expect_eq (params.row[1].grad, params.grads + 48);
  cr_expect_eq (params.row[1].touched, params.grads + 64 + 1);
  cr_expect_eq (params.riders, params.grads + 64 + 2);
  for (int i = 0; i < 64; i++) cr_expect (params.values[i] == 0.0f && params.grads[i] == 0.0f);
  adamix_params_destroy (&params);
}

Test (params, zeroing_clears_flags_and_riders)
{
  adamix_params params = { 0 };
  add_two (&params);
  cr_assert_eq (adamix_params_allocate (&params), ADAMIX_OK);
  params.row[0].value[0] = params.row[0].grad[34] = *params.row[1].touched = 1.0f;
  params.riders[ADAMIX_PARAMS_RIDERS - 1] = 1.0f;
  adamix_params_zero_grads (&params);
  cr_expect_eq (params.row[0].grad[34], 0.0f);
  cr_expect_eq (*params.row[1].touched, 0.0f);
  cr_expect_eq (params.riders[ADAMIX_PARAMS_RIDERS - 1], 0.0f);
  cr_expect_eq (params.row[0].value[0], 1.0f, "values stay");
  adamix_params_destroy (&params);
}

Test (params, many_rows)
{
  adamix_params params = { 0 };
  int64_t index;
  for (int i = 0; i < 200; i++) {
    char name[16];
    snprintf (name, sizeof name, "row %d", i);
    cr_assert_eq (adamix_params_add (&params, name, 1, 1, 1, false, &index), ADAMIX_OK);
  }
  cr_assert_eq (adamix_params_allocate (&params), ADAMIX_OK);
  cr_expect_str_eq (params.row[199].name, "row 199");
  cr_expect_eq (params.row[199].offset, 199 * 16);
  adamix_params_destroy (&params);
  cr_expect_null (params.row);
  adamix_params_destroy (&params);
  adamix_params_destroy (NULL);
}
