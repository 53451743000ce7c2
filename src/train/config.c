#include "train/train_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FFN  ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN)
#define BOTH (FFN | ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION))

/* REFERENCE: AdaMix on adapters and on LoRA share B in the published recipes; the paper's baselines. */
static const adamix_method methods[] = {
  { .name = "adamix",
    .help = "M bottleneck experts a layer, stochastic routes, two passes with the consistency loss",
    .modules = true,
    .many = true,
    .consistency = true,
    .bottleneck = true,
    .places = FFN,
    .activation = ADAMIX_ACTIVATION_GELU,
    .learning_rate = 1e-3,
    .share = ADAMIX_SHARE_DOWN },
  { .name = "adamix-lora",
    .help = "the same with M LoRA experts on query and value",
    .modules = true,
    .many = true,
    .consistency = true,
    .lora = true,
    .places = ADAMIX_PLACES_LINEAR,
    .learning_rate = 1e-3,
    .share = ADAMIX_SHARE_UP },
  { .name = "adapter",
    .help = "one bottleneck a layer after the FFN, GELU",
    .modules = true,
    .bottleneck = true,
    .places = FFN,
    .activation = ADAMIX_ACTIVATION_GELU,
    .learning_rate = 1e-3 },
  { .name = "houlsby",
    .help = "two bottlenecks a layer, after attention and after the FFN, swish",
    .modules = true,
    .bottleneck = true,
    .places = BOTH,
    .activation = ADAMIX_ACTIVATION_SILU,
    .learning_rate = 1e-3 },
  { .name = "pfeiffer",
    .help = "one bottleneck a layer after the FFN, ReLU",
    .modules = true,
    .bottleneck = true,
    .places = FFN,
    .activation = ADAMIX_ACTIVATION_RELU,
    .learning_rate = 1e-3 },
  { .name = "lora",
    .help = "LoRA on query and value",
    .modules = true,
    .lora = true,
    .places = ADAMIX_PLACES_LINEAR,
    .learning_rate = 1e-3 },
  { .name = "bitfit", .help = "all biases of the encoder", .backbone = ADAMIX_TRAIN_BIASES, .learning_rate = 1e-3 },
  { .name = "head", .help = "the task's head alone on the frozen encoder", .learning_rate = 5e-3 },
  { .name = "full", .help = "the whole encoder", .backbone = ADAMIX_TRAIN_ALL, .learning_rate = 5e-5 },
};

#define METHOD_NAMES "adamix|adamix-lora|adapter|houlsby|pfeiffer|lora|bitfit|head|full"
#define MERGE_NAMES  "average|weighted|ties|dare|concat|svd|greedy-soup|learned-soup|fisher|regmean|ema|none"
#define ROUTE_NAMES  "stochastic|stochastic-sentence|stochastic-token|fixed|round-robin|hash|balanced|switch|soft"

/* "|kl|kl-forward|..." less its first character. */
#define DIVERGENCE_TEXT(name, text) "|" text
#define DIVERGENCE_NAMES            (&(ADAMIX_DIVERGENCES (DIVERGENCE_TEXT))[1])

const adamix_method *
adamix_method_find (const char *name)
{
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (strcmp (methods[i].name, name) == 0) return &methods[i];
  return NULL;
}

/* Shorthand for rows of the table: kind, member, ... */
#define AT(member) offsetof (adamix_train_config, member)
#define STRING(name, member, fallback, argument, help)                                                                 \
  {                                                                                                                    \
    name, ADAMIX_OPTION_STRING, AT (member), fallback, NULL, 0, 0, argument, help                                      \
  }
#define INTEGER(name, member, fallback, min, max, help)                                                                \
  {                                                                                                                    \
    name, ADAMIX_OPTION_INTEGER, AT (member), fallback, NULL, min, max, "N", help                                      \
  }
#define REAL(name, member, fallback, min, max, help)                                                                   \
  {                                                                                                                    \
    name, ADAMIX_OPTION_REAL, AT (member), fallback, NULL, min, max, "X", help                                         \
  }
#define FLAG(name, member, help)                                                                                       \
  {                                                                                                                    \
    name, ADAMIX_OPTION_FLAG, AT (member), "false", NULL, 0, 0, NULL, help                                             \
  }
#define CHOICE(name, member, fallback, allowed, help)                                                                  \
  {                                                                                                                    \
    name, ADAMIX_OPTION_CHOICE, AT (member), fallback, allowed, 0, 0, NULL, help                                       \
  }

