/* adamix/metrics.h - the numbers a task is judged by, under transformers' run_glue names; how far probabilities can be
 * trusted; how far experts are apart; what repeated runs say.
 *
 * Equal to scikit-learn's and scipy's; an undefined value is NaN (null in JSON).  Pure functions in fp64; Local.         */
#ifndef ADAMIX_METRICS_H
#define ADAMIX_METRICS_H

#include <adamix/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Predictions of n examples against the truth: classes or numbers, the other pair NULL. */
typedef struct adamix_predictions {
  int64_t n;
  int64_t classes; /* K; 1 for regression */
  const int32_t *label, *predicted;
  const double *target, *score;
} adamix_predictions;

/* A row of the table of metrics. */
typedef struct adamix_metric {
  const char *name; /* "accuracy", "f1", "matthews_correlation", "pearson", "spearmanr" */
  double (*compute) (const adamix_predictions *predictions);
} adamix_metric;

/* NULL for an unknown name. */
const adamix_metric *adamix_metric_find (const char *name);

/* Of classes, with C_ab examples of class a that are predicted as b, t_k of class k, p_k predicted as k, and c = sum_k C_kk:
 *   accuracy              c / n
 *   f1                    of class 1, two classes: 2 C_11 / (2 C_11 + C_01 + C_10); 0 if there is no true positive
 *   matthews_correlation  (c n - sum_k t_k p_k) / sqrt ((n^2 - sum_k p_k^2) (n^2 - sum_k t_k^2)); 0 if a marginal is constant
 * Of numbers x (score) and y (target); both are NaN for a constant input or n < 2:
 *   pearson               sum (x - mean x) (y - mean y) / sqrt (sum (x - mean x)^2 sum (y - mean y)^2)
 *   spearmanr             pearson of the ranks, ties with their mean rank */
double adamix_metric_accuracy (const adamix_predictions *predictions);
double adamix_metric_f1 (const adamix_predictions *predictions);
double adamix_metric_matthews (const adamix_predictions *predictions);
double adamix_metric_pearson (const adamix_predictions *predictions);
double adamix_metric_spearman (const adamix_predictions *predictions);

/* ---- predicted probabilities ------------------------------------------------------------------------------------------ */

/* Distributions over K classes for n examples, and the classes that these have.  Logarithms, as a probability may be smaller
 * than any number.  Borrowed. */
typedef struct adamix_forecast {
  int64_t n, classes;
  const double *log_p;  /* [n,K] */
  const int32_t *label; /* [n] */
} adamix_forecast;

/* z_ik -= log sum_l exp z_il; z [n,K], in place. */
void adamix_metric_log_softmax (int64_t n, int64_t classes, double *z);
/* sum[i] = log (exp sum[i] + exp x[i]): adds the probabilities of several draws, which do not underflow. */
void adamix_metric_log_add (int64_t count, const double *x, double *sum);
/* The most probable class of each example, the first of equal ones, into out [n]. */
void adamix_metric_classify (int64_t n, int64_t classes, const double *log_p, int32_t *out);

/* Means over the examples:  NLL = -log p_iy   and   Brier = sum_k (p_ik - [k = y_i])^2, from 0 to 2. */
double adamix_metric_nll (const adamix_forecast *forecast);
double adamix_metric_brier (const adamix_forecast *forecast);

/* A reliability diagram (Guo et al. 2017): the confidence of an example is the probability of its most probable class; bin b
 * of 15 has those in (b / 15, (b + 1) / 15]. */
#define ADAMIX_RELIABILITY_BINS 15
typedef struct adamix_reliability {
  struct {
    int64_t count;
    double confidence, accuracy; /* means; NaN for an empty bin */
  } bin[ADAMIX_RELIABILITY_BINS];
  double error; /* expected calibration error: sum_b count_b / n |accuracy_b - confidence_b| */
} adamix_reliability;
void adamix_metric_reliability (const adamix_forecast *forecast, adamix_reliability *out);

/* ---- uncertainty -------------------------------------------------------------------------------------------------------- */

