/* The experts' outputs side by side: the merged module serves the layers, and each expert is asked on the way what it would
 * have added. */
#include "eval_diversity.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = 512 };

typedef struct probe {
  adamix_insertion insertion; /* first: the model hands back a pointer to it */
  adamix_inference inference[EVAL_MODULES];
  adamix_bank_shape shape; /* of the experts */
  int64_t sites, experts, texts, hidden;
  float *y;      /* [rows,H] an expert's */
  int64_t *text; /* [rows] number of the text that a row of the batch is of */
  float *output; /* [sites, experts, texts, H]: mean over the rows of a text that a layer computes */
} probe;

static float *
outputs_of (const probe *p, int64_t site, int64_t expert)
{
  return p->output + (site * p->experts + expert) * p->texts * p->hidden;
}

/* out[text,:] += mean over its rows of y - x; x without data is 0 */
static void
add_means (const probe *p, const adamix_rows *rows, adamix_view x, adamix_view y, float *out)
{
  for (int64_t r = 0, end; r < rows->count; r = end) {
    const int64_t text = p->text[rows->row ? rows->row[r] : r];
    for (end = r; end < rows->count && p->text[rows->row ? rows->row[end] : end] == text;) end++;
    for (int64_t c = 0; c < p->hidden; c++) {
      double sum = 0;
      for (int64_t i = r; i < end; i++)
        sum += (double) y.data[i * y.stride + c] - (x.data ? x.data[i * x.stride + c] : 0);
      out[text * p->hidden + c] = (float) (sum / (double) (end - r));
    }
  }
}

static adamix_insertion *
insertion_of (probe *p, int module)
{
  return adamix_inserted_bank_insertion (p->inference[module].inserted);
}

static adamix_err
forward (adamix_insertion *insertion, const adamix_site *site, adamix_view x, adamix_view y)
{
  probe *p = (probe *) insertion;
  adamix_inference *experts = &p->inference[EVAL_EXPERTS];
  adamix_insertion *asked = insertion_of (p, EVAL_EXPERTS), *serving = insertion_of (p, EVAL_MERGED);
  adamix_view answer = adamix_view_of (p->y, x.rows, x.cols);
  /* Beside a linear map a module adds to what is there: here to nothing. */
  const bool beside = ADAMIX_PLACE_BIT (site->place) & ADAMIX_PLACES_LINEAR;
  const adamix_view base = beside ? (adamix_view){ 0 } : x;
  for (int64_t j = 0; j < p->experts; j++) {
    adamix_route_fixed (experts->module->bank, p->inference[EVAL_MERGED].batch.tokens, j,
                        adamix_inserted_bank_route (experts->inserted));
    if (beside) memset (p->y, 0, (size_t) (x.rows * x.cols) * sizeof *p->y);
    ADAMIX_RETURN_IF (asked->forward (asked, site, x, answer));
    add_means (p, &site->rows, base, answer, outputs_of (p, adamix_bank_site (&p->shape, site->layer, site->place), j));
  }
  return serving->forward (serving, site, x, y);
}

static adamix_err
probe_create (probe *out, const evaluator *e, const eval_diversity_study *s)
{
  const adamix_bank_shape *shape = &e->config[EVAL_EXPERTS].shape;
  const int64_t tokens = out->inference[EVAL_MERGED].batch.capacity_tokens;
  out->shape = *shape;
  out->sites = adamix_bank_sites (shape);
  out->hidden = shape->hidden;
  out->experts = s->experts;
  out->texts = s->texts;
  out->insertion = *insertion_of (out, EVAL_MERGED);
  out->insertion.forward = forward;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->y, tokens * out->hidden));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->text, tokens));
  return ADAMIX_ALLOC (out->output, out->sites * out->experts * out->texts * out->hidden);
}

static void
probe_destroy (probe *p)
{
  free (p->output);
  free (p->text);
  free (p->y);
  for (int m = 0; m < EVAL_MODULES; m++) adamix_inference_destroy (&p->inference[m]);
}