static const adamix_option train_options[] = {
  STRING ("model", model, NULL, "DIR", "pretrained encoder, a Hugging Face folder"),
  STRING ("task", task, NULL, "NAME", "task of the table: a GLUE task in lower case or banking77"),
  STRING ("data", data, NULL, "DIR", "root of the data sets, or the folder with the task's files"),
  STRING ("output", output, NULL, "DIR", "folder of the run"),
  STRING ("train-file", train_file, NULL, "FILE", "own data instead of --task: TSV, CSV (.csv) or JSON lines (.jsonl)"),
  STRING ("dev-file", dev_file, NULL, "FILE", "evaluated during training: own data, or in place of the task's file"),
  STRING ("test-file", test_file, NULL, "FILE", "evaluated once at the end: own data, or in place of the task's file"),
  STRING ("text-column", text_column, "text", "C", "own data: column of the text"),
  STRING ("text-pair-column", pair_column, NULL, "C", "own data: column of the second text of a pair"),
  STRING ("label-column", label_column, "label", "C", "own data: column of the label"),
  CHOICE ("task-type", task_type, "classification", "classification|regression", "own data: kind of label"),
  STRING ("method", method, "adamix", METHOD_NAMES, "what is trained"),
  INTEGER ("experts", experts, "4", 1, ADAMIX_MOST_EXPERTS, "M, adaptation modules in every layer"),
  INTEGER ("rank", rank, "16", 1, 65536, "R, bottleneck width of a module"),
  CHOICE ("share", share, "down", "none|down|up|both",
          "projections with one copy for all experts; adamix-lora, where A is down and B is up: up if not given"),
  CHOICE ("place", place, "auto", "auto|ffn|attention|both", "where bottlenecks stand in a layer; auto: the method's"),
  REAL ("lora-alpha", lora_alpha, "0", 0, 1e6, "lora: modules are scaled by alpha / R; 0: 2 R"),
  REAL ("lora-dropout", lora_dropout, "0.1", 0, 0.999, "lora: dropout rate of a module's input in training"),
  STRING ("route", route, "stochastic", ROUTE_NAMES, "routing policy in training"),
  REAL ("router-balance", router_balance, "0.01", 0, 1e6, "switch: weight of the loss that asks for equal loads"),
  REAL ("capacity-factor", capacity_factor, "1.25", 0, 1e6,
        "switch: an expert serves at most so many times its even share of a pass's tokens in training; 0: any number"),
  INTEGER ("passes", passes, "0", 0, ADAMIX_PASSES, "stochastic passes of a batch; 0: the method's"),
  CHOICE ("task-loss", task_loss, "first", "first|all",
          "passes whose task loss counts: the first's, or the mean of all"),
  REAL ("consistency", consistency, "1.0", 0, 1e6, "weight of the consistency loss"),
  CHOICE ("consistency-loss", consistency_loss, "kl", DIVERGENCE_NAMES,
          "distance of two passes: symmetric KL, one of its halves, Jensen-Shannon, or squared logits"),
  REAL ("consistency-warmup", consistency_warmup, "0", 0, 1, "share of the steps in which that weight rises from 0"),
  CHOICE ("consistency-gradient", consistency_gradient, "stop", "stop|both",
          "stop: each pass is a fixed target of the other (the published code); both: the term's whole derivative"),
  STRING ("order-file", order_file, NULL, "FILE",
          "JSON lines, one a step: [record, ...] from 0, in place of the shuffled order (docs/parity.md)"),
  STRING ("routes-file", routes_file, NULL, "FILE",
          "JSON lines, one a step: [pass][layer] = [down, up] experts, in place of drawn ones (docs/parity.md)"),
  STRING ("merge", merge, "average", MERGE_NAMES,
          "how the experts become one module; switch and soft: none if not given"),
  FLAG ("allow-router-merge", allow_router_merge, "switch, soft: merge by weights all the same, without the router"),
  STRING ("merge-weights", merge_weights, NULL, "W,W,...", "weighted: M numbers, which need not sum to 1"),
  REAL ("merge-density", merge_density, "0", 0, 1, "ties, dare: share of the changes that is kept; 0: the method's"),
  INTEGER ("merge-samples", merge_samples, "1000", 1, 1e15, "training examples that soups, fisher and regmean read"),
  REAL ("merge-alpha", merge_alpha, "0.9", 0, 1,
        "regmean: factor of what is off the diagonal of the inputs' Gram matrices"),
  REAL (
      "ema", ema, "0", 0, 0.999999999,
      "decay a step of a moving average of what is trained, for --merge ema, now or by adamix merge; 0: none is kept"),
  FLAG ("hold-out", hold_out,
        "keep a tenth of the training file, of each label, out of training, for the soups to choose by; they imply it"),
  STRING ("placement", placement, "owned", "owned|replicated", "which ranks hold which experts"),
  INTEGER ("experts-per-rank", experts_per_rank, "2", 1, ADAMIX_MOST_EXPERTS,
           "K, experts a rank owns at least (owned placement)"),
  INTEGER ("rotate-every", rotate_every, "50", 0, 1e15,
           "steps after which each layer's experts are dealt anew to the groups of ranks; 0: never"),
  REAL ("epochs", epochs, "3", 1e-9, 1e9, "passes over the training file"),
  INTEGER ("max-steps", max_steps, "0", 0, 1e15, "stop after N steps instead of --epochs; 0: --epochs counts"),
  INTEGER ("batch", batch, "32", 1, 1e9, "global batch: examples a step, over all ranks"),
  REAL ("lr", lr, "0", 0, 1e6, "peak learning rate; 0: the method's default"),
  REAL ("weight-decay", weight_decay, "0.1", 0, 1e6, "AdamW's decay of weights"),
  REAL ("warmup", warmup, "0.06", 0, 1, "share of the steps in which the learning rate rises"),
  REAL ("clip", clip, "1.0", 0, 1e9, "largest global gradient norm; 0: no clipping"),
  INTEGER ("max-length", max_length, "128", 3, 1e6, "longest sequence in tokens; longer texts are cut"),
  REAL ("dropout", dropout, "0.1", 0, 0.999, "dropout rate of the backbone and the head in training"),
  CHOICE ("pool", pool, "auto", "auto|pooler|mean",
          "what the head reads: tanh (pooler ([CLS])) or the mean over tokens"),
  INTEGER ("seed", seed, "0", 0, 9007199254740992.0, "seed of order, routes, dropout and initial values"),
  STRING ("precision", precision, "fp32", "fp32|bf16",
          "products of frozen layers and attention; bf16 where the processor has it (avx512_bf16, AMX)"),
  STRING ("gemm", gemm, "auto", "auto|blas|onednn", "GEMM backend"),
  STRING ("kernels", kernels, "auto", "auto|reference|avx2|avx512|avx512_bf16",
          "instruction set of the element kernels"),
  INTEGER ("threads", threads, "0", 0, 4096,
           "OpenMP threads a rank; 0: the cores there are over the ranks of the node"),
  { "activation-memory", ADAMIX_OPTION_SIZE, AT (activation_memory), "0", NULL, 0, 1e15, "SIZE",
    "bytes (K, M, G) that a rank's activations may take; as many layers as it needs are then computed again in the "
    "backward pass, with the same result; 0: no limit" },
  FLAG ("reproducible", reproducible,
        "the same bytes on 1 to 12 ranks with replicated placement: a batch is always cut into 12 shards"),
  STRING ("eval-every", eval_every, "epoch", "epoch|never|N", "when the dev file is evaluated"),
  STRING ("save-every", save_every, "epoch", "epoch|never|N", "when a checkpoint is written"),
  INTEGER ("log-every", log_every, "1", 1, 1e9, "steps between two lines of metrics.jsonl"),
  FLAG ("tensorboard", tensorboard, "write the numbers of metrics.jsonl for TensorBoard too, into RUN/tensorboard"),
  INTEGER ("keep", keep, "2", 1, 1e9, "checkpoints to keep, newest first"),
  CHOICE ("select", select, "last", "last|best",
          "which step becomes the result: the last, or the best on the dev file"),
  FLAG ("resume", resume, "continue from the newest checkpoint in --output"),
  FLAG ("force", force, "replace a finished or interrupted run in --output"),
  INTEGER ("limit-train", limit_train, "0", 0, 1e15, "use the first N records of the training file; 0: all"),
  STRING ("recipe", recipe, NULL, "NAME", "a named set of options: " RECIPE_NAMES),
  STRING ("config", config, NULL, "FILE", "INI file with the same keys; the command line wins"),
};