/* out[i] = H (p_i) = -sum_k p_ik log p_ik, nats. */
void adamix_metric_entropy (int64_t n, int64_t classes, const double *log_p, double *out);
/* What a draw tells of an example (BALD):  I_i = H (mean_s p_is) - mean_s H (p_is), at least 0.  out may be either one. */
void adamix_metric_information (int64_t n, const double *predictive, const double *expected, double *out);
/* *out = the chance that a positive has the higher score, half for equal ones; NaN without both or with a NaN.  Errors: ENOMEM. */
adamix_err adamix_metric_auroc (const double *negative, int64_t negatives, const double *positive, int64_t positives,
                                double *out);
/* Selective prediction (Geifman and El-Yaniv 2017): risk[k - 1] = the error rate of the k examples with the lowest score;
 * equal scores share their errors evenly.  wrong[i] is 1 for an error, else 0.  The mean of risk [n] is the area under the
 * curve; with `wrong` as the score it is the least that there can be.  Errors: ENOMEM. */
adamix_err adamix_metric_risk (int64_t n, const double *score, const double *wrong, double *risk);

/* ---- diversity ---------------------------------------------------------------------------------------------------------- */

/* a.b / (|a| |b|); NaN if one is 0. */
double adamix_metric_cosine (int64_t n, const double *a, const double *b);
/* gram [n,n] = X X^T, X = x [n,width] less its column means, which x loses.  The cosine of two of them is the linear CKA of
 * their x (Kornblith et al. 2019): |X_a^T X_b|^2 / (|X_a^T X_a| |X_b^T X_b|).  Its floor for unrelated x is about their rank
 * over n. */
void adamix_metric_gram (int64_t n, int64_t width, double *x, double *gram);
/* Share of the examples that two predict differently. */
double adamix_metric_disagreement (int64_t n, const int32_t *a, const int32_t *b);
/* How far the loss rises above the straight line between two ends (Frankle et al. 2020):
 *   max over 0 <= t <= 1 of loss (t) - ((1 - t) loss (0) + t loss (1)),  at least 0
 * of points in ascending t, 0 and 1 among them (else NaN).  *at is its t. */
double adamix_metric_barrier (int64_t n, const double *t, const double *loss, double *at);

/* ---- repetitions ---------------------------------------------------------------------------------------------------------- */

/* P (|T| <= |t|) of Student's t with df >= 1 degrees of freedom; and the t of a probability p, 0 <= p < 1: the two-sided
 * quantile, e.g. 2.776 for 0.95 and 4. */
double adamix_metric_student (double t, int64_t df);
double adamix_metric_student_quantile (double p, int64_t df);

/* What n independent repetitions of a measurement, such as runs that differ in their seed, say of it. */
typedef struct adamix_sample {
  int64_t n;
  double mean;      /* NaN for n = 0 */
  double deviation; /* sqrt (sum (x - mean)^2 / (n - 1)); NaN for n < 2 */
  double margin; /* the interval mean +- deviation / sqrt n * t holds what is measured with the confidence asked for */
} adamix_sample;
adamix_sample adamix_metric_sample (int64_t n, const double *x, double confidence);

/* The value below which lies that share of n >= 1 ascending ones, interpolated: 0 is the least, 0.5 the median, 1 the most. */
double adamix_metric_quantile (int64_t n, const double *ascending, double share);

/* Student's paired test of the hypothesis that a and b are the same in the mean; two-sided. */
typedef struct adamix_paired {
  adamix_sample difference; /* of a - b */
  double t, p; /* NaN for n < 2 and where all differences are equal, which is no evidence but a lack of it */
} adamix_paired;
/* a, b [n]: pairs; difference [n]: scratch. */
adamix_paired adamix_metric_paired (int64_t n, const double *a, const double *b, double *difference, double confidence);
/* Holm (1979): p values of a family of tests, so that the chance of any false rejection keeps its level:
 *   adjusted_i = min (1, max over p_j <= p_i of p_j times the number of p that are not below p_j)
 * NaN stands for a test that could not be made, and is none of the family. */
void adamix_metric_holm (int64_t n, const double *p, double *adjusted);

#ifdef __cplusplus
}
#endif
#endif
