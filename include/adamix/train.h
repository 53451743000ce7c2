/* adamix/train.h - from a configuration to a run: methods, optimizer, schedule, step, loop, evaluation, checkpoints, the
 * files of a run, and the finished module ("adapter") that eval and predict read.
 *
 * Functions that take a placement or a communicator are Collective over it; the others are Local.                        */
#ifndef ADAMIX_TRAIN_H
#define ADAMIX_TRAIN_H

#include <adamix/data.h>
#include <adamix/merge.h>
#include <adamix/metrics.h>
#include <adamix/parallel.h>

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- configuration ------------------------------------------------------------------------------------------------- */

/* A row of the table of methods. */
typedef struct adamix_method {
  const char *name, *help;
  bool modules;     /* adaptation modules in every layer */
  bool many;        /* M experts and stochastic routes; else one module */
  bool consistency; /* several passes, two by default, and the consistency loss */
  bool bottleneck;  /* modules that --place can move */
  bool lora;        /* modules with --lora-alpha and --lora-dropout */
  adamix_place_set places;
  adamix_activation activation; /* of bottlenecks */
  adamix_trainable backbone;    /* what trains of the encoder */
  double learning_rate;         /* default of --lr */
  adamix_share share;           /* default of --share */
} adamix_method;

/* NULL for an unknown name. */
const adamix_method *adamix_method_find (const char *name);

/* The options of `adamix train`, filled by adamix_options_store from adamix_train_options.  Strings are views. */
typedef struct adamix_train_config {
  const char *model, *output;
  const char *task, *data;
  const char *train_file, *dev_file, *test_file, *text_column, *pair_column, *label_column;
  int task_type; /* adamix_task_type */
  const char *method, *route, *merge, *placement;
  const char *merge_weights;            /* of weighted; NULL with the others */
  double merge_density;                 /* 0: the method's */
  double merge_alpha;                   /* of regmean */
  int64_t merge_samples;                /* that soups, fisher and regmean read */
  double ema;                           /* decay of a moving average; 0: none is kept */
  bool hold_out;                        /* a tenth of the training file is kept for soups */
  const char *order_file, *routes_file; /* NULL: drawn */
  int64_t experts, rank;
  int share;                              /* adamix_share */
  int place;                              /* 0: the method's, 1 ffn, 2 attention, 3 both */
  double lora_alpha, lora_dropout;        /* alpha 0: 2 R */
  double router_balance, capacity_factor; /* of switch */
  bool tensorboard;                       /* RUN/tensorboard beside metrics.jsonl */
  bool allow_router_merge;                /* merges by weights of experts that a router chose among */
  int64_t passes;                         /* 0: the method's */
  double consistency, consistency_warmup;
  int consistency_loss;     /* adamix_divergence */
  int consistency_gradient; /* adamix_consistency_gradient */
  int task_loss;            /* 0 first, 1 all */
  int64_t experts_per_rank, rotate_every;
  double epochs;
  int64_t max_steps, batch;
  double lr; /* 0: the method's */
  double weight_decay, warmup, clip;
  int64_t max_length;
  double dropout;
  int pool; /* 0 auto, 1 pooler, 2 mean */
  int64_t seed;
  const char *precision, *gemm, *kernels;
  bool reproducible;
  int64_t threads;
  int64_t activation_memory;           /* bytes; 0: no limit */
  const char *eval_every, *save_every; /* "epoch", "never" or a number of steps */
  int64_t log_every, keep;
  int select; /* 0 last, 1 best */
  bool resume, force;
  int64_t limit_train;
  const char *recipe, *config;
} adamix_train_config;

