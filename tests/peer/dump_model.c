/* dump_model - one forward and, if asked for, one backward of an encoder with its head and modules, for the scripts of
 * this folder to compare with PyTorch.
 *
 * BATCH (safetensors) holds offset I64 [S+1], id and type I32 [T], label I32 [S] or target F32 [S]; route I32 [P,L,2]
 * (expert of Down, of Up) where there are modules; and a value for every tensor of head and modules, under its name.
 * OUTPUT gets hidden [P T,H], z [P S,K], and after a backward loss [2] (task, consistency) and "grad.<name>" of every
 * trainable tensor.  No dropout. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <adamix/adapt.h>
#include <adamix/data.h>

typedef struct dump_config {
  const char *model, *batch, *output, *gemm, *precision, *kernels;
  int pool, share, trainable, gradient;
  int64_t outputs, passes, experts, bottleneck, threads;
  double consistency;
  bool backward;
} dump_config;

#define AT(member) offsetof (dump_config, member)
static const adamix_option table[] = {
  { "model", ADAMIX_OPTION_STRING, AT (model), NULL, NULL, 0, 0, "DIR", "encoder" },
  { "batch", ADAMIX_OPTION_STRING, AT (batch), NULL, NULL, 0, 0, "FILE", "what goes in" },
  { "output", ADAMIX_OPTION_STRING, AT (output), NULL, NULL, 0, 0, "FILE", "what comes out" },
  { "pool", ADAMIX_OPTION_CHOICE, AT (pool), "mean", "pooler|mean", 0, 0, NULL, "what the head reads" },
  { "outputs", ADAMIX_OPTION_INTEGER, AT (outputs), "3", NULL, 1, 1000, "K", "logits" },
  { "passes", ADAMIX_OPTION_INTEGER, AT (passes), "1", NULL, 1, 2, "P", "stochastic passes" },
  { "experts", ADAMIX_OPTION_INTEGER, AT (experts), "0", NULL, 0, 64, "M", "modules a layer; 0: none" },
  { "bottleneck", ADAMIX_OPTION_INTEGER, AT (bottleneck), "8", NULL, 1, 1024, "R", "their width" },
  { "share", ADAMIX_OPTION_CHOICE, AT (share), "none", "none|down|up|both", 0, 0, NULL, "shared projections" },
  { "consistency", ADAMIX_OPTION_REAL, AT (consistency), "0", NULL, 0, 1000, "W", "weight of the consistency loss" },
  { "consistency-gradient", ADAMIX_OPTION_CHOICE, AT (gradient), "stop", "stop|both", 0, 0, NULL, "of that loss" },
  { "backward", ADAMIX_OPTION_FLAG, AT (backward), "false", NULL, 0, 0, NULL, "compute gradients" },
  { "trainable", ADAMIX_OPTION_CHOICE, AT (trainable), "none", "none|biases|all", 0, 0, NULL, "of the backbone" },
  { "gemm", ADAMIX_OPTION_STRING, AT (gemm), "auto", NULL, 0, 0, "NAME", "GEMM backend" },
  { "precision", ADAMIX_OPTION_STRING, AT (precision), "fp32", NULL, 0, 0, "NAME", "of the frozen GEMMs" },
  { "kernels", ADAMIX_OPTION_STRING, AT (kernels), "auto", NULL, 0, 0, "NAME", "element kernels" },
  { "threads", ADAMIX_OPTION_INTEGER, AT (threads), "2", NULL, 1, 64, "N", "threads" },
};
#define ROWS ((int) (sizeof table / sizeof *table))

typedef struct dump {
  dump_config config;
  adamix_compute compute;
  adamix_safetensors file;
  adamix_model *model;
  adamix_params params; /* all that trains */
  adamix_head *head;
  adamix_bank *bank;
  adamix_inserted_bank *inserted;
  adamix_workspace *workspace;
  adamix_batch batch;
  bool regression; /* the batch has targets instead of labels */
  adamix_forward_args args;
  adamix_view hidden, z;
  float *dz;
  double loss[2];
} dump;

