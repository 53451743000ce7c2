#include <adamix/train.h>

#include <math.h>
#include <stdlib.h>

double
adamix_step_curve_at (const adamix_step_curve *curve, double tokens)
{
  const int last = curve->points - 1;
  const double *t = curve->tokens, *s = curve->seconds;
  if (tokens <= t[0]) return s[0];
  if (tokens >= t[last]) return s[last] * tokens / t[last];
  int i = 0;
  while (t[i + 1] < tokens) i++;
  return s[i] + (s[i + 1] - s[i]) * (tokens - t[i]) / (t[i + 1] - t[i]);
}

/* ---- shards of drawn batches --------------------------------------------------------------------------------------------- */

/* Batches to draw: small ones differ more. */
#define LEAST_DRAWS   8
#define MOST_DRAWS    256
#define DRAW_EXAMPLES 65536

static int64_t
draws_of (int64_t batch)
{
  const int64_t draws = DRAW_EXAMPLES / batch;
  if (draws < LEAST_DRAWS) return LEAST_DRAWS;
  return draws > MOST_DRAWS ? MOST_DRAWS : draws;
}

/* Arrays for cutting one batch. */
typedef struct cutter {
  int64_t *order;                   /* [examples] */
  int64_t *dealt, *scratch, *first; /* [batch], [batch], [ranks + 1] */
} cutter;

static void
destroy (cutter *c)
{
  free (c->first);
  free (c->scratch);
  free (c->dealt);
  free (c->order);
}

static adamix_err
create (cutter *c, int64_t examples, int64_t batch, int ranks)
{
  *c = (cutter){ 0 };
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (c->order, examples));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (c->dealt, batch));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (c->scratch, batch));
  return ADAMIX_ALLOC (c->first, ranks + 1);
}

/* Tokens of the batch that was cut, and of its fullest shard. */
static void
weigh (const cutter *c, const adamix_dataset *d, int ranks, double *total, double *fullest)
{
  *total = *fullest = 0;
  for (int r = 0; r < ranks; r++) {
    int64_t tokens = 0;
    for (int64_t i = c->first[r]; i < c->first[r + 1]; i++)
      tokens += d->offset[c->dealt[i] + 1] - d->offset[c->dealt[i]];
    *total += (double) tokens;
    *fullest = fmax (*fullest, (double) tokens);
  }
}

/* What drawn batches say of a step: sums over them become means.  The fastest cut counts. */
static adamix_err
draw_batches (const adamix_scaling_args *args, adamix_scaling_point *out)
{
  adamix_err err = ADAMIX_OK;
  const adamix_dataset *d = args->examples;
  const int64_t batches_an_epoch = d->examples / out->batch, draws = draws_of (out->batch);
  cutter c;
  ADAMIX_TRY (create (&c, d->examples, out->batch, out->ranks));
  out->cut = INFINITY;
  for (int64_t i = 0; i < draws; i++) {
    double tokens, fullest;
    if (i % batches_an_epoch == 0) adamix_order_epoch (args->seed, i / batches_an_epoch, d->examples, c.order);
    const double start = adamix_clock ();
    adamix_shard_cut (d, c.order + i % batches_an_epoch * out->batch, out->batch, out->ranks, c.dealt, c.first,
                      c.scratch);
    out->cut = fmin (out->cut, adamix_clock () - start);
    weigh (&c, d, out->ranks, &tokens, &fullest);
    out->tokens += tokens / (double) draws;
    out->imbalance += fullest * out->ranks / tokens / (double) draws;
    out->compute += adamix_step_curve_at (&args->curve, fullest) / (double) draws;
  }
done:
  destroy (&c);
  return err;
}

/* ---- a step -------------------------------------------------------------------------------------------------------------- */

adamix_err
adamix_scaling_predict (const adamix_scaling_args *args, int ranks, int64_t batch, adamix_scaling_point *out)
{
  adamix_exchange_volume volume;
  if (args->examples->examples < batch)
    return adamix_err_set (ADAMIX_EDATA, "a batch of %lld examples cannot be drawn from %lld", (long long) batch,
                           (long long) args->examples->examples);
  *out = (adamix_scaling_point){ .ranks = ranks, .batch = batch, .idle = batch < ranks ? ranks - batch : 0 };
  ADAMIX_RETURN_IF (draw_batches (args, out));
  ADAMIX_RETURN_IF (
      adamix_exchange_volume_of (&volume, args->policy, &args->placement, args->shape, args->shared, ranks));
  const bool rotates = volume.groups > 1 && args->rotate_every > 0;
  for (adamix_allreduce a = 0; a < ADAMIX_ALLREDUCES; a++) {
    out->by[a].exchange = adamix_exchange_cost (&volume, &args->network, a);
    if (rotates)
      out->by[a].rotation =
          (args->rotation_seconds + adamix_rotation_cost (&volume, &args->network, a)) / (double) args->rotate_every;
    out->by[a].seconds = out->cut + out->compute + out->by[a].exchange + out->by[a].rotation;
  }
  return ADAMIX_OK;
}

double
adamix_scaling_efficiency (const adamix_scaling_point *point, const adamix_scaling_point *base,
                           adamix_allreduce algorithm)
{
  return point->tokens / point->by[algorithm].seconds / point->ranks /
         (base->tokens / base->by[algorithm].seconds / base->ranks);
}
