#include "report/report_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Colours that people with any colour vision can tell (Okabe and Ito). */
static const char *const colours[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                       "#e69f00", "#56b4e9", "#8a6d3b", "#7a7a7a" };
#define COLOURS ((int64_t) (sizeof colours / sizeof *colours))

/* A string of gnuplot: what stands between single quotes is taken as it is. */
static void
print_string (const char *text, FILE *out)
{
  fputc ('\'', out);
  for (; *text; text++) {
    if (*text == '\'') fputc ('\'', out);
    fputc ((unsigned char) *text < ' ' ? ' ' : *text, out);
  }
  fputc ('\'', out);
}

/* A field of a table for gnuplot. */
static void
print_field (const char *text, FILE *out)
{
  for (; *text; text++) fputc ((unsigned char) *text < ' ' || *text == '"' ? ' ' : *text, out);
}

/* Names stand over the rows of a plot, inside of it, where a narrow screen has room for them. */
static void
label_row (const char *name, int64_t row, FILE *script)
{
  fputs ("set label ", script);
  print_string (name, script);
  fprintf (script, " at graph 0, first %g left noenhanced front\n", (double) row + 0.38);
}

static int
height_of_rows (int64_t rows)
{
  enum { MARGINS = 104, ROW = 44 };
  return MARGINS + ROW * (int) rows;
}

/* What a plot's numbers reach from and to. */
typedef struct extent {
  double low, high;
} extent;

static const extent nothing = { INFINITY, -INFINITY };

static void
extend (extent *x, double value)
{
  if (!isfinite (value)) return;
  x->low = fmin (x->low, value);
  x->high = fmax (x->high, value);
}

/* As many as a narrow plot has room for, at 1, 2 or 5 times a power of ten; by itself gnuplot sets twice as many. */
static void
set_tics (const extent *x, FILE *script)
{
  enum { MOST = 5 };
  const double least = (x->high - x->low) / MOST;
  if (!(least > 0)) return;
  const double power = pow (10, floor (log10 (least))), factor = least / power;
  fprintf (script, "set xtics %.9g\n", power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10));
}

/* Rows of numbers, with room for a key over them. */
static void
set_rows (int64_t rows, const extent *x, const char *label, FILE *script)
{
  set_tics (x, script);
  fprintf (script,
           "unset grid\nset grid xtics back linecolor '#dddddd'\nset border 1\nunset ytics\nset yrange [0.5:%lld.85]\n"
           "set offsets graph 0.04, graph 0.04, 0, 0\nset lmargin 3\nset rmargin 4\nset tmargin 2\nset bmargin 3.5\n"
           "set key tmargin left horizontal reverse Left samplen 1\nset xlabel ",
           (long long) rows);
  print_string (label, script);
  fputs (" noenhanced\n", script);
}

/* ---- the main metric of the groups ---- */

static adamix_err
tabulate_results (const adamix_report_study *study, const adamix_report_task *task, adamix_figure *figure)
{
  double *value;
  extent x = nothing;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (value, study->runs));
  FILE *table = figure->table.stream, *script = figure->script.stream;
  fprintf (table, "row\tvalue\tmean\tfrom\tto\tsetting\n");
  for (int64_t g = 0; g < task->groups; g++) {
    const int64_t row = task->groups - g, n = adamix_report_values (study, &task->group[g], task->metric, value);
    const adamix_sample s = adamix_metric_sample (n, value, REPORT_CONFIDENCE);
    label_row (task->group[g].name, row, script);
    extend (&x, s.mean - s.margin);
    extend (&x, s.mean + s.margin);
    for (int64_t i = 0; i < n; i++) {
      extend (&x, value[i]);
      const double mean = i ? NAN : s.mean;
      fprintf (table, "%lld\t%.9g\t%.9g\t%.9g\t%.9g\t", (long long) row, value[i], mean, mean - s.margin,
               mean + s.margin);
      print_field (task->group[g].name, table);
      fputc ('\n', table);
    }
  }
  set_rows (task->groups, &x, task->metric, script);
  free (value);
  return ADAMIX_OK;
}

static adamix_err
draw_results (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  adamix_err err = ADAMIX_OK;
  char *name = NULL;
  adamix_figure figure = { 0 };
  ADAMIX_TRY (adamix_report_name ("results", task, &name));
  ADAMIX_TRY (adamix_figure_begin (&figure));
  ADAMIX_TRY (tabulate_results (study, task, &figure));
  fprintf (figure.script.stream,
           "plot '%s.tsv' using 2:1 with points pointtype 7 pointsize 0.5 linecolor '#999999' title 'run', '' using "
           "3:1:4:5 with xerrorbars linestyle 1 notitle, '' using 3:1 with points linestyle 1 title 'mean'\n",
           name);
  adamix_report_page_figure (page, &figure, name, height_of_rows (task->groups),
                             "The metric of each run, and the mean of each group with its 95 % confidence interval.");
done:
  adamix_figure_destroy (&figure);
  free (name);
  return err ? err : page->err;
}

