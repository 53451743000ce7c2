/* run_private.h - a run in progress: what setup.c builds, step.c trains, finish.c evaluates and stores. */
#ifndef ADAMIX_RUN_PRIVATE_H
#define ADAMIX_RUN_PRIVATE_H

#include "train/train_private.h"

/* Scalars of a step that ride in the all-reduce of the shared gradients. */
enum {
  RIDER_TASK,
  RIDER_CONSISTENCY,
  RIDER_BALANCE,
  RIDER_TOKENS,
  RIDER_DROPPED,
  RIDER_ERROR,
  RIDER_STOP,
  RIDER_LOAD = ADAMIX_PARAMS_RIDERS /* of M experts */
};

/* --reproducible: shards of a batch on any number of ranks, which is at most this one. */
#define VIRTUAL_SHARDS 12

/* Steps at the start of a process that the speed leaves out. */
#define UNTIMED_STEPS 3

typedef struct adamix_run {
  const adamix_train_args *args;
  const adamix_train_config *config;
  const adamix_method *method;
  const adamix_route_policy *route;
  const adamix_merge_method *merge;
  adamix_compute compute;
  json_t *fixed; /* see adamix_run_fixed; NULL: not asked for yet */

  adamix_model *model;
  adamix_tokenizer *tokenizer;
  adamix_task task;
  adamix_labels labels;
  adamix_dataset data[ADAMIX_SPLITS]; /* a split that is not there has no examples */
  adamix_dataset held;                /* --hold-out: of the training file, not trained on */
  adamix_pool pool;
  int64_t outputs, passes;

  adamix_placement placement;
  adamix_plan plan;
  adamix_prescribed_routes routes;

  /* Sizes of the buffers, and what this rank will have in memory, by part. */
  adamix_workspace_size training;
  adamix_inference_size evaluation;
  int64_t memory[ADAMIX_MEMORY_COUNT];

  /* What this rank trains. */
  adamix_bank_shape shape;
  adamix_params shared, experts;
  adamix_bank *bank; /* NULL: method head */
  adamix_head *head;
  adamix_optimizer shared_optimizer, experts_optimizer;
  adamix_inserted_bank *inserted;
  adamix_workspace *workspace;
  adamix_batch batch;
  float *dz;
  double *load;                /* [M] rows that the experts served in the last step, over all sites and ranks */
  adamix_gradient_parts parts; /* --reproducible: the gradients of each shard of this rank */

  /* The run outside of ranks. */
  adamix_module all, merged, best;
  adamix_module ema, best_ema; /* moving averages of all and best, with --ema */
  adamix_module initial;       /* values before training, where the merge method reads them */
  double *merge_weight;        /* [M]; NULL: equal */
  adamix_inference inference;  /* of merged */
  adamix_snapshot snapshot;
  int lock;            /* of the run's folder: rank 0; -1: none */
  FILE *metrics;         /* rank 0 */
  adamix_events *events; /* rank 0, with --tensorboard */
  adamix_err deferred; /* a failure of this rank between two steps: the next exchange tells all */
  double wait_seconds, comm_seconds, step_seconds; /* this process, training steps only */
  adamix_profile profile; /* compute's, unless it brought its own: counts FLOP, those of evaluations too */
  double flops;           /* of this rank's steps that adamix_run_gather_flops has not yet brought to the snapshot */
  double startup_seconds; /* this process, from its start to its first step */
  int64_t timed_from;     /* first step whose time counts */
} adamix_run;

/* What a step has to tell, the same on every rank. */
typedef struct adamix_step_result {
  double task, consistency, balance, lr, norm, seconds;
  double dropped; /* rows without a place at their expert, over all sites */
  int64_t tokens, examples;
  bool stop;
} adamix_step_result;

/* setup.c.  The first steps of a run, each Local: an empty one; model, tokenizer, data, plan (without data in the configuration:
 * sequences of --max-length tokens); and, once the placement is there, the rows of what this rank trains. */
void adamix_run_begin (adamix_run *run, const adamix_train_args *args);
adamix_err adamix_run_open_inputs (adamix_run *run);
adamix_err adamix_run_announce (adamix_run *run);
adamix_placement_args adamix_run_placement_args (const adamix_run *run);
bool adamix_run_backbone_trains (const adamix_run *run);
/* Of a module that holds the run's experts or what they become: its bank has `shape`, if the method has modules. */
adamix_module_form adamix_run_form (const adamix_run *run, const adamix_bank_shape *shape);

/* memory.c: fill in `training`, `evaluation` and `memory` from what is announced.  Local. */
adamix_err adamix_run_plan_memory (adamix_run *run);
/* What was planned, over all ranks.  Collective over the world. */
adamix_err adamix_run_predict_memory (const adamix_run *run, double *bytes);

/* *finished: --resume met a finished run, nothing else was built.  Collective over the world. */
adamix_err adamix_run_open (adamix_run *out, const adamix_train_args *args, bool *finished);
void adamix_run_close (adamix_run *run);

/* The same without a folder: nothing is written or resumed.  Collective over the world. */
adamix_err adamix_run_open_aside (adamix_run *out, const adamix_train_args *args);