/* The table behind --help, --config, recipes and run.json. */
const adamix_option *adamix_train_options (int *count);
/* Set a recipe's values (source RECIPE).  Errors: EUSAGE for an unknown name, listing what there is. */
adamix_err adamix_recipe_apply (adamix_options *options, const char *name);
/* The numbers of --merge-weights, [experts], to free; NULL without them.  Errors: EUSAGE, ENOMEM. */
adamix_err adamix_train_config_weights (const adamix_train_config *config, double **out);
/* Can experts trained that way be merged by the method?  By weights only without a router, or where that is allowed.  Pure. */
bool adamix_train_config_merges (const adamix_train_config *config, const adamix_merge_method *method);
/* Contradictions and missing options: EUSAGE naming them.  Resolves the default learning rate. */
adamix_err adamix_train_config_check (adamix_train_config *config, const adamix_options *options);
/* Set the options that the run in a folder was made with (source FILE), less those of the process and of its merge.
 * Errors: EIO, EFORMAT, EUSAGE naming run.json. */
adamix_err adamix_train_config_recall (adamix_options *options, const char *run);
/* Was the run in --output, if there is one, made with these options, but for those that change no number, and with the same
 * model and data?  `config` is checked; files are read only where a path is another one.  Errors: EUSAGE naming an option that
 * differs, and both values; EIO, EFORMAT, EDATA, ENOMEM. */
adamix_err adamix_train_config_compare (const adamix_train_config *config, const adamix_options *options);
/* Does an option have a say in the numbers of a run, or in the order in which they come?  Not those that say where files are, how
 * a process works and what it keeps.  Pure. */
bool adamix_train_option_counts (const char *name);
/* The text of a value in run.json, as a command line would give it, reals as short as they can be; "" for null.  Errors: ENOMEM. */
adamix_err adamix_train_option_text (const json_t *value, char **out);
/* The task of a configuration: a row of the table, or own data.  Errors: EUSAGE. */
adamix_err adamix_train_config_task (const adamix_train_config *config, adamix_task *task);

/* ---- schedule and optimizer ------------------------------------------------------------------------------------------ */

/* Learning rate of update `step` (from 0) of `total`: linear warm-up over ceil (warmup * total) updates from 0, then
 * linear to 0.  Pure. */
double adamix_schedule_linear (double peak, double warmup, int64_t step, int64_t total);
/* The rise alone: from 0 to 1 in the first `warmup` of all steps, 1 from there on.  Pure. */
double adamix_schedule_rise (double warmup, int64_t step, int64_t total);

/* AdamW as the published code uses it; t of a parameter counts from its first gradient. */
typedef struct adamix_optimizer {
  adamix_params *params; /* borrowed */
  const adamix_kernels *kernels;
  float *first, *second; /* moments [count]; owned */
  float *steps;          /* t [rows], whole numbers; owned */
  float *ema;            /* moving average of the values [count]; owned; NULL: none is kept */
  double beta1, beta2, epsilon, weight_decay;
} adamix_optimizer;

adamix_err adamix_optimizer_create (adamix_optimizer *out, adamix_params *params, const adamix_kernels *kernels,
                                    double weight_decay);
void adamix_optimizer_destroy (adamix_optimizer *optimizer);
/* What its moments take for such a set.  Pure. */
size_t adamix_optimizer_bytes (const adamix_params *params);
/* One update of all touched rows and of those touched before, with gradients times grad_scale (clipping):
 *   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr sqrt (1 - b2^t) / (1 - b1^t) m / (sqrt v + eps);
 *   p -= lr wd p (weights only) */
void adamix_optimizer_update (adamix_optimizer *optimizer, double lr, double grad_scale);
/* Bring the moving average of all values p, if there is one, behind update t (from 1), so that it is the mean of p_1 .. p_t with
 * weights decay^(t-i), without a share of the initial values:   ema += (p - ema) (1 - decay) / (1 - decay^t) */
void adamix_optimizer_average (adamix_optimizer *optimizer, double decay, int64_t t);

/* ---- finished modules -------------------------------------------------------------------------------------------------- */

/* A bank and a head outside of training, values only: what a file holds. */
typedef struct adamix_module {
  bool has_bank;
  adamix_bank_shape shape;
  adamix_params params; /* rows of the backbone, of the bank, then of the head */
  adamix_bank *bank;    /* NULL for method head */
  adamix_head *head;
} adamix_module;