/* ---- what goes in ------------------------------------------------------------------------------------------------------ */

static adamix_err
find (const dump *d, const char *name, adamix_dtype dtype, int64_t count, const adamix_stored_tensor **out)
{
  *out = adamix_safetensors_find (&d->file, name);
  if (!*out) return adamix_err_set (ADAMIX_EFORMAT, "%s: there is no tensor %s", d->file.path, name);
  if ((*out)->dtype == dtype && (count < 0 || (*out)->count == count)) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor %s has %lld values of %s, expected %lld of %s", d->file.path, name,
                         (long long) (*out)->count, adamix_dtype_name ((*out)->dtype), (long long) count,
                         adamix_dtype_name (dtype));
}

/* The packing of the library sets what a batch needs beside the arrays given here. */
static adamix_err
read_batch (dump *d)
{
  const adamix_stored_tensor *offset, *id, *type, *label = NULL;
  d->regression = adamix_safetensors_find (&d->file, "target") != NULL;
  ADAMIX_RETURN_IF (find (d, "offset", ADAMIX_DTYPE_I64, -1, &offset));
  ADAMIX_RETURN_IF (find (d, "id", ADAMIX_DTYPE_I32, -1, &id));
  ADAMIX_RETURN_IF (find (d, "type", ADAMIX_DTYPE_I32, id->count, &type));
  int64_t S = offset->count - 1, *chosen = NULL;
  if (d->config.backward)
    ADAMIX_RETURN_IF (
        find (d, d->regression ? "target" : "label", d->regression ? ADAMIX_DTYPE_F32 : ADAMIX_DTYPE_I32, S, &label));
  const adamix_dataset dataset = { .examples = S,
                                   .offset = (int64_t *) offset->data,
                                   .id = (int32_t *) id->data,
                                   .type = (int32_t *) type->data,
                                   .label = label && !d->regression ? (int32_t *) label->data : NULL,
                                   .target = label && d->regression ? (float *) label->data : NULL };
  ADAMIX_RETURN_IF (adamix_batch_create (&d->batch, S, id->count));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (chosen, S));
  for (int64_t s = 0; s < S; s++) chosen[s] = s;
  adamix_batch_pack (&d->batch, &dataset, chosen, S);
  free (chosen);
  return ADAMIX_OK;
}

/* Values of head and modules; those of the backbone are the model's own. */
static adamix_err
read_values (dump *d)
{
  for (int64_t r = 0; r < d->params.rows; r++) {
    const adamix_param *row = &d->params.row[r];
    const adamix_stored_tensor *stored;
    if (strncmp (row->name, "backbone.", strlen ("backbone.")) == 0) continue;
    ADAMIX_RETURN_IF (find (d, row->name, ADAMIX_DTYPE_F32, row->count, &stored));
    memcpy (row->value, stored->data, stored->bytes);
  }
  return ADAMIX_OK;
}

static adamix_err
read_route (dump *d)
{
  const int64_t L = d->bank->shape.layers, P = d->config.passes;
  const adamix_stored_tensor *stored;
  ADAMIX_RETURN_IF (find (d, "route", ADAMIX_DTYPE_I32, P * L * ADAMIX_PROJECTIONS, &stored));
  const int32_t *expert = stored->data;
  adamix_route *route = adamix_inserted_bank_route (d->inserted);
  adamix_route_clear (route);
  for (int64_t pass = 0; pass < P; pass++)
    for (int64_t i = 0; i < L; i++)
      for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
        adamix_route_append (route, p, i, d->batch.tokens, adamix_bank_slot (d->bank, p, i, *expert++));
  return ADAMIX_OK;
}

/* ---- the model with all around it ---------------------------------------------------------------------------------------- */

