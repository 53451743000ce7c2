#include "tensor/fixture.h"

#include <string.h>

static const struct {
  adamix_dtype dtype;
  size_t bytes;
  const char *name;
} EXPECTED[] = {
  { ADAMIX_DTYPE_F64, 8, "F64" },   { ADAMIX_DTYPE_F32, 4, "F32" }, { ADAMIX_DTYPE_F16, 2, "F16" },
  { ADAMIX_DTYPE_BF16, 2, "BF16" }, { ADAMIX_DTYPE_I64, 8, "I64" }, { ADAMIX_DTYPE_BOOL, 1, "BOOL" },
};

Test (dtype, sizes_and_names)
{
  for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++) {
    cr_expect_eq (adamix_dtype_bytes (EXPECTED[i].dtype), EXPECTED[i].bytes);
    cr_expect_str_eq (adamix_dtype_name (EXPECTED[i].dtype), EXPECTED[i].name);
  }
}

static double
value_of_half (uint16_t half)
{
  int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  double size = exponent == 0x1f ? (fraction == 0 ? INFINITY : NAN)
                : exponent == 0  ? ldexp (fraction, -24)
                                 : ldexp (1024 + fraction, exponent - 25);
  return half & 0x8000 ? -size : size;
}

Test (dtype, every_half_is_exact)
{
  for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
    uint16_t half = (uint16_t) bits;
    float got;
    cr_assert_eq (adamix_dtype_to_f32 (ADAMIX_DTYPE_F16, &half, 1, &got), ADAMIX_OK);
    double want = value_of_half (half);
    if (isnan (want))
      cr_assert (isnan (got), "half 0x%04x is not NaN but %g", bits, (double) got);
    else
      cr_assert (got == want && !signbit (got) == !signbit (want), "half 0x%04x: %g, not %g", bits, (double) got, want);
  }
}

Test (dtype, bf16_is_the_upper_half_and_f64_rounds)
{
  uint16_t upper[] = { 0x3f80, 0xc040, 0x0001, 0xff80 };
  float got[4];
  cr_assert_eq (adamix_dtype_to_f32 (ADAMIX_DTYPE_BF16, upper, 4, got), ADAMIX_OK);
  cr_expect_eq (got[0], 1.0f);
  cr_expect_eq (got[1], -3.0f);
  cr_expect_eq (got[2], 0x1p-133f);
  cr_expect_eq (got[3], -INFINITY);

  double wide[] = { 1.0 / 3.0, -1e300 };
  cr_assert_eq (adamix_dtype_to_f32 (ADAMIX_DTYPE_F64, wide, 2, got), ADAMIX_OK);
  cr_expect_eq (got[0], 1.0f / 3.0f);
  cr_expect_eq (got[1], -INFINITY);
}

Test (dtype, any_alignment)
{
  char bytes[9];
  float value = 2.5f, got[2];
  memcpy (bytes + 1, &value, sizeof value);
  memcpy (bytes + 5, &value, sizeof value);
  cr_assert_eq (adamix_dtype_to_f32 (ADAMIX_DTYPE_F32, bytes + 1, 2, got), ADAMIX_OK);
  cr_expect_eq (got[0], 2.5f);
  cr_expect_eq (got[1], 2.5f);
}

Test (dtype, integers_are_refused)
{
  int64_t id = 3;
  float got;
  cr_expect_eq (adamix_dtype_to_f32 (ADAMIX_DTYPE_I64, &id, 1, &got), ADAMIX_EUNSUPPORTED);
  cr_expect_not_null (strstr (adamix_err_message (), "I64"));
}