/* Texts first .. first + n - 1 of the sample, which is spread evenly over the data: files are often sorted by class. */
static adamix_err
ask (probe *p, const evaluator *e, int64_t first, int64_t n)
{
  adamix_inference *merged = &p->inference[EVAL_MERGED];
  adamix_batch *batch = &merged->batch;
  int64_t chosen[ADAMIX_INFERENCE_SEQUENCES];
  for (int64_t i = 0; i < n; i++) chosen[i] = (first + i) * e->dataset.examples / p->texts;
  adamix_batch_pack (batch, &e->dataset, chosen, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t row = batch->offset[i]; row < batch->offset[i + 1]; row++) p->text[row] = first + i;
  adamix_route_fixed (merged->module->bank, batch->tokens, 0, adamix_inserted_bank_route (merged->inserted));
  const adamix_forward_args args = { .batch = batch,
                                     .passes = 1,
                                     .first_only = adamix_head_reads_first (merged->module->head),
                                     .insertion = &p->insertion };
  adamix_view hidden;
  return adamix_model_forward (e->model, merged->workspace, &args, &hidden);
}

/* Batches are dealt to the ranks; a rank's outputs of the others' are zero. */
static adamix_err
ask_all (probe *p, evaluator *e)
{
  adamix_err err = ADAMIX_OK;
  const int64_t most = ADAMIX_INFERENCE_SEQUENCES;
  for (int64_t first = e->world->rank * most; first < p->texts && !err; first += e->world->size * most)
    err = ask (p, e, first, p->texts - first < most ? p->texts - first : most);
  ADAMIX_RETURN_IF (adamix_comm_agree (e->world, err));
  return adamix_comm_sum_f32 (e->world, p->output, p->sites * p->experts * p->texts * p->hidden);
}

static adamix_err
compare (const probe *p, int64_t site, double *value)
{
  adamix_err err = ADAMIX_OK;
  const int64_t size = p->texts * p->hidden, square = p->texts * p->texts;
  double *x = NULL, *gram = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (x, size));
  ADAMIX_TRY (ADAMIX_ALLOC (gram, p->experts * square));
  for (int64_t j = 0; j < p->experts; j++) {
    const float *output = outputs_of (p, site, j);
    for (int64_t i = 0; i < size; i++) x[i] = output[i];
    adamix_metric_gram (p->texts, p->hidden, x, gram + j * square);
  }
  for (int64_t j = 0; j < p->experts; j++)
    for (int64_t k = j + 1; k < p->experts; k++)
      *value++ = adamix_metric_cosine (square, gram + j * square, gram + k * square);
done:
  free (gram);
  free (x);
  return err;
}

static adamix_err
compare_all (const probe *p, eval_diversity_study *s)
{
  double *value;
  for (int64_t layer = 0; layer < p->shape.layers; layer++)
    for (int i = 0; i < ADAMIX_PLACES; i++) {
      const adamix_place place = (adamix_place) i;
      if (!(p->shape.places & ADAMIX_PLACE_BIT (place))) continue;
      ADAMIX_RETURN_IF (eval_measure_add (s, "outputs_cka", adamix_place_name (place), layer, &value));
      ADAMIX_RETURN_IF (compare (p, adamix_bank_site (&p->shape, layer, place), value));
    }
  return ADAMIX_OK;
}

adamix_err
eval_diversity_outputs (eval_diversity_study *s, evaluator *e)
{
  adamix_err err = ADAMIX_OK;
  probe p = { 0 };
  s->texts = e->dataset.examples < MOST_TEXTS ? e->dataset.examples : MOST_TEXTS;
  for (int m = 0; m < EVAL_MODULES; m++) ADAMIX_TRY (eval_inference (&p.inference[m], e, m, NULL));
  ADAMIX_TRY (adamix_comm_agree (e->world, probe_create (&p, e, s)));
  ADAMIX_TRY (ask_all (&p, e));
  if (e->world->rank == 0) err = compare_all (&p, s);
  ADAMIX_TRY (adamix_comm_agree (e->world, err));
done:
  probe_destroy (&p);
  return err;
}
