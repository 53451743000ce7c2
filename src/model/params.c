#include "model/model_private.h"

#include <stdlib.h>
#include <string.h>

static bool
trains (const adamix_tensor *tensor, adamix_trainable which)
{
  static const char ending[] = ".bias";
  size_t length = strlen (tensor->name), tail = strlen (ending);
  if (which != ADAMIX_TRAIN_BIASES) return which == ADAMIX_TRAIN_ALL;
  return length > tail && !strcmp (tensor->name + length - tail, ending);
}

static const char prefix[] = "backbone.";

static adamix_err
add_row (const adamix_tensor *tensor, adamix_params *params, int64_t *row)
{
  char *name = NULL;
  ADAMIX_RETURN_IF (adamix_format (&name, "%s%s", prefix, tensor->name));
  const bool matrix = tensor->rank == 2; /* biases and LayerNorms do not decay */
  adamix_err err =
      adamix_params_add (params, name, tensor->rank, tensor->shape[0], matrix ? tensor->shape[1] : 1, matrix, row);
  free (name);
  return err;
}

adamix_err
adamix_model_list (const adamix_model *model, adamix_trainable which, adamix_params *params)
{
  int64_t row;
  for (int64_t i = 0; i < model->tensors; ++i)
    if (trains (&model->tensor[i], which)) ADAMIX_RETURN_IF (add_row (&model->tensor[i], params, &row));
  return ADAMIX_OK;
}

adamix_err
adamix_model_announce (adamix_model *model, adamix_trainable which, adamix_params *params)
{
  for (int64_t i = 0; i < model->tensors; ++i)
    if (trains (&model->tensor[i], which))
      ADAMIX_RETURN_IF (add_row (&model->tensor[i], params, &model->tensor[i].param));
  model->trainable = which;
  return ADAMIX_OK;
}

int64_t
adamix_model_trainable_parameters (const adamix_model *model, adamix_trainable which)
{
  int64_t sum = 0;
  for (int64_t i = 0; i < model->tensors; ++i)
    if (trains (&model->tensor[i], which)) sum += model->tensor[i].count;
  return sum;
}

void
adamix_model_adopt (adamix_model *model, const adamix_params *params)
{
  int64_t next = 0;
  for (int64_t i = 0; i < model->tensors; ++i) {
    adamix_tensor *tensor = &model->tensor[i];
    for (int64_t r = next; r < params->rows; ++r)
      if (strncmp (params->row[r].name, prefix, sizeof prefix - 1) == 0 &&
          strcmp (params->row[r].name + sizeof prefix - 1, tensor->name) == 0) {
        tensor->data = params->row[r].value;
        next = r + 1;
        break;
      }
  }
}

adamix_err
adamix_model_link (adamix_model *model, adamix_params *params)
{
  model->params = params;
  for (int64_t i = 0; i < model->tensors; ++i) {
    adamix_tensor *tensor = &model->tensor[i];
    if (tensor->param < 0) continue;
    float *value = params->row[tensor->param].value;
    memcpy (value, tensor->data, (size_t) tensor->count * sizeof *value);
    tensor->data = value;
    free (tensor->converted);
    tensor->converted = NULL;
  }
  return ADAMIX_OK;
}

/* ---- linear layers --------------------------------------------------------------------------------------------------- */

/* The weights that stand below each other in a linear layer, and whose work it is; a bias follows its weight in the list of
 * roles. */
static const struct {
  int blocks;
  adamix_role weight[3];
  adamix_stage stage; /* not said: frozen linear layers */
} linear_row[ADAMIX_LINEARS] = {
  [ADAMIX_LINEAR_QKV] = { 3, { ADAMIX_ROLE_QUERY_WEIGHT, ADAMIX_ROLE_KEY_WEIGHT, ADAMIX_ROLE_VALUE_WEIGHT } },
  [ADAMIX_LINEAR_ATTENTION] = { 1, { ADAMIX_ROLE_ATTENTION_WEIGHT } },
  [ADAMIX_LINEAR_INTERMEDIATE] = { 1, { ADAMIX_ROLE_INTERMEDIATE_WEIGHT } },
  [ADAMIX_LINEAR_OUTPUT] = { 1, { ADAMIX_ROLE_OUTPUT_WEIGHT } },
  [ADAMIX_LINEAR_PROJECTION] = { 1, { ADAMIX_ROLE_PROJECTION_WEIGHT }, ADAMIX_STAGE_EMBEDDINGS },
  [ADAMIX_LINEAR_POOLER] = { 1, { ADAMIX_ROLE_POOLER_WEIGHT }, ADAMIX_STAGE_HEAD },
};

