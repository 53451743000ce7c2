#include "eval.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof (eval_config, member)
static const adamix_option table[] = {
  { "model", ADAMIX_OPTION_STRING, AT (model), NULL, NULL, 0, 0, "DIR", "encoder the module was trained on" },
  { "adapter", ADAMIX_OPTION_STRING, AT (adapter), NULL, NULL, 0, 0, "DIR,...",
    "run, its merged or its experts folder; of several runs, trained apart: each merged module, or their ensemble" },
  { "task", ADAMIX_OPTION_STRING, AT (task), NULL, NULL, 0, 0, "NAME", "task of the table; default: the module's own" },
  { "data", ADAMIX_OPTION_STRING, AT (data), NULL, NULL, 0, 0, "DIR", "root of the data sets, or the task's folder" },
  { "split", ADAMIX_OPTION_CHOICE, AT (split), "dev", "train|dev|dev_mismatched|test", 0, 0, NULL,
    "which file of the task" },
  { "file", ADAMIX_OPTION_STRING, AT (file), NULL, NULL, 0, 0, "FILE", "own labelled data instead of --data" },
  { "text-column", ADAMIX_OPTION_STRING, AT (text_column), "text", NULL, 0, 0, "C", "own data: column of the text" },
  { "text-pair-column", ADAMIX_OPTION_STRING, AT (pair_column), NULL, NULL, 0, 0, "C",
    "own data: second text of a pair" },
  { "label-column", ADAMIX_OPTION_STRING, AT (label_column), "label", NULL, 0, 0, "C",
    "own data: column of the label" },
  { "inference", ADAMIX_OPTION_STRING, AT (inference), "merged", NULL, 0, 0, "MODE",
    "merged: the module to ship, by its router if it has one; random-sentence, random-token: random routes; fixed:J: "
    "expert J in every layer; ensemble:N: mean probabilities of N random routes, or ensemble: of several runs; all: a "
    "table of these" },
  { "seed", ADAMIX_OPTION_INTEGER, AT (seed), "0", NULL, 0, 9007199254740992.0, "N", "seed of random routes" },
  { "uncertainty", ADAMIX_OPTION_INTEGER, AT (uncertainty), "0", NULL, 0, 100000, "N",
    "also take N random routes, 2 or more, as samples of a posterior: calibration, selective accuracy, mutual "
    "information" },
  { "ood-task", ADAMIX_OPTION_STRING, AT (ood_task), NULL, NULL, 0, 0, "NAME",
    "--uncertainty: tell its texts (the first of a pair) from those of the data; its files are below --data" },
  { "ood-file", ADAMIX_OPTION_STRING, AT (ood_file), NULL, NULL, 0, 0, "FILE",
    "the same with the --text-column of an own file" },
  { "diversity", ADAMIX_OPTION_FLAG, AT (diversity), "false", NULL, 0, 0, NULL,
    "also compare the experts: weights, outputs, predictions, the loss on the line between two" },
  { "line", ADAMIX_OPTION_STRING, AT (line), "0,1", NULL, 0, 0, "A,B", "--diversity: the two experts" },
  { "report", ADAMIX_OPTION_STRING, AT (report), NULL, NULL, 0, 0, "DIR",
    "write JSON, tables and plots of --uncertainty and --diversity there" },
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "FILE", "also write the results as JSON" },
  { "gemm", ADAMIX_OPTION_STRING, AT (gemm), "auto", NULL, 0, 0, "auto|blas|onednn", "GEMM backend" },
  { "precision", ADAMIX_OPTION_STRING, AT (precision), "fp32", NULL, 0, 0, "fp32|bf16",
    "products of frozen layers and attention; bf16 where the processor has it (avx512_bf16, AMX)" },
  { "kernels", ADAMIX_OPTION_STRING, AT (kernels), "auto", NULL, 0, 0, "auto|reference|avx2|avx512|avx512_bf16",
    "element kernels" },
  { "threads", ADAMIX_OPTION_INTEGER, AT (threads), "0", NULL, 0, 4096, "N", "threads a rank; 0: the cores there are" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

static adamix_err
check_reports (const eval_config *c, int64_t runs)
{
  const bool foreign = c->ood_task || c->ood_file;
  if (runs > 1 && (c->uncertainty || c->diversity))
    return adamix_err_set (ADAMIX_EUSAGE, "--uncertainty and --diversity are about the experts of one run, not of %lld",
                           (long long) runs);
  if (c->uncertainty == 1)
    return adamix_err_set (ADAMIX_EUSAGE, "--uncertainty: one route tells nothing of others; take 2 or more");
  if (foreign && !c->uncertainty)
    return adamix_err_set (ADAMIX_EUSAGE, "--ood-task and --ood-file are for --uncertainty N");
  if (c->ood_task && c->ood_file) return adamix_err_set (ADAMIX_EUSAGE, "--ood-task and --ood-file: give one of them");
  if (c->report && !c->uncertainty && !c->diversity)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--report is for --uncertainty N and --diversity; the table of modes goes to --output");
  return ADAMIX_OK;
}

static adamix_err
parse (const driver_command *self, adamix_options **options, int argc, char **argv, eval_config *config,
       driver_list *runs)
{
  ADAMIX_RETURN_IF (driver_parse (options, table, ROWS, argc, argv, config));
  ADAMIX_RETURN_IF (driver_require (self, "model", config->model));
  ADAMIX_RETURN_IF (driver_require (self, "adapter", config->adapter));
  ADAMIX_RETURN_IF (driver_require (self, "inference", config->inference));
  ADAMIX_RETURN_IF (driver_list_create (runs, "adapter", config->adapter));
  config->adapter = runs->item[0];
  ADAMIX_RETURN_IF (check_reports (config, runs->count));
  ADAMIX_RETURN_IF (driver_refuse_same (config->file, config->output));
  return config->report ? adamix_directory_make (config->report) : ADAMIX_OK;
}

static adamix_err
check_module (const evaluator *e, const eval_config *c)
{
  if (c->uncertainty && eval_experts (e) == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "--uncertainty: the module in %s has no experts", c->adapter);
  if (c->uncertainty && e->config[EVAL_MERGED].type == ADAMIX_TASK_REGRESSION)
    return adamix_err_set (ADAMIX_EUSAGE, "--uncertainty is about probabilities, which a regression has not");
  if (c->diversity && e->config[EVAL_EXPERTS].shape.gating)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--diversity compares experts with the one module they become; those in %s have a router",
                           c->adapter);
  if (c->diversity && eval_experts (e) < 2)
    return adamix_err_set (ADAMIX_EUSAGE, "--diversity: the module in %s has %lld experts; two are needed", c->adapter,
                           (long long) eval_experts (e));
  return ADAMIX_OK;
}

