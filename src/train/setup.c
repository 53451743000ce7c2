#include "train/run_private.h"

#include <string.h>

/* ---- what every rank does for itself before communicators are split ---- */

static adamix_err
choose_pool (adamix_run *run)
{
  enum { AUTO, POOLER, MEAN };
  bool own = adamix_model_has_own_head (run->model);
  if (run->config->pool == AUTO)
    run->pool = adamix_model_wants_mean (run->model) || !own ? ADAMIX_POOL_MEAN : ADAMIX_POOL_POOLER;
  else
    run->pool = run->config->pool == POOLER ? ADAMIX_POOL_POOLER : ADAMIX_POOL_MEAN;
  if (run->pool == ADAMIX_POOL_POOLER && !own)
    return adamix_err_set (ADAMIX_EUSAGE, "--pool pooler: %s has no pooler weights; use --pool mean",
                           run->config->model);
  return ADAMIX_OK;
}

static adamix_err
read_split (adamix_run *run, adamix_split split, const char *own, int64_t limit)
{
  adamix_err err = ADAMIX_OK;
  char *path = NULL;
  if (own)
    ADAMIX_TRY (adamix_format (&path, "%s", own));
  else if (run->config->task)
    ADAMIX_TRY (adamix_task_path (&run->task, run->config->data, split, &path));
  if (!path) goto done;
  ADAMIX_TRY (adamix_dataset_read (&run->data[split], &run->task, path, run->tokenizer, run->config->max_length, limit,
                                   &run->labels));
done:
  free (path);
  return err;
}

static void
tell_dataset (adamix_log *log, const char *split, const adamix_dataset *d)
{
  adamix_log_info (log, "%s: %lld examples, %lld tokens (%s)", split, (long long) d->examples,
                   (long long) d->offset[d->examples], d->path);
  if (d->truncated)
    adamix_log_warn (log, "%s: %lld texts were longer than --max-length and were cut", d->path,
                     (long long) d->truncated);
  if (d->empty) adamix_log_warn (log, "%s: %lld texts are empty and are used as such", d->path, (long long) d->empty);
  if (d->substitute)
    adamix_log_warn (log, "%s stands in for the task's own file: scores are not comparable with published ones",
                     d->path);
}

static adamix_err
read_data (adamix_run *run)
{
  const adamix_train_config *c = run->config;
  adamix_dataset *train = &run->data[ADAMIX_SPLIT_TRAIN], *dev = &run->data[ADAMIX_SPLIT_DEV];
  const char *const own[ADAMIX_SPLITS] = {
    [ADAMIX_SPLIT_TRAIN] = c->train_file, [ADAMIX_SPLIT_DEV] = c->dev_file, [ADAMIX_SPLIT_TEST] = c->test_file
  };
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++)
    ADAMIX_RETURN_IF (read_split (run, split, own[split], split == ADAMIX_SPLIT_TRAIN ? c->limit_train : 0));
  const bool best = c->select == 1;
  if (best && !dev->examples) {
    ADAMIX_RETURN_IF (adamix_dataset_hold_out (train, dev, (uint64_t) c->seed));
    adamix_log_info (run->args->log, "--select best: there is no dev file, a tenth of the training file is held out");
  }
  if (c->hold_out) ADAMIX_RETURN_IF (adamix_dataset_hold_out (train, &run->held, (uint64_t) c->seed));
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++)
    if (run->data[split].examples) tell_dataset (run->args->log, adamix_split_of (split)->name, &run->data[split]);
  if (run->held.examples)
    adamix_log_info (run->args->log, "--hold-out: %lld examples are not trained on", (long long) run->held.examples);
  run->outputs = run->task.type == ADAMIX_TASK_REGRESSION ? 1 : run->labels.count;
  if (run->task.type == ADAMIX_TASK_CLASSIFICATION && run->outputs < 2)
    return adamix_err_set (ADAMIX_EDATA, "%s has one label only ('%s'): there is nothing to learn", train->path,
                           run->labels.name[0]);
  return ADAMIX_OK;
}

