#include "train/run_private.h"

#define MEBIBYTE 1048576.0

static const adamix_memory_row rows[] = {
#define ADAMIX_MEMORY_ROW(name, key, shared, text) { key, text, shared },
  ADAMIX_MEMORY_PARTS (ADAMIX_MEMORY_ROW)
#undef ADAMIX_MEMORY_ROW
};

const adamix_memory_row *
adamix_memory_row_of (adamix_memory_part part)
{
  return &rows[part];
}

/* ---- one rank ---- */

static bool
has_data (const adamix_run *run)
{
  return run->config->task || run->config->train_file;
}

static void
size_buffers (adamix_run *run)
{
  const adamix_plan *plan = &run->plan;
  run->training = (adamix_workspace_size){ .passes = run->passes,
                                           .tokens = plan->shard_tokens,
                                           .sequences = plan->shard_sequences,
                                           .longest = plan->longest,
                                           .backward = run->method->modules || adamix_run_backbone_trains (run),
                                           .weight_gradients = adamix_run_backbone_trains (run),
                                           .places = run->shape.places };
  run->evaluation = (adamix_inference_size){ 0 };
  if (!has_data (run)) run->evaluation = adamix_inference_any (run->config->max_length);
  for (adamix_split split = ADAMIX_SPLIT_DEV; split < ADAMIX_SPLITS; split++)
    run->evaluation = adamix_inference_fit (run->evaluation, &run->data[split]);
}

static adamix_err
measure_activations (adamix_run *run, int64_t *out)
{
  size_t bytes;
  ADAMIX_RETURN_IF (adamix_workspace_measure (&bytes, run->model, &run->training));
  bytes += adamix_head_bytes (run->head);
  if (run->bank) bytes += adamix_inserted_bank_measure (&run->shape, run->passes * run->plan.shard_tokens, true);
  *out = (int64_t) bytes;
  return ADAMIX_OK;
}

/* As few layers are computed again as --activation-memory lets. */
static adamix_err
plan_activations (adamix_run *run)
{
  const int64_t limit = run->config->activation_memory,
                most = adamix_workspace_recomputable (run->model, &run->training);
  int64_t *bytes = &run->memory[ADAMIX_MEMORY_ACTIVATIONS];
  ADAMIX_RETURN_IF (measure_activations (run, bytes));
  while (limit && *bytes > limit && run->training.recomputed < most) {
    run->training.recomputed++;
    ADAMIX_RETURN_IF (measure_activations (run, bytes));
  }
  if (!limit || *bytes <= limit) return ADAMIX_OK;
  return adamix_err_set (
      ADAMIX_EUSAGE,
      "--activation-memory %lld: the largest shard, of %lld tokens, needs %lld bytes at least (%.1fM, with "
      "%lld of %lld layers computed again); allow more, or use a smaller --batch or --max-length or "
      "more ranks",
      (long long) limit, (long long) run->plan.shard_tokens, (long long) *bytes, (double) *bytes / MEBIBYTE,
      (long long) most, (long long) run->shape.layers);
}

static void
plan_parameters (adamix_run *run)
{
  size_t bytes = 0;
  const adamix_params *const sets[] = { &run->shared, &run->experts };
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    bytes += adamix_params_bytes (sets[i]) + adamix_optimizer_bytes (sets[i]);
    if (run->config->ema > 0) bytes += (size_t) sets[i]->count * sizeof (float);
  }
  if (run->config->reproducible)
    bytes += adamix_gradient_parts_bytes (run->plan.end - run->plan.mine, &run->shared, &run->experts);
  run->memory[ADAMIX_MEMORY_PARAMETERS] = (int64_t) bytes;
}

/* Modules that hold the whole run, and the buffers that evaluate the merged one. */
static adamix_err
plan_gathered (adamix_run *run)
{
  adamix_err err = ADAMIX_OK;
  adamix_module all = { 0 }, merged = { 0 };
  const adamix_bank_shape merged_shape = run->merge->shape (&run->shape);
  const adamix_module_form all_form = adamix_run_form (run, &run->shape),
                           merged_form = adamix_run_form (run, &merged_shape);
  size_t evaluation, samples;
  ADAMIX_TRY (adamix_module_announce (&all, run->model, &all_form));
  ADAMIX_TRY (adamix_module_announce (&merged, run->model, &merged_form));
  ADAMIX_TRY (adamix_inference_measure (&evaluation, run->model, &merged, &run->evaluation));
  ADAMIX_TRY (adamix_samples_measure (&samples, run));
  const size_t one = adamix_params_bytes (&all.params),
               copies = (1 + (run->config->select == 1)) * (1 + (run->config->ema > 0)) +
                        (run->method->modules && run->merge->reads & ADAMIX_MERGE_INITIAL);
  run->memory[ADAMIX_MEMORY_GATHERED] =
      (int64_t) (copies * one + adamix_params_bytes (&merged.params) + adamix_optimizer_bytes (&all.params));
  run->memory[ADAMIX_MEMORY_EVALUATION] = (int64_t) (evaluation + samples);
done:
  adamix_module_destroy (&merged);
  adamix_module_destroy (&all);
  return err;
}

static void
mark_words (const adamix_dataset *data, const bool *used, bool *word)
{
  for (int64_t i = 0; i < data->examples; i++)
    for (int64_t t = data->offset[i]; (!used || used[i]) && t < data->offset[i + 1]; t++) word[data->id[t]] = true;
}