/* What a module is made of. */
typedef struct adamix_module_form {
  adamix_trainable backbone;      /* tensors of the encoder that it has values of its own for */
  const adamix_bank_shape *shape; /* NULL: no bank */
  adamix_pool pool;
  int64_t outputs;
  int64_t max_rows; /* sequences a forward may hold */
} adamix_module_form;

adamix_err adamix_module_create (adamix_module *out, const adamix_model *model, const adamix_module_form *form);
void adamix_module_destroy (adamix_module *module);
/* All but the memory of its values: rows are announced, adamix_module_create does it first. */
adamix_err adamix_module_announce (adamix_module *out, const adamix_model *model, const adamix_module_form *form);
/* Rows to and from a safetensors file; names and shapes must agree.  Errors: EIO, EFORMAT. */
adamix_err adamix_module_write (const adamix_module *module, const char *path);
adamix_err adamix_module_read (adamix_module *module, const char *path);
/* Copy the values of the rows that both have, by name; or one number a row. */
void adamix_params_copy (const adamix_params *from_rows, const float *from, const adamix_params *to_rows, float *to);
void adamix_params_copy_rows (const adamix_params *from_rows, const float *from, const adamix_params *to_rows,
                              float *to);

/* What adamix_config.json says of a module folder. */
typedef struct adamix_adapter_config {
  char *method, *task, *metric, *metrics, *base_sha256; /* owned */
  adamix_task_type type;
  adamix_labels labels;
  adamix_pool pool;
  int64_t max_length, step;
  adamix_trainable backbone; /* whose values the file beside it holds */
  bool has_bank;
  adamix_bank_shape shape; /* of what the file holds: one expert for a merged module */
} adamix_adapter_config;

void adamix_adapter_config_destroy (adamix_adapter_config *config);
int64_t adamix_adapter_outputs (const adamix_adapter_config *config); /* K: labels, or 1 for regression */
/* Of its module, or of one with another bank (`shape` is borrowed), for evaluation.  Pure. */
adamix_module_form adamix_adapter_form (const adamix_adapter_config *config, const adamix_bank_shape *shape);

/* A module folder: adamix_config.json beside adapter.safetensors (merged) or experts.safetensors. */
adamix_err adamix_adapter_write (const char *folder, const char *file, const adamix_adapter_config *config,
                                 const adamix_module *module, const adamix_model *model);
/* `path` is RUN, RUN/merged or RUN/experts.  `experts`: the folder with all experts is wanted (EUSAGE if there is none).
 * *folder (owned) is where it was found, *file its safetensors file (owned). */
adamix_err adamix_adapter_locate (const char *path, bool experts, char **folder, char **file);
adamix_err adamix_adapter_read_config (adamix_adapter_config *out, const char *folder);
/* Locate and read; tensors of the backbone that it holds become the model's, which is not packed yet. */
adamix_err adamix_adapter_open (adamix_adapter_config *config, adamix_module *module, const char *path, bool experts,
                                adamix_model *model);
/* Can modules of two runs, trained apart, answer the same texts together (encoder, kind of task, labels, length of texts) and,
 * if `alike`, be averaged (method, head, sizes)?  Errors: EUSAGE naming the two and what differs. */
adamix_err adamix_adapter_compare (const adamix_adapter_config *first, const char *first_path,
                                   const adamix_adapter_config *other, const char *other_path, bool alike);
/* Was it trained on this model?  Waits for the model's hash.  Errors: EDATA. */
adamix_err adamix_adapter_check (const adamix_adapter_config *config, const char *path, adamix_model *model);

/* ---- inference ----------------------------------------------------------------------------------------------------------- */

/* Which experts serve a forward: the table of --inference.  policy NULL: fixed local expert `slot`. */
typedef struct adamix_inference_route {
  const adamix_route_policy *policy;
  int64_t slot;
  int64_t draw;  /* keys the routes of the policy, with the seed */
  int64_t draws; /* an ensemble of draw, draw + 1, ...; 0 counts as 1 */
  uint64_t seed;
} adamix_inference_route;

