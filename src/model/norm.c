#include "model/model_private.h"

/* The row of the batch that row r of the matrices is. */
static int64_t
batch_row (const adamix_norm *norm, int64_t r)
{
  return norm->rows.row ? norm->rows.row[r] : r;
}

void
adamix_norm_forward (const adamix_norm *norm, const float *h, const float *skip, bool skip_has_all, float *y)
{
  const adamix_model *model = norm->model;
  const adamix_batch *batch = norm->args->batch;
  int64_t H = norm->cols;
  const float *gamma = adamix_model_values (model, norm->layer, norm->gamma);
  const float *beta = adamix_model_values (model, norm->layer, norm->gamma + 1);
  const adamix_dropout base = adamix_dropout_of (norm->args, 0, norm->layer, norm->drop, 0);

#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t r = 0; r < norm->rows.count; ++r) {
    const adamix_dropout dropout = adamix_dropout_row (base, batch, H, batch_row (norm, r));
    float *xhat = norm->xhat ? norm->xhat + r * H : NULL;
    const float *kept = skip + (skip_has_all ? batch_row (norm, r) : r) * H;
    model->compute->kernels->residual_norm (H, h + r * H, kept, base.threshold ? &dropout : NULL, gamma, beta,
                                            model->config.norm_eps, y + r * H, xhat, norm->rstd + r);
  }
  adamix_profile_lap (model->compute->profile, ADAMIX_STAGE_NORM, 0);
}

/* One block of rows; sums [2H] takes its part of d gamma and d beta. */
static void
backward_block (const adamix_norm *norm, adamix_dropout base, int64_t first, int64_t end, float *dh, float *sums)
{
  const adamix_model *model = norm->model;
  const adamix_kernels *kernels = model->compute->kernels;
  const adamix_workspace *workspace = norm->workspace;
  int64_t H = norm->cols;
  const float *gamma = adamix_model_values (model, norm->layer, norm->gamma);
  if (sums) kernels->scale (2 * H, 0, sums);
  for (int64_t r = first; r < end; ++r) {
    float *d = workspace->gradient + r * H;
    if (workspace->pending) kernels->axpy (H, 1, workspace->dense + r * H, d);
    const adamix_dropout dropout = adamix_dropout_row (base, norm->args->batch, H, batch_row (norm, r));
    kernels->residual_norm_backward (H, d, norm->xhat + r * H, norm->rstd[r], gamma, base.threshold ? &dropout : NULL,
                                     dh + r * H, d, sums, sums ? sums + H : NULL);
  }
}

void
adamix_norm_backward (const adamix_norm *norm, float *dh)
{
  const adamix_model *model = norm->model;
  int64_t H = norm->cols, rows = norm->rows.count;
  int64_t blocks = (rows + ADAMIX_SUM_BLOCK - 1) / ADAMIX_SUM_BLOCK;
  const adamix_dropout base = adamix_dropout_of (norm->args, 0, norm->layer, norm->drop, 0);
  float *sums = norm->workspace->norm_sums;

#pragma omp parallel for schedule(static) num_threads(model->compute->threads)
  for (int64_t b = 0; b < blocks; ++b) {
    int64_t first = b * ADAMIX_SUM_BLOCK, end = first + ADAMIX_SUM_BLOCK < rows ? first + ADAMIX_SUM_BLOCK : rows;
    backward_block (norm, base, first, end, dh, sums ? sums + b * 2 * H : NULL);
  }
  norm->workspace->pending = false;
  if (sums) adamix_norm_collect (norm, rows);
  adamix_profile_lap (model->compute->profile, ADAMIX_STAGE_NORM, 0);
}

void
adamix_norm_collect (const adamix_norm *norm, int64_t rows)
{
  const adamix_model *model = norm->model;
  int64_t H = norm->cols, blocks = (rows + ADAMIX_SUM_BLOCK - 1) / ADAMIX_SUM_BLOCK;
  for (int part = 0; part < 2; ++part) {
    float *gradient = adamix_model_gradient (model, norm->layer, norm->gamma + part);
    if (gradient)
      model->compute->kernels->column_sums (blocks, H, norm->workspace->norm_sums + part * H, 2 * H, gradient);
  }
}
