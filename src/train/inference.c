#include <adamix/train.h>

#include <string.h>

#define MAX(a, b) ((a) > (b) ? (a) : (b))

adamix_inference_size
adamix_inference_any (int64_t max_length)
{
  return (adamix_inference_size){ .tokens = ADAMIX_INFERENCE_SEQUENCES * max_length, .longest = max_length };
}

adamix_inference_size
adamix_inference_fit (adamix_inference_size size, const adamix_dataset *dataset)
{
  const int64_t *offset = dataset->offset, most = ADAMIX_INFERENCE_SEQUENCES;
  for (int64_t i = 0; i < dataset->examples; i++) {
    const int64_t end = dataset->examples - i < most ? dataset->examples : i + most;
    size.longest = MAX (size.longest, offset[i + 1] - offset[i]);
    if (i % most == 0) size.tokens = MAX (size.tokens, offset[end] - offset[i]);
  }
  return size;
}

static adamix_workspace_size
workspace_size (const adamix_module *module, const adamix_inference_size *size)
{
  return (adamix_workspace_size){ .passes = 1,
                                  .tokens = size->tokens,
                                  .sequences = ADAMIX_INFERENCE_SEQUENCES,
                                  .longest = size->longest,
                                  .threads = size->threads,
                                  .places = module->has_bank ? module->shape.places : 0 };
}

adamix_err
adamix_inference_measure (size_t *bytes, const adamix_model *model, const adamix_module *module,
                          const adamix_inference_size *size)
{
  const adamix_workspace_size workspace = workspace_size (module, size);
  ADAMIX_RETURN_IF (adamix_workspace_measure (bytes, model, &workspace));
  *bytes += adamix_head_bytes (module->head);
  if (module->has_bank) *bytes += adamix_inserted_bank_measure (&module->shape, size->tokens, false);
  return ADAMIX_OK;
}

adamix_err
adamix_inference_create (adamix_inference *out, const adamix_model *model, const adamix_compute *compute,
                         adamix_module *module, const adamix_inference_size *size)
{
  adamix_err err = ADAMIX_OK;
  const int64_t tokens = size->tokens;
  const adamix_workspace_size workspace = workspace_size (module, size);
  *out = (adamix_inference){ .model = model, .compute = compute, .module = module };
  ADAMIX_TRY (adamix_workspace_create (&out->workspace, model, &workspace));
  /* A route by token may need a span a row. */
  if (module->has_bank)
    ADAMIX_TRY (adamix_inserted_bank_create (&out->inserted, module->bank, compute, tokens, tokens, false));
  ADAMIX_TRY (adamix_batch_create (&out->batch, ADAMIX_INFERENCE_SEQUENCES, tokens));
done:
  if (err) adamix_inference_destroy (out);
  return err;
}

void
adamix_inference_destroy (adamix_inference *inference)
{
  if (!inference) return;
  adamix_batch_destroy (&inference->batch);
  adamix_inserted_bank_destroy (inference->inserted);
  adamix_workspace_destroy (inference->workspace);
  *inference = (adamix_inference){ 0 };
}

adamix_inference_route
adamix_inference_own (const adamix_module *module)
{
  const adamix_gating gating = module->shape.gating;
  return (adamix_inference_route){ .policy = gating ? adamix_route_policy_find (adamix_gating_name (gating)) : NULL };
}

static void
fill_route (adamix_inference *inference, const adamix_inference_route *route)
{
  const adamix_batch *batch = &inference->batch;
  adamix_route *spans = adamix_inserted_bank_route (inference->inserted);
  if (!route->policy) {
    adamix_route_fixed (inference->module->bank, batch->tokens, route->slot, spans);
    return;
  }
  adamix_route_context context = { .seed = route->seed,
                                   .step = route->draw,
                                   .passes = 1,
                                   .tokens = batch->tokens,
                                   .sequences = batch->sequences,
                                   .offset = batch->offset,
                                   .sample = batch->sample };
  route->policy->fill (inference->module->bank, &context, spans);
}

adamix_err
adamix_inference_run (adamix_inference *inference, const adamix_dataset *dataset, const int64_t *chosen, int64_t n,
                      const adamix_inference_route *route, float *z)
{
  adamix_batch_pack (&inference->batch, dataset, chosen, n);
  adamix_forward_args args = { .batch = &inference->batch,
                               .passes = 1,
                               .first_only = adamix_head_reads_first (inference->module->head) };
  if (inference->inserted) {
    fill_route (inference, route);
    args.insertion = adamix_inserted_bank_insertion (inference->inserted);
  }
  adamix_view hidden, logits;
  ADAMIX_RETURN_IF (adamix_model_forward (inference->model, inference->workspace, &args, &hidden));
  ADAMIX_RETURN_IF (adamix_head_forward (inference->module->head, &args, hidden, &logits));
  for (int64_t i = 0; i < n; i++)
    memcpy (z + i * logits.cols, logits.data + i * logits.stride, (size_t) logits.cols * sizeof *z);
  return ADAMIX_OK;
}