bool
adamix_model_packs (adamix_role role)
{
  for (int kind = 0; kind < ADAMIX_LINEARS; ++kind)
    for (int i = 0; i < linear_row[kind].blocks; ++i)
      if (role == linear_row[kind].weight[i] || role == linear_row[kind].weight[i] + 1) return true;
  return false;
}

/* The file's copy of packed weights is of no more use; pages that are touched all the same are read again. */
static void
release_source (const adamix_model *model, const adamix_linear_source *source)
{
  for (int i = 0; i < source->blocks; ++i)
    adamix_weights_release (&model->weights, source->weight[i],
                            (size_t) (source->rows[i] * source->cols) * sizeof *source->weight[i]);
}

/* A linear layer's place in the model, and what it is packed from. */
typedef struct linear_job {
  adamix_linear **linear;
  adamix_linear_source source;
  int64_t rows;
  bool weights_train, biases_train;
  const adamix_gemm_backend *backend;
} linear_job;

static linear_job
job_of (const adamix_model *model, int64_t layer, int kind)
{
  linear_job job = { .linear = &model->linear[(layer + 1) * ADAMIX_LINEARS + kind],
                     .source = { .blocks = linear_row[kind].blocks } };
  for (int i = 0; i < job.source.blocks; ++i) {
    const adamix_tensor *weight = adamix_model_tensor (model, layer, linear_row[kind].weight[i]);
    const adamix_tensor *bias = adamix_model_tensor (model, layer, linear_row[kind].weight[i] + 1);
    job.source.weight[i] = weight->data;
    job.source.bias[i] = bias->data;
    job.source.rows[i] = weight->shape[0];
    job.source.cols = weight->shape[1];
    job.rows += weight->shape[0];
    job.weights_train = job.weights_train || weight->param >= 0;
    job.biases_train = job.biases_train || bias->param >= 0;
  }
  /* What stands outside the layers is small, and weights that train are kept in fp32. */
  const bool low = kind < ADAMIX_LINEARS_IN_LAYER && !job.weights_train;
  job.backend = low ? model->compute->frozen : model->compute->gemm;
  return job;
}

/* All linear layers that the model has; *out is owned (free). */
static adamix_err
list_jobs (adamix_model *model, linear_job **out, int64_t *count)
{
  int64_t layers = model->config.layers;
  *count = 0;
  if (!model->linear) ADAMIX_RETURN_IF (ADAMIX_ALLOC (model->linear, (layers + 1) * ADAMIX_LINEARS));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*out, (layers + 1) * ADAMIX_LINEARS));
  for (int64_t layer = 0; layer < layers; ++layer)
    for (int kind = 0; kind < ADAMIX_LINEARS_IN_LAYER; ++kind) (*out)[(*count)++] = job_of (model, layer, kind);
  for (int kind = ADAMIX_LINEARS_IN_LAYER; kind < ADAMIX_LINEARS; ++kind)
    if (adamix_model_has_linear (model, ADAMIX_OUTSIDE, linear_row[kind].weight[0]))
      (*out)[(*count)++] = job_of (model, ADAMIX_OUTSIDE, kind);
  return ADAMIX_OK;
}

adamix_err
adamix_model_pack (adamix_model *model, bool backward)
{
  adamix_err err = ADAMIX_OK;
  linear_job *job = NULL;
  int64_t jobs;
  ADAMIX_TRY (list_jobs (model, &job, &jobs));
  for (int64_t i = 0; i < jobs; ++i) {
    ADAMIX_TRY (adamix_linear_create (job[i].linear, job[i].backend, &job[i].source, backward));
    release_source (model, &job[i].source);
  }
done:
  free (job);
  return err;
}

static adamix_err
repack (adamix_model *model, int64_t layer, int kind)
{
  const linear_job job = job_of (model, layer, kind);
  if (job.weights_train) return adamix_linear_repack (*job.linear, &job.source);
  return job.biases_train ? adamix_linear_set_biases (*job.linear, &job.source) : ADAMIX_OK;
}

adamix_err
adamix_model_repack (adamix_model *model)
{
  for (int64_t layer = 0; layer < model->config.layers; ++layer)
    for (int kind = 0; kind < ADAMIX_LINEARS_IN_LAYER; ++kind) ADAMIX_RETURN_IF (repack (model, layer, kind));
  for (int kind = ADAMIX_LINEARS_IN_LAYER; kind < ADAMIX_LINEARS; ++kind)
    if (adamix_model_has_linear (model, ADAMIX_OUTSIDE, linear_row[kind].weight[0]))
      ADAMIX_RETURN_IF (repack (model, ADAMIX_OUTSIDE, kind));
  return ADAMIX_OK;
}