const adamix_option *
adamix_train_options (int *count)
{
  *count = (int) (sizeof train_options / sizeof *train_options);
  return train_options;
}

/* A recipe is a list of options, ended by a NULL name. */
typedef struct adamix_recipe {
  const char *name;
  struct {
    const char *option, *value;
  } setting[16];
} adamix_recipe;

/* The paper's recipes are those published for MNLI. */
static const adamix_recipe recipes[] = {
  { "support",
    { { "task", "banking77" },
      { "method", "adamix" },
      { "experts", "4" },
      { "rank", "48" },
      { "share", "down" },
      { "pool", "mean" },
      { "lr", "2e-3" },
      { "epochs", "4" },
      { "batch", "32" },
      { NULL, NULL } } },
  { "paper-bert-base",
    { { "method", "adamix" },
      { "experts", "4" },
      { "rank", "48" },
      { "share", "up" },
      { "lr", "4e-4" },
      { "epochs", "40" },
      { "batch", "64" },
      { "weight-decay", "0.1" },
      { "warmup", "0.06" },
      { "max-length", "128" },
      { "select", "best" },
      { NULL, NULL } } },
  { "paper-roberta-large",
    { { "method", "adamix" },
      { "experts", "4" },
      { "rank", "16" },
      { "share", "up" },
      { "lr", "3e-4" },
      { "epochs", "20" },
      { "batch", "64" },
      { "weight-decay", "0.1" },
      { "warmup", "0.06" },
      { "max-length", "128" },
      { "select", "best" },
      { NULL, NULL } } },
};