/* The way of a module to ship: by its routers, else through its one expert. */
adamix_inference_route adamix_inference_own (const adamix_module *module);

/* Forward without dropout over whatever batches come. */
typedef struct adamix_inference {
  const adamix_model *model; /* borrowed */
  const adamix_compute *compute;
  adamix_module *module; /* borrowed */
  adamix_workspace *workspace;
  adamix_inserted_bank *inserted;
  adamix_batch batch;
} adamix_inference;

#define ADAMIX_INFERENCE_SEQUENCES 32 /* examples a batch of evaluation and prediction */

/* The largest batch, of at most ADAMIX_INFERENCE_SEQUENCES examples. */
typedef struct adamix_inference_size {
  int64_t tokens, longest; /* of the batch; of a sequence */
  int threads;             /* that work on it at once; 0: those of the model */
} adamix_inference_size;

/* That of any texts of at most max_length tokens.  Pure. */
adamix_inference_size adamix_inference_any (int64_t max_length);
/* The larger one of `size` and that of evaluating a dataset.  Pure. */
adamix_inference_size adamix_inference_fit (adamix_inference_size size, const adamix_dataset *dataset);
adamix_err adamix_inference_create (adamix_inference *out, const adamix_model *model, const adamix_compute *compute,
                                    adamix_module *module, const adamix_inference_size *size);
/* What its buffers would have, those of the module's head among them.  Errors: ENOMEM. */
adamix_err adamix_inference_measure (size_t *bytes, const adamix_model *model, const adamix_module *module,
                                     const adamix_inference_size *size);
void adamix_inference_destroy (adamix_inference *inference);
/* Logits z [n, K] of the examples chosen[0 .. n), n <= ADAMIX_INFERENCE_SEQUENCES; one draw. */
adamix_err adamix_inference_run (adamix_inference *inference, const adamix_dataset *dataset, const int64_t *chosen,
                                 int64_t n, const adamix_inference_route *route, float *z);
/* What the draws of a route predict of a dataset, which needs no labels, batches dealt to the ranks.  log_p [examples, K] is
 * log (1/N sum_s softmax z_s); of a regression (K = 1) it is the mean score, 1/N sum_s z_s.  entropy [examples], unless it is
 * NULL, is 1/N sum_s H (softmax z_s).  The same on any number of ranks.  Collective over comm. */
adamix_err adamix_inference_predict (adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset,
                                     const adamix_inference_route *route, double *log_p, double *entropy);

/* The mean of what several predict, draws or modules: sum [examples, K] takes predictions as above, `one`, of member `member`
 * (from 0); after the last of `members`, sum becomes their mean, of the probabilities or the scores.  Local. */
void adamix_ensemble_add (int64_t member, int64_t examples, int64_t outputs, const double *one, double *sum);
void adamix_ensemble_mean (int64_t members, int64_t examples, int64_t outputs, double *sum);

/* The numbers of one evaluation.  value[i] belongs to the i-th name of the task's `metrics`. */
#define ADAMIX_EVALUATION_METRICS 4
typedef struct adamix_evaluation {
  int64_t examples, metrics;
  char name[ADAMIX_EVALUATION_METRICS][32];
  double value[ADAMIX_EVALUATION_METRICS];
  double loss;       /* mean task loss: NLL, or the squared error of a regression */
  double ece, brier; /* expected calibration error, Brier score; NaN for regression */
  double majority;   /* share of the most frequent class; NaN for regression */
  double flops;      /* of its forward passes, all ranks; NaN where compute has no profile to count them */
  double seconds;
} adamix_evaluation;

/* Evaluate on a labelled dataset.  `metrics` as in the task ("accuracy|f1").  log_p, if not NULL, gets what was predicted
 * (adamix_inference_predict).  Collective over comm. */
adamix_err adamix_evaluate (adamix_comm *comm, adamix_inference *inference, const adamix_dataset *dataset,
                            const char *metrics, const adamix_inference_route *route, adamix_evaluation *out,
                            double *log_p);
