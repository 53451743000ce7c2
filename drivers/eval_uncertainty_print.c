#include "eval_uncertainty.h"

#include <string.h>

static double
mean (const double *x, int64_t n)
{
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum / (double) n;
}

static const char *
name_of (const adamix_dataset *data)
{
  const char *name = strrchr (data->path, '/');
  return name ? name + 1 : data->path;
}

void
eval_uncertainty_print (const eval_study *s)
{
  const eval_answers *a = &s->answers;
  printf ("\nuncertainty: %lld stochastic routes\n%-20s %9s %9s %9s %9s\n", (long long) s->draws, "predictor",
          "accuracy", "nll", "ece", "brier");
  for (int p = 0; p < EVAL_PREDICTORS; p++)
    printf ("%-20s %9.4f %9.4f %9.4f %9.4f\n", eval_predictors[p], a->accuracy[p], a->nll[p], a->reliability[p].error,
            a->brier[p]);
  printf ("%-20s %12s %12s", "score", "errors AUROC", "AURC");
  if (s->foreign.n) printf (" %12s", "OOD AUROC");
  putchar ('\n');
  for (int k = 0; k < EVAL_SCORES; k++) {
    printf ("%-20s %12.4f %12.4f", eval_scores[k].text, a->errors_auroc[k], mean (a->risk[k], s->known.n));
    if (s->foreign.n) printf (" %12.4f", s->answers.ood_auroc[k]);
    putchar ('\n');
  }
  printf ("%-20s %12s %12.4f\n", "errors known", "", mean (a->least, s->known.n));
  if (s->foreign.n) printf ("out of distribution: %lld texts of %s\n", (long long) s->foreign.n, s->foreign.data->path);
}

static void
put (json_t **json, const char *key, double value)
{
  adamix_json_put (json, key, adamix_json_number (value));
}

static json_t *
bins_json (const adamix_reliability *reliability)
{
  json_t *list = json_array ();
  for (int b = 0; b < ADAMIX_RELIABILITY_BINS; b++) {
    json_t *bin = json_pack ("{s:I}", "count", (json_int_t) reliability->bin[b].count);
    put (&bin, "confidence", reliability->bin[b].confidence);
    put (&bin, "accuracy", reliability->bin[b].accuracy);
    adamix_json_append (&list, bin);
  }
  return list;
}

static json_t *
predictor_json (const eval_answers *a, int p)
{
  json_t *json = json_object ();
  put (&json, "accuracy", a->accuracy[p]);
  put (&json, "nll", a->nll[p]);
  put (&json, "ece", a->reliability[p].error);
  put (&json, "brier", a->brier[p]);
  adamix_json_put (&json, "reliability", bins_json (&a->reliability[p]));
  return json;
}

static json_t *
score_json (const eval_study *s, int k)
{
  json_t *json = json_pack ("{s:s}", "predictor", eval_predictors[eval_scores[k].predictor]);
  put (&json, "mean", mean (s->known.score[k], s->known.n));
  put (&json, "errors_auroc", s->answers.errors_auroc[k]);
  put (&json, "aurc", mean (s->answers.risk[k], s->known.n));
  if (!s->foreign.n) return json;
  put (&json, "ood_mean", mean (s->foreign.score[k], s->foreign.n));
  put (&json, "ood_auroc", s->answers.ood_auroc[k]);
  return json;
}

json_t *
eval_uncertainty_json (const eval_study *s, int64_t seed)
{
  json_t *json = json_pack ("{s:I, s:I, s:s, s:I}", "draws", (json_int_t) s->draws, "seed", (json_int_t) seed, "file",
                            name_of (s->known.data), "examples", (json_int_t) s->known.n);
  json_t *by_predictor = json_object (), *by_score = json_object ();
  for (int p = 0; p < EVAL_PREDICTORS; p++)
    adamix_json_put (&by_predictor, eval_predictors[p], predictor_json (&s->answers, p));
  for (int k = 0; k < EVAL_SCORES; k++) adamix_json_put (&by_score, eval_scores[k].name, score_json (s, k));
  adamix_json_put (&json, "predictors", by_predictor);
  adamix_json_put (&json, "scores", by_score);
  put (&json, "aurc_least", mean (s->answers.least, s->known.n));
  adamix_json_put (
      &json, "ood",
      s->foreign.n ? json_pack ("{s:s, s:I}", "file", name_of (s->foreign.data), "examples", (json_int_t) s->foreign.n)
                   : json_null ());
  return json;
}