adamix_err
adamix_recipe_apply (adamix_options *options, const char *name)
{
  /* With data of one's own the recipe's task is not meant. */
  const char *own = adamix_options_value (options, "train-file");
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
    if (strcmp (recipes[i].name, name) != 0) continue;
    for (int s = 0; recipes[i].setting[s].option; s++)
      if (!own || strcmp (recipes[i].setting[s].option, "task") != 0)
        ADAMIX_RETURN_IF (adamix_options_set (options, recipes[i].setting[s].option, recipes[i].setting[s].value,
                                              ADAMIX_SOURCE_RECIPE));
    return ADAMIX_OK;
  }
  return adamix_err_set (ADAMIX_EUSAGE, "--recipe: there is no recipe '%s'; choose one of %s", name, RECIPE_NAMES);
}

/* "epoch", "never" or a number of steps. */
static adamix_err
check_period (const char *option, const char *text)
{
  int64_t period;
  if (adamix_period_parse (text, 1, &period)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE, "--%s: '%s' is neither 'epoch', 'never' nor a number of steps above 0", option,
                         text);
}

bool
adamix_period_parse (const char *text, int64_t steps_per_epoch, int64_t *period)
{
  if (strcmp (text, "epoch") == 0 || strcmp (text, "never") == 0) {
    *period = text[0] == 'e' ? steps_per_epoch : 0;
    return true;
  }
  char *end;
  long long value = strtoll (text, &end, 10);
  if (*text == 0 || *end || value < 1) return false;
  *period = value;
  return true;
}

/* Options of own data say nothing about a task of the table, and the other way round. */
static adamix_err
check_sources (const adamix_train_config *c, const adamix_options *options)
{
  static const char *const of_own_data[] = { "text-column", "text-pair-column", "label-column", "task-type", NULL };
  static const char *const of_tasks[] = { "data", NULL };
  for (const char *const *name = c->task ? of_own_data : of_tasks; *name; name++)
    if (adamix_options_source (options, *name) != ADAMIX_SOURCE_DEFAULT)
      return adamix_err_set (ADAMIX_EUSAGE, "--%s goes with --%s, not with --%s", *name,
                             c->task ? "train-file" : "task", c->task ? "task" : "train-file");
  return ADAMIX_OK;
}

