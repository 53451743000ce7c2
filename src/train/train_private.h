/* train_private.h - what the files of this room share. */
#ifndef ADAMIX_TRAIN_PRIVATE_H
#define ADAMIX_TRAIN_PRIVATE_H

#include <adamix/train.h>

#include <stdlib.h>

#define RECIPE_NAMES "support|paper-bert-base|paper-roberta-large"

/* Files of a run and of its folders. */
#define FILE_RUN_RECORD     "run.json"
#define FILE_METRICS        "metrics.jsonl"
#define FILE_RESULTS        "all_results.json"
#define FOLDER_CHECKPOINTS  "checkpoints"
#define FOLDER_TENSORBOARD  "tensorboard"
#define FOLDER_EXPERTS      "experts"
#define FOLDER_MERGED       "merged"
#define FILE_ADAPTER        "adapter.safetensors"
#define FILE_EXPERTS        "experts.safetensors"
#define FILE_ADAPTER_CONFIG "adamix_config.json"
#define FILE_OPTIMIZER      "optimizer.safetensors"
#define FILE_STATE          "state.json"
#define FILE_LOCK           ".lock"
#define FILE_BEST           "best.safetensors"
#define FILE_EMA            "ema.safetensors"
#define FILE_BEST_EMA       "best_ema.safetensors"

/* Steps between two evaluations or checkpoints; 0 is never.  False if the text is none of the three forms. */
bool adamix_period_parse (const char *text, int64_t steps_per_epoch, int64_t *period);

/* One warning that names the options given, by file or command line, that the method has no use for. */
void adamix_train_config_warn (const adamix_train_config *config, const adamix_options *options, adamix_log *log);

/* ---- prescribed.c: files that say which examples and experts a step uses (formats: docs/parity.md) ---- */

/* Records record[first[t]] .. record[first[t + 1]] of step t. */
typedef struct adamix_prescribed_order {
  int64_t *record, *first; /* first: [steps + 1] */
  adamix_sha256 hash;      /* of the file; "" without one */
} adamix_prescribed_order;

/* The first `steps` lines of --order-file: 1 to `batch` of `examples` records each, none twice in a line.
 * Errors: EIO; EFORMAT and EDATA naming file, line and value; EDATA for a file that is too short. */
adamix_err adamix_prescribed_order_read (adamix_prescribed_order *out, const char *path, int64_t steps, int64_t batch,
                                         int64_t examples);
void adamix_prescribed_order_destroy (adamix_prescribed_order *order);

typedef struct adamix_prescribed_routes {
  int32_t *expert; /* [steps, passes, L, 2]; NULL: routes are drawn */
  int64_t size;    /* of a step: passes * L * 2 */
  adamix_sha256 hash;
} adamix_prescribed_routes;

/* The first `steps` lines of --routes-file for a bank of this shape.  Errors as above. */
adamix_err adamix_prescribed_routes_read (adamix_prescribed_routes *out, const char *path, int64_t steps,
                                          int64_t passes, const adamix_bank_shape *shape);
void adamix_prescribed_routes_destroy (adamix_prescribed_routes *routes);

/* ---- plan.c: all that is known before the first step ---- */

typedef struct adamix_plan adamix_plan;
struct adamix_plan {
  const adamix_dataset *train; /* borrowed */
  uint64_t seed;
  int64_t batch, steps_per_epoch, steps;          /* B; of an epoch; in all */
  int shards, mine, end;                          /* of a step; those of this rank: mine .. end - 1 */
  int64_t shard_tokens, shard_sequences, longest; /* the largest shard of any step; the longest sequence */
  /* Where a step's examples come from: how many, and a view of their numbers. */
  int64_t (*choose) (adamix_plan *plan, int64_t step, const int64_t **chosen);
  adamix_prescribed_order prescribed;
  bool *used;                       /* [examples] does any step use it? */
  int64_t epoch;                    /* whose permutation `order` holds; -1: none yet */
  int64_t *order;                   /* [examples] */
  int64_t *dealt, *first, *scratch; /* [batch], [shards + 1], [batch] of the step last cut */
};

