/* eval.h - the parts of `adamix eval`: what is evaluated, the table of modes, the reports. */
#ifndef ADAMIX_DRIVER_EVAL_H
#define ADAMIX_DRIVER_EVAL_H

#include "driver.h"

#include <limits.h>

typedef struct eval_config {
  const char *model, *adapter, *task, *data, *file, *text_column, *pair_column, *label_column, *inference, *output,
      *gemm, *kernels, *precision;
  const char *ood_task, *ood_file, *line, *report;
  int split;
  int64_t threads, seed, uncertainty;
  bool diversity;
} eval_config;

/* A module folder's two modules; behind them stand the merged ones of further runs. */
enum { EVAL_MERGED, EVAL_EXPERTS, EVAL_MODULES };
#define EVAL_ENSEMBLE (-1) /* not one module but those of all runs */

/* A model, a module folder and labelled data. */
typedef struct evaluator {
  adamix_comm *world; /* borrowed */
  adamix_compute compute;
  adamix_model *model;
  adamix_tokenizer *tokenizer;
  driver_list runs;              /* --adapter */
  adamix_adapter_config *config; /* [modules] */
  adamix_module *module;         /* [modules]; the experts only where they are wanted */
  int64_t modules;
  adamix_task task;
  adamix_dataset dataset;
} evaluator;

/* All that can be done while the encoder is hashed, for which eval_open_modules waits.  Local. */
adamix_err eval_open_encoder (evaluator *out, const eval_config *config);
/* `experts`: those as well.  Errors: EUSAGE where there are none.  Local. */
adamix_err eval_open_modules (evaluator *evaluator, const eval_config *config, bool experts);
adamix_err eval_read_data (evaluator *evaluator, const eval_config *config, adamix_log *log);
void eval_close (evaluator *evaluator);
/* Of the experts' module; 0 where it was not opened or has none. */
int64_t eval_experts (const evaluator *evaluator);
/* Buffers for one of its modules on the data and, unless it is NULL, on `other`.  Collective. */
adamix_err eval_inference (adamix_inference *out, evaluator *evaluator, int module, const adamix_dataset *other);

/* ---- the table of modes ---- */

typedef struct eval_mode {
  char name[PATH_MAX]; /* of the mode, or of several runs the folder */
  int module;
  int64_t passes;     /* forward, a text */
  int64_t parameters; /* in use, without the head */
  adamix_inference_route route;
  adamix_evaluation result;
} eval_mode;

/* The one mode that `text` names, or for "all" all of them; of several runs "merged" is each, "ensemble" their mean.  *out is
 * owned.  Errors: EUSAGE. */
adamix_err eval_modes_choose (const evaluator *evaluator, const char *text, uint64_t seed, eval_mode **out,
                              int64_t *count);
/* Fill in their results.  Collective. */
adamix_err eval_modes_evaluate (evaluator *evaluator, eval_mode *mode, int64_t count);
/* That of one module; log_p as in adamix_evaluate.  Collective. */
adamix_err eval_mode_evaluate (evaluator *evaluator, eval_mode *mode, double *log_p);
void eval_modes_print (const evaluator *evaluator, const eval_mode *mode, int64_t count);
adamix_err eval_modes_store (const eval_mode *mode, int64_t count, adamix_split split, const char *path);

/* ---- several runs ---- */

/* Those behind the first, which is open.  Errors: EUSAGE for runs that cannot answer the same texts.  Local. */
adamix_err eval_runs_open (evaluator *evaluator);
adamix_err eval_runs_choose (const evaluator *evaluator, const char *text, eval_mode **out, int64_t *count);
adamix_err eval_runs_evaluate (evaluator *evaluator, eval_mode *mode, int64_t count);

/* ---- reports ---- */

/* Where a report goes: files of a folder, NULL for none, and messages of rank 0. */
typedef struct eval_report {
  const char *folder;
  adamix_log *log;
} eval_report;

/* Steals `json`. */
adamix_err eval_report_json (const eval_report *report, const char *name, json_t *json);
/* NAME.tsv, .gp, .svg and .png of a figure, which it destroys; warns where there is no plot. */
adamix_err eval_report_figure (const eval_report *report, const char *name, int width, int height,
                               adamix_figure *figure);

/* Print and store what random routes say of the data, and of texts from elsewhere.  Collective. */
adamix_err eval_uncertainty (evaluator *evaluator, const eval_config *config, const eval_report *report);
/* Print and store how far experts are apart.  Collective. */
adamix_err eval_diversity (evaluator *evaluator, const eval_config *config, const eval_report *report);

#endif
