/* adamix/data.h - tasks as a table, encoded examples, the order of an epoch, shards and packed batches.
 *
 * Order, cuts and batches are pure functions of (seed, epoch, step, sizes): every rank computes all of them and takes its
 * part.  All functions are Local.                                                                                       */
#ifndef ADAMIX_DATA_H
#define ADAMIX_DATA_H

#include <adamix/format.h>
#include <adamix/model.h>
#include <adamix/text.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

typedef enum adamix_task_type { ADAMIX_TASK_CLASSIFICATION, ADAMIX_TASK_REGRESSION } adamix_task_type;

/* The files of a task, and what is reported of them. */
typedef enum adamix_split {
  ADAMIX_SPLIT_TRAIN,
  ADAMIX_SPLIT_DEV,            /* MNLI: matched */
  ADAMIX_SPLIT_DEV_MISMATCHED, /* MNLI alone */
  ADAMIX_SPLIT_TEST,
  ADAMIX_SPLITS
} adamix_split;

typedef struct adamix_split_row {
  const char *name; /* of --split: "dev", ... */
  const char *key;  /* pattern of a result's key for one %s, the metric: "eval_%s_mm" */
  bool required;    /* a task that names files for it must have one of them */
} adamix_split_row;

/* A split's row in the table of splits.  View. */
const adamix_split_row *adamix_split_of (adamix_split split);

#define ADAMIX_SPLIT_FILES 2 /* names that a split's file may have */

/* A row of the task table; rows for own data are filled from the options.  All strings borrowed. */
typedef struct adamix_task {
  const char *name;   /* "rte", ..., "banking77", "custom" */
  const char *folder; /* below the data root */
  adamix_task_type type;
  bool header;
  const char *text, *pair, *label; /* column names, or numbers "#8" from 0, "#-1" the last; pair NULL: single texts */
  const char *file[ADAMIX_SPLITS][ADAMIX_SPLIT_FILES]; /* tried in order; none: the task has no such split */
  const char *substitute[2]; /* of these files: "stands in for the official one" is warned of and recorded */
  const char *labels;        /* "a|b" in the order of ids; NULL: from the training file, sorted bytewise */
  const char *metric;        /* what --select best compares: "accuracy", ... */
  const char *metrics;       /* all that are reported: "accuracy|f1" */
} adamix_task;

/* NULL for an unknown name. */
const adamix_task *adamix_task_find (const char *name);
/* All names joined by '|', for messages.  View, valid until this thread's next call. */
const char *adamix_task_names (void);

/* ---- encoded examples -------------------------------------------------------------------------------------------- */

typedef struct adamix_dataset {
  char *path; /* of the file; owned */
  int64_t examples;
  int64_t *offset; /* [examples + 1] into id and type */
  int32_t *id, *type;
  int32_t *label;           /* [examples] class, or NULL (regression, unlabelled) */
  float *target;            /* [examples] or NULL */
  int64_t *line;            /* [examples] line in the file */
  int64_t truncated, empty; /* how many texts were cut to max_length, how many were empty */
  bool substitute;
  adamix_sha256 hash; /* of the file */
} adamix_dataset;

/* The labels of a run, in the order of ids. */
typedef struct adamix_labels {
  char **name; /* owned */
  int64_t count;
} adamix_labels;
void adamix_labels_destroy (adamix_labels *labels);
int64_t adamix_labels_find (const adamix_labels *labels, const char *name); /* -1: none */

/* Path of a split's file for `--data root`: root/folder/FILE or root/FILE, files tried in the table's order.  *out is
 * owned, NULL if the task has no such split or none of an optional one is there.  Errors: EDATA names what was tried. */
adamix_err adamix_task_path (const adamix_task *task, const char *root, adamix_split split, char **out);

/* Read and encode a file of a task.  With labels->count 0 a classification file defines the labels (task->labels or the
 * sorted distinct ones); else a label that is not among them is EDATA naming file, line and label.  `limit` > 0: the
 * first records only.  Empty texts are kept and counted, over-long ones cut and counted.  An empty file, a missing
 * column, a number that does not parse: EDATA / EFORMAT with file and line. */
adamix_err adamix_dataset_read (adamix_dataset *out, const adamix_task *task, const char *path,
                                const adamix_tokenizer *tokenizer, int64_t max_length, int64_t limit,
                                adamix_labels *labels);
/* Labelled examples without text, to measure with: lengths from a log-normal distribution, rounded and kept within 3 and
 * `longest`; token ids and labels uniform. */
typedef struct adamix_drawn_sizes {
  int64_t examples;
  double tokens, spread; /* mean of the lengths; their standard deviation over it */
  int64_t longest, vocabulary, classes;
} adamix_drawn_sizes;
/* Errors: ENOMEM. */
adamix_err adamix_dataset_draw (adamix_dataset *out, const adamix_drawn_sizes *sizes, uint64_t seed);
void adamix_dataset_destroy (adamix_dataset *dataset);
size_t adamix_dataset_bytes (const adamix_dataset *dataset); /* of its arrays */
/* Rate of the most frequent class, NaN for regression. */
double adamix_dataset_majority (const adamix_dataset *dataset);
/* Move every tenth example of each class (chosen by seed; at least one where a class has two or more) to `held`: a
 * stratified hold-out.  Both own their data afterwards. */
adamix_err adamix_dataset_hold_out (adamix_dataset *dataset, adamix_dataset *held, uint64_t seed);

/* ---- order and shards --------------------------------------------------------------------------------------------- */

/* The permutation of an epoch (from 0) into out [examples]; independent of the number of ranks. */
void adamix_order_epoch (uint64_t seed, int64_t epoch, int64_t examples, int64_t *out);

/* Cut the examples chosen[0..n) of one step into `shards` parts of near-equal token counts: longest first, each to the
 * part with the fewest tokens so far (ties: fewer examples, then lower number).  out lists the examples part after part
 * in the order of `chosen`, part s = out[first[s]] .. out[first[s + 1]] (first: shards + 1 values).  scratch: n values. */
void adamix_shard_cut (const adamix_dataset *dataset, const int64_t *chosen, int64_t n, int shards, int64_t *out,
                       int64_t *first, int64_t *scratch);

/* ---- packed batches ------------------------------------------------------------------------------------------------ */

/* Fill `batch` (declared in model.h) with the examples chosen[0..n): one concatenation, no padding.  The arrays have room
 * for `batch->capacity_*`; asserts that they suffice. */
void adamix_batch_pack (adamix_batch *batch, const adamix_dataset *dataset, const int64_t *chosen, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