/* Options that must be given, and those that name rows of other tables. */
static adamix_err
check_required (const adamix_train_config *c)
{
  const struct {
    const char *name, *value;
  } required[] = { { "model", c->model }, { "output", c->output } };
  for (size_t i = 0; i < sizeof required / sizeof *required; i++)
    if (!required[i].value)
      return adamix_err_set (ADAMIX_EUSAGE, "--%s is missing; see 'adamix train --help'", required[i].name);
  if (!c->train_file && !c->task)
    return adamix_err_set (ADAMIX_EUSAGE, "give --task NAME with --data DIR, or --train-file FILE for own data");
  if (c->train_file && c->task)
    return adamix_err_set (ADAMIX_EUSAGE, "--task %s and --train-file %s contradict each other; give one of them",
                           c->task, c->train_file);
  if (c->task && !adamix_task_find (c->task))
    return adamix_err_set (ADAMIX_EUSAGE, "--task: there is no task '%s'; choose one of %s, or give --train-file",
                           c->task, adamix_task_names ());
  if (c->task && !c->data) return adamix_err_set (ADAMIX_EUSAGE, "--task %s needs --data DIR", c->task);
  if (!adamix_method_find (c->method))
    return adamix_err_set (ADAMIX_EUSAGE, "--method: '%s' is not one of " METHOD_NAMES, c->method);
  if (!adamix_route_policy_find (c->route) || strcmp (c->route, "prescribed") == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "--route: '%s' is not one of " ROUTE_NAMES, c->route);
  if (!adamix_merge_method_find (c->merge))
    return adamix_err_set (ADAMIX_EUSAGE, "--merge: '%s' is not one of " MERGE_NAMES, c->merge);
  if (!adamix_placement_policy_find (c->placement))
    return adamix_err_set (ADAMIX_EUSAGE, "--placement: '%s' is not one of owned|replicated", c->placement);
  return ADAMIX_OK;
}

static adamix_err
weights_error (const adamix_train_config *c)
{
  return adamix_err_set (ADAMIX_EUSAGE,
                         "--merge-weights %s: expected %lld numbers, separated by commas, none negative and not all 0",
                         c->merge_weights, (long long) c->experts);
}

adamix_err
adamix_train_config_weights (const adamix_train_config *c, double **out)
{
  adamix_err err = ADAMIX_OK;
  double sum = 0;
  char *rest = (char *) c->merge_weights;
  *out = NULL;
  if (!rest) return ADAMIX_OK;
  ADAMIX_TRY (ADAMIX_ALLOC (*out, c->experts));
  for (int64_t j = 0; j < c->experts; j++) {
    const char *const text = rest, separator = j < c->experts - 1 ? ',' : '\0';
    (*out)[j] = strtod (text, &rest);
    if (rest == text || *rest != separator || !isfinite ((*out)[j]) || (*out)[j] < 0) ADAMIX_TRY (weights_error (c));
    sum += (*out)[j];
    rest += separator != '\0';
  }
  if (sum == 0) ADAMIX_TRY (weights_error (c));
  return ADAMIX_OK;
done:
  free (*out);
  *out = NULL;
  return err;
}

/* Options of a merge that go with the methods that read what they say. */
static const struct {
  const char *option, *methods;
  unsigned reads;
} options_of_merges[] = {
  { "merge-samples", "greedy-soup, learned-soup, fisher or regmean", ADAMIX_MERGE_SAMPLES },
  { "merge-alpha", "regmean", ADAMIX_MERGE_ALPHA },
};

static bool
has_router (const adamix_train_config *c)
{
  return adamix_method_find (c->method)->many && adamix_route_policy_find (c->route)->gating;
}

bool
adamix_train_config_merges (const adamix_train_config *c, const adamix_merge_method *method)
{
  if (method->reads & ADAMIX_MERGE_ROUTER) return has_router (c);
  return !has_router (c) || c->allow_router_merge;
}

static adamix_err
check_router (const adamix_train_config *c)
{
  if (c->allow_router_merge && !has_router (c))
    return adamix_err_set (ADAMIX_EUSAGE, "--allow-router-merge goes with --route switch or soft, not with --route %s",
                           c->route);
  if (adamix_train_config_merges (c, adamix_merge_method_find (c->merge))) return ADAMIX_OK;
  if (!has_router (c))
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--merge %s keeps all experts and their learned router, which --route %s has not", c->merge,
                           c->route);
  return adamix_err_set (
      ADAMIX_EUSAGE,
      "--merge %s loses what the router of --route %s has learned: use --merge none, which keeps all "
      "experts and the router, or add --allow-router-merge",
      c->merge, c->route);
}

/* Options of a learned router; its defaults. */
static const struct {
  const char *option, *route;
} options_of_routes[] = { { "router-balance", "switch" }, { "capacity-factor", "switch" } };

static adamix_err
check_route_options (const adamix_train_config *c, const adamix_options *options)
{
  for (size_t i = 0; i < sizeof options_of_routes / sizeof *options_of_routes; i++)
    if (strcmp (c->route, options_of_routes[i].route) != 0 &&
        adamix_options_source (options, options_of_routes[i].option) > ADAMIX_SOURCE_RECIPE)
      return adamix_err_set (ADAMIX_EUSAGE, "--%s goes with --route %s, not with --route %s",
                             options_of_routes[i].option, options_of_routes[i].route, c->route);
  return ADAMIX_OK;
}

