#include "model/model_private.h"

#include <string.h>

/* The sizes and buffers that both directions of a layer speak of. */
typedef struct layer_run {
  const adamix_model *model;
  adamix_workspace *workspace;
  const adamix_forward_args *args;
  int64_t layer;
  const adamix_layer_buffers *buffers;
  int64_t all;      /* rows of the batch: those of keys and values */
  adamix_rows rows; /* those of all else */
  int64_t H, F;
} layer_run;

adamix_rows
adamix_layer_rows (const adamix_workspace *workspace, const adamix_forward_args *args, int64_t layer)
{
  if (!args->first_only || layer < workspace->layers - 1 || workspace->backbone_trains)
    return (adamix_rows){ .count = args->passes * args->batch->tokens };
  return (adamix_rows){ .count = args->passes * args->batch->sequences, .row = workspace->first };
}

static layer_run
run_of (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args, int64_t layer)
{
  return (layer_run){ .model = model,
                      .workspace = workspace,
                      .args = args,
                      .layer = layer,
                      .buffers = &workspace->layer[layer],
                      .all = args->passes * args->batch->tokens,
                      .rows = adamix_layer_rows (workspace, args, layer),
                      .H = model->config.hidden,
                      .F = model->config.ffn };
}

/* The LayerNorm after attention (0) and that after the FFN (1). */
static adamix_norm
norm_of (const layer_run *run, int which)
{
  return (adamix_norm){ .model = run->model,
                        .workspace = run->workspace,
                        .args = run->args,
                        .rows = run->rows,
                        .layer = run->layer,
                        .cols = run->H,
                        .gamma = which ? ADAMIX_ROLE_OUTPUT_GAMMA : ADAMIX_ROLE_ATTENTION_GAMMA,
                        .drop = which ? ADAMIX_DROP_FFN : ADAMIX_DROP_ATTENTION,
                        .xhat = run->buffers->norm_xhat[which],
                        .rstd = run->buffers->norm_rstd[which] };
}

static bool
served (const layer_run *run, adamix_place_set places)
{
  const adamix_insertion *insertion = run->args->insertion;
  return insertion && (insertion->serves & places);
}

static adamix_site
site_of (const layer_run *run, adamix_place place)
{
  return (adamix_site){ .layer = run->layer,
                        .place = place,
                        .rows = ADAMIX_PLACE_BIT (place) & ADAMIX_PLACES_LINEAR ? (adamix_rows){ .count = run->all }
                                                                                : run->rows,
                        .args = run->args };
}

/* ---- linear layers and activation ------------------------------------------------------------------------------------ */

static int64_t
linear_rows (const layer_run *run, adamix_linear_kind kind)
{
  return kind == ADAMIX_LINEAR_QKV ? run->all : run->rows.count;
}

static adamix_err
linear (const layer_run *run, adamix_linear_kind kind, float *x, int64_t cols, float *y, int64_t outputs)
{
  const int64_t rows = linear_rows (run, kind);
  ADAMIX_RETURN_IF (adamix_linear_forward (adamix_model_linear (run->model, run->layer, kind),
                                           adamix_view_of (x, rows, cols), adamix_view_of (y, rows, outputs),
                                           run->workspace->narrow));
  adamix_linear_lap (run->model, kind, rows, cols, outputs);
  return ADAMIX_OK;
}

/* dy [rows,outputs] to dx [rows,cols]; x [rows,cols] is read only where the weights train. */
static adamix_err
linear_backward (const layer_run *run, adamix_linear_kind kind, float *x, int64_t cols, float *dy, int64_t outputs,
                 float *dx)
{
  const int64_t rows = linear_rows (run, kind);
  adamix_view dy_view = adamix_view_of (dy, rows, outputs);
  if (run->workspace->backbone_trains)
    ADAMIX_RETURN_IF (adamix_linear_gradients (run->model, run->layer, kind, dy_view, adamix_view_of (x, rows, cols)));
  ADAMIX_RETURN_IF (adamix_linear_backward_input (adamix_model_linear (run->model, run->layer, kind), dy_view,
                                                  adamix_view_of (dx, rows, cols), run->workspace->narrow));
  adamix_linear_lap (run->model, kind, rows, cols, outputs);
  return ADAMIX_OK;
}

static void
activate (const layer_run *run, const float *x, float *y)
{
  const adamix_compute *compute = run->model->compute;
  adamix_activation kind = run->model->config.activation;
  int64_t F = run->F;
#pragma omp parallel for schedule(static) num_threads(compute->threads)
  for (int64_t r = 0; r < run->rows.count; ++r) compute->kernels->activate[kind](F, x + r * F, y + r * F);
  adamix_profile_lap (compute->profile, ADAMIX_STAGE_ACTIVATION, 0);
}

