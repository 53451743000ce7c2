#include <adamix/tensor.h>

#include <string.h>

typedef struct {
  size_t bytes;
  const char *name;
} dtype_row;

static const dtype_row DTYPES[] = {
#define DTYPE_ROW(name, bytes, text) { bytes, text },
  ADAMIX_DTYPES (DTYPE_ROW)
#undef DTYPE_ROW
};

size_t
adamix_dtype_bytes (adamix_dtype dtype)
{
  return DTYPES[dtype].bytes;
}

const char *
adamix_dtype_name (adamix_dtype dtype)
{
  return DTYPES[dtype].name;
}

static float
float_of_bits (uint32_t bits)
{
  float value;
  memcpy (&value, &bits, sizeof value);
  return value;
}

static float
widen_f16 (uint16_t half)
{
  uint32_t sign = (uint32_t) (half & 0x8000) << 16, exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  if (exponent == 0x1f) return float_of_bits (sign | 0x7f800000 | fraction << 13);
  if (exponent > 0) return float_of_bits (sign | (exponent + 127 - 15) << 23 | fraction << 13);
  float magnitude = (float) fraction * 0x1p-24f; /* zero or subnormal: exact in fp32 */
  return sign != 0 ? -magnitude : magnitude;
}

static void
from_f64 (const char *from, int64_t count, float *to)
{
  for (int64_t i = 0; i < count; i++) {
    double value;
    memcpy (&value, from + 8 * i, sizeof value);
    to[i] = (float) value;
  }
}

static void
from_f32 (const char *from, int64_t count, float *to)
{
  if (count > 0) memcpy (to, from, (size_t) count * sizeof *to);
}

static void
from_f16 (const char *from, int64_t count, float *to)
{
  for (int64_t i = 0; i < count; i++) {
    uint16_t half;
    memcpy (&half, from + 2 * i, sizeof half);
    to[i] = widen_f16 (half);
  }
}

static void
from_bf16 (const char *from, int64_t count, float *to)
{
  for (int64_t i = 0; i < count; i++) {
    uint16_t upper;
    memcpy (&upper, from + 2 * i, sizeof upper);
    to[i] = float_of_bits ((uint32_t) upper << 16);
  }
}

adamix_err
adamix_dtype_to_f32 (adamix_dtype dtype, const void *from, int64_t count, float *to)
{
  static void (*const convert[ADAMIX_DTYPE_COUNT]) (const char *, int64_t, float *) = {
    [ADAMIX_DTYPE_F64] = from_f64,
    [ADAMIX_DTYPE_F32] = from_f32,
    [ADAMIX_DTYPE_F16] = from_f16,
    [ADAMIX_DTYPE_BF16] = from_bf16,
  };
  if (convert[dtype] == NULL)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "tensor of dtype %s: only F64, F32, F16 and BF16 hold weights",
                           adamix_dtype_name (dtype));
  convert[dtype](from, count, to);
  return ADAMIX_OK;
}
