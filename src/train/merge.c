#include "train/run_private.h"

#include <string.h>

/* ---- one merge of a run ---- */

adamix_err
adamix_run_open_merge (adamix_run *run)
{
  const adamix_bank_shape shape = run->merge->shape (&run->shape);
  const adamix_module_form merged = adamix_run_form (run, &shape), initial = adamix_run_form (run, &run->shape);
  ADAMIX_RETURN_IF (adamix_module_create (&run->merged, run->model, &merged));
  ADAMIX_RETURN_IF (
      adamix_inference_create (&run->inference, run->model, &run->compute, &run->merged, &run->evaluation));
  if (!run->method->modules || !(run->merge->reads & ADAMIX_MERGE_INITIAL)) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_module_create (&run->initial, run->model, &initial));
  adamix_bank_initialise (run->initial.bank, (uint64_t) run->config->seed);
  return ADAMIX_OK;
}

void
adamix_run_close_merge (adamix_run *run)
{
  adamix_module_destroy (&run->initial);
  adamix_inference_destroy (&run->inference);
  adamix_module_destroy (&run->merged);
}

/* What a soup chose; all 0: the method chose nothing. */
static void
tell_weights (adamix_log *log, const char *method, const double *weight, int64_t experts)
{
  enum { WIDTH = 512 };
  char list[WIDTH] = "";
  double whole = 0;
  for (int64_t j = 0; j < experts; j++) {
    const size_t length = strlen (list);
    whole += weight[j];
    snprintf (list + length, sizeof list - length, " %.3f", weight[j]);
  }
  if (whole > 0) adamix_log_info (log, "%s: the weights of the experts are%s", method, list);
}

/* kept: NULL, or gets what svd kept. */
static adamix_err
merge_by (adamix_run *run, const adamix_merge_method *method, double *kept)
{
  adamix_err err = ADAMIX_OK;
  adamix_samples samples = { 0 };
  double *chosen = NULL;
  const adamix_train_config *c = run->config;
  const adamix_module *from = method->reads & ADAMIX_MERGE_EMA ? &run->ema : &run->all;
  adamix_params_copy (&from->params, from->params.values, &run->merged.params, run->merged.params.values);
  if (!from->bank) return ADAMIX_OK;
  adamix_merge_args args = { .all = from->bank,
                             .initial = run->initial.bank,
                             .weight = run->merge_weight,
                             .density = c->merge_density > 0 ? c->merge_density : method->density,
                             .alpha = c->merge_alpha,
                             .seed = (uint64_t) c->seed,
                             .comm = run->args->world,
                             .kept = kept };
  if (method->reads & ADAMIX_MERGE_SAMPLES) {
    ADAMIX_TRY (adamix_comm_agree (run->args->world, adamix_samples_open (&samples, run)));
    args.scorer = &samples.scorer;
    ADAMIX_TRY (adamix_comm_agree (run->args->world, ADAMIX_ALLOC (chosen, run->shape.experts)));
    args.chosen = chosen;
  }
  ADAMIX_TRY (adamix_comm_agree (run->args->world, method->merge (&args, run->merged.bank)));
  if (chosen) tell_weights (run->args->log, method->name, chosen, run->shape.experts);
done:
  free (chosen);
  adamix_samples_close (&samples);
  return err;
}

adamix_err
adamix_run_merge (adamix_run *run)
{
  double kept = -1;
  if (run->all.bank && run->merge->reads & ADAMIX_MERGE_UNSEEN && !run->held.examples)
    adamix_log_warn (run->args->log,
                     "--merge %s: the run held nothing out, so the samples are some that the experts were trained on; "
                     "train with --hold-out",
                     run->merge->name);
  ADAMIX_RETURN_IF (merge_by (run, run->merge, &kept));
  if (kept >= 0)
    adamix_log_info (run->args->log, "%s: rank %lld keeps %.4f of the Frobenius norm of the mean product",
                     run->merge->name, (long long) run->shape.bottleneck, kept);
  return ADAMIX_OK;
}

adamix_err
adamix_run_merge_for_now (adamix_run *run)
{
  const bool reads = run->merge->reads & ADAMIX_MERGE_SAMPLES;
  return merge_by (run, reads ? adamix_merge_method_find ("average") : run->merge, NULL);
}

/* ---- finished runs ---- */

