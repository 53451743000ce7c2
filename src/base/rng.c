#include <adamix/base.h>

#include <Random123/philox.h>
#include <math.h>

adamix_rng_counter
adamix_rng_bits (adamix_rng rng, adamix_rng_counter counter)
{
  philox4x32_key_t key = { { rng.key[0], rng.key[1] } };
  philox4x32_ctr_t in = { { counter.word[0], counter.word[1], counter.word[2], counter.word[3] } };
  philox4x32_ctr_t out = philox4x32_R (10, in, key);
  return (adamix_rng_counter){ { out.v[0], out.v[1], out.v[2], out.v[3] } };
}

/* A purpose is a block of the generator keyed by the seed, so keys of neighbouring seeds and purposes share nothing. */
adamix_rng
adamix_rng_stream (uint64_t seed, adamix_rng_purpose purpose)
{
  adamix_rng of_seed = { { (uint32_t) seed, (uint32_t) (seed >> 32) } };
  adamix_rng_counter bits = adamix_rng_bits (of_seed, (adamix_rng_counter){ { (uint32_t) purpose, 0, 0, 0 } });
  return (adamix_rng){ { bits.word[0], bits.word[1] } };
}

static uint64_t
below (adamix_rng rng, adamix_rng_counter counter, uint64_t bound)
{
  adamix_rng_counter bits = adamix_rng_bits (rng, counter);
  uint64_t draw = (uint64_t) bits.word[1] << 32 | bits.word[0];
  return (uint64_t) ((unsigned __int128) draw * bound >> 64);
}

uint32_t
adamix_rng_below (adamix_rng rng, adamix_rng_counter counter, uint32_t bound)
{
  return (uint32_t) below (rng, counter, bound);
}

/* (0, 1]: the logarithm of 0 is never taken. */
static double
unit (uint32_t bits)
{
  return ((double) bits + 1.0) * 0x1p-32;
}

void
adamix_rng_normal (adamix_rng rng, uint32_t word0, uint32_t word1, int64_t n, double deviation, float *out)
{
  for (int64_t first = 0; first < n; first += 4) {
    uint64_t block = (uint64_t) first / 4;
    adamix_rng_counter counter = { { word0, word1, (uint32_t) block, (uint32_t) (block >> 32) } };
    adamix_rng_counter bits = adamix_rng_bits (rng, counter);
    double value[4];
    for (int pair = 0; pair < 2; pair++) {
      double radius = deviation * sqrt (-2.0 * log (unit (bits.word[2 * pair])));
      double angle = 2.0 * M_PI * unit (bits.word[2 * pair + 1]);
      value[2 * pair] = radius * cos (angle);
      value[2 * pair + 1] = radius * sin (angle);
    }
    for (int64_t i = first; i < n && i < first + 4; i++) out[i] = (float) value[i - first];
  }
}

void
adamix_rng_uniform (adamix_rng rng, uint32_t word0, uint32_t word1, int64_t n, double bound, float *out)
{
  for (int64_t i = 0; i < n; i++) {
    const uint64_t block = (uint64_t) i / 4;
    const adamix_rng_counter counter = { { word0, word1, (uint32_t) block, (uint32_t) (block >> 32) } };
    out[i] = (float) (bound * (2 * unit (adamix_rng_bits (rng, counter).word[i % 4]) - 1));
  }
}

void
adamix_rng_permutation (adamix_rng rng, uint32_t word0, uint32_t word1, int64_t n, int64_t *out)
{
  for (int64_t i = 0; i < n; i++) out[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    adamix_rng_counter counter = { { word0, word1, (uint32_t) i, (uint32_t) ((uint64_t) i >> 32) } };
    int64_t j = (int64_t) below (rng, counter, (uint64_t) i + 1);
    int64_t swapped = out[i];
    out[i] = out[j];
    out[j] = swapped;
  }
}