/* The same of what was predicted already, without flops (NaN) and seconds.  Local.  Errors: ENOMEM. */
adamix_err adamix_evaluate_predictions (const adamix_dataset *dataset, int64_t outputs, const char *metrics,
                                        const double *log_p, adamix_evaluation *out);
/* Add its metrics, "loss", "ece", "brier", "majority", "samples" and "flops_per_sample" to an object, each under the key that
 * `pattern` makes of it (adamix_split_row).  Without memory *json becomes NULL, as by adamix_json_put. */
void adamix_evaluation_put (json_t **json, const char *pattern, const adamix_evaluation *evaluation);
/* By name; NaN if it was not computed. */
double adamix_evaluation_value (const adamix_evaluation *evaluation, const char *metric);

/* ---- a run ------------------------------------------------------------------------------------------------------------------ */

/* What the driver hands to a run. */
typedef struct adamix_train_args {
  const adamix_train_config *config;
  const adamix_options *options; /* for run.json */
  adamix_comm *world;
  adamix_log *log;                   /* NULL on all ranks but one */
  const volatile sig_atomic_t *stop; /* set by a signal handler: checkpoint and end with ESTOPPED */
  int threads;                       /* of this rank */
} adamix_train_args;

/* What a finished run has to tell; also stored as all_results.json. */
typedef struct adamix_train_results {
  bool was_finished;                           /* --resume met a finished run: nothing was done, nothing else is set */
  adamix_evaluation evaluation[ADAMIX_SPLITS]; /* without examples: not made */
  int64_t steps, best_step;
  double train_seconds, tokens_per_second;
  char metric[32]; /* the task's main metric */
  char *merged;    /* folder of the module to ship; owned */
  int64_t merged_bytes, merged_parameters, head_parameters;
} adamix_train_results;

/* Train, evaluate, write RUN.  Errors: anything; ESTOPPED after a checkpoint on a stop flag.  All ranks return alike.
 * Collective over args->world. */
adamix_err adamix_train_run (const adamix_train_args *args, adamix_train_results *results);
void adamix_train_results_destroy (adamix_train_results *results);

/* ---- merging the experts of a finished run once more, or several runs ------------------------------------------------------ */

#define ADAMIX_MERGE_ALL "all"

typedef struct adamix_merging_args {
  adamix_train_args train; /* config: of the run (adamix_train_config_recall), its output the run's folder */
  const char *method; /* a row's name, or ADAMIX_MERGE_ALL: each that these options allow, in a folder of its name */
  const char *output; /* NULL: nothing is written */
  bool force;         /* write over a module that is there */
  /* Folders of several runs that were trained apart: the merged module of each is an expert, their heads are averaged.  The
   * first is the config's, where --experts is their number.  By methods that read nothing but weights.  NULL: one run. */
  const char *const *runs;
  int64_t count;
} adamix_merging_args;

/* What a method made of the experts, and what it took. */
typedef struct adamix_merging_result {
  const char *method;           /* or, of several runs, the folder of a single one, in rows before those of methods */
  adamix_evaluation evaluation; /* of the dev file, else of the test file; without examples: the run has neither */
  int64_t parameters;           /* of the module, less its head */
  double seconds;
} adamix_merging_result;

typedef struct adamix_merging_results {
  adamix_merging_result *row; /* owned */
  int64_t count;
  char *path; /* of the file they were evaluated on; owned */
} adamix_merging_results;

/* Read RUN/experts, or RUN/merged of several runs, merge, evaluate, write module folders that eval and predict take.  All ranks
 * return alike.  Collective over args->train.world.  Errors: EUSAGE for a run without experts, runs that are unlike or a method
 * that cannot be; EEXIST; anything. */
adamix_err adamix_train_merge (const adamix_merging_args *args, adamix_merging_results *out);
void adamix_merging_results_destroy (adamix_merging_results *results);

