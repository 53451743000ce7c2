/* eval_diversity.h - how far experts are apart, for its numbers, tables and plots. */
#ifndef ADAMIX_DRIVER_EVAL_DIVERSITY_H
#define ADAMIX_DRIVER_EVAL_DIVERSITY_H

#include "eval.h"

/* One number a pair of experts, (0,1) (0,2) ... (1,2) ..., of one thing in one layer. */
typedef struct eval_measure {
  const char *name; /* "weights_cosine", "changes_cosine", "outputs_cka" */
  char of[64];      /* "ffn.up.weight", "ffn" */
  int64_t layer;
  double *value; /* [pairs]; owned */
} eval_measure;

/* Between experts a and b: (1 - t) of the one and t of the other in all layers. */
#define EVAL_LINE_POINTS 11
typedef struct eval_line {
  int64_t a, b;
  double t[EVAL_LINE_POINTS], loss[EVAL_LINE_POINTS], metric[EVAL_LINE_POINTS];
  double barrier, at; /* adamix_metric_barrier */
} eval_line;

typedef struct eval_diversity_study {
  const evaluator *evaluator; /* borrowed */
  int64_t experts, pairs;
  int64_t texts; /* that outputs were compared on */
  bool changes;  /* the seed of the initial values is known */
  eval_measure *measure;
  int64_t measures, capacity;
  adamix_evaluation *fixed; /* [experts] */
  double *disagreement;     /* [pairs]; NULL for a regression */
  eval_line line;
} eval_diversity_study;

/* Of the pairs; NaN where there is none of a number. */
typedef struct eval_spread {
  double mean, least, most;
} eval_spread;
eval_spread eval_spread_of (const double *value, int64_t pairs);

/* A new measure, its values to fill.  Errors: ENOMEM. */
adamix_err eval_measure_add (eval_diversity_study *study, const char *name, const char *of, int64_t layer,
                             double **value);

/* Cosines of the experts' weights and, with the bank of initial values, of their changes.  Local. */
adamix_err eval_diversity_weights (eval_diversity_study *study, const adamix_params *experts,
                                   const adamix_params *initial);
/* The module at t of the line, whose parameters are those of one expert.  Local. */
adamix_err eval_line_point (const eval_line *line, double t, const adamix_params *experts, adamix_params *point);
/* Linear CKA of the experts' outputs, each layer's inputs being those of the merged module.  Collective. */
adamix_err eval_diversity_outputs (eval_diversity_study *study, evaluator *evaluator);
/* Tables and plots: diversity, line; .tsv, .gp, .svg, .png each.  Local. */
adamix_err eval_diversity_draw (const eval_diversity_study *study, const eval_report *report);
/* "no barrier: ..." or how high it is, into text. */
void eval_line_verdict (const eval_line *line, char *text, size_t size);
/* The tables on standard output, and all numbers; new reference, NULL without memory.  Local. */
void eval_diversity_print (const eval_diversity_study *study);
json_t *eval_diversity_json (const eval_diversity_study *study);

#endif
