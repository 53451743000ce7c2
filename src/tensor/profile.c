#include <adamix/tensor.h>

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