/* What `adamix inspect` knows of a training whose data it was not given: nothing is longer than --max-length. */
static adamix_err
draw_data (adamix_run *run)
{
  const adamix_train_config *c = run->config;
  enum { CLASSES = 2 };
  const adamix_drawn_sizes sizes = { .examples = c->batch,
                                     .tokens = (double) c->max_length,
                                     .longest = c->max_length,
                                     .vocabulary = adamix_model_config_of (run->model)->vocabulary,
                                     .classes = CLASSES };
  run->outputs = CLASSES;
  return adamix_dataset_draw (&run->data[ADAMIX_SPLIT_TRAIN], &sizes, (uint64_t) c->seed);
}

/* How often a batch goes through the model: more than once only where the other passes change something, by their task loss
 * or by a term between the passes, which KL and its kind have between classes only. */
static int64_t
passes_of (const adamix_run *run)
{
  const adamix_train_config *c = run->config;
  const bool compared = run->task.type == ADAMIX_TASK_CLASSIFICATION || c->consistency_loss == ADAMIX_CONSISTENCY_MSE;
  if (!run->method->consistency || !(c->task_loss || (c->consistency > 0 && compared))) return 1;
  return c->passes ? c->passes : 2;
}

/* Sizes of the bank, and the number of passes. */
static void
shape_run (adamix_run *run)
{
  const adamix_train_config *c = run->config;
  const adamix_model_config *model = adamix_model_config_of (run->model);
  const adamix_method *method = run->method;
  const double alpha = c->lora_alpha > 0 ? c->lora_alpha : 2 * (double) c->rank;
  const adamix_place_set ffn = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                         attention = ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION);
  const adamix_place_set places[] = { method->places, ffn, attention, ffn | attention };
  run->shape = (adamix_bank_shape){ .layers = model->layers,
                                    .hidden = model->hidden,
                                    .bottleneck = c->rank,
                                    .experts = c->experts,
                                    .share = (adamix_share) c->share,
                                    .kind = method->lora ? ADAMIX_LORA : ADAMIX_BOTTLENECK,
                                    .places = method->bottleneck ? places[c->place] : method->places,
                                    .activation = method->activation,
                                    .scale = method->lora ? alpha / (double) c->rank : 0,
                                    .dropout = method->lora ? c->lora_dropout : 0,
                                    .gating = run->route->gating };
  run->passes = passes_of (run);
}

adamix_placement_args
adamix_run_placement_args (const adamix_run *run)
{
  const adamix_train_config *c = run->config;
  return (adamix_placement_args){ .layers = run->shape.layers,
                                  .experts = c->experts,
                                  .experts_per_rank = c->experts_per_rank,
                                  .seed = (uint64_t) c->seed };
}

/* One prescribed route cannot serve groups that own different experts. */
static adamix_err
read_routes (adamix_run *run)
{
  const adamix_train_config *c = run->config;
  const adamix_placement_args placement = adamix_run_placement_args (run);
  if (!c->routes_file) return ADAMIX_OK;
  const int groups = adamix_placement_policy_find (c->placement)->groups (&placement, run->args->world->size);
  if (groups > 1)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--routes-file gives one route for all ranks, but --placement %s forms %d groups with "
                           "experts of their own; use --placement replicated",
                           c->placement, groups);
  run->route = adamix_route_policy_find ("prescribed");
  return adamix_prescribed_routes_read (&run->routes, c->routes_file, run->plan.steps, run->passes, &run->shape);
}

/* Model and files may have moved, but they must be the same. */
adamix_err
adamix_run_fixed (adamix_run *run, const json_t **out)
{
  const char *hash;
  *out = run->fixed;
  if (run->fixed) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_model_hash (run->model, &hash));
  const struct {
    const char *option, *hash;
  } contents[] = { { "model", hash },
                   { run->config->task ? "data" : "train-file", run->data[ADAMIX_SPLIT_TRAIN].hash.hex },
                   { "dev-file", run->config->select == 1 ? run->data[ADAMIX_SPLIT_DEV].hash.hex : "" },
                   { "order-file", run->plan.prescribed.hash.hex },
                   { "routes-file", run->routes.hash.hex } };
  run->fixed = adamix_record_fixed_options (run->args->options);
  for (size_t i = 0; i < sizeof contents / sizeof *contents; i++)
    adamix_json_put (&run->fixed, contents[i].option, json_string (contents[i].hash));
  *out = run->fixed;
  return run->fixed ? ADAMIX_OK : adamix_err_set (ADAMIX_ENOMEM, "no memory for the options of the run");
}

