#include "eval_diversity.h"

#include <stdlib.h>
#include <string.h>

/* Measures of one name and thing are a series over the layers; each series has the number of its first measure. */
static int64_t
series_of (const eval_diversity_study *s, int64_t measure)
{
  int64_t first = 0;
  while (strcmp (s->measure[first].name, s->measure[measure].name) != 0 ||
         strcmp (s->measure[first].of, s->measure[measure].of) != 0)
    first++;
  return first;
}

static void
tabulate_measures (const eval_diversity_study *s, FILE *out)
{
  fprintf (out, "series\tmeasure\tof\tlayer\tmean\tleast\tmost\n");
  for (int64_t i = 0; i < s->measures; i++) {
    const eval_measure *m = &s->measure[i];
    const eval_spread spread = eval_spread_of (m->value, s->pairs);
    fprintf (out, "%lld\t%s\t%s\t%lld\t%.6f\t%.6f\t%.6f\n", (long long) series_of (s, i), m->name, m->of,
             (long long) m->layer, spread.mean, spread.least, spread.most);
  }
}

/* A series: means over the pairs, with bars from the least to the most alike pair. */
static void
plot_series (const eval_measure *m, int64_t series, int style, FILE *out)
{
  const char *end = strstr (m->of, ".weight");
  const int length = end ? (int) (end - m->of) : (int) strlen (m->of);
  fprintf (out, "%s 'diversity.tsv' using ($1 == %lld ? $4 : NaN):5:6:7 with yerrorbars linestyle %d notitle,",
           style > 1 ? "," : "plot", (long long) series, style);
  fprintf (out, " '' using ($1 == %lld ? $4 : NaN):5 with linespoints linestyle %d title '%s, %.*s' noenhanced",
           (long long) series, style, m->name, length, m->of);
}

static void
plot_measures (const eval_diversity_study *s, FILE *out)
{
  int style = 0;
  const int64_t last = s->measure[s->measures - 1].layer;
  fprintf (out,
           "set xlabel 'layer'\nset ylabel 'likeness of two experts'\nset yrange [*<0:1.02]\nset xrange [-0.5:%lld.5]\n"
           "set xtics 1\nset key outside top center\n",
           (long long) last);
  for (int64_t i = 0; i < s->measures; i++)
    if (series_of (s, i) == i) plot_series (&s->measure[i], i, ++style, out);
  fputc ('\n', out);
}

static void
tabulate_line (const eval_diversity_study *s, FILE *out)
{
  const eval_line *line = &s->line;
  fprintf (out, "t\tloss\t%s\n", s->evaluator->config[EVAL_MERGED].metric);
  for (int i = 0; i < EVAL_LINE_POINTS; i++)
    fprintf (out, "%.6f\t%.9g\t%.9g\n", line->t[i], line->loss[i], line->metric[i]);
}

static void
plot_line (const eval_diversity_study *s, FILE *out)
{
  enum { FIRST = 1, LAST = EVAL_LINE_POINTS - 2 };
  const eval_line *line = &s->line;
  const char *metric = s->evaluator->config[EVAL_MERGED].metric;
  fprintf (out,
           "set border 11\nset xlabel 't: expert %lld at 0, expert %lld at 1'\nset ylabel 'loss'\nset y2label '%s' "
           "noenhanced\nset y2tics\nset key outside top center horizontal\nset xrange [-0.15:1.15]\n",
           (long long) line->a, (long long) line->b, metric);
  fprintf (
      out,
      "plot 'line.tsv' using 1:2 with linespoints linestyle 1 title 'loss', '+' using ($1 < 0 || $1 > 1 ? NaN : $1):"
      "(%.9g + $1 * %.9g) with lines linestyle 9 title 'straight line', 'line.tsv' using 1:3 axes x1y2 with "
      "linespoints linestyle 2 title '%s' noenhanced\n",
      line->loss[FIRST], line->loss[LAST] - line->loss[FIRST], metric);
}

/* A row of the table of figures. */
typedef struct figure {
  const char *name;
  int width, height;
  void (*tabulate) (const eval_diversity_study *study, FILE *out);
  void (*plot) (const eval_diversity_study *study, FILE *out);
} figure;

static const figure figures[] = {
  { "diversity", 860, 440, tabulate_measures, plot_measures },
  { "line", 640, 440, tabulate_line, plot_line },
};

adamix_err
eval_diversity_draw (const eval_diversity_study *s, const eval_report *report)
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