/* How far the run in a folder has come, whether or not a process is at work there. */
typedef struct adamix_run_state {
  bool finished;    /* its results are there */
  int64_t step;     /* of the newest checkpoint that is whole; 0: there is none */
  char *checkpoint; /* its folder; owned; NULL: there is none */
} adamix_run_state;

/* Every file of the checkpoint is read and hashed; damaged ones are warned of and passed over.  `log` may be NULL.
 * Local.  Errors: ENOMEM. */
adamix_err adamix_run_state_read (adamix_run_state *out, const char *run, adamix_log *log);
void adamix_run_state_destroy (adamix_run_state *state);

/* ---- memory ---------------------------------------------------------------------------------------------------------------- */

/* The parts of a run's memory: X (name, key in JSON, shared by the ranks of a node, text). */
#define ADAMIX_MEMORY_PARTS(X)                                                                                         \
  X (PACKED, "packed_weight_bytes", true, "packed weights of the frozen layers")                                       \
  X (REPACKED, "repacked_weight_bytes", false, "packed weights of layers that train")                                  \
  X (MAPPED, "mapped_tensor_bytes", true, "embeddings and LayerNorms in the model's file")                             \
  X (LIBRARIES, "library_bytes", true, "program and libraries")                                                        \
  X (ACTIVATIONS, "activation_bytes", false, "activations of training")                                                \
  X (PARAMETERS, "parameter_bytes", false, "trained parameters, gradients, moments")                                   \
  X (GATHERED, "gathered_bytes", false, "those of all ranks, to evaluate and to store")                                \
  X (EVALUATION, "evaluation_bytes", false, "activations of evaluation")                                               \
  X (TEXTS, "text_bytes", false, "token ids and labels of the data")                                                   \
  X (PROCESS, "process_bytes", false, "the process itself: tokenizer, tables, heap")
typedef enum adamix_memory_part {
#define ADAMIX_MEMORY_ENUM(name, key, shared, text) ADAMIX_MEMORY_##name,
  ADAMIX_MEMORY_PARTS (ADAMIX_MEMORY_ENUM)
#undef ADAMIX_MEMORY_ENUM
      ADAMIX_MEMORY_COUNT
} adamix_memory_part;

typedef struct adamix_memory_row {
  const char *key, *text;
  bool shared;
} adamix_memory_row;

/* A part's row in the table of parts.  View. */
const adamix_memory_row *adamix_memory_row_of (adamix_memory_part part);

/* What a training will have in memory at most; bytes. */
typedef struct adamix_memory_plan {
  int64_t rank[ADAMIX_MEMORY_COUNT]; /* of the rank with most */
  int64_t node[ADAMIX_MEMORY_COUNT]; /* of all ranks, were they on one node */
  int64_t passes, tokens;            /* the largest shard of any step: tokens of a pass */
  int64_t layers, recomputed;        /* of the encoder; of these computed again in backward */
} adamix_memory_plan;

/* Plan the training of args->config for `ranks` ranks as they would themselves, open what they open, train nothing and write
 * nothing.  Without --task and --train-file all sequences have --max-length tokens.  args->world is not used.  Local.
 * Errors: as adamix_train_run. */
adamix_err adamix_train_plan_memory (adamix_memory_plan *out, const adamix_train_args *args, int ranks);

/* ---- time ------------------------------------------------------------------------------------------------------------------ */

/* What a training will do, in nominal FLOP of the encoder's linear layers: steps and evaluations, not start-up, checkpoints
 * and merges. */
typedef struct adamix_train_work {
  int64_t steps;
  double flops;           /* of the whole run */
  double flops_per_token; /* of training, all passes; tokens of one pass are counted */
} adamix_train_work;

/* Open what the training of args->config would and count; nothing is trained or written.  args->world has one rank.  Local.
 * Errors: as adamix_train_run. */
adamix_err adamix_train_plan_work (adamix_train_work *out, const adamix_train_args *args);
/* Make steps of it for about `most` seconds, at least three if there are, on args->threads, and write nothing.  NaN: it has
 * one step only.  Errors: as adamix_train_run. */
