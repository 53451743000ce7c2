/* Which mask goes where. */
#include "model/fixture.h"
#include "model/run.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { H = 32, HEADS = 4, HEAD_SIZE = H / HEADS, TOKENS = 73, SEQUENCES = 5 };

Test (dropout, mask_names_its_place)
{
  const adamix_forward_args args = { .training = true, .dropout = 0.1f, .seed = 42, .step = 9 };
  const adamix_forward_args evaluation = { .dropout = 0.1f, .seed = 42, .step = 9 };
  const adamix_rng rng = adamix_rng_stream (42, ADAMIX_RNG_DROPOUT);
  adamix_dropout dropout = adamix_dropout_of (&args, 1, 11, ADAMIX_DROP_FFN, 1234);
  cr_expect_arr_eq (&dropout.rng, &rng, sizeof rng);
  cr_expect (dropout.sample == 1234 && dropout.step == 9 && dropout.first_block == 0);
  cr_expect_eq (dropout.place, 1u << 24 | 11u << 8 | ADAMIX_DROP_FFN);
  cr_expect_eq (dropout.threshold, 6554);
  cr_expect_float_eq (dropout.scale, 65536.0 / (65536 - 6554), 1e-6);
  cr_expect_eq (adamix_dropout_of (&evaluation, 1, 11, ADAMIX_DROP_FFN, 1234).threshold, 0);
}

/* ---- attention probabilities ---------------------------------------------------------------------------------------- */

/* What attention gives where all keys weigh the same and all values are one: the sum of a row of the mask over n. */
typedef struct observer {
  adamix_insertion insertion;
  float seen[2 * TOKENS * H];
} observer;

static adamix_err
observe (adamix_insertion *self, const adamix_site *site, adamix_view x, adamix_view y)
{
  if (site->layer == 0 && site->place == ADAMIX_PLACE_ATTENTION)
    memcpy (((observer *) self)->seen, x.data, (size_t) (x.rows * H) * sizeof (float));
  if (y.data != x.data) memcpy (y.data, x.data, (size_t) (x.rows * H) * sizeof (float));
  return ADAMIX_OK;
}

static void
replace (fixture_copy *copy, const char *name, const float *values)
{
  fixture_copy_find (copy, name)->data = values;
}

/* Query, key and value are 0 but for the value's bias, 1; attention's dense hands on what the heads give. */
static void
make_transparent (fixture_copy *copy)
{
  static float zeros[H * H], ones[H], identity[H * H];
  for (int i = 0; i < H; ++i) identity[i * H + i] = ones[i] = 1;
  replace (copy, "encoder.layer.0.attention.self.query.weight", zeros);
  replace (copy, "encoder.layer.0.attention.self.query.bias", zeros);
  replace (copy, "encoder.layer.0.attention.self.value.weight", zeros);
  replace (copy, "encoder.layer.0.attention.self.value.bias", ones);
  replace (copy, "encoder.layer.0.attention.output.dense.weight", identity);
  replace (copy, "encoder.layer.0.attention.output.dense.bias", zeros);
}

/* Element i * n16 + j of the mask that stands `head` masks behind the first. */
static bool
keeps (adamix_dropout dropout, int64_t n, int64_t head, int64_t i, int64_t j)
{
  int64_t n16 = (n + 15) / 16 * 16, chunks = (n * n16 + 127) / 128, e = i * n16 + j;
  int64_t chunk = head * chunks + e / 128, lane = e % 128 / 16, block = 16 * chunk + e % 16;
  const adamix_rng_counter counter = { { (uint32_t) block, dropout.sample, dropout.step, dropout.place } };
  uint32_t word = adamix_rng_bits (dropout.rng, counter).word[lane / 2];
  return (word >> lane % 2 * 16 & 0xffff) >= dropout.threshold;
}

static void
check_row (const run *run, const observer *observer, int64_t pass, int64_t s, int64_t head, int64_t i)
{
  const adamix_batch *batch = run->args.batch;
  int64_t first = batch->offset[s], n = batch->offset[s + 1] - first, kept = 0;
  adamix_dropout dropout = adamix_dropout_of (&run->args, pass, 0, ADAMIX_DROP_PROBABILITIES, batch->sample[s]);
  for (int64_t j = 0; j < n; ++j) kept += keeps (dropout, n, head, i, j);
  const float *seen = observer->seen + (pass * TOKENS + first + i) * H + head * HEAD_SIZE;
  double expected = (double) kept / (double) n * dropout.scale;
  cr_expect_float_eq (seen[0], expected, 1e-5, "pass %d sequence %d head %d row %d: %g, expected %g", (int) pass,
                      (int) s, (int) head, (int) i, seen[0], expected);
  cr_expect_float_eq (seen[HEAD_SIZE - 1], expected, 1e-5);
}

/* No two of pass, sequence and head share a mask. */
Test (dropout, every_head_has_its_mask)
{
  static observer observer = { .insertion = { ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION), observe, NULL } };
  fixture_copy copy;
  fixture fixture;
  run run;
  const run_shape shape = { .outputs = 1, .passes = 2, .inference = true };
  fixture_copy_begin (&copy);
  make_transparent (&copy);
  fixture_copy_write (&copy);
  fixture_open (&fixture, copy.dir, 2);
  run_create (&run, fixture.model, &fixture.batch, &shape, NULL, NULL);
  run.args.training = true;
  run.args.dropout = 0.3f;
  run.args.insertion = &observer.insertion;
  run_forward (&run);
  for (int64_t pass = 0; pass < 2; ++pass)
    for (int64_t s = 0; s < SEQUENCES; ++s)
      for (int64_t head = 0; head < HEADS; ++head)
        for (int64_t i = 0; i < fixture.batch.offset[s + 1] - fixture.batch.offset[s]; ++i)
          check_row (&run, &observer, pass, s, head, i);
  run_destroy (&run);
  fixture_close (&fixture);
  fixture_copy_remove (&copy);
}
