#include <adamix/train.h>

#include <math.h>
#include <stdlib.h>

adamix_err
adamix_optimizer_create (adamix_optimizer *out, adamix_params *params, const adamix_kernels *kernels,
                         double weight_decay)
{
  adamix_err err = ADAMIX_OK;
  *out = (adamix_optimizer){
    .params = params, .kernels = kernels, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = weight_decay
  };
  ADAMIX_TRY (ADAMIX_ALLOC (out->first, params->count));
  ADAMIX_TRY (ADAMIX_ALLOC (out->second, params->count));
  ADAMIX_TRY (ADAMIX_ALLOC (out->steps, params->rows));
done:
  if (err) adamix_optimizer_destroy (out);
  return err;
}

size_t
adamix_optimizer_bytes (const adamix_params *params)
{
  const adamix_optimizer *o = NULL;
  return (size_t) params->count * (sizeof *o->first + sizeof *o->second) + (size_t) params->rows * sizeof *o->steps;
}

void
adamix_optimizer_destroy (adamix_optimizer *optimizer)
{
  if (!optimizer) return;
  free (optimizer->first);
  free (optimizer->second);
  free (optimizer->steps);
  free (optimizer->ema);
  *optimizer = (adamix_optimizer){ 0 };
}

/* Values a thread updates at a time. */
#define PIECE 16384

static void
update_row (adamix_optimizer *o, const adamix_param *row, double t, double lr, double grad_scale)
{
  double correction = sqrt (1 - pow (o->beta2, t)) / (1 - pow (o->beta1, t));
  double decay = row->decay ? lr * o->weight_decay : 0;
  float *first = o->first + row->offset, *second = o->second + row->offset;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < row->count; i += PIECE) {
    int64_t n = row->count - i < PIECE ? row->count - i : PIECE;
    o->kernels->adamw (n, row->value + i, row->grad + i, (float) grad_scale, first + i, second + i, o->beta1, o->beta2,
                       (float) o->epsilon, (float) (lr * correction), (float) decay);
  }
}

void
adamix_optimizer_update (adamix_optimizer *optimizer, double lr, double grad_scale)
{
  for (int64_t i = 0; i < optimizer->params->rows; i++) {
    const adamix_param *row = &optimizer->params->row[i];
    if (*row->touched <= 0 && optimizer->steps[i] == 0) continue;
    optimizer->steps[i] += 1;
    update_row (optimizer, row, optimizer->steps[i], lr, grad_scale);
  }
}

void
adamix_optimizer_average (adamix_optimizer *optimizer, double decay, int64_t t)
{
  float *ema = optimizer->ema;
  const float *value = optimizer->params->values;
  const double share = (1 - decay) / (1 - pow (decay, (double) t));
  if (!ema) return;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < optimizer->params->count; i++)
    ema[i] = (float) (ema[i] + share * ((double) value[i] - ema[i]));
}