typedef struct merging {
  const adamix_merging_args *args;
  adamix_run run;
  adamix_adapter_config experts; /* of the folder with all of them */
  char *folder;                  /* that folder */
  adamix_part *part;             /* [args->count] of several runs; NULL: one */
  const adamix_dataset *dataset; /* what the modules are evaluated on */
} merging;

/* The labels of the experts' head, so that those of other files are told by file and line. */
static adamix_err
find_experts (merging *m)
{
  const char *run = m->args->train.config->output;
  char *file = NULL;
  ADAMIX_RETURN_IF (adamix_format (&m->folder, "%s/" FOLDER_EXPERTS, run));
  ADAMIX_RETURN_IF (adamix_path_join (&file, m->folder, FILE_EXPERTS));
  const bool there = adamix_path_exists (file);
  free (file);
  if (!there)
    return adamix_err_set (
        ADAMIX_EUSAGE, "--run %s: there is no " FOLDER_EXPERTS "/" FILE_EXPERTS "; give the folder of a finished run",
        run);
  ADAMIX_RETURN_IF (adamix_adapter_read_config (&m->experts, m->folder));
  if (!m->experts.has_bank)
    return adamix_err_set (ADAMIX_EUSAGE, "--run %s: a run of --method %s has no experts to merge", run,
                           m->experts.method);
  m->run.labels = m->experts.labels;
  m->experts.labels = (adamix_labels){ 0 };
  return ADAMIX_OK;
}

/* Their moving averages, which the run has kept beside them. */
static adamix_err
read_ema (merging *m)
{
  adamix_run *run = &m->run;
  char *path;
  if (run->config->ema == 0) return ADAMIX_OK;
  const adamix_module_form form = adamix_run_form (run, &run->shape);
  ADAMIX_RETURN_IF (adamix_module_create (&run->ema, run->model, &form));
  ADAMIX_RETURN_IF (adamix_path_join (&path, m->folder, FILE_EMA));
  const adamix_err err = adamix_module_read (&run->ema, path);
  free (path);
  return err;
}

/* The experts of the run's folder are as many and as large as the run's options say. */
static adamix_err
read_experts (merging *m)
{
  adamix_err err = ADAMIX_OK;
  adamix_run *run = &m->run;
  adamix_adapter_config_destroy (&m->experts);
  ADAMIX_TRY (adamix_adapter_open (&m->experts, &run->all, m->folder, true, run->model));
  ADAMIX_TRY (adamix_adapter_check (&m->experts, m->folder, run->model));
  const adamix_bank_shape *stored = &run->all.shape, *told = &run->shape;
  if (stored->layers != told->layers || stored->hidden != told->hidden || stored->bottleneck != told->bottleneck ||
      stored->kind != told->kind || stored->places != told->places || stored->experts != told->experts ||
      stored->gating != told->gating || (stored->experts > 1 && stored->share != told->share))
    ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT,
                                "%s holds %lld experts of rank %lld, but " FILE_RUN_RECORD
                                " beside it tells of %lld of rank %lld: it is not of this run",
                                m->folder, (long long) stored->experts, (long long) stored->bottleneck,
                                (long long) told->experts, (long long) told->bottleneck));
  ADAMIX_TRY (read_ema (m));
done:
  return err;
}

/* The same of several runs: labels that they have in common. */
static adamix_err
find_parts (merging *m)
{
  ADAMIX_RETURN_IF (adamix_parts_find (&m->part, m->args->runs, m->args->count));
  m->run.labels = m->part->config.labels;
  m->part->config.labels = (adamix_labels){ 0 };
  m->experts.step = m->part->config.step;
  return ADAMIX_OK;
}

static adamix_err
read_parts (merging *m)
{
  adamix_run *run = &m->run;
  ADAMIX_RETURN_IF (adamix_adapter_check (&m->part->config, m->part->file, run->model));
  return adamix_parts_open (m->part, m->args->count, run);
}

/* Then there may be backward passes; ADAMIX_MERGE_ALL is no row. */
static bool
reads_samples (const merging *m)
{
  const adamix_merge_method *method = adamix_merge_method_find (m->args->method);
  return !m->args->runs && (!method || method->reads & ADAMIX_MERGE_SAMPLES);
}

static void
choose_dataset (merging *m)
{
  adamix_run *run = &m->run;
  const adamix_split split = run->data[ADAMIX_SPLIT_DEV].examples ? ADAMIX_SPLIT_DEV : ADAMIX_SPLIT_TEST;
  m->dataset = &run->data[split];
  run->evaluation = adamix_inference_fit ((adamix_inference_size){ 0 }, m->dataset);
}