static void
activate_backward (const layer_run *run, const float *x, float *dy)
{
  const adamix_compute *compute = run->model->compute;
  adamix_activation kind = run->model->config.activation;
  int64_t F = run->F;
#pragma omp parallel for schedule(static) num_threads(compute->threads)
  for (int64_t r = 0; r < run->rows.count; ++r)
    compute->kernels->activate_backward[kind](F, x + r * F, dy + r * F, dy + r * F);
  adamix_profile_lap (compute->profile, ADAMIX_STAGE_ACTIVATION, 0);
}

/* ---- forward ----------------------------------------------------------------------------------------------------------- */

/* *h points to the dense layer's output, and after a module to what it made of it. */
static adamix_err
insert (const layer_run *run, adamix_place place, float **h)
{
  adamix_insertion *insertion = run->args->insertion;
  if (!served (run, ADAMIX_PLACE_BIT (place))) return ADAMIX_OK;
  const adamix_site site = site_of (run, place);
  adamix_view x = adamix_view_of (*h, run->rows.count, run->H);
  *h = run->workspace->dense;
  return insertion->forward (insertion, &site, x, adamix_view_of (*h, run->rows.count, run->H));
}

/* The places beside a linear map, and the columns of qkv [all,3H] that it fills. */
static const struct {
  adamix_place place;
  int64_t block;
} beside[] = { { ADAMIX_PLACE_QUERY, 0 }, { ADAMIX_PLACE_VALUE, 2 } };
#define BESIDE ((int) (sizeof beside / sizeof *beside))

static adamix_view
qkv_block (const layer_run *run, float *qkv, int which)
{
  return adamix_view_cols (adamix_view_of (qkv, run->all, 3 * run->H), beside[which].block * run->H, run->H);
}

static adamix_err
insert_beside (const layer_run *run)
{
  adamix_insertion *insertion = run->args->insertion;
  const adamix_layer_buffers *b = run->buffers;
  for (int i = 0; i < BESIDE; ++i) {
    const adamix_site site = site_of (run, beside[i].place);
    if (served (run, ADAMIX_PLACE_BIT (site.place)))
      ADAMIX_RETURN_IF (insertion->forward (insertion, &site, adamix_view_of (b->input, run->all, run->H),
                                            qkv_block (run, b->qkv, i)));
  }
  return ADAMIX_OK;
}

static void
number_first_rows (const adamix_batch *batch, int64_t passes, int32_t *first)
{
  for (int64_t pass = 0; pass < passes; ++pass)
    for (int64_t s = 0; s < batch->sequences; ++s) *first++ = (int32_t) (pass * batch->tokens + batch->offset[s]);
}

/* x1 = LayerNorm (dropout (Attention (x)) + x);  x2 = LayerNorm (dropout (FFN (x1)) + x1) */
adamix_err
adamix_layer_forward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                      int64_t layer)
{
  const layer_run run = run_of (model, workspace, args, layer);
  const adamix_layer_buffers *b = run.buffers;
  const adamix_norm norm[2] = { norm_of (&run, 0), norm_of (&run, 1) };
  int64_t H = run.H, F = run.F;

  if (run.rows.row) number_first_rows (args->batch, args->passes, workspace->first);
  ADAMIX_RETURN_IF (linear (&run, ADAMIX_LINEAR_QKV, b->input, H, b->qkv, 3 * H));
  ADAMIX_RETURN_IF (insert_beside (&run));
  adamix_attention_forward (model, workspace, args, layer, b->context);
  float *h = b->attention;
  ADAMIX_RETURN_IF (linear (&run, ADAMIX_LINEAR_ATTENTION, b->context, H, h, H));
  ADAMIX_RETURN_IF (insert (&run, ADAMIX_PLACE_ATTENTION, &h));
  adamix_norm_forward (&norm[0], h, b->input, true, b->middle);

  ADAMIX_RETURN_IF (linear (&run, ADAMIX_LINEAR_INTERMEDIATE, b->middle, H, b->pre, F));
  activate (&run, b->pre, workspace->wide);
  h = b->ffn;
  ADAMIX_RETURN_IF (linear (&run, ADAMIX_LINEAR_OUTPUT, workspace->wide, F, h, H));
  ADAMIX_RETURN_IF (insert (&run, ADAMIX_PLACE_FFN, &h));
  adamix_norm_forward (&norm[1], h, b->middle, false, workspace->layer[layer + 1].input);
  return ADAMIX_OK;
}

/* ---- backward ---------------------------------------------------------------------------------------------------------- */

