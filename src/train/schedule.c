#include <adamix/train.h>

#include <math.h>

static int64_t
rising_steps (double warmup, int64_t total)
{
  return (int64_t) ceil (warmup * (double) total);
}

double
adamix_schedule_rise (double warmup, int64_t step, int64_t total)
{
  const int64_t rise = rising_steps (warmup, total);
  return step < rise ? (double) step / (double) rise : 1;
}

double
adamix_schedule_linear (double peak, double warmup, int64_t step, int64_t total)
{
  const int64_t rise = rising_steps (warmup, total);
  if (step < rise) return peak * (double) step / (double) rise;
  int64_t fall = total - rise;
  if (fall < 1 || step >= total) return 0;
  return peak * (double) (total - step) / (double) fall;
}
