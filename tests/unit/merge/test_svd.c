#include <float.h>
#include <math.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/merge.h>

#include "adapt/fixture.h"

enum { L = 2, H = 9, R = 3, M = 3 };

static bank_fixture all, merged;
static double kept;

static void
open_banks (int64_t experts, int64_t rank, adamix_share share)
{
  const adamix_bank_shape shape = { .kind = ADAMIX_LORA,
                                    .places = ADAMIX_PLACES_LINEAR,
                                    .layers = L,
                                    .hidden = H,
                                    .bottleneck = rank,
                                    .experts = experts,
                                    .share = share,
                                    .scale = 2 };
  const adamix_merge_method *svd = adamix_merge_method_find ("svd");
  if (svd->lacks) cr_skip_test ("this build lacks %s", svd->lacks);
  const adamix_bank_shape one = svd->shape (&shape);
  cr_assert (eq (i64, one.bottleneck, rank));
  bank_fixture_open (&all, &shape, NULL);
  bank_fixture_open (&merged, &one, NULL);
  bank_fixture_randomise (&all, 1);
}

static void
close_banks (void)
{
  bank_fixture_close (&merged);
  bank_fixture_close (&all);
}

static adamix_err
try_merge (const char *name)
{
  adamix_comm alone = { .handle = MPI_COMM_NULL, .size = 1 };
  const adamix_merge_args args = { .all = all.bank, .comm = &alone, .kept = &kept };
  kept = -1;
  return adamix_merge_method_find (name)->merge (&args, merged.bank);
}

static float *
factor (const adamix_bank *bank, adamix_projection projection, int64_t site, int64_t j)
{
  const adamix_expert_list *list = &bank->local[projection][site];
  return list->expert[j % list->count].weight->value;
}

#define FOR_EACH_SITE(site) for (int64_t site = 0; site < adamix_bank_sites (&all.bank->shape); site++)
#define SITES               (2 * L)

/* out += B_j A_j at a site */
static void
add_product (const adamix_bank *bank, int64_t site, int64_t j, double out[H * H])
{
  const int64_t rank = bank->shape.bottleneck;
  const float *a = factor (bank, ADAMIX_DOWN, site, j), *b = factor (bank, ADAMIX_UP, site, j);
  for (int64_t e = 0; e < H * H; e++)
    for (int64_t r = 0; r < rank; r++) out[e] += (double) b[e / H * rank + r] * a[r * H + e % H];
}

/* Of factors of size 1 that are rounded to fp32 once; sums of R + 1 products of them. */
static void
expect_product (const char *what, int64_t site, const double expected[H * H], double scale)
{
  double got[H * H] = { 0 };
  add_product (merged.bank, site, 0, got);
  for (int e = 0; e < H * H; e++)
    cr_assert (fabs (got[e] - expected[e]) <= 16 * FLT_EPSILON * scale, "%s, site %d: %g, not %g", what, (int) site,
               got[e], expected[e]);
}

static void
expect_same_bits (const float *a, const float *b, int64_t count, const char *what)
{
  cr_expect (memcmp (a, b, (size_t) count * sizeof *a) == 0, "%s", what);
}

Test (svd, leaves_one_expert_as_it_is)
{
  open_banks (1, R, ADAMIX_SHARE_NONE);
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  for (adamix_projection p = ADAMIX_DOWN; p < ADAMIX_PROJECTIONS; p++)
    expect_same_bits (factor (merged.bank, p, i, 0), factor (all.bank, p, i, 0), H * R, "one expert");
  cr_expect (eq (dbl, kept, 1));
  close_banks ();
}

Test (svd, makes_of_equal_experts_what_they_are)
{
  open_banks (M, R, ADAMIX_SHARE_NONE);
  FOR_EACH_SITE (i)
  for (adamix_projection p = ADAMIX_DOWN; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t j = 1; j < M; j++)
      memcpy (factor (all.bank, p, i, j), factor (all.bank, p, i, 0), H * R * sizeof (float));
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  {
    double expected[H * H] = { 0 };
    add_product (all.bank, i, 0, expected);
    expect_product ("equal experts", i, expected, 8);
  }
  cr_expect (fabs (kept - 1) < 1e-12);
  close_banks ();
}