void
adamix_report_draw_results (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  if (!page->err && task->reference >= 0) page->err = draw_results (page, study, task);
}

/* ---- learning curves ---- */

#define BINS 32

/* A row of the table of curves. */
static const struct {
  const char *file, *axis, *caption;
} kinds_of_curves[ADAMIX_REPORT_CURVES] = {
  [ADAMIX_REPORT_LOSS] = { "loss", "training loss", "Training loss" },
  [ADAMIX_REPORT_DEV] = { "dev", "metric on the dev file", "The task's main metric on the dev file during training" },
};

void
adamix_report_bin (const adamix_report_run *run, adamix_report_curve curve, int64_t width, int64_t bins, double *out)
{
  const double *value = run->curve[curve];
  int64_t i = 0;
  for (int64_t b = 0; b < bins; b++) {
    double sum = 0, count = 0;
    for (; i < run->steps && run->step[i] <= (double) ((b + 1) * width); i++) {
      if (!isfinite (value[i])) continue;
      sum += value[i];
      count++;
    }
    out[b] = count > 0 ? sum / count : NAN;
  }
}

/* Mean, least and most of a group's runs in each bin. */
typedef struct band {
  double mean[BINS], least[BINS], most[BINS];
} band;

static void
measure_band (const adamix_report_study *study, const adamix_report_group *group, adamix_report_curve curve,
              int64_t width, band *out)
{
  double one[BINS], count[BINS] = { 0 };
  for (int b = 0; b < BINS; b++) {
    out->mean[b] = 0;
    out->least[b] = INFINITY;
    out->most[b] = -INFINITY;
  }
  for (int64_t i = 0; i < group->runs; i++) {
    adamix_report_bin (&study->run[group->run[i]], curve, width, BINS, one);
    for (int b = 0; b < BINS; b++) {
      if (!isfinite (one[b])) continue;
      out->mean[b] += one[b];
      out->least[b] = fmin (out->least[b], one[b]);
      out->most[b] = fmax (out->most[b], one[b]);
      count[b]++;
    }
  }
  for (int b = 0; b < BINS; b++) {
    if (count[b] == 0) out->least[b] = out->most[b] = NAN;
    out->mean[b] = count[b] > 0 ? out->mean[b] / count[b] : NAN;
  }
}

/* The last step that any run has of a curve, 0 where none has two. */
static int64_t
last_step (const adamix_report_study *study, const adamix_report_task *task, adamix_report_curve curve)
{
  double last = 0;
  int64_t most = 0;
  for (int64_t g = 0; g < task->groups; g++)
    for (int64_t i = 0; i < task->group[g].runs; i++) {
      const adamix_report_run *run = &study->run[task->group[g].run[i]];
      int64_t found = 0;
      for (int64_t s = 0; s < run->steps; s++) {
        if (!isfinite (run->curve[curve][s])) continue;
        last = fmax (last, run->step[s]);
        found++;
      }
      most = found > most ? found : most;
    }
  return most > 1 ? (int64_t) last : 0;
}

/* The groups first .. first + count - 1, as many as there are colours. */
typedef struct curves {
  adamix_report_curve curve;
  int64_t first, count, width, bins;
} curves;

static adamix_err
tabulate_curves (const adamix_report_study *study, const adamix_report_task *task, const curves *c, FILE *table)
{
  band *bands;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (bands, c->count));
  fprintf (table, "step");
  for (int64_t k = 0; k < c->count; k++) {
    const adamix_report_group *group = &task->group[c->first + k];
    measure_band (study, group, c->curve, c->width, &bands[k]);
    for (int part = 0; part < 3; part++) {
      fprintf (table, "\t%s, ", part == 0 ? "mean" : part == 1 ? "least" : "most");
      print_field (group->name, table);
    }
  }
  fputc ('\n', table);
  for (int64_t b = 0; b < c->bins; b++) {
    fprintf (table, "%.9g", (double) (b * c->width) + (double) (c->width + 1) / 2);
    for (int64_t k = 0; k < c->count; k++)
      fprintf (table, "\t%.9g\t%.9g\t%.9g", bands[k].mean[b], bands[k].least[b], bands[k].most[b]);
    fputc ('\n', table);
  }
  free (bands);
  return ADAMIX_OK;
}

