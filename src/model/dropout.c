#include "model/model_private.h"

#include <math.h>

/* Philox counters of a dropout mask: 16 bits an element, so a counter gives 8 of them; 16 counters make a block of 128
 * elements, and rows start at blocks of their own. */
enum { PASS_SHIFT = 24, LAYER_SHIFT = 8, CHUNK = 128, COUNTERS_PER_CHUNK = 16 };

uint32_t
adamix_dropout_blocks (int64_t elements)
{
  return (uint32_t) ((elements + CHUNK - 1) / CHUNK * COUNTERS_PER_CHUNK);
}

adamix_dropout
adamix_dropout_at (const adamix_forward_args *args, double rate, int64_t pass, int64_t layer, adamix_drop drop,
                   int64_t sample)
{
  const double lanes = 65536;
  double threshold = args->training ? round (lanes * rate) : 0;
  return (adamix_dropout){
    .rng = adamix_rng_stream (args->seed, ADAMIX_RNG_DROPOUT),
    .sample = (uint32_t) sample,
    .step = (uint32_t) args->step,
    .place = (uint32_t) pass << PASS_SHIFT | (uint32_t) layer << LAYER_SHIFT | (uint32_t) drop,
    .threshold = (uint32_t) threshold,
    .scale = (float) (1 / (1 - threshold / lanes)),
  };
}

adamix_dropout
adamix_dropout_of (const adamix_forward_args *args, int64_t pass, int64_t layer, adamix_drop drop, int64_t sample)
{
  return adamix_dropout_at (args, (double) args->dropout, pass, layer, drop, sample);
}

adamix_dropout
adamix_dropout_row (adamix_dropout base, const adamix_batch *batch, int64_t cols, int64_t r)
{
  int64_t t = r % batch->tokens, sequence = batch->sequence[t];
  base.sample = (uint32_t) batch->sample[sequence];
  base.place |= (uint32_t) (r / batch->tokens) << PASS_SHIFT;
  base.first_block = (uint32_t) (t - batch->offset[sequence]) * adamix_dropout_blocks (cols);
  return base;
}
