#include <float.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <adamix/train.h>

/* 100 steps, warm-up over ceil (0.055 * 100) = 6 of them. */
Test (schedule, rises_from_zero_and_falls_to_zero)
{
  const double peak = 2e-3;
  cr_assert (eq (dbl, adamix_schedule_linear (peak, 0.055, 0, 100), 0));
  cr_assert (epsilon_eq (dbl, adamix_schedule_linear (peak, 0.055, 3, 100), peak / 2, DBL_EPSILON));
  cr_assert (epsilon_eq (dbl, adamix_schedule_linear (peak, 0.055, 6, 100), peak, DBL_EPSILON));
  cr_assert (epsilon_eq (dbl, adamix_schedule_linear (peak, 0.055, 53, 100), peak / 2, DBL_EPSILON));
  cr_assert (epsilon_eq (dbl, adamix_schedule_linear (peak, 0.055, 99, 100), peak / 94, DBL_EPSILON));
  cr_assert (eq (dbl, adamix_schedule_linear (peak, 0.055, 100, 100), 0));
}

Test (schedule, works_without_warm_up_and_with_nothing_else)
{
  cr_assert (eq (dbl, adamix_schedule_linear (1, 0, 0, 10), 1));
  cr_assert (eq (dbl, adamix_schedule_linear (1, 1, 5, 10), 0.5));
  cr_assert (eq (dbl, adamix_schedule_linear (1, 1, 10, 10), 0));
}

Test (schedule, the_rise_alone_stays_at_one)
{
  cr_assert (eq (dbl, adamix_schedule_rise (0, 0, 10), 1));
  cr_assert (eq (dbl, adamix_schedule_rise (0.055, 0, 100), 0));
  cr_assert (eq (dbl, adamix_schedule_rise (0.055, 3, 100), 0.5));
  cr_assert (eq (dbl, adamix_schedule_rise (0.055, 6, 100), 1));
  cr_assert (eq (dbl, adamix_schedule_rise (0.055, 99, 100), 1));
}