static adamix_err
announce_bank (dump *d)
{
  const adamix_model_config *model = adamix_model_config_of (d->model);
  const adamix_bank_shape shape = { .places = ADAMIX_PLACE_BIT (ADAMIX_PLACE_FFN),
                                    .layers = model->layers,
                                    .hidden = model->hidden,
                                    .bottleneck = d->config.bottleneck,
                                    .experts = d->config.experts,
                                    .share = (adamix_share) d->config.share,
                                    .activation = ADAMIX_ACTIVATION_GELU };
  return d->config.experts ? adamix_bank_create (&d->bank, &shape, NULL, &d->params, &d->params) : ADAMIX_OK;
}

static adamix_err
create_params (dump *d)
{
  const dump_config *c = &d->config;
  ADAMIX_RETURN_IF (
      adamix_head_create (&d->head, d->model, (adamix_pool) c->pool, c->outputs, c->passes * d->batch.sequences));
  ADAMIX_RETURN_IF (adamix_head_announce (d->head, &d->params));
  ADAMIX_RETURN_IF (announce_bank (d));
  ADAMIX_RETURN_IF (adamix_model_announce (d->model, (adamix_trainable) c->trainable, &d->params));
  ADAMIX_RETURN_IF (adamix_params_allocate (&d->params));
  adamix_head_link (d->head, &d->params);
  if (d->bank) adamix_bank_link (d->bank, &d->params, &d->params);
  ADAMIX_RETURN_IF (adamix_model_link (d->model, &d->params));
  ADAMIX_RETURN_IF (adamix_model_pack (d->model, c->backward));
  return read_values (d);
}

static adamix_err
create_workspace (dump *d)
{
  const dump_config *c = &d->config;
  adamix_workspace_size size = { .passes = c->passes,
                                 .tokens = d->batch.tokens,
                                 .sequences = d->batch.sequences,
                                 .backward = c->backward,
                                 .weight_gradients = c->trainable != ADAMIX_TRAIN_NONE,
                                 .places = d->bank ? d->bank->shape.places : 0 };
  for (int64_t s = 0; s < d->batch.sequences; s++) {
    int64_t n = d->batch.offset[s + 1] - d->batch.offset[s];
    if (n > size.longest) size.longest = n;
  }
  d->args = (adamix_forward_args){ .batch = &d->batch, .passes = c->passes, .training = c->backward };
  ADAMIX_RETURN_IF (adamix_workspace_create (&d->workspace, d->model, &size));
  if (!d->bank) return ADAMIX_OK;
  ADAMIX_RETURN_IF (adamix_inserted_bank_create (&d->inserted, d->bank, &d->compute, c->passes * d->batch.tokens,
                                                 c->passes, c->backward));
  d->args.insertion = adamix_inserted_bank_insertion (d->inserted);
  return read_route (d);
}

/* ---- forward, backward, what comes out ------------------------------------------------------------------------------------ */

static adamix_err
backward (dump *d)
{
  const adamix_batch *batch = &d->batch;
  adamix_loss_args args = { .examples = batch->sequences,
                            .outputs = d->config.outputs,
                            .passes = d->config.passes,
                            .label = d->regression ? NULL : batch->label,
                            .target = d->regression ? batch->target : NULL,
                            .scale = 1.0 / (double) batch->sequences,
                            .consistency = d->config.passes > 1 ? d->config.consistency : 0,
                            .gradient = (adamix_consistency_gradient) d->config.gradient };
  adamix_loss loss;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (d->dz, d->z.rows * d->z.cols));
  adamix_view dz = adamix_view_of (d->dz, d->z.rows, d->z.cols);
  adamix_loss_compute (&args, d->z, dz, &loss);
  d->loss[0] = loss.task;
  d->loss[1] = loss.consistency;
  adamix_view dhidden = adamix_workspace_gradient (d->workspace, d->hidden.rows);
  ADAMIX_RETURN_IF (adamix_head_backward (d->head, &d->args, dz, dhidden));
  return adamix_model_backward (d->model, d->workspace, &d->args, dhidden);
}

