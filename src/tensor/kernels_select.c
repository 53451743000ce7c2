#include "tensor/kernels.h"

#include "tensor/attention_scratch.h"

#include <string.h>

static bool
always (void)
{
  return true;
}

#ifdef __x86_64__
static bool
has_avx2 (void)
{
  return __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma");
}

static bool
has_avx512 (void)
{
  return has_avx2 () && __builtin_cpu_supports ("avx512f") && __builtin_cpu_supports ("avx512bw") &&
         __builtin_cpu_supports ("avx512vl") && __builtin_cpu_supports ("avx512dq");
}

static bool
has_avx512_bf16 (void)
{
  return has_avx512 () && __builtin_cpu_supports ("avx512bf16");
}
#endif

/* Best first. */
static const struct {
  const adamix_kernels *kernels;
  bool (*supported) (void);
} TABLE[] = {
#ifdef __x86_64__
  { &adamix_kernels_avx512_bf16, has_avx512_bf16 },
  { &adamix_kernels_avx512, has_avx512 },
  { &adamix_kernels_avx2, has_avx2 },
#endif
  { &adamix_kernels_reference, always },
};
#define TABLE_ROWS (sizeof TABLE / sizeof *TABLE)

adamix_err
adamix_kernels_select (const adamix_kernels **out, const char *isa)
{
  bool best = isa == NULL || strcmp (isa, "auto") == 0;
  for (size_t i = 0; i < TABLE_ROWS; i++) {
    bool supported = TABLE[i].supported ();
    if (!best && strcmp (isa, TABLE[i].kernels->isa) == 0 && !supported)
      return adamix_err_set (ADAMIX_EUNSUPPORTED, "kernels \"%s\": this CPU lacks the instructions; use auto", isa);
    if (supported && (best || strcmp (isa, TABLE[i].kernels->isa) == 0)) {
      *out = TABLE[i].kernels;
      return ADAMIX_OK;
    }
  }
  return adamix_err_set (ADAMIX_EUSAGE, "kernels \"%s\" are unknown: use auto, reference, avx2, avx512 or avx512_bf16",
                         isa);
}

int
adamix_kernels_place (const adamix_kernels *kernels)
{
  int place = 0;
  while (TABLE[place].kernels != kernels) place++;
  return place;
}

const adamix_kernels *
adamix_kernels_at (int place)
{
  return TABLE[place].kernels;
}

size_t
adamix_attention_scratch (int64_t n, int64_t d)
{
  /* Keys and values transposed, keys and some rows as words; for a block of queries probabilities, what dropout keeps of them,
   * their gradients and words, and a row block as words. */
  return (size_t) (attention_padded (n) * (4 * d + 4 * ATTENTION_QUERIES) + ATTENTION_QUERIES * d);
}
