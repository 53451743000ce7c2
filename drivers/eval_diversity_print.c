#include "eval_diversity.h"

#include <math.h>

eval_spread
eval_spread_of (const double *value, int64_t pairs)
{
  eval_spread out = { 0, NAN, NAN };
  for (int64_t p = 0; p < pairs; p++) {
    out.mean += value[p] / (double) pairs;
    out.least = fmin (out.least, value[p]);
    out.most = fmax (out.most, value[p]);
  }
  return out;
}

static void
print_values (const char *title, const double *value, int64_t pairs)
{
  const eval_spread spread = eval_spread_of (value, pairs);
  printf ("%-48s %9.4f %9.4f %9.4f\n", title, spread.mean, spread.least, spread.most);
}

void
eval_diversity_print (const eval_diversity_study *s)
{
  char title[256];
  printf ("\ndiversity: %lld experts, %lld pairs; outputs on %lld texts\n%-48s %9s %9s %9s\n", (long long) s->experts,
          (long long) s->pairs, (long long) s->texts, "measure", "mean", "least", "most");
  for (int64_t i = 0; i < s->measures; i++) {
    const eval_measure *m = &s->measure[i];
    snprintf (title, sizeof title, "%s, layer %lld, %s", m->name, (long long) m->layer, m->of);
    print_values (title, m->value, s->pairs);
  }
  if (s->disagreement) print_values ("disagreement of predictions", s->disagreement, s->pairs);
  eval_line_verdict (&s->line, title, sizeof title);
  printf ("%s\n", title);
}

static json_t *
values_json (const double *value, int64_t pairs)
{
  json_t *list = json_array ();
  for (int64_t p = 0; p < pairs; p++) adamix_json_append (&list, adamix_json_number (value[p]));
  return list;
}

static json_t *
measures_json (const eval_diversity_study *s)
{
  json_t *list = json_array ();
  for (int64_t i = 0; i < s->measures; i++) {
    const eval_measure *m = &s->measure[i];
    json_t *row = json_pack ("{s:s, s:s, s:I}", "measure", m->name, "of", m->of, "layer", (json_int_t) m->layer);
    adamix_json_put (&row, "values", values_json (m->value, s->pairs));
    adamix_json_append (&list, row);
  }
  return list;
}

static json_t *
fixed_json (const eval_diversity_study *s)
{
  const char *metric = s->evaluator->config[EVAL_MERGED].metric;
  json_t *list = json_array ();
  for (int64_t j = 0; j < s->experts; j++) {
    json_t *row = json_pack ("{s:I}", "expert", (json_int_t) j);
    adamix_json_put (&row, metric, adamix_json_number (adamix_evaluation_value (&s->fixed[j], metric)));
    adamix_json_put (&row, "loss", adamix_json_number (s->fixed[j].loss));
    adamix_json_append (&list, row);
  }
  return list;
}

static json_t *
line_json (const eval_line *line, const char *metric)
{
  char verdict[256];
  json_t *json = json_pack ("{s:[I,I]}", "experts", (json_int_t) line->a, (json_int_t) line->b), *list = json_array ();
  for (int i = 0; i < EVAL_LINE_POINTS; i++) {
    json_t *row = json_pack ("{s:f}", "t", line->t[i]);
    adamix_json_put (&row, "loss", adamix_json_number (line->loss[i]));
    adamix_json_put (&row, metric, adamix_json_number (line->metric[i]));
    adamix_json_append (&list, row);
  }
  eval_line_verdict (line, verdict, sizeof verdict);
  adamix_json_put (&json, "points", list);
  adamix_json_put (&json, "barrier", adamix_json_number (line->barrier));
  adamix_json_put (&json, "barrier_at", adamix_json_number (line->at));
  adamix_json_put (&json, "verdict", json_string (verdict));
  return json;
}

json_t *
eval_diversity_json (const eval_diversity_study *s)
{
  json_t *json = json_pack ("{s:I, s:I, s:I}", "experts", (json_int_t) s->experts, "examples",
                            (json_int_t) s->evaluator->dataset.examples, "texts", (json_int_t) s->texts);
  json_t *pairs = json_array ();
  for (int64_t j = 0; j < s->experts; j++)
    for (int64_t k = j + 1; k < s->experts; k++)
      adamix_json_append (&pairs, json_pack ("[I,I]", (json_int_t) j, (json_int_t) k));
  adamix_json_put (&json, "pairs", pairs);
  adamix_json_put (&json, "measures", measures_json (s));
  adamix_json_put (&json, "fixed", fixed_json (s));
  adamix_json_put (&json, "disagreement", s->disagreement ? values_json (s->disagreement, s->pairs) : json_null ());
  adamix_json_put (&json, "line", line_json (&s->line, s->evaluator->config[EVAL_MERGED].metric));
  return json;
}
