#include <adamix/base.h>

#include <criterion/criterion.h>

Test (clock, moves_forward)
{
  const double start = adamix_clock ();
  while (adamix_clock () - start < 1e-3) continue;
  cr_expect (adamix_clock () > start);
}

Test (median, is_the_middle_of_the_sorted_values)
{
  double one[] = { 7 }, odd[] = { 9, 1, 5, 2, 8 }, even[] = { 4, 10, 1, 2 };
  cr_expect_eq (adamix_median (one, 1), 7);
  cr_expect_eq (adamix_median (odd, 5), 5);
  cr_expect_eq (adamix_median (even, 4), 3);
  for (int i = 1; i < 5; i++) cr_expect (odd[i - 1] < odd[i]);
}

/* It grows as the clock does, and began in this boot's time. */
Test (process, its_age_is_counted_from_its_start)
{
  const double age = adamix_process_age (), start = adamix_clock ();
  cr_assert (age >= 0 && age < 60, "%g s", age);
  while (adamix_clock () - start < 0.05) continue;
  const double later = adamix_process_age ();
  cr_expect (later - age >= 0.049 && later - age <= adamix_clock () - start + 0.01, "%g s, then %g s", age, later);
}
