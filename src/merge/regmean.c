#include "merge/merge_private.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

/* Rows of inputs that are brought to fp64 at a time, and columns of a Gram matrix that a thread sums. */
#define ROWS    256
#define COLUMNS 64

/* Of a weight [m,n]: what its mean solves, A W'^T = B^T. */
typedef struct equations {
  double
      *gram; /* [n,n] of the expert whose turn it is: X^T X of its inputs, the upper half at first; NULL: not solved */
  double *a, *b; /* [n,n], [m,n]: sum_j G_j and sum_j W_j G_j */
} equations;

/* The inputs of all projections. */
typedef struct inputs {
  adamix_activations activations; /* first: a bank hands back a pointer to it */
  const adamix_bank_shape *shape;
  equations *of; /* [places] */
  double *rows;  /* [ROWS, the most inputs] */
} inputs;

/* What adamix_merge_each hands to a tensor's turn: first the args. */
typedef struct regmean {
  adamix_merge_args args;
  inputs inputs;
  int64_t expert; /* whose turn it is */
} regmean;

static equations *
equations_of (const adamix_merge_tensor *tensor)
{
  return &((const regmean *) tensor->args)->inputs.of[tensor->place];
}

static int64_t
inputs_of (const adamix_merge_tensor *tensor)
{
  return tensor->out->shape[1];
}

static adamix_err
allocate (const adamix_merge_tensor *tensor)
{
  equations *of = equations_of (tensor);
  const int64_t n = inputs_of (tensor);
  if (tensor->bias) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (of->gram, n * n));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (of->a, n * n));
  return ADAMIX_ALLOC (of->b, tensor->out->count);
}

/* ---- Gram matrices of one expert ---- */

/* gram += x^T x, the upper half. */
static void
add_rows (const double *x, int64_t rows, int64_t n, double *gram)
{
#pragma omp parallel for schedule(dynamic)
  for (int64_t c = 0; c < n; c += COLUMNS) {
    const int64_t columns = n - c < COLUMNS ? n - c : COLUMNS;
    cblas_dgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (int) columns, (int) (n - c), (int) rows, 1, x + c, (int) n,
                 x + c, (int) n, 1, gram + c * n + c, (int) n);
  }
}

static adamix_err
see (adamix_activations *activations, adamix_projection projection, int64_t site, int64_t slot, adamix_view x)
{
  inputs *self = (inputs *) activations;
  double *gram = self->of[adamix_merge_place (self->shape, projection, site, false)].gram;
  (void) slot;
  for (int64_t first = 0; gram && first < x.rows; first += ROWS) {
    const int64_t rows = x.rows - first < ROWS ? x.rows - first : ROWS;
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < x.cols; c++) self->rows[r * x.cols + c] = x.data[(first + r) * x.stride + c];
    add_rows (self->rows, rows, x.cols, gram);
  }
  return ADAMIX_OK;
}

static adamix_err
forget_inputs (const adamix_merge_tensor *tensor)
{
  const int64_t n = inputs_of (tensor);
  if (!tensor->bias) memset (equations_of (tensor)->gram, 0, (size_t) (n * n) * sizeof (double));
  return ADAMIX_OK;
}

/* What is off the diagonal counts alpha times (RegMean, section 3.3); the lower half becomes the upper one. */
static void
shrink (double *gram, int64_t n, double alpha)
{
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = r + 1; c < n; c++) {
      gram[r * n + c] *= alpha;
      gram[c * n + r] = gram[r * n + c];
    }
}

/* A += G;  B += W G */
static adamix_err
add_expert (const equations *of, int64_t n, int64_t m, const float *weight)
{
  double *wide = NULL;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (wide, m * n));
  for (int64_t e = 0; e < m * n; e++) wide[e] = weight[e];
  for (int64_t e = 0; e < n * n; e++) of->a[e] += of->gram[e];
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) m, (int) n, (int) n, 1, wide, (int) n, of->gram,
               (int) n, 1, of->b, (int) n);
  free (wide);
  return ADAMIX_OK;
}

/* Inputs of all ranks. */
static adamix_err
add_equations (const adamix_merge_tensor *tensor)
{
  const regmean *self = (const regmean *) tensor->args;
  const equations *of = equations_of (tensor);
  const int64_t n = inputs_of (tensor);
  adamix_comm *comm = self->args.scorer->comm;
  if (tensor->bias) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_comm_sum_f64 (comm, of->gram, n * n));
  shrink (of->gram, n, self->args.alpha);
  const float *weight = adamix_merge_values (tensor->list, self->expert, false);
  return adamix_comm_agree (comm, add_expert (of, n, tensor->out->count / n, weight));
}

/* ---- the solution ---- */

/* An input that was 0 in all samples says nothing: its column is the mean. */
static void
fill_unseen (const adamix_merge_tensor *tensor, const equations *of)
{
  const int64_t n = inputs_of (tensor);
  for (int64_t c = 0; c < n; c++) {
    if (of->a[c * n + c] > 0) continue;
    of->a[c * n + c] = 1;
    for (int64_t e = c; e < tensor->out->count; e += n)
      of->b[e] = adamix_merge_mean_value (tensor->list, e, tensor->bias);
  }
}

static adamix_err
solve (const adamix_merge_tensor *tensor)
{
  const equations *of = equations_of (tensor);
  const int64_t n = inputs_of (tensor);
  if (tensor->bias) return adamix_merge_mean (tensor);
  fill_unseen (tensor, of);
  ADAMIX_RETURN_IF (adamix_merge_solve (tensor->args->scorer->comm, n, tensor->out->count / n, of->a, of->b));
  for (int64_t e = 0; e < tensor->out->count; e++) tensor->out->value[e] = (float) of->b[e];
  return ADAMIX_OK;
}

static adamix_err
merge (regmean *self, adamix_bank *merged)
{
  const adamix_merge_args *args = &self->args;
  adamix_scorer *scorer = args->scorer;
  for (self->expert = 0; self->expert < args->all->shape.experts; self->expert++) {
    ADAMIX_RETURN_IF (adamix_merge_each (args, merged, forget_inputs));
    const adamix_err err = scorer->show (scorer, args->all, self->expert, &self->inputs.activations);
    ADAMIX_RETURN_IF (adamix_comm_agree (scorer->comm, err));
    ADAMIX_RETURN_IF (adamix_merge_each (args, merged, add_equations));
  }
  return adamix_merge_each (args, merged, solve);
}

adamix_err
adamix_merge_regmean (const adamix_merge_args *args, adamix_bank *merged)
{
  adamix_err err = ADAMIX_OK;
  const adamix_bank_shape *shape = &args->all->shape;
  const int64_t places = adamix_merge_places (shape);
  const int64_t widest = shape->hidden > shape->bottleneck ? shape->hidden : shape->bottleneck;
  regmean self = { .args = *args, .inputs = { .activations = { .see = see }, .shape = shape } };
  err = ADAMIX_ALLOC (self.inputs.of, places);
  if (!err) err = ADAMIX_ALLOC (self.inputs.rows, ROWS * widest);
  if (!err) err = adamix_merge_each (&self.args, merged, allocate);
  ADAMIX_TRY (adamix_comm_agree (args->scorer->comm, err));
  ADAMIX_TRY (merge (&self, merged));
done:
  for (int64_t i = 0; self.inputs.of && i < places; i++) {
    free (self.inputs.of[i].gram);
    free (self.inputs.of[i].a);
    free (self.inputs.of[i].b);
  }
  free (self.inputs.rows);
  free (self.inputs.of);
  return err;
}