/* Plan all layers that are not; *bytes is what they take together. */
static adamix_err
plan_jobs (const linear_job *job, int64_t jobs, bool backward, size_t *bytes)
{
  *bytes = 0;
  for (int64_t i = 0; i < jobs; ++i) {
    if (!*job[i].linear)
      ADAMIX_RETURN_IF (adamix_linear_plan (job[i].linear, job[i].backend, job[i].rows, job[i].source.cols, backward));
    *bytes += adamix_linear_bytes (*job[i].linear);
  }
  return ADAMIX_OK;
}

adamix_err
adamix_model_plan (adamix_model *model, bool backward, size_t *bytes)
{
  adamix_err err = ADAMIX_OK;
  linear_job *job = NULL;
  int64_t jobs;
  ADAMIX_TRY (list_jobs (model, &job, &jobs));
  ADAMIX_TRY (plan_jobs (job, jobs, backward, bytes));
done:
  free (job);
  return err;
}

static adamix_err
place_jobs (const linear_job *job, int64_t jobs, char *at)
{
  for (int64_t i = 0; i < jobs; ++i) {
    ADAMIX_RETURN_IF (adamix_linear_place (*job[i].linear, at));
    at += adamix_linear_bytes (*job[i].linear);
  }
  return ADAMIX_OK;
}

/* Every rank of the node packs its share, on all its threads; one that shares nothing packs all.  From the first failure on
 * they are packed again in the calling thread, to which its message belongs. */
static adamix_err
pack_jobs (const adamix_model *model, const linear_job *job, int64_t jobs)
{
  const adamix_node_memory *packed = &model->packed;
  const int64_t ranks = packed->shared ? packed->node.size : 1, mine = packed->shared ? packed->node.rank : 0;
  int64_t failed = jobs;
  ADAMIX_RETURN_IF (place_jobs (job, jobs, packed->data));
#pragma omp parallel for schedule(dynamic) reduction(min : failed)
  for (int64_t i = 0; i < jobs; ++i) {
    if (i % ranks == mine && adamix_linear_repack (*job[i].linear, &job[i].source) != ADAMIX_OK)
      failed = i < failed ? i : failed;
    release_source (model, &job[i].source);
  }
  for (int64_t i = failed; i < jobs; ++i)
    if (i % ranks == mine) ADAMIX_RETURN_IF (adamix_linear_repack (*job[i].linear, &job[i].source));
  return ADAMIX_OK;
}

bool
adamix_model_packs_alone (const adamix_model *model)
{
  return model->trainable == ADAMIX_TRAIN_ALL;
}

adamix_err
adamix_model_pack_node (adamix_model *model, adamix_comm *world, bool backward)
{
  adamix_err err = ADAMIX_OK;
  linear_job *job = NULL;
  int64_t jobs;
  size_t bytes = 0;
  /* Weights that train are packed again and again, by each rank for itself. */
  adamix_comm alone = { .handle = MPI_COMM_NULL, .size = 1 };
  const bool trainable = adamix_model_packs_alone (model);
  err = list_jobs (model, &job, &jobs);
  if (!err) err = plan_jobs (job, jobs, backward, &bytes);
  ADAMIX_TRY (adamix_comm_agree (world, err));
  ADAMIX_TRY (adamix_comm_agree (world, adamix_node_memory_create (&model->packed, trainable ? &alone : world, bytes)));
  /* Agreeing is also where each waits for the others' shares. */
  ADAMIX_TRY (adamix_comm_agree (world, pack_jobs (model, job, jobs)));
done:
  free (job);
  return err;
}

const adamix_linear *
adamix_model_linear (const adamix_model *model, int64_t layer, adamix_linear_kind kind)
{
  return model->linear[(layer + 1) * ADAMIX_LINEARS + kind];
}

void
adamix_linear_lap (const adamix_model *model, adamix_linear_kind kind, int64_t rows, int64_t cols, int64_t outputs)
{
  adamix_profile_lap (model->compute->profile, linear_row[kind].stage, 2 * (double) (rows * cols * outputs));
}

adamix_err
adamix_linear_gradients (const adamix_model *model, int64_t layer, adamix_linear_kind kind, adamix_view dy,
                         adamix_view x)
{
  int64_t first = 0;
  for (int i = 0; i < linear_row[kind].blocks; ++i) {
    adamix_role role = linear_row[kind].weight[i];
    int64_t rows = adamix_model_tensor (model, layer, role)->shape[0];
    float *dw = adamix_model_gradient (model, layer, role), *db = adamix_model_gradient (model, layer, role + 1);
    adamix_view block = adamix_view_cols (dy, first, rows);
    if (dw || db) ADAMIX_RETURN_IF (adamix_linear_backward_weight (model->compute->gemm, block, x, dw, db));
    if (dw) adamix_linear_lap (model, kind, x.rows, x.cols, rows);
    first += rows;
  }
  return ADAMIX_OK;
}