/* Which rows of the word embeddings any step or evaluation reads. */
static adamix_err
plan_tensors (adamix_run *run)
{
  bool *word = NULL;
  if (has_data (run)) {
    ADAMIX_RETURN_IF (ADAMIX_ALLOC (word, adamix_model_config_of (run->model)->vocabulary));
    mark_words (&run->data[ADAMIX_SPLIT_TRAIN], run->plan.used, word);
    for (adamix_split split = ADAMIX_SPLIT_DEV; split < ADAMIX_SPLITS; split++)
      mark_words (&run->data[split], NULL, word);
    mark_words (&run->held, NULL, word);
  }
  run->memory[ADAMIX_MEMORY_MAPPED] = (int64_t) adamix_model_resident (run->model, word);
  free (word);
  return ADAMIX_OK;
}

/* Model, data and plan are there, the packed weights are planned: what this process has now beside them it will keep. */
static adamix_err
plan_process (adamix_run *run)
{
  size_t packed, texts = 0;
  int64_t own, shareable;
  ADAMIX_RETURN_IF (adamix_model_plan (run->model, true, &packed));
  ADAMIX_RETURN_IF (plan_tensors (run));
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++) texts += adamix_dataset_bytes (&run->data[split]);
  texts += adamix_dataset_bytes (&run->held);
  adamix_memory_resident (&own, &shareable);
  run->memory[adamix_model_packs_alone (run->model) ? ADAMIX_MEMORY_REPACKED : ADAMIX_MEMORY_PACKED] = (int64_t) packed;
  run->memory[ADAMIX_MEMORY_TEXTS] = (int64_t) texts;
  run->memory[ADAMIX_MEMORY_PROCESS] = own - (int64_t) texts;
  run->memory[ADAMIX_MEMORY_LIBRARIES] = shareable;
  return ADAMIX_OK;
}

adamix_err
adamix_run_plan_memory (adamix_run *run)
{
  size_buffers (run);
  if (!run->memory[ADAMIX_MEMORY_PROCESS]) ADAMIX_RETURN_IF (plan_process (run));
  ADAMIX_RETURN_IF (plan_activations (run));
  plan_parameters (run);
  return plan_gathered (run);
}

/* ---- all ranks ---- */

/* Of a rank, and its part of what it shares with the other ranks of its node. */
static int64_t
sum_parts (const int64_t bytes[ADAMIX_MEMORY_COUNT], int sharing)
{
  int64_t sum = 0;
  for (int p = 0; p < ADAMIX_MEMORY_COUNT; p++) sum += bytes[p] / (rows[p].shared ? sharing : 1);
  return sum;
}

adamix_err
adamix_run_predict_memory (const adamix_run *run, double *bytes)
{
  adamix_comm *world = run->args->world;
  adamix_comm node;
  ADAMIX_RETURN_IF (adamix_comm_split_node (&node, world));
  *bytes = (double) sum_parts (run->memory, node.size);
  adamix_comm_destroy (&node);
  return adamix_comm_sum_f64 (world, bytes, 1);
}

/* Add what the rank will have that the run stands for. */
static void
add_rank (adamix_memory_plan *plan, const adamix_run *run)
{
  const bool more = sum_parts (run->memory, 1) > sum_parts (plan->rank, 1);
  for (int p = 0; p < ADAMIX_MEMORY_COUNT; p++) {
    if (more) plan->rank[p] = run->memory[p];
    plan->node[p] = run->memory[p] + (rows[p].shared ? 0 : plan->node[p]);
  }
}

static void
forget_rank (adamix_run *run)
{
  adamix_head_destroy (run->head);
  adamix_bank_destroy (run->bank);
  adamix_params_destroy (&run->experts);
  adamix_params_destroy (&run->shared);
  adamix_placement_destroy (&run->placement);
  run->head = NULL;
  run->bank = NULL;
}

static adamix_err
plan_rank (adamix_memory_plan *plan, adamix_run *run)
{
  adamix_err err = ADAMIX_OK;
  const adamix_train_config *c = run->config;
  const adamix_placement_args args = adamix_run_placement_args (run);
  adamix_comm *world = run->args->world;
  adamix_plan_take (&run->plan, world->rank, world->size);
  ADAMIX_TRY (adamix_placement_create (&run->placement, adamix_placement_policy_find (c->placement), &args, world));
  ADAMIX_TRY (adamix_run_announce (run));
  ADAMIX_TRY (adamix_run_plan_memory (run));
  add_rank (plan, run);
done:
  forget_rank (run);
  return err;
}

adamix_err
adamix_train_plan_memory (adamix_memory_plan *out, const adamix_train_args *args, int ranks)
{
  adamix_err err = ADAMIX_OK;
  const adamix_train_config *c = args->config;
  /* Ranks that are not there: what would be communicated stays with this process. */
  adamix_comm world = { .handle = MPI_COMM_NULL, .size = ranks };
  adamix_train_args described = *args;
  adamix_run run;
  described.world = &world;
  adamix_run_begin (&run, &described);
  *out = (adamix_memory_plan){ 0 };
  ADAMIX_TRY (adamix_compute_agree (&run.compute, &world, c->gemm, c->precision, c->kernels, args->threads));
  ADAMIX_TRY (adamix_run_open_inputs (&run));
  for (world.rank = 0; world.rank < ranks; world.rank++) ADAMIX_TRY (plan_rank (out, &run));
  out->passes = run.passes;
  out->tokens = run.plan.shard_tokens;
  out->layers = run.shape.layers;
  out->recomputed = run.training.recomputed;
done:
  adamix_run_close (&run);
  return err;
}