adamix_err adamix_train_try (double *flops_per_second, const adamix_train_args *args, double most);

/* ---- measuring ------------------------------------------------------------------------------------------------------------- */

/* Training steps alone, without files. */
typedef struct adamix_measure_args {
  const adamix_train_config *config; /* of it: what a step depends on; --max-steps and --epochs do not count */
  adamix_comm *world;
  adamix_model *model; /* packed; borrowed */
  const adamix_compute *compute;
  const adamix_dataset *train; /* labelled; at least a batch */
  int64_t outputs;             /* classes */
  int64_t steps;               /* to time, at least 1 */
} adamix_measure_args;

/* Means over the steps, as batches are unlike, and over the ranks; of updates and rotations, medians.  Seconds. */
typedef struct adamix_step_times {
  int64_t passes;
  double examples, tokens; /* a step, over all ranks; one pass counted */
  double seconds;          /* a step */
  double differentiate;    /* of it: cutting and packing the batch, routes, forward, loss, backward, norm */
  double wait, exchange;   /* for slower ranks; communication after all have arrived */
  double update;           /* of the optimizer */
  double rotation;         /* of ownership, once; 0 where there is none */
  /* Of compute's profile if it has one: means of the steps; FLOP of all ranks. */
  adamix_profile profile;
  /* What was trained: the bank's shape (has_bank), values and rows of the shared set. */
  bool has_bank;
  adamix_bank_shape shape;
  int64_t shared_values, shared_rows;
} adamix_step_times;

/* Make one step that is not timed and `steps` that are; then updates and rotations alone.  Collective over world. */
adamix_err adamix_train_measure (const adamix_measure_args *args, adamix_step_times *out);

/* ---- scale on paper -------------------------------------------------------------------------------------------------------- */

/* Seconds that a rank's own work of a step takes for a number of tokens, as measured: ascending tokens. */
#define ADAMIX_CURVE_POINTS 16
typedef struct adamix_step_curve {
  int points; /* at least 1 */
  double tokens[ADAMIX_CURVE_POINTS], seconds[ADAMIX_CURVE_POINTS];
} adamix_step_curve;

/* Linear between two points; at the last one's speed beyond it; below the first one, that one's.  Pure. */
double adamix_step_curve_at (const adamix_step_curve *curve, double tokens);

/* A machine and a training whose steps are to be predicted.  All borrowed. */
typedef struct adamix_scaling_args {
  adamix_step_curve curve;
  adamix_network network;
  const adamix_placement_policy *policy;
  adamix_placement_args placement;
  const adamix_bank_shape *shape; /* NULL: no experts */
  const adamix_params *shared;
  int64_t rotate_every;           /* 0: never */
  double rotation_seconds;        /* of a rotation besides its communication */
  const adamix_dataset *examples; /* batches are drawn from them; labels and ids are not read */
  uint64_t seed;
} adamix_scaling_args;

/* A step on W ranks; seconds, means over several drawn batches. */
typedef struct adamix_scaling_point {
  int ranks;
  int64_t batch;
  double tokens;    /* of a batch, one pass counted */
  double imbalance; /* tokens of the fullest rank over the mean over all ranks */
  int64_t idle;     /* ranks without an example */
  double cut;       /* of the batch into shards, which every rank does for all; as measured here */
  double compute;   /* of the fullest rank */
  struct {
    double exchange, rotation; /* a rotation's share of a step */
    double seconds;            /* of the whole step */
  } by[ADAMIX_ALLREDUCES];
} adamix_scaling_point;

/* Errors: EDATA if there are fewer examples than a batch; ENOMEM. */
adamix_err adamix_scaling_predict (const adamix_scaling_args *args, int ranks, int64_t batch,
                                   adamix_scaling_point *out);
/* Tokens a second and rank, over those of `base`.  Pure. */
double adamix_scaling_efficiency (const adamix_scaling_point *point, const adamix_scaling_point *base,
                                  adamix_allreduce algorithm);

#ifdef __cplusplus
}
#endif
#endif