adamix_err
adamix_run_open_inputs (adamix_run *run)
{
  const adamix_train_config *c = run->config;
  ADAMIX_RETURN_IF (adamix_train_config_weights (c, &run->merge_weight));
  ADAMIX_RETURN_IF (adamix_train_config_task (c, &run->task));
  const adamix_comm *world = run->args->world;
  ADAMIX_RETURN_IF (adamix_model_open (&run->model, c->model, &run->compute));
  /* The first rank writes the hash down, and all compare it with that of a checkpoint. */
  if (world->rank == 0 || c->resume) ADAMIX_RETURN_IF (adamix_model_hash_begin (run->model));
  ADAMIX_RETURN_IF (choose_pool (run));
  ADAMIX_RETURN_IF (adamix_tokenizer_open (&run->tokenizer, c->model));
  const adamix_model_config *model = adamix_model_config_of (run->model);
  if (adamix_tokenizer_vocabulary (run->tokenizer) > model->vocabulary)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: the tokenizer has %lld tokens, config.json a vocabulary of %lld",
                           c->model, (long long) adamix_tokenizer_vocabulary (run->tokenizer),
                           (long long) model->vocabulary);
  if (c->max_length > model->longest)
    return adamix_err_set (ADAMIX_EUSAGE, "--max-length %lld is more than the %lld tokens that %s has positions for",
                           (long long) c->max_length, (long long) model->longest, c->model);
  ADAMIX_RETURN_IF (c->task || c->train_file ? read_data (run) : draw_data (run));
  if (c->reproducible && world->size > VIRTUAL_SHARDS)
    return adamix_err_set (ADAMIX_EUSAGE, "--reproducible cuts a batch into %d shards: %d ranks are too many for it",
                           VIRTUAL_SHARDS, world->size);
  const int shards = c->reproducible ? VIRTUAL_SHARDS : world->size;
  ADAMIX_RETURN_IF (adamix_plan_create (&run->plan, c, &run->data[ADAMIX_SPLIT_TRAIN], shards, world));
  shape_run (run);
  return read_routes (run);
}

/* ---- what needs the placement ---- */

adamix_err
adamix_run_announce (adamix_run *run)
{
  const int64_t most = run->plan.shard_sequences * run->passes;
  run->shared.more_riders = run->shape.experts;
  ADAMIX_RETURN_IF (adamix_model_announce (run->model, run->method->backbone, &run->shared));
  if (run->method->modules)
    ADAMIX_RETURN_IF (adamix_bank_create (&run->bank, &run->shape, run->placement.owned, &run->shared, &run->experts));
  ADAMIX_RETURN_IF (adamix_head_create (&run->head, run->model, run->pool, run->outputs, most));
  return adamix_head_announce (run->head, &run->shared);
}

static adamix_err
create_trained (adamix_run *run)
{
  ADAMIX_RETURN_IF (adamix_params_allocate (&run->shared));
  ADAMIX_RETURN_IF (adamix_params_allocate (&run->experts));
  if (adamix_run_backbone_trains (run)) ADAMIX_RETURN_IF (adamix_model_link (run->model, &run->shared));
  if (run->bank) {
    adamix_bank_link (run->bank, &run->shared, &run->experts);
    adamix_bank_initialise (run->bank, (uint64_t) run->config->seed);
  }
  adamix_head_link (run->head, &run->shared);
  adamix_head_initialise (run->head, (uint64_t) run->config->seed);
  ADAMIX_RETURN_IF (
      adamix_optimizer_create (&run->shared_optimizer, &run->shared, run->compute.kernels, run->config->weight_decay));
  ADAMIX_RETURN_IF (adamix_optimizer_create (&run->experts_optimizer, &run->experts, run->compute.kernels,
                                             run->config->weight_decay));
  if (run->config->ema == 0) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (run->shared_optimizer.ema, run->shared.count));
  return ADAMIX_ALLOC (run->experts_optimizer.ema, run->experts.count);
}

