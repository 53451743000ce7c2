/* Experts by the names of their tensors, "layers.3.ffn.experts.1.up.weight": whatever the modules are. */
#include "eval_diversity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "experts.";
enum { NAME = 128 };

/* What a tensor's name says of it. */
typedef struct named {
  char stem[NAME];  /* without expert: "layers.3.ffn.up.weight", as in a merged module */
  int64_t expert;   /* -1: of none */
  int64_t layer;    /* -1: of none */
  const char *kind; /* the stem's part behind the layer, "ffn.up.weight" */
} named;

static named
read_name (const char *name)
{
  named out = { .expert = -1, .layer = -1 };
  int behind = 0;
  const char *at = strstr (name, mark);
  if (at && sscanf (at + strlen (mark), "%" SCNd64 ".%n", &out.expert, &behind) == 1)
    snprintf (out.stem, sizeof out.stem, "%.*s%s", (int) (at - name), name, at + strlen (mark) + behind);
  else
    snprintf (out.stem, sizeof out.stem, "%s", name);
  return out;
}

static void
read_layer (named *name)
{
  int behind = 0;
  if (sscanf (name->stem, "layers.%" SCNd64 ".%n", &name->layer, &behind) == 1) name->kind = name->stem + behind;
}

/* The same tensor of expert j; NULL: it has none of its own. */
static const adamix_param *
of_expert (const adamix_params *params, const char *name, int64_t j)
{
  char wanted[NAME];
  int64_t old, next = 0;
  int behind = 0;
  const char *at = strstr (name, mark);
  if (!at || sscanf (at + strlen (mark), "%" SCNd64 "%n", &old, &behind) != 1) return NULL;
  snprintf (wanted, sizeof wanted, "%.*s%" PRId64 "%s", (int) (at + strlen (mark) - name), name, j,
            at + strlen (mark) + behind);
  return adamix_params_find (params, wanted, &next);
}

/* ---- cosines ---- */

/* x = the weights of expert j or, with initial values, their change. */
static void
take_weights (const adamix_params *experts, const adamix_params *initial, const char *name, int64_t j, double *x)
{
  const adamix_param *weight = of_expert (experts, name, j), *first = initial ? of_expert (initial, name, j) : NULL;
  for (int64_t i = 0; i < weight->count; i++) x[i] = (double) weight->value[i] - (first ? first->value[i] : 0);
}

static adamix_err
add_cosines (eval_diversity_study *s, const char *measure, const adamix_params *experts, const adamix_params *initial,
             const adamix_param *tensor)
{
  adamix_err err = ADAMIX_OK;
  named name = read_name (tensor->name);
  const int64_t n = tensor->count, M = s->experts;
  double *x = NULL, *value;
  read_layer (&name);
  ADAMIX_TRY (eval_measure_add (s, measure, name.kind, name.layer, &value));
  ADAMIX_TRY (ADAMIX_ALLOC (x, M * n));
  for (int64_t j = 0; j < M; j++) take_weights (experts, initial, tensor->name, j, x + j * n);
  for (int64_t j = 0; j < M; j++)
    for (int64_t k = j + 1; k < M; k++) *value++ = adamix_metric_cosine (n, x + j * n, x + k * n);
done:
  free (x);
  return err;
}

static adamix_err
add_all_cosines (eval_diversity_study *s, const char *measure, const adamix_params *experts,
                 const adamix_params *initial)
{
  for (int64_t r = 0; r < experts->rows; r++) {
    const adamix_param *tensor = &experts->row[r];
    named name = read_name (tensor->name);
    read_layer (&name);
    if (name.expert != 0 || !name.kind || tensor->rank != 2 || !of_expert (experts, tensor->name, 1)) continue;
    ADAMIX_RETURN_IF (add_cosines (s, measure, experts, initial, tensor));
  }
  return ADAMIX_OK;
}

adamix_err
eval_diversity_weights (eval_diversity_study *s, const adamix_params *experts, const adamix_params *initial)
{
  ADAMIX_RETURN_IF (add_all_cosines (s, "weights_cosine", experts, NULL));
  return initial ? add_all_cosines (s, "changes_cosine", experts, initial) : ADAMIX_OK;
}

/* ---- the line between two ---- */

/* Of a tensor in the sum: what all experts share and what is of none counts whole. */
static double
weight_of (const eval_line *line, double t, const adamix_params *experts, const adamix_param *tensor, int64_t expert)
{
  if (expert < 0 || !of_expert (experts, tensor->name, 1)) return 1;
  return (expert == line->a ? 1 - t : 0) + (expert == line->b ? t : 0);
}

adamix_err
eval_line_point (const eval_line *line, double t, const adamix_params *experts, adamix_params *point)
{
  memset (point->values, 0, (size_t) point->count * sizeof *point->values);
  for (int64_t r = 0; r < experts->rows; r++) {
    const adamix_param *tensor = &experts->row[r];
    const named name = read_name (tensor->name);
    int64_t next = 0;
    const adamix_param *to = adamix_params_find (point, name.stem, &next);
    if (!to || to->count != tensor->count)
      return adamix_err_set (ADAMIX_ESHAPE, "%s of the experts has no counterpart %s in a merged module", tensor->name,
                             name.stem);
    const double weight = weight_of (line, t, experts, tensor, name.expert);
    for (int64_t i = 0; i < to->count && weight != 0; i++)
      to->value[i] = (float) (to->value[i] + weight * tensor->value[i]);
  }
  return ADAMIX_OK;
}