/* What the module is now, at all sites. */
static void
note_products (double out[SITES][H * H])
{
  memset (out, 0, SITES * sizeof *out);
  FOR_EACH_SITE (i) add_product (merged.bank, i, 0, out[i]);
}

Test (svd, does_not_look_at_the_order)
{
  double before[SITES][H * H];
  open_banks (M, R, ADAMIX_SHARE_NONE);
  must (try_merge ("svd"));
  note_products (before);
  FOR_EACH_SITE (i)
  for (adamix_projection p = ADAMIX_DOWN; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t e = 0; e < H * R; e++) {
      float *x = factor (all.bank, p, i, 0) + e, *y = factor (all.bank, p, i, 2) + e, z = *x;
      *x = *y;
      *y = z;
    }
  must (try_merge ("svd"));
  FOR_EACH_SITE (i) expect_product ("another order", i, before[i], 8);
  close_banks ();
}

/* As 3 times, Bs 5 times as large: the product 15 times, which is no power of two. */
Test (svd, follows_the_scale)
{
  double before[SITES][H * H];
  open_banks (M, R, ADAMIX_SHARE_NONE);
  must (try_merge ("svd"));
  note_products (before);
  const double share = kept;
  FOR_EACH_SITE (i)
  for (int64_t j = 0; j < M; j++)
    for (int64_t e = 0; e < H * R; e++) {
      factor (all.bank, ADAMIX_DOWN, i, j)[e] *= 3;
      factor (all.bank, ADAMIX_UP, i, j)[e] *= 5;
    }
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  {
    for (int e = 0; e < H * H; e++) before[i][e] *= 15;
    expect_product ("another scale", i, before[i], 15 * 8);
  }
  cr_expect (fabs (kept - share) < 1e-6 && share < 0.99, "%g, was %g", kept, share);
  close_banks ();
}

/* By hand: term t goes from input t to output H - 1 - t by value[t], so that its size is a singular value of the mean. */
static const double value[M * R] = { 3, -12, 6, 9, 1.5, -4.5, 0.75, 18, 2.25 };

static void
put_terms (int64_t site)
{
  for (int64_t t = 0; t < M * R; t++) {
    const int64_t j = t / R, r = t % R;
    memset (factor (all.bank, ADAMIX_DOWN, site, j) + r * H, 0, H * sizeof (float));
    factor (all.bank, ADAMIX_DOWN, site, j)[r * H + t] = (float) value[t];
    for (int64_t h = 0; h < H; h++) factor (all.bank, ADAMIX_UP, site, j)[h * R + r] = h == H - 1 - t;
  }
}

/* 18, 12 and 9 are kept, as 6, 4 and 3 in the mean: of 1 + 16 + 4 + 9 + 0.25 + 2.25 + 0.0625 + 36 + 0.5625 that is 61. */
Test (svd, keeps_the_largest_values)
{
  open_banks (M, R, ADAMIX_SHARE_NONE);
  FOR_EACH_SITE (i) put_terms (i);
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  {
    double expected[H * H] = { 0 };
    for (int64_t t = 0; t < M * R; t++)
      if (fabs (value[t]) >= 9) expected[(H - 1 - t) * H + t] = value[t] / M;
    expect_product ("by hand", i, expected, 6);
  }
  cr_expect (fabs (kept - sqrt (61 / 69.125)) < 1e-12, "%.9g", kept);
  close_banks ();
}

/* Descending, both factors of a term of one size, the largest entry of B's column positive. */
Test (svd, splits_the_values_evenly_and_fixes_the_signs)
{
  open_banks (M, R, ADAMIX_SHARE_NONE);
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  {
    const float *a = factor (merged.bank, ADAMIX_DOWN, i, 0), *b = factor (merged.bank, ADAMIX_UP, i, 0);
    double before = INFINITY;
    for (int64_t r = 0; r < R; r++) {
      double of_a = 0, of_b = 0, largest = 0;
      for (int64_t h = 0; h < H; h++) {
        of_a += (double) a[r * H + h] * a[r * H + h];
        of_b += (double) b[h * R + r] * b[h * R + r];
        if (fabsf (b[h * R + r]) > fabs (largest)) largest = b[h * R + r];
      }
      cr_expect (fabs (of_a - of_b) <= 16 * FLT_EPSILON * of_a, "%g and %g", of_a, of_b);
      cr_expect (largest > 0 && of_a < before, "%g, %g after %g", largest, of_a, before);
      before = of_a;
    }
  }
  close_banks ();
}

