#include <math.h>
#include <string.h>

#include <adamix/adapt.h>

/* log sum_k exp z_k, shifted by the largest */
static double
log_sum_exp (int64_t K, const float *z)
{
  double largest = z[0], sum = 0;
  for (int64_t k = 1; k < K; k++)
    if (z[k] > largest) largest = z[k];
  for (int64_t k = 0; k < K; k++) sum += exp (z[k] - largest);
  return largest + log (sum);
}

/* CE (z, y) = -log p_y;  dz = scale (p - onehot (y)) */
static double
cross_entropy (int64_t K, const float *z, int32_t label, double scale, float *dz)
{
  double norm = log_sum_exp (K, z);
  ADAMIX_ASSERT (label >= 0 && label < K);
  for (int64_t k = 0; k < K; k++) dz[k] = (float) (scale * (exp (z[k] - norm) - (k == label)));
  return scale * (norm - z[label]);
}

/* An example's logits in both passes, and log sum exp of each. */
typedef struct two_passes {
  int64_t K;
  const float *z1, *z2;
  double norm1, norm2;
} two_passes;

/* p_k of both passes, and d_k = log p1_k - log p2_k. */
typedef struct compared {
  double p1, p2, d;
} compared;

static compared
compare (const two_passes *z, int64_t k)
{
  double log1 = z->z1[k] - z->norm1, log2 = z->z2[k] - z->norm2;
  return (compared){ exp (log1), exp (log2), log1 - log2 };
}

/* What the targets' own derivatives add: dz1 += weight p1 (d - KL (p1 || p2));  dz2 += weight p2 (-d - KL (p2 || p1)) */
static void
move_targets (const two_passes *z, double weight, float *dz1, float *dz2)
{
  double kl12 = 0, kl21 = 0;
  for (int64_t k = 0; k < z->K; k++) {
    compared c = compare (z, k);
    kl12 += c.p1 * c.d;
    kl21 -= c.p2 * c.d;
  }
  for (int64_t k = 0; k < z->K; k++) {
    compared c = compare (z, k);
    dz1[k] += (float) (weight * c.p1 * (c.d - kl12));
    dz2[k] += (float) (weight * c.p2 * (-c.d - kl21));
  }
}

/* KL (p2 || p1) + KL (p1 || p2) = sum_k (p1 - p2) d;  with fixed targets dz1 += weight (p1 - p2), dz2 = weight (p2 - p1) */
static double
agreement (const two_passes *z, adamix_consistency_gradient gradient, double weight, float *dz1, float *dz2)
{
  double sum = 0;
  for (int64_t k = 0; k < z->K; k++) {
    compared c = compare (z, k);
    sum += (c.p1 - c.p2) * c.d;
    dz1[k] += (float) (weight * (c.p1 - c.p2));
    dz2[k] = (float) (-weight * (c.p1 - c.p2));
  }
  if (gradient == ADAMIX_CONSISTENCY_BOTH) move_targets (z, weight, dz1, dz2);
  return weight * sum;
}

static double
squared_error (const float *z, float target, double scale, float *dz)
{
  double difference = (double) z[0] - target;
  dz[0] = (float) (2 * scale * difference);
  return scale * difference * difference;
}

void
adamix_loss_compute (const adamix_loss_args *args, adamix_view z, adamix_view dz, adamix_loss *out)
{
  int64_t n = args->examples, K = args->outputs;
  double weight = args->scale * args->consistency / 2;
  bool agree = args->label != NULL;
  *out = (adamix_loss){ 0 };
  ADAMIX_ASSERT (args->label != NULL || K == 1);
  for (int64_t i = 0; i < n; i++) {
    const float *z1 = z.data + i * z.stride;
    float *dz1 = dz.data + i * dz.stride;
    out->task += args->label != NULL ? cross_entropy (K, z1, args->label[i], args->scale, dz1)
                                     : squared_error (z1, args->target[i], args->scale, dz1);
    if (args->passes < 2) continue;
    const float *z2 = z.data + (n + i) * z.stride;
    float *dz2 = dz.data + (n + i) * dz.stride;
    if (agree) {
      const two_passes both = { K, z1, z2, log_sum_exp (K, z1), log_sum_exp (K, z2) };
      out->consistency += agreement (&both, args->gradient, weight, dz1, dz2);
    } else
      memset (dz2, 0, (size_t) K * sizeof (float));
  }
}