/* What is wanted of the module and the data, on one rank. */
static adamix_err
open_all (evaluator *e, const eval_config *config, eval_mode **mode, int64_t *count, adamix_log *log)
{
  const bool experts =
      e->runs.count == 1 && (strcmp (config->inference, "merged") != 0 || config->uncertainty || config->diversity);
  ADAMIX_RETURN_IF (eval_open_modules (e, config, experts));
  ADAMIX_RETURN_IF (check_module (e, config));
  ADAMIX_RETURN_IF (eval_modes_choose (e, config->inference, (uint64_t) config->seed, mode, count));
  return eval_read_data (e, config, log);
}

int
driver_eval (const driver_command *self, int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  driver_session session;
  eval_config config = { 0 };
  adamix_options *options = NULL;
  adamix_profile profile = { 0 };
  evaluator e = { .world = &session.world };
  eval_mode *mode = NULL;
  int64_t count = 0;
  if (driver_help (self, table, ROWS, argc, argv)) return 0;
  ADAMIX_TRY (driver_session_start (&session, true));
  ADAMIX_TRY (adamix_comm_agree (e.world, parse (self, &options, argc, argv, &config, &e.runs)));
  adamix_log *log = driver_session_log (&session);
  const int threads = config.threads ? (int) config.threads : session.cores;
  ADAMIX_TRY (adamix_compute_agree (&e.compute, e.world, config.gemm, config.precision, config.kernels, threads));
  e.compute.profile = &profile;
  ADAMIX_TRY (adamix_comm_agree (e.world, eval_open_encoder (&e, &config)));
  ADAMIX_TRY (adamix_comm_agree (e.world, open_all (&e, &config, &mode, &count, log)));
  ADAMIX_TRY (adamix_model_pack_node (e.model, e.world, false));
  ADAMIX_TRY (adamix_comm_agree (e.world, adamix_adapter_check (&e.config[EVAL_MERGED], config.adapter, e.model)));
  ADAMIX_TRY (eval_modes_evaluate (&e, mode, count));
  if (e.world->rank == 0) {
    eval_modes_print (&e, mode, count);
    if (config.output) err = eval_modes_store (mode, count, (adamix_split) config.split, config.output);
  }
  ADAMIX_TRY (adamix_comm_agree (e.world, err));
  const eval_report report = { config.report, log };
  if (config.uncertainty) ADAMIX_TRY (eval_uncertainty (&e, &config, &report));
  if (config.diversity) ADAMIX_TRY (eval_diversity (&e, &config, &report));
done:
  free (mode);
  eval_close (&e);
  adamix_options_destroy (options);
  return driver_session_end (&session, err);
}