static adamix_err
open_run (merging *m)
{
  adamix_run *run = &m->run;
  const adamix_train_config *c = run->config;
  adamix_comm *world = run->args->world;
  ADAMIX_RETURN_IF (adamix_compute_agree (&run->compute, world, c->gemm, c->precision, c->kernels, run->args->threads));
  adamix_err err = m->args->runs ? find_parts (m) : find_experts (m);
  if (!err) err = adamix_run_open_inputs (run);
  ADAMIX_RETURN_IF (adamix_comm_agree (world, err));
  ADAMIX_RETURN_IF (adamix_model_pack_node (run->model, world, reads_samples (m)));
  ADAMIX_RETURN_IF (adamix_comm_agree (world, m->args->runs ? read_parts (m) : read_experts (m)));
  choose_dataset (m);
  return ADAMIX_OK;
}

/* The folder of a method's module: the output itself, or one of the method's name in it. */
static adamix_err
folder_of (const merging *m, const adamix_merge_method *method, char **out)
{
  const char *output = m->args->output;
  if (strcmp (m->args->method, ADAMIX_MERGE_ALL) == 0) return adamix_path_join (out, output, method->name);
  return adamix_format (out, "%s", output);
}

static adamix_err
check_folder (const merging *m, const adamix_merge_method *method)
{
  char *folder = NULL, *config = NULL;
  if (!m->args->output || m->args->force) return ADAMIX_OK;
  adamix_err err = folder_of (m, method, &folder);
  if (!err) err = adamix_path_join (&config, folder, FILE_ADAPTER_CONFIG);
  if (!err && adamix_path_exists (config))
    err = adamix_err_set (
        ADAMIX_EEXIST, "--output %s already holds a module; give another folder, or --force to write over it", folder);
  free (config);
  free (folder);
  return err;
}

static adamix_err
write_merged (const merging *m)
{
  char *folder = NULL;
  if (!m->args->output) return ADAMIX_OK;
  adamix_err err = folder_of (m, m->run.merge, &folder);
  if (!err) err = adamix_run_write_module (&m->run, folder, FILE_ADAPTER, &m->run.merged, m->experts.step);
  free (folder);
  return err;
}

static adamix_err
evaluate (merging *m, adamix_inference *inference, adamix_merging_result *out)
{
  const adamix_inference_route own = adamix_inference_own (inference->module);
  if (!m->dataset->examples) return ADAMIX_OK;
  return adamix_evaluate (m->run.args->world, inference, m->dataset, m->run.task.metrics, &own, &out->evaluation, NULL);
}

/* One of several runs. */
static adamix_err
evaluate_part (merging *m, adamix_part *part, adamix_merging_result *out)
{
  adamix_err err = ADAMIX_OK;
  adamix_run *run = &m->run;
  adamix_inference inference = { 0 };
  out->method = part->run;
  out->parameters = adamix_bank_trainable_parameters (&part->module.shape);
  ADAMIX_TRY (adamix_comm_agree (run->args->world, adamix_inference_create (&inference, run->model, &run->compute,
                                                                            &part->module, &run->evaluation)));
  ADAMIX_TRY (evaluate (m, &inference, out));
done:
  adamix_inference_destroy (&inference);
  return err;
}

/* By run->merge. */
static adamix_err
make (merging *m, adamix_merging_result *out)
{
  adamix_run *run = &m->run;
  adamix_comm *world = run->args->world;
  ADAMIX_RETURN_IF (adamix_comm_agree (world, adamix_run_open_merge (run)));
  const double start = adamix_clock ();
  if (m->part)
    adamix_parts_average_heads (m->part, m->args->count,
                                run->merge->reads & ADAMIX_MERGE_WEIGHTS ? run->merge_weight : NULL, &run->all);
  ADAMIX_RETURN_IF (adamix_run_merge (run));
  out->seconds = adamix_clock () - start;
  out->method = run->merge->name;
  out->parameters = adamix_bank_trainable_parameters (&run->merged.shape);
  ADAMIX_RETURN_IF (evaluate (m, &run->inference, out));
  return adamix_comm_agree (world, world->rank == 0 ? write_merged (m) : ADAMIX_OK);
}

