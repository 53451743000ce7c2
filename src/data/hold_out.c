#include <adamix/data.h>

#include <stdlib.h>
#include <string.h>

#define HELD_SHARE 10 /* one in so many */

/* Copies of the examples of `from` for which `held[i]` is `wanted`. */
static adamix_err
select_examples (adamix_dataset *out, const adamix_dataset *from, const bool *held, bool wanted)
{
  int64_t tokens = 0, n = 0;
  for (int64_t i = 0; i < from->examples; i++) {
    if (held[i] != wanted) continue;
    tokens += from->offset[i + 1] - from->offset[i];
    n++;
  }
  *out = (adamix_dataset){ .substitute = from->substitute, .hash = from->hash };
  ADAMIX_RETURN_IF (adamix_format (&out->path, "%s", from->path));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->offset, n + 1));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->id, tokens));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->type, tokens));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->line, n));
  if (from->label) ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->label, n));
  if (from->target) ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->target, n));
  for (int64_t i = 0; i < from->examples; i++) {
    if (held[i] != wanted) continue;
    int64_t to = out->examples++, start = from->offset[i], count = from->offset[i + 1] - start;
    memcpy (out->id + out->offset[to], from->id + start, (size_t) count * sizeof *out->id);
    memcpy (out->type + out->offset[to], from->type + start, (size_t) count * sizeof *out->type);
    out->offset[to + 1] = out->offset[to] + count;
    out->line[to] = from->line[i];
    if (from->label) out->label[to] = from->label[i];
    if (from->target) out->target[to] = from->target[i];
  }
  return ADAMIX_OK;
}

static int64_t
held_of (int64_t count)
{
  int64_t held = count / HELD_SHARE;
  return held == 0 && count >= 2 ? 1 : held;
}

static int32_t
class_of (const adamix_dataset *dataset, int64_t example)
{
  return dataset->label ? dataset->label[example] : 0;
}

/* member[start[c]] .. member[start[c + 1] - 1]: the examples of class c, in their order. */
static void
group_by_class (const adamix_dataset *dataset, int64_t classes, int64_t *start, int64_t *member)
{
  for (int64_t i = 0; i < dataset->examples; i++) start[class_of (dataset, i) + 1]++;
  for (int64_t c = 0; c < classes; c++) start[c + 1] += start[c];
  for (int64_t i = 0; i < dataset->examples; i++) member[start[class_of (dataset, i)]++] = i;
  memmove (start + 1, start, (size_t) classes * sizeof *start);
  start[0] = 0;
}

static adamix_err
choose (const adamix_dataset *dataset, uint64_t seed, bool *held)
{
  adamix_err err = ADAMIX_OK;
  adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_SPLIT);
  int64_t *start = NULL, *member = NULL, *order = NULL, classes = 1;
  for (int64_t i = 0; i < dataset->examples; i++)
    if (class_of (dataset, i) >= classes) classes = (int64_t) class_of (dataset, i) + 1;
  ADAMIX_TRY (ADAMIX_ALLOC (start, classes + 1));
  ADAMIX_TRY (ADAMIX_ALLOC (member, dataset->examples));
  ADAMIX_TRY (ADAMIX_ALLOC (order, dataset->examples));
  group_by_class (dataset, classes, start, member);
  for (int64_t c = 0; c < classes; c++) {
    int64_t count = start[c + 1] - start[c];
    adamix_rng_permutation (rng, (uint32_t) c, 0, count, order);
    for (int64_t i = 0; i < held_of (count); i++) held[member[start[c] + order[i]]] = true;
  }
done:
  free (order);
  free (member);
  free (start);
  return err;
}

adamix_err
adamix_dataset_hold_out (adamix_dataset *dataset, adamix_dataset *held, uint64_t seed)
{
  adamix_err err = ADAMIX_OK;
  bool *chosen = NULL;
  adamix_dataset kept = { 0 };
  *held = (adamix_dataset){ 0 };
  ADAMIX_TRY (ADAMIX_ALLOC (chosen, dataset->examples));
  ADAMIX_TRY (choose (dataset, seed, chosen));
  ADAMIX_TRY (select_examples (&kept, dataset, chosen, false));
  ADAMIX_TRY (select_examples (held, dataset, chosen, true));
  /* The counts are of the file: they stay with the part that goes on as its data set. */
  kept.truncated = dataset->truncated;
  kept.empty = dataset->empty;
  adamix_dataset_destroy (dataset);
  *dataset = kept;
  kept = (adamix_dataset){ 0 };
done:
  if (err != ADAMIX_OK) adamix_dataset_destroy (held);
  adamix_dataset_destroy (&kept);
  free (chosen);
  return err;
}
