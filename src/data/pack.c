#include <adamix/data.h>

#include <string.h>

static void
pack_tokens (adamix_batch *batch, const adamix_dataset *dataset, int64_t example, int64_t sequence)
{
  int64_t from = dataset->offset[example], count = dataset->offset[example + 1] - from, to = batch->offset[sequence];
  ADAMIX_ASSERT (to + count <= batch->capacity_tokens);
  memcpy (batch->id + to, dataset->id + from, (size_t) count * sizeof *batch->id);
  memcpy (batch->type + to, dataset->type + from, (size_t) count * sizeof *batch->type);
  for (int64_t i = 0; i < count; i++) batch->sequence[to + i] = (int32_t) sequence;
  batch->offset[sequence + 1] = to + count;
}

void
adamix_batch_pack (adamix_batch *batch, const adamix_dataset *dataset, const int64_t *chosen, int64_t n)
{
  ADAMIX_ASSERT (n <= batch->capacity_sequences);
  batch->offset[0] = 0;
  for (int64_t s = 0; s < n; s++) {
    pack_tokens (batch, dataset, chosen[s], s);
    batch->sample[s] = chosen[s];
    if (dataset->label) batch->label[s] = dataset->label[chosen[s]];
    if (dataset->target) batch->target[s] = dataset->target[chosen[s]];
  }
  batch->sequences = n;
  batch->tokens = batch->offset[n];
}