static adamix_err
create_buffers (adamix_run *run)
{
  const adamix_plan *plan = &run->plan;
  const int64_t rows = run->passes * plan->shard_tokens;
  ADAMIX_RETURN_IF (adamix_workspace_create (&run->workspace, run->model, &run->training));
  ADAMIX_RETURN_IF (adamix_batch_create (&run->batch, plan->shard_sequences, plan->shard_tokens));
  if (run->bank)
    ADAMIX_RETURN_IF (adamix_inserted_bank_create (
        &run->inserted, run->bank, &run->compute, rows,
        run->route->capacity (run->passes, plan->shard_sequences, plan->shard_tokens), true));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (run->load, run->shape.experts));
  if (run->config->reproducible)
    ADAMIX_RETURN_IF (adamix_gradient_parts_create (&run->parts, plan->end - plan->mine, &run->shared, &run->experts));
  return ADAMIX_ALLOC (run->dz, run->passes * plan->shard_sequences * run->outputs);
}

bool
adamix_run_backbone_trains (const adamix_run *run)
{
  return run->method->backbone != ADAMIX_TRAIN_NONE;
}

adamix_module_form
adamix_run_form (const adamix_run *run, const adamix_bank_shape *shape)
{
  return (adamix_module_form){ .backbone = run->method->backbone,
                               .shape = run->method->modules ? shape : NULL,
                               .pool = run->pool,
                               .outputs = run->outputs,
                               .max_rows = ADAMIX_INFERENCE_SEQUENCES };
}

/* Modules that hold the whole run on every rank: all experts, the best step's, moving averages of both; the merged module. */
static adamix_err
create_gathered (adamix_run *run)
{
  const adamix_module_form form = adamix_run_form (run, &run->shape);
  const bool best = run->config->select == 1, ema = run->config->ema > 0;
  const struct {
    adamix_module *module, **kept;
    bool wanted;
  } modules[] = { { &run->all, &run->snapshot.all, true },
                  { &run->best, &run->snapshot.best, best },
                  { &run->ema, &run->snapshot.ema, ema },
                  { &run->best_ema, &run->snapshot.best_ema, best && ema } };
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
    if (!modules[i].wanted) continue;
    ADAMIX_RETURN_IF (adamix_module_create (modules[i].module, run->model, &form));
    *modules[i].kept = modules[i].module;
  }
  ADAMIX_RETURN_IF (adamix_run_open_merge (run));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (run->snapshot.first, run->all.params.count));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (run->snapshot.second, run->all.params.count));
  return ADAMIX_ALLOC (run->snapshot.steps, run->all.params.rows);
}

static adamix_err
create_state (adamix_run *run)
{
  ADAMIX_RETURN_IF (create_trained (run));
  ADAMIX_RETURN_IF (create_buffers (run));
  return create_gathered (run);
}

/* ---- resuming ---- */

static adamix_err
resume (adamix_run *run, int64_t step)
{
  if (step == 0) {
    adamix_log_info (run->args->log, "--resume: %s holds no checkpoint, the run starts at the beginning",
                     run->config->output);
    return ADAMIX_OK;
  }
  const json_t *fixed;
  ADAMIX_RETURN_IF (adamix_run_fixed (run, &fixed));
  ADAMIX_RETURN_IF (adamix_checkpoint_read (run->config->output, step, &run->snapshot, fixed));
  adamix_log_info (run->args->log, "resuming from the checkpoint of step %lld", (long long) step);
  ADAMIX_RETURN_IF (adamix_run_scatter (run));
  return adamix_model_repack (run->model);
}

adamix_err
adamix_run_record (adamix_run *run)
{
  const adamix_record record = { .args = run->args,
                                 .model = run->model,
                                 .compute = &run->compute,
                                 .placement = &run->placement,
                                 .data = run->data,
                                 .order = &run->plan.prescribed.hash,
                                 .routes = &run->routes.hash,
                                 .labels = &run->labels,
                                 .resumed = run->snapshot.step > 0 };
  return adamix_record_write (&record);
}