/* All bands lie behind all lines, which reach over bins without a value. */
static void
plot_curves (const adamix_report_task *task, const curves *c, const char *name, FILE *script)
{
  fprintf (script,
           "set datafile missing 'nan'\nset xlabel 'step' offset 0,0.5\nset ylabel '%s'\nset key bmargin left vertical "
           "maxcols 1 reverse Left samplen 2\nplot",
           kinds_of_curves[c->curve].axis);
  for (int64_t k = 0; k < c->count; k++)
    if (task->group[c->first + k].runs > 1)
      fprintf (script,
               " '%s.tsv' using 1:%lld:%lld with filledcurves fillstyle solid 0.18 noborder linecolor '%s' notitle,",
               name, (long long) (3 * k + 3), (long long) (3 * k + 4), colours[k]);
  for (int64_t k = 0; k < c->count; k++) {
    fprintf (script, "%s '%s.tsv' using 1:%lld with lines linewidth 2 linecolor '%s' title ", k ? "," : "", name,
             (long long) (3 * k + 2), colours[k]);
    print_string (task->group[c->first + k].name, script);
    fputs (" noenhanced", script);
  }
  fputc ('\n', script);
}

static bool
has_bands (const adamix_report_task *task)
{
  bool found = false;
  for (int64_t g = 0; g < task->groups; g++) found = found || task->group[g].runs > 1;
  return found;
}

static adamix_err
draw_curves (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task,
             const curves *c)
{
  enum { HEIGHT = 310, LINE = 19 };
  adamix_err err = ADAMIX_OK;
  char *base = NULL, *name = NULL, *smoothed = NULL, *caption = NULL;
  adamix_figure figure = { 0 };
  ADAMIX_TRY (adamix_report_name (kinds_of_curves[c->curve].file, task, &base));
  ADAMIX_TRY (c->first ? adamix_format (&name, "%s-%lld", base, (long long) (c->first / COLOURS + 1))
                       : adamix_format (&name, "%s", base));
  if (c->width > 1) ADAMIX_TRY (adamix_format (&smoothed, ", means over %lld steps", (long long) c->width));
  ADAMIX_TRY (adamix_format (
      &caption, "%s%s%s%s.", kinds_of_curves[c->curve].caption, smoothed ? smoothed : "",
      task->groups > c->count ? ", some of the settings" : "",
      has_bands (task) ? "; lines are means over the runs, bands reach from the least to the most" : ""));
  ADAMIX_TRY (adamix_figure_begin (&figure));
  ADAMIX_TRY (tabulate_curves (study, task, c, figure.table.stream));
  plot_curves (task, c, name, figure.script.stream);
  adamix_report_page_figure (page, &figure, name, HEIGHT + LINE * (int) c->count, caption);
done:
  adamix_figure_destroy (&figure);
  free (caption);
  free (smoothed);
  free (name);
  free (base);
  return err ? err : page->err;
}

void
adamix_report_draw_curve (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task,
                          adamix_report_curve curve)
{
  const int64_t last = last_step (study, task, curve), width = (last + BINS - 1) / BINS;
  for (int64_t first = 0; first < task->groups && last > 1 && !page->err; first += COLOURS) {
    const int64_t left = task->groups - first;
    const curves c = { curve, first, left < COLOURS ? left : COLOURS, width, (last + width - 1) / width };
    page->err = draw_curves (page, study, task, &c);
  }
}

/* ---- single routes against the merged module ---- */

enum { EXPERT, RANDOM, ENSEMBLE, ROUTER, KINDS };

static int
kind_of (const char *mode)
{
  static const char *const begins[KINDS] = { "fixed:", "random-", "ensemble:", "router" };
  int kind = 0;
  while (kind < KINDS && strncmp (mode, begins[kind], strlen (begins[kind])) != 0) kind++;
  return kind;
}

static int
ascending (const void *a, const void *b)
{
  const double x = *(const double *) a, y = *(const double *) b;
  return (x > y) - (x < y);
}