static adamix_tensor_source
matrix (const char *name, adamix_view x)
{
  ADAMIX_ASSERT (x.stride == x.cols);
  return (adamix_tensor_source){
    .name = name, .dtype = ADAMIX_DTYPE_F32, .rank = 2, .shape = { x.rows, x.cols }, .data = x.data
  };
}

static adamix_err
write_output (const dump *d)
{
  adamix_err err = ADAMIX_OK;
  adamix_tensor_source *tensor = NULL;
  char **name = NULL;
  int64_t rows = d->config.backward ? d->params.rows : 0, n = 0;
  ADAMIX_TRY (ADAMIX_ALLOC (tensor, rows + 3));
  ADAMIX_TRY (ADAMIX_ALLOC (name, rows + 1));
  tensor[n++] = matrix ("hidden", d->hidden);
  tensor[n++] = matrix ("z", d->z);
  if (d->config.backward)
    tensor[n++] =
        (adamix_tensor_source){ .name = "loss", .dtype = ADAMIX_DTYPE_F64, .rank = 1, .shape = { 2 }, .data = d->loss };
  for (int64_t r = 0; r < rows; r++) {
    const adamix_param *row = &d->params.row[r];
    ADAMIX_TRY (adamix_format (&name[r], "grad.%s", row->name));
    tensor[n] =
        (adamix_tensor_source){ .name = name[r], .dtype = ADAMIX_DTYPE_F32, .rank = row->rank, .data = row->grad };
    memcpy (tensor[n++].shape, row->shape, sizeof row->shape);
  }
  err = adamix_safetensors_write (d->config.output, tensor, n, NULL);
done:
  for (int64_t r = 0; name && r < rows; r++) free (name[r]);
  free (name);
  free (tensor);
  return err;
}

static adamix_err
run (dump *d)
{
  const dump_config *c = &d->config;
  if (!c->model || !c->batch || !c->output) return adamix_err_set (ADAMIX_EUSAGE, "give --model, --batch and --output");
  ADAMIX_RETURN_IF (adamix_compute_select (&d->compute, c->gemm, c->kernels, (int) c->threads));
  ADAMIX_RETURN_IF (adamix_compute_precision (&d->compute, c->precision));
  ADAMIX_RETURN_IF (adamix_safetensors_open (&d->file, c->batch));
  ADAMIX_RETURN_IF (adamix_model_open (&d->model, c->model, &d->compute));
  ADAMIX_RETURN_IF (read_batch (d));
  ADAMIX_RETURN_IF (create_params (d));
  ADAMIX_RETURN_IF (create_workspace (d));
  ADAMIX_RETURN_IF (adamix_model_forward (d->model, d->workspace, &d->args, &d->hidden));
  ADAMIX_RETURN_IF (adamix_head_forward (d->head, &d->args, d->hidden, &d->z));
  if (c->backward) ADAMIX_RETURN_IF (backward (d));
  return write_output (d);
}

static void
destroy (dump *d)
{
  free (d->dz);
  adamix_workspace_destroy (d->workspace);
  adamix_inserted_bank_destroy (d->inserted);
  adamix_bank_destroy (d->bank);
  adamix_head_destroy (d->head);
  adamix_params_destroy (&d->params);
  adamix_batch_destroy (&d->batch);
  adamix_model_destroy (d->model);
  adamix_safetensors_close (&d->file);
}

int
main (int argc, char **argv)
{
  adamix_err err = ADAMIX_OK;
  dump d = { 0 };
  adamix_options *options = NULL;
  ADAMIX_TRY (adamix_options_create (&options, table, ROWS));
  ADAMIX_TRY (adamix_options_parse (options, argc, argv, NULL, 0, NULL));
  ADAMIX_TRY (adamix_options_store (options, &d.config));
  err = run (&d);
done:
  if (err) fprintf (stderr, "dump_model: %s\n", adamix_err_message ());
  destroy (&d);
  adamix_options_destroy (options);
  return adamix_err_exit_status (err);
}