/* A run that goes on has its hash by now, and tells at once what has changed. */
static adamix_err
open_files (adamix_run *run)
{
  if (run->snapshot.step > 0) ADAMIX_RETURN_IF (adamix_run_record (run));
  ADAMIX_RETURN_IF (adamix_metrics_open (&run->metrics, run->config->output, run->snapshot.step));
  return run->config->tensorboard ? adamix_tensorboard_open (&run->events, run->config->output, run->metrics)
                                  : ADAMIX_OK;
}

static adamix_err
choose_checkpoint (adamix_run *run, int64_t *step)
{
  const json_t *fixed;
  ADAMIX_RETURN_IF (adamix_run_fixed (run, &fixed));
  return adamix_checkpoint_choose (run->config->output, fixed, run->args->log, step);
}

/* Rank 0 says where to go on, so that all ranks go on at the same step whatever they see of the folder. */
static adamix_err
resume_together (adamix_run *run)
{
  adamix_comm *world = run->args->world;
  int64_t step = 0;
  adamix_err err = ADAMIX_OK;
  if (world->rank == 0) err = choose_checkpoint (run, &step);
  ADAMIX_RETURN_IF (adamix_comm_agree (world, err));
  ADAMIX_RETURN_IF (adamix_comm_broadcast (world, 0, &step, sizeof step));
  return adamix_comm_agree (world, resume (run, step));
}

/* A finished run is what was asked for only if it had the same options, as far as a checkpoint tells them. */
static adamix_err
prepare_on_first (adamix_run *run, bool *finished)
{
  int64_t step = 0;
  const json_t *fixed;
  ADAMIX_RETURN_IF (adamix_run_folder_prepare (run->config, finished, &run->lock));
  if (!*finished) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_checkpoint_newest (run->config->output, &step));
  if (!step) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_run_fixed (run, &fixed));
  return adamix_checkpoint_check (run->config->output, step, fixed);
}

/* Rank 0 alone prepares the folder; what it found is told to all. */
static adamix_err
prepare_folder (adamix_run *run, bool *finished)
{
  adamix_comm *world = run->args->world;
  adamix_err err = world->rank == 0 ? prepare_on_first (run, finished) : ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_comm_agree (world, err));
  return adamix_comm_broadcast (world, 0, finished, sizeof *finished);
}

void
adamix_run_begin (adamix_run *run, const adamix_train_args *args)
{
  const adamix_train_config *c = args->config;
  *run = (adamix_run){ .args = args, .config = c, .method = adamix_method_find (c->method), .lock = -1 };
  run->route = adamix_route_policy_find (c->route);
  run->merge = adamix_merge_method_find (c->merge);
}

/* What the memory of a rank depends on is known behind this. */
static adamix_err
announce (adamix_run *run)
{
  ADAMIX_RETURN_IF (adamix_run_announce (run));
  return adamix_run_plan_memory (run);
}

static adamix_err
place (adamix_run *run)
{
  adamix_comm *world = run->args->world;
  const adamix_placement_args args = adamix_run_placement_args (run);
  const adamix_placement_policy *policy = adamix_placement_policy_find (run->config->placement);
  ADAMIX_RETURN_IF (adamix_placement_create (&run->placement, policy, &args, world));
  return adamix_comm_agree (world, announce (run));
}

static adamix_err
plan_on (adamix_run *run)
{
  const adamix_comm *world = run->args->world;
  if (adamix_run_backbone_trains (run))
    return adamix_err_set (ADAMIX_EUSAGE, "--method %s: benches measure methods that leave the encoder as it is",
                           run->method->name);
  ADAMIX_RETURN_IF (choose_pool (run));
  ADAMIX_RETURN_IF (adamix_plan_create (&run->plan, run->config, &run->data[ADAMIX_SPLIT_TRAIN], world->size, world));
  shape_run (run);
  return ADAMIX_OK;
}

adamix_err
adamix_run_open_on (adamix_run *run, const adamix_train_args *args, const adamix_run_inputs *inputs)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm *world = args->world;
  adamix_run_begin (run, args);
  run->compute = *inputs->compute;
  run->model = inputs->model;
  run->data[ADAMIX_SPLIT_TRAIN] = *inputs->train;
  run->task = (adamix_task){ .type = ADAMIX_TASK_CLASSIFICATION };
  run->outputs = inputs->outputs;
  ADAMIX_TRY (adamix_comm_agree (world, plan_on (run)));
  ADAMIX_TRY (place (run));
  ADAMIX_TRY (adamix_comm_agree (world, create_state (run)));
