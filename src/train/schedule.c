#include <adamix/train.h>

#include <math.h>

double
adamix_schedule_linear (double peak, double warmup, int64_t step, int64_t total)
{
  int64_t rise = (int64_t) ceil (warmup * (double) total);
  if (step < rise) return peak * (double) step / (double) rise;
  int64_t fall = total - rise;
  if (fall < 1 || step >= total) return 0;
  return peak * (double) (total - step) / (double) fall;
}