/* Weights for the method that reads them, and changes to keep for those that drop some. */
static adamix_err
check_merge (const adamix_train_config *c, const adamix_options *options)
{
  double *weights;
  const adamix_merge_method *method = adamix_merge_method_find (c->merge);
  const bool weighted = method->reads & ADAMIX_MERGE_WEIGHTS;
  if (weighted != (c->merge_weights != NULL))
    return adamix_err_set (ADAMIX_EUSAGE, "--merge weighted and --merge-weights W,W,... go together");
  if (c->merge_density > 0 && method->density == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "--merge-density goes with --merge ties or dare, not with --merge %s",
                           c->merge);
  for (size_t i = 0; i < sizeof options_of_merges / sizeof *options_of_merges; i++)
    if (!(method->reads & options_of_merges[i].reads) &&
        adamix_options_source (options, options_of_merges[i].option) > ADAMIX_SOURCE_RECIPE)
      return adamix_err_set (ADAMIX_EUSAGE, "--%s goes with --merge %s, not with --merge %s",
                             options_of_merges[i].option, options_of_merges[i].methods, c->merge);
  if (method->reads & ADAMIX_MERGE_EMA && c->ema == 0)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--merge %s needs a run that keeps a moving average: train with --ema DECAY, "
                           "e.g. 0.99",
                           c->merge);
  if (method->lora && adamix_method_find (c->method)->bottleneck)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--merge %s cuts products of two matrices, but the bottlenecks of --method %s have an "
                           "activation between them; choose another merge, such as concat, or --method adamix-lora",
                           c->merge, c->method);
  if (method->lacks)
    return adamix_err_set (ADAMIX_EUNSUPPORTED,
                           "--merge %s needs %s, which this build lacks: install it, configure and "
                           "build again, or choose another method",
                           c->merge, method->lacks);
  ADAMIX_RETURN_IF (adamix_train_config_weights (c, &weights));
  free (weights);
  return ADAMIX_OK;
}

/* Passes that are asked for and would change nothing. */
static adamix_err
check_passes (const adamix_train_config *c)
{
  if (c->passes < 2 || c->consistency > 0 || c->task_loss) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EUSAGE,
                         "--passes %lld: with --consistency 0 and --task-loss first the passes behind the first change "
                         "nothing; give one of the two, or --passes 1",
                         (long long) c->passes);
}

/* Prescribed routes leave nothing to draw, and need modules to lead to. */
static adamix_err
check_routes (const adamix_train_config *c, const adamix_options *options)
{
  if (!c->routes_file) return ADAMIX_OK;
  if (!adamix_method_find (c->method)->modules)
    return adamix_err_set (ADAMIX_EUSAGE, "--routes-file says which modules serve a step, but --method %s has none",
                           c->method);
  if (adamix_options_source (options, "route") != ADAMIX_SOURCE_DEFAULT)
    return adamix_err_set (ADAMIX_EUSAGE, "--routes-file and --route contradict each other; give one of them");
  return ADAMIX_OK;
}

/* Options that say nothing to a method that lacks something. */
static const struct {
  const char *option;
  size_t needs; /* offset of a bool in adamix_method */
} options_of_methods[] = {
  { "rank", offsetof (adamix_method, modules) },
  { "experts", offsetof (adamix_method, many) },
  { "share", offsetof (adamix_method, many) },
  { "place", offsetof (adamix_method, bottleneck) },
  { "lora-alpha", offsetof (adamix_method, lora) },
  { "lora-dropout", offsetof (adamix_method, lora) },
  { "route", offsetof (adamix_method, many) },
  { "router-balance", offsetof (adamix_method, many) },
  { "capacity-factor", offsetof (adamix_method, many) },
  { "merge", offsetof (adamix_method, many) },
  { "merge-weights", offsetof (adamix_method, many) },
  { "merge-density", offsetof (adamix_method, many) },
  { "merge-samples", offsetof (adamix_method, many) },
  { "merge-alpha", offsetof (adamix_method, many) },
  { "placement", offsetof (adamix_method, many) },
  { "experts-per-rank", offsetof (adamix_method, many) },
  { "rotate-every", offsetof (adamix_method, many) },
  { "passes", offsetof (adamix_method, consistency) },
  { "task-loss", offsetof (adamix_method, consistency) },
  { "consistency", offsetof (adamix_method, consistency) },
  { "consistency-loss", offsetof (adamix_method, consistency) },
  { "consistency-warmup", offsetof (adamix_method, consistency) },
  { "consistency-gradient", offsetof (adamix_method, consistency) },
};

