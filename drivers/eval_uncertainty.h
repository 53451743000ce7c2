/* eval_uncertainty.h - what random routes say of a data set, for its numbers, tables and plots. */
#ifndef ADAMIX_DRIVER_EVAL_UNCERTAINTY_H
#define ADAMIX_DRIVER_EVAL_UNCERTAINTY_H

#include "eval.h"

/* Whose answers. */
enum { EVAL_OF_MERGED, EVAL_OF_ENSEMBLE, EVAL_PREDICTORS };
extern const char *const eval_predictors[EVAL_PREDICTORS];

/* A row of the table of scores: higher is less certain. */
typedef struct eval_score_row {
  const char *name, *text;
  int predictor; /* whose answers it doubts */
} eval_score_row;
enum { EVAL_MERGED_ENTROPY, EVAL_PREDICTIVE_ENTROPY, EVAL_MUTUAL_INFORMATION, EVAL_SCORES };
extern const eval_score_row eval_scores[EVAL_SCORES];

/* Texts and what is predicted of them. */
typedef struct eval_sample {
  const adamix_dataset *data; /* borrowed */
  int64_t n, classes;
  double *log_p[EVAL_PREDICTORS]; /* [n,K] */
  int32_t *predicted[EVAL_PREDICTORS];
  double *score[EVAL_SCORES]; /* [n] */
} eval_sample;

/* What follows where the labels are known. */
typedef struct eval_answers {
  double *wrong[EVAL_PREDICTORS]; /* [n], 1 or 0 */
  double accuracy[EVAL_PREDICTORS], nll[EVAL_PREDICTORS], brier[EVAL_PREDICTORS];
  adamix_reliability reliability[EVAL_PREDICTORS];
  double *risk[EVAL_SCORES]; /* [n], over coverage */
  double *least;             /* [n], were the ensemble's errors known beforehand */
  /* How well a score tells errors from right answers, and texts from elsewhere from those of the task; AUROC. */
  double errors_auroc[EVAL_SCORES], ood_auroc[EVAL_SCORES];
} eval_answers;

typedef struct eval_study {
  int64_t draws;
  eval_sample known, foreign; /* of the task; from elsewhere, n = 0 without */
  eval_answers answers;
} eval_study;

/* Tables and plots: reliability, risk_coverage, uncertainty; .tsv, .gp, .svg, .png each.  Local. */
adamix_err eval_uncertainty_draw (const eval_study *study, const eval_report *report);
/* The tables on standard output, and all numbers; new reference, NULL without memory.  Local. */
void eval_uncertainty_print (const eval_study *study);
json_t *eval_uncertainty_json (const eval_study *study, int64_t seed);

#endif
