#include "eval_uncertainty.h"

#include <math.h>

/* ---- reliability ---- */

static void
tabulate_reliability (const eval_study *s, FILE *out)
{
  const eval_answers *a = &s->answers;
  fprintf (out, "from\tto");
  for (int p = 0; p < EVAL_PREDICTORS; p++)
    fprintf (out, "\t%s count\t%s confidence\t%s accuracy", eval_predictors[p], eval_predictors[p], eval_predictors[p]);
  fputc ('\n', out);
  for (int b = 0; b < ADAMIX_RELIABILITY_BINS; b++) {
    const double width = 1.0 / ADAMIX_RELIABILITY_BINS;
    fprintf (out, "%.6f\t%.6f", b * width, (b + 1) * width);
    for (int p = 0; p < EVAL_PREDICTORS; p++)
      fprintf (out, "\t%lld\t%.6f\t%.6f", (long long) a->reliability[p].bin[b].count,
               a->reliability[p].bin[b].confidence, a->reliability[p].bin[b].accuracy);
    fputc ('\n', out);
  }
}

/* A panel a predictor: accuracy over confidence, and how many examples a bin has. */
static void
plot_reliability (const eval_study *s, FILE *out)
{
  fprintf (out,
           "set multiplot layout 1,%d\nset xrange [0:1]\nset yrange [0:1]\nset size square\nset xlabel 'confidence'\n"
           "set ylabel 'accuracy, share of the examples'\nset key outside top center reverse Left\nset boxwidth 0.9 / "
           "%d.0\n",
           EVAL_PREDICTORS, ADAMIX_RELIABILITY_BINS);
  for (int p = 0; p < EVAL_PREDICTORS; p++) {
    const int count = 3 + 3 * p;
    fprintf (out,
             "set title '%s: ECE %.4f'\nplot 'reliability.tsv' using (($1 + $2) / 2):($%d / %lld.0) with boxes "
             "linecolor '#888888' title 'share of the examples', x with lines linestyle 9 title 'calibrated', "
             "'reliability.tsv' using %d:%d with linespoints linestyle 1 title 'accuracy'\n",
             eval_predictors[p], s->answers.reliability[p].error, count, (long long) s->known.n, count + 1, count + 2);
  }
  fprintf (out, "unset multiplot\n");
}

/* ---- risk over coverage ---- */

static void
tabulate_risk (const eval_study *s, FILE *out)
{
  const int64_t n = s->known.n;
  fprintf (out, "coverage");
  for (int k = 0; k < EVAL_SCORES; k++) fprintf (out, "\t%s", eval_scores[k].text);
  fprintf (out, "\terrors known\n");
  for (int64_t i = 0; i < n; i++) {
    fprintf (out, "%.6f", (double) (i + 1) / (double) n);
    for (int k = 0; k < EVAL_SCORES; k++) fprintf (out, "\t%.6f", s->answers.risk[k][i]);
    fprintf (out, "\t%.6f\n", s->answers.least[i]);
  }
}

static void
plot_risk (const eval_study *s, FILE *out)
{
  (void) s;
  fprintf (out, "set xrange [0:1]\nset yrange [0:]\nset key left top reverse Left\nset xlabel 'coverage: share of the "
                "examples that are "
                "answered'\nset ylabel 'risk: share of wrong answers'\nplot");
  for (int k = 0; k < EVAL_SCORES; k++)
    fprintf (out, " 'risk_coverage.tsv' using 1:%d with lines linestyle %d title '%s',", k + 2, k + 1,
             eval_scores[k].text);
  fprintf (out, " '' using 1:%d with lines linestyle 9 title 'errors known'\n", EVAL_SCORES + 2);
}

/* ---- scores ---- */

/* Right and wrong answers of the ensemble, texts from elsewhere. */
enum { RIGHT, WRONG, FOREIGN, GROUPS };
static const char *const groups[GROUPS] = { "right answers", "wrong answers", "out of distribution" };