/* dh lies in `dense`; `stop` says that nothing below the module asks for a gradient. */
static adamix_err
insert_backward (const layer_run *run, adamix_place place, float *x, bool stop)
{
  adamix_insertion *insertion = run->args->insertion;
  if (!served (run, ADAMIX_PLACE_BIT (place))) return ADAMIX_OK;
  const adamix_site site = site_of (run, place);
  adamix_view dy = adamix_view_of (run->workspace->dense, run->rows.count, run->H), dx = dy;
  if (stop) dx.data = NULL;
  return insertion->backward (insertion, &site, adamix_view_of (x, run->rows.count, run->H), dy, dx);
}

/* Down to the output of attention's dense: `gradient` + `dense` (pending) is then d x1. */
static adamix_err
ffn_backward (const layer_run *run)
{
  adamix_workspace *workspace = run->workspace;
  const adamix_layer_buffers *b = run->buffers;
  float *d = workspace->dense, *wide = workspace->wide;
  if (workspace->keep_inputs) activate (run, b->pre, wide);
  ADAMIX_RETURN_IF (linear_backward (run, ADAMIX_LINEAR_OUTPUT, wide, run->F, d, run->H, wide));
  activate_backward (run, b->pre, wide);
  ADAMIX_RETURN_IF (linear_backward (run, ADAMIX_LINEAR_INTERMEDIATE, b->middle, run->H, wide, run->F, d));
  workspace->pending = true;
  return ADAMIX_OK;
}

/* The rows of `gradient` to their places among all rows of the batch, where the others are 0.  No row moves down, so the
 * last goes first. */
static void
spread_gradient (const layer_run *run)
{
  const size_t bytes = (size_t) run->H * sizeof (float);
  float *gradient = run->workspace->gradient;
  int64_t end = run->all;
  for (int64_t i = run->rows.count - 1; i >= 0; --i) {
    const int64_t to = run->rows.row[i];
    memmove (gradient + to * run->H, gradient + i * run->H, bytes);
    memset (gradient + (to + 1) * run->H, 0, (size_t) (end - to - 1) * bytes);
    end = to;
  }
}

/* dqkv to the modules beside query and value; dx [all,H] has the gradient of their linear maps already, or is NULL. */
static adamix_err
beside_backward (const layer_run *run, float *dqkv, float *dx)
{
  adamix_insertion *insertion = run->args->insertion;
  const adamix_view x = adamix_view_of (run->buffers->input, run->all, run->H);
  for (int i = BESIDE - 1; i >= 0; --i) {
    const adamix_site site = site_of (run, beside[i].place);
    if (served (run, ADAMIX_PLACE_BIT (site.place)))
      ADAMIX_RETURN_IF (
          insertion->backward (insertion, &site, x, qkv_block (run, dqkv, i), adamix_view_of (dx, run->all, run->H)));
  }
  return ADAMIX_OK;
}

/* Down to the layer's input, or to its lowest module where `whole` is false. */
static adamix_err
attention_backward (const layer_run *run, bool whole)
{
  adamix_workspace *workspace = run->workspace;
  const adamix_layer_buffers *b = run->buffers;
  float *d = workspace->dense, *dcontext = workspace->y, *dqkv = workspace->wide;
  ADAMIX_RETURN_IF (linear_backward (run, ADAMIX_LINEAR_ATTENTION, b->context, run->H, d, run->H, dcontext));
  adamix_attention_backward (run->model, workspace, run->args, run->layer, dcontext, dqkv);
  if (!whole) return beside_backward (run, dqkv, NULL);
  ADAMIX_RETURN_IF (linear_backward (run, ADAMIX_LINEAR_QKV, b->input, run->H, dqkv, 3 * run->H, d));
  ADAMIX_RETURN_IF (beside_backward (run, dqkv, d));
  if (run->rows.row) spread_gradient (run);
  workspace->pending = true;
  return ADAMIX_OK;
}

adamix_err
adamix_layer_backward (const adamix_model *model, adamix_workspace *workspace, const adamix_forward_args *args,
                       int64_t layer, bool whole)
{
  const layer_run run = run_of (model, workspace, args, layer);
  const adamix_norm norm[2] = { norm_of (&run, 0), norm_of (&run, 1) };
  const bool attention = whole || served (&run, ADAMIX_PLACES_LINEAR);
  const bool lower = attention || served (&run, ADAMIX_PLACE_BIT (ADAMIX_PLACE_ATTENTION));

  adamix_norm_backward (&norm[1], workspace->dense);
  ADAMIX_RETURN_IF (insert_backward (&run, ADAMIX_PLACE_FFN, run.buffers->ffn, !lower));
  if (!lower) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ffn_backward (&run));
  adamix_norm_backward (&norm[0], workspace->dense);
  ADAMIX_RETURN_IF (insert_backward (&run, ADAMIX_PLACE_ATTENTION, run.buffers->attention, !attention));
  return attention ? attention_backward (&run, whole) : ADAMIX_OK;
}