void
adamix_train_config_warn (const adamix_train_config *config, const adamix_options *options, adamix_log *log)
{
  enum { WIDTH = 256 };
  char names[WIDTH] = "";
  const char *method = (const char *) adamix_method_find (config->method);
  for (size_t i = 0; i < sizeof options_of_methods / sizeof *options_of_methods; i++) {
    const char *option = options_of_methods[i].option;
    const bool used = *(const bool *) (method + options_of_methods[i].needs);
    if (used || adamix_options_source (options, option) <= ADAMIX_SOURCE_RECIPE) continue;
    const size_t length = strlen (names);
    snprintf (names + length, sizeof names - length, "%s--%s", length ? ", " : "", option);
  }
  if (*names) adamix_log_warn (log, "--method %s has no use for %s", config->method, names);
}

adamix_err
adamix_train_config_check (adamix_train_config *c, const adamix_options *options)
{
  ADAMIX_RETURN_IF (check_required (c));
  ADAMIX_RETURN_IF (check_sources (c, options));
  ADAMIX_RETURN_IF (check_period ("eval-every", c->eval_every));
  ADAMIX_RETURN_IF (check_period ("save-every", c->save_every));
  ADAMIX_RETURN_IF (check_passes (c));
  if (c->tensorboard && !adamix_events_are_there ())
    return adamix_err_set (
        ADAMIX_EUNSUPPORTED,
        "--tensorboard needs protobuf-c and ISA-L, which this build lacks: install them (protobuf-c-compiler, "
        "libprotobuf-c-dev, libisal-dev), configure and build again, or leave it out");
  ADAMIX_RETURN_IF (check_route_options (c, options));
  if (has_router (c) && !c->allow_router_merge && adamix_options_source (options, "merge") == ADAMIX_SOURCE_DEFAULT)
    c->merge = "none";
  ADAMIX_RETURN_IF (check_router (c));
  ADAMIX_RETURN_IF (check_merge (c, options));
  ADAMIX_RETURN_IF (check_routes (c, options));
  if (c->resume && c->force)
    return adamix_err_set (ADAMIX_EUSAGE,
                           "--resume and --force contradict each other: one continues the run in --output, "
                           "the other replaces it");
  if (c->select == 1 && strcmp (c->eval_every, "never") == 0)
    return adamix_err_set (ADAMIX_EUSAGE, "--select best needs evaluations to choose from, but --eval-every is never");
  const adamix_method *method = adamix_method_find (c->method);
  if (c->lr == 0) c->lr = method->learning_rate;
  if (adamix_options_source (options, "share") == ADAMIX_SOURCE_DEFAULT) c->share = method->share;
  c->hold_out = c->hold_out || (method->many && adamix_merge_method_find (c->merge)->reads & ADAMIX_MERGE_UNSEEN);
  if (c->experts == 1) c->experts_per_rank = 1;
  if (method->many && c->experts_per_rank > c->experts)
    return adamix_err_set (ADAMIX_EUSAGE, "--experts-per-rank %lld is more than --experts %lld",
                           (long long) c->experts_per_rank, (long long) c->experts);
  if (!method->many) {
    c->route = "stochastic";
    c->merge = "average";
    c->experts = 1;
    c->experts_per_rank = 1;
  }
  return ADAMIX_OK;
}

adamix_err
adamix_train_config_task (const adamix_train_config *config, adamix_task *task)
{
  if (config->task) {
    *task = *adamix_task_find (config->task);
    return ADAMIX_OK;
  }
  bool regression = config->task_type == ADAMIX_TASK_REGRESSION;
  *task = (adamix_task){ .name = "custom",
                         .folder = "",
                         .type = (adamix_task_type) config->task_type,
                         .header = true,
                         .text = config->text_column,
                         .pair = config->pair_column,
                         .label = config->label_column,
                         .metric = regression ? "pearson" : "accuracy",
                         .metrics = regression ? "pearson|spearmanr" : "accuracy" };
  return ADAMIX_OK;
}