Test (svd, of_a_shared_factor_is_average)
{
  const adamix_share shares[] = { ADAMIX_SHARE_DOWN, ADAMIX_SHARE_UP, ADAMIX_SHARE_BOTH };
  for (int s = 0; s < 3; s++) {
    float was[ADAMIX_PROJECTIONS][SITES][H * R];
    open_banks (M, R, shares[s]);
    must (try_merge ("average"));
    FOR_EACH_SITE (i)
    for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
      memcpy (was[p][i], factor (merged.bank, (adamix_projection) p, i, 0), sizeof was[p][i]);
    must (try_merge ("svd"));
    FOR_EACH_SITE (i)
    for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
      expect_same_bits (factor (merged.bank, (adamix_projection) p, i, 0), was[p][i], H * R,
                        adamix_share_name (shares[s]));
    cr_expect (eq (dbl, kept, 1));
    close_banks ();
  }
}

/* The mean has H values, and what is left of R stays 0. */
Test (svd, of_more_ranks_than_values_is_exact)
{
  const int64_t rank = H + 2;
  open_banks (M, rank, ADAMIX_SHARE_NONE);
  memset (factor (merged.bank, ADAMIX_UP, 0, 0), 1, (size_t) (H * rank) * sizeof (float));
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  {
    double expected[H * H] = { 0 };
    for (int64_t j = 0; j < M; j++) add_product (all.bank, i, j, expected);
    for (int e = 0; e < H * H; e++) expected[e] /= M;
    expect_product ("R above H", i, expected, 8);
    for (int64_t h = 0; h < H; h++) {
      cr_expect (factor (merged.bank, ADAMIX_UP, i, 0)[h * rank + H] == 0);
      cr_expect (factor (merged.bank, ADAMIX_DOWN, i, 0)[H * H + h] == 0);
    }
  }
  cr_expect (fabs (kept - 1) < 1e-12);
  close_banks ();
}

/* As LoRA starts. */
Test (svd, of_nothing_is_nothing)
{
  open_banks (M, R, ADAMIX_SHARE_NONE);
  adamix_bank_initialise (all.bank, 1);
  must (try_merge ("svd"));
  FOR_EACH_SITE (i)
  for (int64_t e = 0; e < H * R; e++)
    cr_expect (factor (merged.bank, ADAMIX_UP, i, 0)[e] == 0 && factor (merged.bank, ADAMIX_DOWN, i, 0)[e] == 0);
  cr_expect (eq (dbl, kept, 1));
  close_banks ();
}

Test (svd, refuses_what_is_not_finite)
{
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    open_banks (M, R, ADAMIX_SHARE_NONE);
    factor (all.bank, (adamix_projection) p, 3, 1)[7] = p ? NAN : INFINITY;
    cr_expect (try_merge ("svd") == ADAMIX_ENUMERIC);
    cr_expect (strstr (adamix_err_message (),
                       p ? "layers.1.value.experts.1.lora_B" : "layers.1.value.experts.1.lora_A") != NULL,
               "%s", adamix_err_message ());
    close_banks ();
  }
}

Test (svd, refuses_other_shapes)
{
  open_banks (M, R, ADAMIX_SHARE_NONE);
  const adamix_merge_args args = { .all = all.bank };
  cr_expect (adamix_merge_method_find ("svd")->merge (&args, all.bank) == ADAMIX_ESHAPE);
  all.bank->shape.kind = ADAMIX_BOTTLENECK;
  cr_expect (adamix_merge_method_find ("svd")->merge (&args, merged.bank) == ADAMIX_ESHAPE);
  cr_expect (strstr (adamix_err_message (), "'bottleneck'") != NULL, "%s", adamix_err_message ());
  all.bank->shape.kind = ADAMIX_LORA;
  close_banks ();
}