/* Row by row what a mode has more than the module that its run ships; then the box of the single routes. */
static adamix_err
tabulate_modes (const adamix_report_study *study, const adamix_report_task *task, const adamix_report_group *group,
                int64_t row, json_t *modes, extent *x, bool has_kind[KINDS], FILE *table)
{
  double *single;
  int64_t n = 0, points = 0;
  const char *mode;
  json_t *unused;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (single, group->runs * (int64_t) json_object_size (modes) + 1));
  for (int64_t i = 0; i < group->runs; i++) json_object_foreach (modes, mode, unused)
    {
      enum { PLACES = 5 };
      const adamix_report_run *run = &study->run[group->run[i]];
      const int kind = kind_of (mode);
      const char *own = adamix_report_own_mode (run);
      const double difference = adamix_report_mode_value (run, task, mode) - adamix_report_mode_value (run, task, own);
      if (kind == KINDS || run->repeated || strcmp (mode, own) == 0 || !isfinite (difference)) continue;
      has_kind[kind] = true;
      /* Equal values would hide each other. */
      const double beside = 0.06 * (double) (points++ % PLACES - PLACES / 2);
      fprintf (table, "%.9g\t%.9g\t%d\tnan\tnan\tnan\tnan\tnan\n", (double) row + beside, difference, kind);
      extend (x, difference);
      if (kind < ENSEMBLE) single[n++] = difference;
    }
  qsort (single, (size_t) n, sizeof *single, ascending);
  if (n > 0)
    fprintf (table, "%lld\tnan\t%d\t%.9g\t%.9g\t%.9g\t%.9g\t%.9g\n", (long long) row, KINDS, single[0],
             adamix_metric_quantile (n, single, 0.25), adamix_metric_quantile (n, single, 0.5),
             adamix_metric_quantile (n, single, 0.75), single[n - 1]);
  free (single);
  return ADAMIX_OK;
}

static void
plot_modes (const char *name, const bool has_kind[KINDS], FILE *script)
{
  static const struct {
    const char *title, *colour;
    int type;
  } points[] = { [EXPERT] = { "experts", "#0072b2", 7 },
                 [RANDOM] = { "random", "#d55e00", 5 },
                 [ENSEMBLE] = { "ensemble", "#009e73", 9 },
                 [ROUTER] = { "router", "#cc79a7", 13 } };
  fprintf (
      script,
      "set arrow from 0, graph 0 to 0, graph 1 nohead linestyle 9 back\n"
      "plot '%s.tsv' using 4:1:($8-$4):(0) with vectors nohead linewidth 1.5 linecolor '#888888' notitle, '' using "
      "6:1:5:7:($1-0.2):($1+0.2) with boxxyerror linecolor '#888888' fillstyle solid 0.25 border notitle, '' using "
      "6:($1-0.2):(0):(0.4) with vectors nohead linewidth 3 linecolor '#888888' notitle",
      name);
  for (int kind = 0; kind < KINDS; kind++)
    if (has_kind[kind])
      fprintf (script,
               ", '' using ($3 == %d ? $2 : NaN):1 with points pointtype %d pointsize 0.6 linecolor '%s' title '%s'",
               kind, points[kind].type, points[kind].colour, points[kind].title);
  fputc ('\n', script);
}

static adamix_err
draw_modes (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  adamix_err err = ADAMIX_OK;
  char *name = NULL, *label = NULL;
  int64_t rows = 0;
  bool has_kind[KINDS] = { false };
  json_t *modes = NULL;
  extent x = { 0, 0 };
  adamix_figure figure = { 0 };
  ADAMIX_TRY (adamix_report_name ("routes", task, &name));
  ADAMIX_TRY (adamix_format (&label, "%s less that of the shipped module", task->short_metric));
  ADAMIX_TRY (adamix_figure_begin (&figure));
  FILE *table = figure.table.stream, *script = figure.script.stream;
  fprintf (table, "row\tdifference\tkind\tleast\tquarter\tmedian\tthree quarters\tmost\n");
  for (int64_t g = task->groups - 1; g >= 0; g--) {
    json_decref (modes);
    modes = adamix_report_modes (study, &task->group[g]);
    if (!modes) ADAMIX_TRY (adamix_err_set (ADAMIX_ENOMEM, "no memory for the modes of inference"));
    if (json_object_size (modes) < 2) continue;
    label_row (task->group[g].name, ++rows, script);
    ADAMIX_TRY (tabulate_modes (study, task, &task->group[g], rows, modes, &x, has_kind, table));
  }
  if (!rows) goto done;
  set_rows (rows, &x, label, script);
  plot_modes (name, has_kind, script);
  adamix_report_page_figure (
      page, &figure, name, height_of_rows (rows),
      "Ways of using the experts against the module that the same run ships, which stands at 0. The box has "
      "the middle half of single experts and random routes, its line the median, the whiskers all.");
done:
  adamix_figure_destroy (&figure);
  json_decref (modes);
  free (label);
  free (name);
  return err ? err : page->err;
}

void
adamix_report_draw_modes (adamix_report_page *page, const adamix_report_study *study, const adamix_report_task *task)
{
  if (!page->err && task->metric) page->err = draw_modes (page, study, task);
}
