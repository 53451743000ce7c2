#include "model/model_private.h"

#include <stdlib.h>

adamix_err
adamix_batch_create (adamix_batch *out, int64_t sequences, int64_t tokens)
{
  adamix_err err = ADAMIX_OK;
  *out = (adamix_batch){ .capacity_sequences = sequences, .capacity_tokens = tokens };
  ADAMIX_TRY (ADAMIX_ALLOC (out->offset, sequences + 1));
  ADAMIX_TRY (ADAMIX_ALLOC (out->id, tokens));
  ADAMIX_TRY (ADAMIX_ALLOC (out->type, tokens));
  ADAMIX_TRY (ADAMIX_ALLOC (out->sequence, tokens));
  ADAMIX_TRY (ADAMIX_ALLOC (out->sample, sequences));
  ADAMIX_TRY (ADAMIX_ALLOC (out->label, sequences));
  ADAMIX_TRY (ADAMIX_ALLOC (out->target, sequences));
done:
  if (err != ADAMIX_OK) adamix_batch_destroy (out);
  return err;
}

void
adamix_batch_destroy (adamix_batch *batch)
{
  if (!batch) return;
  free (batch->offset);
  free (batch->id);
  free (batch->type);
  free (batch->sequence);
  free (batch->sample);
  free (batch->label);
  free (batch->target);
  *batch = (adamix_batch){ 0 };
}