adamix_err adamix_plan_create (adamix_plan *out, const adamix_train_config *config, const adamix_dataset *train,
                               int shards, const adamix_comm *world);
/* Let the plan be that of a rank of `ranks`: shards mine .. end - 1. */
void adamix_plan_take (adamix_plan *plan, int rank, int ranks);
void adamix_plan_destroy (adamix_plan *plan);
/* Cut step `step` (from 0); shard s is dealt[first[s]] .. dealt[first[s + 1]].  Returns the global number of examples. */
int64_t adamix_plan_cut (adamix_plan *plan, int64_t step);

/* ---- checkpoint.c ---- */

/* The state of a run outside of ranks: in the layout of a module that holds all experts. */
typedef struct adamix_snapshot {
  adamix_module *all;             /* values of all experts, shared projections and the head; borrowed */
  float *first, *second;          /* [all->params.count] */
  float *steps;                   /* [all->params.rows] */
  int64_t step;                   /* updates done */
  double train_seconds, loss_sum; /* so far */
  int64_t timed_tokens, timed_examples, loss_steps; /* timed: behind the first steps of a process */
  double flops;      /* of all steps and ranks; NaN: a checkpoint of an older version did not know */
  int64_t best_step; /* 0: none yet */
  double best_value;
  adamix_module *best;           /* values of all experts at best_step; NULL without --select best; borrowed */
  adamix_module *ema, *best_ema; /* moving averages of the two; NULL without --ema; borrowed */
} adamix_snapshot;

/* Write RUN/checkpoints/step-N whole, then remove the oldest beyond `keep`.  `config` is what a resumed run must agree
 * with.  Local: one rank does it. */
adamix_err adamix_checkpoint_write (const char *run, const adamix_snapshot *snapshot, const json_t *config,
                                    int64_t keep);
/* The step of the newest checkpoint in RUN, 0 if there is none. */
adamix_err adamix_checkpoint_newest (const char *run, int64_t *step);
/* Was step N made with these options?  Errors: EUSAGE naming one that differs; EFORMAT, EIO. */
adamix_err adamix_checkpoint_check (const char *run, int64_t step, const json_t *config);
/* The newest checkpoint that is whole and was made with the options of `config` (NULL: any); 0: there is none at all.
 * Damaged ones are warned of and passed over.  Errors: EUSAGE as for reading; EFORMAT, EIO if all are damaged.  Local: one rank does it. */
adamix_err adamix_checkpoint_choose (const char *run, const json_t *config, adamix_log *log, int64_t *step);
/* Read step N back.  Errors: EUSAGE naming an option that differs from the checkpoint's; EFORMAT, EIO. */
adamix_err adamix_checkpoint_read (const char *run, int64_t step, adamix_snapshot *snapshot, const json_t *config);

/* ---- record.c: the files of a run ---- */

/* Options that say how the numbers come about: those a resumed run must share.  New reference. */
json_t *adamix_record_fixed_options (const adamix_options *options);

typedef struct adamix_record {
  const adamix_train_args *args;
  adamix_model *model;
  const adamix_compute *compute;
  const adamix_placement *placement;
  const adamix_dataset *data;          /* [ADAMIX_SPLITS]; one that is not there has no examples */
  const adamix_sha256 *order, *routes; /* of the files that prescribe them; "" without one */
  const adamix_labels *labels;
  bool resumed; /* from a checkpoint */
} adamix_record;
/* RUN/run.json.  Where a resumed run goes on with other ranks, kernels or another revision, warn of it.  Local: one rank
 * does it. */
adamix_err adamix_record_write (const adamix_record *record);

/* RUN/metrics.jsonl: opened for the rank that writes, cut behind `step` (0: empty). */
adamix_err adamix_metrics_open (FILE **out, const char *run, int64_t step);

/* Prepare RUN: refuse a folder that holds a run (--force replaces it, --resume goes on), make it, try a write, take its
 * lock (adamix_lock_release), remove temporary files of a process that was killed.  EEXIST if another process trains there. */
adamix_err adamix_run_folder_prepare (const adamix_train_config *config, bool *finished, int *lock);

#endif
