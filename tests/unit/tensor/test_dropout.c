#include "tensor/fixture.h"

Test (dropout, numbers_are_those_of_the_generator)
{
  const int64_t lengths[] = { 1, 15, 128, 129, 384, 1000 };
  adamix_dropout dropout = fifth_dropped ();
  FOR_EACH_TABLE (kernels)
  for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
    int64_t n = lengths[l];
    float *x = random_floats (1, n), *y = random_floats (1, n);
    kernels->dropout (&dropout, n, y);
    for (int64_t e = 0; e < n; e++)
      cr_assert_eq (y[e], x[e] * (float) dropout_factor (&dropout, e), "%s: element %d of %d", kernels->isa, (int) e,
                    (int) n);
    free (x), free (y);
  }
}

Test (dropout, drops_the_share_that_was_asked)
{
  enum { N = 1 << 16 };
  adamix_dropout dropout = fifth_dropped ();
  float *x = zero_floats (N);
  FOR_EACH_TABLE (kernels)
  {
    int kept = 0;
    for (int i = 0; i < N; i++) x[i] = 1.0f;
    kernels->dropout (&dropout, N, x);
    for (int i = 0; i < N; i++) kept += x[i] != 0.0f;
    /* Five standard deviations of a binomial count. */
    cr_expect (fabs (kept / (double) N - 0.8) < 5.0 * sqrt (0.16 / N), "%s keeps %d of %d", kernels->isa, kept, N);
  }
  free (x);
}

Test (dropout, counters_wrap_and_differ)
{
  adamix_dropout dropout = fifth_dropped (), other = dropout;
  dropout.first_block = UINT32_MAX - 4;
  other.sample++;
  FOR_EACH_TABLE (kernels)
  {
    float x[256], y[256];
    for (int i = 0; i < 256; i++) x[i] = y[i] = 1.0f;
    kernels->dropout (&dropout, 256, x);
    kernels->dropout (&other, 256, y);
    int different = 0;
    for (int e = 0; e < 256; e++) {
      cr_assert_eq (x[e], (float) dropout_factor (&dropout, e));
      different += x[e] != y[e];
    }
    cr_expect_gt (different, 20);
  }
}

Test (dropout, number_at_the_threshold_is_kept)
{
  adamix_dropout dropout = fifth_dropped ();
  adamix_rng_counter counter = { { dropout.first_block + 5, dropout.sample, dropout.step, dropout.place } };
  uint32_t drawn = adamix_rng_bits (dropout.rng, counter).word[0];
  FOR_EACH_TABLE (kernels)
  for (uint32_t above = 0; above < 2; above++) {
    float x[32];
    for (int i = 0; i < 32; i++) x[i] = 1.0f;
    dropout.threshold = (drawn & 0xffff) + above;
    kernels->dropout (&dropout, 32, x);
    cr_expect_eq (x[5] != 0.0f, above == 0, "%s: lower half, threshold %u above", kernels->isa, above);
    for (int i = 0; i < 32; i++) x[i] = 1.0f;
    dropout.threshold = (drawn >> 16) + above;
    kernels->dropout (&dropout, 32, x);
    cr_expect_eq (x[16 + 5] != 0.0f, above == 0, "%s: upper half, threshold %u above", kernels->isa, above);
  }
}

Test (dropout, threshold_zero_keeps_all)
{
  adamix_dropout dropout = fifth_dropped ();
  dropout.threshold = 0;
  FOR_EACH_TABLE (kernels)
  {
    float x[] = { 1.0f, 2.0f, 3.0f };
    kernels->dropout (&dropout, 3, x);
    cr_expect (x[0] == 1.0f && x[1] == 2.0f && x[2] == 3.0f);
  }
}