done:
  if (err) adamix_run_close_on (run);
  return err;
}

void
adamix_run_close_on (adamix_run *run)
{
  run->data[ADAMIX_SPLIT_TRAIN] = (adamix_dataset){ 0 };
  run->model = NULL;
  adamix_run_close (run);
}

/* Inputs and placement. */
static adamix_err
open_placed (adamix_run *run, const adamix_train_args *args)
{
  adamix_comm *world = args->world;
  const adamix_train_config *c = args->config;
  adamix_run_begin (run, args);
  ADAMIX_RETURN_IF (adamix_compute_agree (&run->compute, world, c->gemm, c->precision, c->kernels, args->threads));
  run->compute.profile = &run->profile;
  ADAMIX_RETURN_IF (adamix_comm_agree (world, adamix_run_open_inputs (run)));
  return place (run);
}

adamix_err
adamix_run_open_aside (adamix_run *run, const adamix_train_args *args)
{
  adamix_err err = ADAMIX_OK;
  ADAMIX_TRY (open_placed (run, args));
  ADAMIX_TRY (adamix_model_pack_node (run->model, args->world, true));
  ADAMIX_TRY (adamix_comm_agree (args->world, create_state (run)));
done:
  if (err) adamix_run_close (run);
  return err;
}

adamix_err
adamix_run_open (adamix_run *run, const adamix_train_args *args, bool *finished)
{
  adamix_err err = ADAMIX_OK;
  adamix_comm *world = args->world;
  const adamix_train_config *c = args->config;
  *finished = false;
  ADAMIX_TRY (open_placed (run, args));
  ADAMIX_TRY (prepare_folder (run, finished));
  if (*finished) goto done;
  ADAMIX_TRY (adamix_model_pack_node (run->model, world, true));
  ADAMIX_TRY (adamix_comm_agree (world, create_state (run)));
  if (c->resume) ADAMIX_TRY (resume_together (run));
  ADAMIX_TRY (adamix_comm_agree (world, world->rank == 0 ? open_files (run) : ADAMIX_OK));
  run->timed_from = run->snapshot.step + UNTIMED_STEPS;
done:
  if (err) adamix_run_close (run);
  return err;
}

void
adamix_run_close (adamix_run *run)
{
  adamix_events_close (run->events);
  if (run->metrics) fclose (run->metrics);
  adamix_lock_release (run->lock);
  free (run->snapshot.steps);
  free (run->snapshot.second);
  free (run->snapshot.first);
  free (run->merge_weight);
  adamix_run_close_merge (run);
  adamix_module_destroy (&run->best_ema);
  adamix_module_destroy (&run->ema);
  adamix_module_destroy (&run->best);
  adamix_module_destroy (&run->all);
  adamix_gradient_parts_destroy (&run->parts);
  free (run->load);
  free (run->dz);
  adamix_batch_destroy (&run->batch);
  adamix_workspace_destroy (run->workspace);
  adamix_inserted_bank_destroy (run->inserted);
  adamix_optimizer_destroy (&run->experts_optimizer);
  adamix_optimizer_destroy (&run->shared_optimizer);
  adamix_head_destroy (run->head);
  adamix_bank_destroy (run->bank);
  adamix_params_destroy (&run->experts);
  adamix_params_destroy (&run->shared);
  adamix_prescribed_routes_destroy (&run->routes);
  adamix_plan_destroy (&run->plan);
  adamix_placement_destroy (&run->placement);
  for (adamix_split split = 0; split < ADAMIX_SPLITS; split++) adamix_dataset_destroy (&run->data[split]);
  adamix_dataset_destroy (&run->held);
  adamix_labels_destroy (&run->labels);
  adamix_tokenizer_destroy (run->tokenizer);
  adamix_model_destroy (run->model);
  json_decref (run->fixed);
  *run = (adamix_run){ 0 };
}