static bool
fits (const merging *m, const adamix_merge_method *method)
{
  return !method->lora || m->run.shape.kind == ADAMIX_LORA;
}

/* Initial values, moving averages and samples under one head are those of one run. */
static bool
is_of_one_run (const adamix_merge_method *method)
{
  return method->reads & ~(unsigned) ADAMIX_MERGE_WEIGHTS;
}

static adamix_err
refuse_of_one_run (const merging *m, const adamix_merge_method *method)
{
  enum { WIDTH = 256 };
  char names[WIDTH] = "";
  int methods;
  const adamix_merge_method *all = adamix_merge_methods (&methods);
  for (int i = 0; i < methods; i++) {
    const size_t length = strlen (names);
    if (!is_of_one_run (&all[i]) && fits (m, &all[i]))
      snprintf (names + length, sizeof names - length, "%s%s", length ? ", " : "", all[i].name);
  }
  return adamix_err_set (
      ADAMIX_EUSAGE, "--merge %s reads what only experts of one run have in common; several runs can be merged by %s",
      method->name, names);
}

/* Of the methods that ADAMIX_MERGE_ALL stands for, those that the options allow. */
static bool
is_wanted (const merging *m, const adamix_merge_method *method)
{
  const adamix_train_config *c = m->run.config;
  if (strcmp (m->args->method, ADAMIX_MERGE_ALL) != 0) return strcmp (m->args->method, method->name) == 0;
  return !method->lacks && adamix_train_config_merges (c, method) && !(m->part && is_of_one_run (method)) &&
         fits (m, method) && (!(method->reads & ADAMIX_MERGE_WEIGHTS) || c->merge_weights) &&
         (!(method->reads & ADAMIX_MERGE_EMA) || c->ema > 0);
}

static adamix_err
choose (merging *m, const adamix_merge_method **chosen, int64_t *count)
{
  int methods;
  const adamix_merge_method *method = adamix_merge_methods (&methods);
  for (int i = 0; i < methods; i++)
    if (is_wanted (m, &method[i])) chosen[(*count)++] = &method[i];
  if (*count == 0) return adamix_err_set (ADAMIX_EUSAGE, "there is no merge method '%s'", m->args->method);
  if (m->part && is_of_one_run (chosen[0])) return refuse_of_one_run (m, chosen[0]);
  for (int64_t i = 0; i < *count; i++) ADAMIX_RETURN_IF (check_folder (m, chosen[i]));
  return ADAMIX_OK;
}

static adamix_err
merge_chosen (merging *m, adamix_merging_results *out)
{
  adamix_err err = ADAMIX_OK;
  int methods;
  int64_t count = 0;
  const adamix_merge_method **chosen = NULL;
  adamix_comm *world = m->run.args->world;
  adamix_merge_methods (&methods);
  err = ADAMIX_ALLOC (chosen, methods);
  if (!err) err = ADAMIX_ALLOC (out->row, m->args->count + methods);
  if (!err) err = choose (m, chosen, &count);
  ADAMIX_TRY (adamix_comm_agree (world, err));
  for (int64_t j = 0; j < m->args->count; j++) ADAMIX_TRY (evaluate_part (m, &m->part[j], &out->row[out->count++]));
  for (int64_t i = 0; i < count; i++) {
    m->run.merge = chosen[i];
    err = make (m, &out->row[out->count++]);
    adamix_run_close_merge (&m->run);
    if (err) goto done;
  }
  if (m->dataset->examples) err = adamix_format (&out->path, "%s", m->dataset->path);
  ADAMIX_TRY (adamix_comm_agree (world, err));
done:
  free (chosen);
  return err;
}

adamix_err
adamix_train_merge (const adamix_merging_args *args, adamix_merging_results *out)
{
  adamix_err err = ADAMIX_OK;
  merging m = { .args = args };
  *out = (adamix_merging_results){ 0 };
  adamix_run_begin (&m.run, &args->train);
  ADAMIX_TRY (open_run (&m));
  ADAMIX_TRY (merge_chosen (&m, out));
done:
  adamix_parts_close (m.part, args->count);
  adamix_run_close (&m.run);
  adamix_adapter_config_destroy (&m.experts);
  free (m.folder);
  if (err) adamix_merging_results_destroy (out);
  return err;
}

void
adamix_merging_results_destroy (adamix_merging_results *results)
{
  if (!results) return;
  free (results->path);
  free (results->row);
  *results = (adamix_merging_results){ 0 };
}
