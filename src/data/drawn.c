#include <adamix/data.h>

#include <math.h>
#include <stdlib.h>

/* First counter word: what of an example is drawn. */
enum { DRAW_LENGTH, DRAW_ID, DRAW_LABEL };

/* The shortest text: one token between those that begin and end it. */
#define LEAST_TOKENS 3

static int64_t
length_of (const adamix_drawn_sizes *sizes, float normal)
{
  const double variance = log1p (sizes->spread * sizes->spread);
  const double length = exp (log (sizes->tokens) - variance / 2 + sqrt (variance) * (double) normal);
  if (length < LEAST_TOKENS) return LEAST_TOKENS;
  return length > (double) sizes->longest ? sizes->longest : (int64_t) lround (length);
}

static adamix_err
draw_lengths (const adamix_drawn_sizes *sizes, adamix_rng rng, adamix_dataset *out)
{
  float *normal = NULL;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (normal, sizes->examples));
  adamix_rng_normal (rng, DRAW_LENGTH, 0, sizes->examples, 1, normal);
  for (int64_t i = 0; i < sizes->examples; i++) out->offset[i + 1] = out->offset[i] + length_of (sizes, normal[i]);
  free (normal);
  return ADAMIX_OK;
}

/* Number `i` of a list of draws below `bound`. */
static int32_t
draw (adamix_rng rng, uint32_t what, int64_t i, int64_t bound)
{
  const adamix_rng_counter counter = { { what, 0, (uint32_t) i, (uint32_t) ((uint64_t) i >> 32) } };
  return (int32_t) adamix_rng_below (rng, counter, (uint32_t) bound);
}

adamix_err
adamix_dataset_draw (adamix_dataset *out, const adamix_drawn_sizes *sizes, uint64_t seed)
{
  adamix_err err = ADAMIX_OK;
  const adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_DATA);
  *out = (adamix_dataset){ .examples = sizes->examples };
  ADAMIX_TRY (adamix_format (&out->path, "drawn"));
  ADAMIX_TRY (ADAMIX_ALLOC (out->offset, sizes->examples + 1));
  ADAMIX_TRY (draw_lengths (sizes, rng, out));
  ADAMIX_TRY (ADAMIX_ALLOC (out->id, out->offset[sizes->examples]));
  ADAMIX_TRY (ADAMIX_ALLOC (out->type, out->offset[sizes->examples]));
  ADAMIX_TRY (ADAMIX_ALLOC (out->label, sizes->examples));
  ADAMIX_TRY (ADAMIX_ALLOC (out->line, sizes->examples));
  for (int64_t i = 0; i < out->offset[sizes->examples]; i++) out->id[i] = draw (rng, DRAW_ID, i, sizes->vocabulary);
  for (int64_t i = 0; i < sizes->examples; i++) out->label[i] = draw (rng, DRAW_LABEL, i, sizes->classes);
done:
  if (err) adamix_dataset_destroy (out);
  return err;
}