/* setup.c: the options and contents that a resumed run must share, made on first demand, since the hash of the model among
 * them may take longer than all else before the first step.  *out is a view.  Local.  Errors: ENOMEM, EUNSUPPORTED. */
adamix_err adamix_run_fixed (adamix_run *run, const json_t **out);
/* setup.c: write run.json, which has that hash too.  Local: one rank does it. */
adamix_err adamix_run_record (adamix_run *run);

/* What a run without files trains on; all borrowed: a packed model, labelled examples of `outputs` classes. */
typedef struct adamix_run_inputs {
  adamix_model *model;
  const adamix_compute *compute;
  const adamix_dataset *train;
  int64_t outputs;
} adamix_run_inputs;
/* The same without files, for steps alone; closed by adamix_run_close_on.  Collective over the world. */
adamix_err adamix_run_open_on (adamix_run *run, const adamix_train_args *args, const adamix_run_inputs *inputs);
void adamix_run_close_on (adamix_run *run);

/* step.c: the sum of all terms.  Pure. */
double adamix_step_loss (const adamix_step_result *result);
/* step.c: one update, step counted from 0.  Collective over the world. */
adamix_err adamix_run_step (adamix_run *run, int64_t step, adamix_step_result *out);

/* gather.c: bring the run together on every rank.  Collective over the world. */
adamix_err adamix_run_gather_values (adamix_run *run);    /* into all.params.values, and ema's */
adamix_err adamix_run_gather_optimizer (adamix_run *run); /* into the snapshot */
adamix_err adamix_run_gather_flops (adamix_run *run);     /* those of all ranks' steps, added to the snapshot's */
/* The reverse: this rank takes what the deal in force makes its own.  Local. */
adamix_err adamix_run_scatter (adamix_run *run);
/* Rotation of ownership: if step `step` is made under another deal than the one in force, experts change their groups,
 * with both moments and t. */
adamix_err adamix_run_rotate (adamix_run *run, int64_t step);

/* merge.c: the merged module of run->merge, what evaluates it, and the values before training where the method reads them.  Local. */
adamix_err adamix_run_open_merge (adamix_run *run);
void adamix_run_close_merge (adamix_run *run);
/* all.params.values, or ema's, become the merged module.  Collective over the world. */
adamix_err adamix_run_merge (adamix_run *run);
/* The same by a method that can be had in the midst of training: the average stands in for one that reads samples. */
adamix_err adamix_run_merge_for_now (adamix_run *run);

/* apart.c: the merged module of one of several runs that were trained apart, each an expert of what they are merged into. */
typedef struct adamix_part {
  const char *run; /* its folder; borrowed */
  char *file;      /* its module */
  adamix_adapter_config config;
  adamix_module module;
} adamix_part;

/* Find the modules of run[0 .. count), for *out [count], which adamix_parts_close frees in any case.  Local.  Errors: EUSAGE for
 * a run that has none or is unlike the first. */
adamix_err adamix_parts_find (adamix_part **out, const char *const *run, int64_t count);
/* Read them, and make run->all with the same values as its experts; its head is still to be averaged.  Local. */
adamix_err adamix_parts_open (adamix_part *part, int64_t count, adamix_run *run);
/* The head of `all` is the mean of theirs, by weight [count] (NULL: equal), summed in their order in fp64.  Local. */
void adamix_parts_average_heads (const adamix_part *part, int64_t count, const double *weight, adamix_module *all);
void adamix_parts_close (adamix_part *part, int64_t count);

/* samples.c: training examples, for merges that read some. */
typedef struct adamix_samples {
  adamix_scorer scorer; /* first: a merge hands back a pointer to it */
  const adamix_run *run;
  const adamix_dataset *dataset;
  int64_t *chosen; /* [scorer.mine] of dataset; owned */
  adamix_workspace_size size;
  adamix_workspace *workspace;
  adamix_batch batch;
  float *dz;               /* [ADAMIX_INFERENCE_SEQUENCES, K] */
  const adamix_bank *bank; /* that `inserted` serves; NULL: none yet */
  adamix_inserted_bank *inserted;
} adamix_samples;

/* For run->merge; run->all's head is theirs.  Local. */
adamix_err adamix_samples_open (adamix_samples *out, const adamix_run *run);
void adamix_samples_close (adamix_samples *samples);
/* What their buffers will have; 0 where run->merge reads none.  Local. */
adamix_err adamix_samples_measure (size_t *bytes, const adamix_run *run);

/* tensorboard.c: RUN/tensorboard, with what metrics.jsonl holds already.  Local: one rank does it. */
adamix_err adamix_tensorboard_open (adamix_events **out, const char *run, FILE *metrics);
/* The numbers of a line of metrics.jsonl.  Local. */
adamix_err adamix_tensorboard_write (adamix_events *events, json_t *line);

/* finish.c: a module of this run into a folder, as of step `step`.  Local: one rank does it. */
adamix_err adamix_run_write_module (const adamix_run *run, const char *folder, const char *file,
                                    const adamix_module *module, int64_t step);
/* finish.c: final evaluations and the files of the finished run.  Collective over the world. */
adamix_err adamix_run_finish (adamix_run *run, adamix_train_results *results);

#endif
