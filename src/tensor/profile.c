#include <adamix/tensor.h>

#include <math.h>

void
adamix_profile_begin (adamix_profile *profile)
{
  if (profile) profile->last = adamix_clock ();
}

void
adamix_profile_lap (adamix_profile *profile, adamix_stage stage, double flops)
{
  if (!profile) return;
  const double now = adamix_clock ();
  profile->seconds[stage] += now - profile->last;
  profile->flops[stage] += flops;
  profile->last = now;
}

double
adamix_profile_flops (const adamix_profile *profile)
{
  double sum = 0;
  if (!profile) return NAN;
  for (int s = 0; s < ADAMIX_STAGE_COUNT; s++) sum += profile->flops[s];
  return sum;
}