static void
tabulate_sample (const eval_sample *x, const double *wrong, FILE *out)
{
  for (int64_t i = 0; i < x->n; i++) {
    const int group = !wrong ? FOREIGN : wrong[i] > 0 ? WRONG : RIGHT;
    fprintf (out, "%d\t%lld\t%d", group, (long long) x->data->line[i], wrong ? (int) x->data->label[i] : -1);
    for (int p = 0; p < EVAL_PREDICTORS; p++)
      fprintf (out, "\t%d\t%.6f", (int) x->predicted[p][i], exp (x->log_p[p][i * x->classes + x->predicted[p][i]]));
    for (int k = 0; k < EVAL_SCORES; k++) fprintf (out, "\t%.8g", x->score[k][i]);
    fputc ('\n', out);
  }
}

static void
tabulate_scores (const eval_study *s, FILE *out)
{
  fprintf (out, "group\tline\tlabel");
  for (int p = 0; p < EVAL_PREDICTORS; p++)
    fprintf (out, "\t%s predicted\t%s confidence", eval_predictors[p], eval_predictors[p]);
  for (int k = 0; k < EVAL_SCORES; k++) fprintf (out, "\t%s", eval_scores[k].text);
  fputc ('\n', out);
  tabulate_sample (&s->known, s->answers.wrong[EVAL_OF_ENSEMBLE], out);
  tabulate_sample (&s->foreign, NULL, out);
}

static double
largest (const eval_sample *x, int score, double least)
{
  for (int64_t i = 0; i < x->n; i++) least = fmax (least, x->score[score][i]);
  return least;
}

/* A panel a score: a histogram a group. */
static void
plot_scores (const eval_study *s, FILE *out)
{
  enum { BINS = 30, FIRST = 4 + 2 * EVAL_PREDICTORS };
  int64_t count[GROUPS] = { [FOREIGN] = s->foreign.n };
  for (int64_t i = 0; i < s->known.n; i++) count[s->answers.wrong[EVAL_OF_ENSEMBLE][i] > 0 ? WRONG : RIGHT]++;
  fprintf (out,
           "set multiplot layout 1,%d\nset yrange [0:]\nset ylabel 'share of the group'\nset key outside top center "
           "horizontal\n",
           EVAL_SCORES);
  for (int k = 0; k < EVAL_SCORES; k++) {
    const char *separator = "plot";
    const double most = fmax (largest (&s->foreign, k, largest (&s->known, k, 0)), 1e-9);
    fprintf (out, "set xlabel '%s, nats'\nset xrange [0:%.9g]\nset xtics %.1g\n", eval_scores[k].text, most, most / 4);
    for (int g = 0; g < GROUPS; g++) {
      if (count[g] == 0) continue;
      fprintf (out,
               "%s 'uncertainty.tsv' using ($1 == %d ? $%d : NaN):(1.0 / %lld) bins=%d binrange [0:%.9g] with histeps "
               "linestyle %d title '%s'",
               separator, g, FIRST + k, (long long) count[g], BINS, most, g + 1, groups[g]);
      separator = ",";
    }
    fputc ('\n', out);
  }
  fprintf (out, "unset multiplot\n");
}

/* ---- files ---- */

/* A row of the table of figures. */
typedef struct figure {
  const char *name;
  int width, height;
  void (*tabulate) (const eval_study *study, FILE *out);
  void (*plot) (const eval_study *study, FILE *out);
} figure;

static const figure figures[] = {
  { "reliability", 900, 460, tabulate_reliability, plot_reliability },
  { "risk_coverage", 640, 440, tabulate_risk, plot_risk },
  { "uncertainty", 1200, 400, tabulate_scores, plot_scores },
};

adamix_err
eval_uncertainty_draw (const eval_study *s, const eval_report *report)
{
  adamix_err err = ADAMIX_OK;
  adamix_figure drawing = { 0 };
  for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
    ADAMIX_TRY (adamix_figure_begin (&drawing));
    figures[f].tabulate (s, drawing.table.stream);
    figures[f].plot (s, drawing.script.stream);
    ADAMIX_TRY (eval_report_figure (report, figures[f].name, figures[f].width, figures[f].height, &drawing));
  }
done:
  adamix_figure_destroy (&drawing);
  return err;
}
