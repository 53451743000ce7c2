#include "train/train_private.h"

#include <string.h>

adamix_err
adamix_module_announce (adamix_module *out, const adamix_model *model, const adamix_module_form *form)
{
  adamix_err err = ADAMIX_OK;
  *out = (adamix_module){ .has_bank = form->shape != NULL };
  ADAMIX_TRY (adamix_model_list (model, form->backbone, &out->params));
  if (form->shape) {
    out->shape = *form->shape;
    ADAMIX_TRY (adamix_bank_create (&out->bank, form->shape, NULL, &out->params, &out->params));
  }
  ADAMIX_TRY (adamix_head_create (&out->head, model, form->pool, form->outputs, form->max_rows));
  ADAMIX_TRY (adamix_head_announce (out->head, &out->params));
done:
  if (err) adamix_module_destroy (out);
  return err;
}

adamix_err
adamix_module_create (adamix_module *out, const adamix_model *model, const adamix_module_form *form)
{
  adamix_err err = ADAMIX_OK;
  ADAMIX_TRY (adamix_module_announce (out, model, form));
  ADAMIX_TRY (adamix_params_allocate (&out->params));
  if (out->bank) adamix_bank_link (out->bank, &out->params, &out->params);
  adamix_head_link (out->head, &out->params);
done:
  if (err) adamix_module_destroy (out);
  return err;
}

void
adamix_module_destroy (adamix_module *module)
{
  if (!module) return;
  adamix_head_destroy (module->head);
  adamix_bank_destroy (module->bank);
  adamix_params_destroy (&module->params);
  *module = (adamix_module){ 0 };
}

adamix_err
adamix_module_write (const adamix_module *module, const char *path)
{
  adamix_err err = ADAMIX_OK;
  adamix_tensor_source *source = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (source, module->params.rows));
  for (int64_t i = 0; i < module->params.rows; i++) {
    const adamix_param *row = &module->params.row[i];
    source[i] = (adamix_tensor_source){ .name = row->name,
                                        .dtype = ADAMIX_DTYPE_F32,
                                        .rank = row->rank,
                                        .shape = { row->shape[0], row->shape[1] },
                                        .data = row->value };
  }
  ADAMIX_TRY (adamix_safetensors_write (path, source, module->params.rows, NULL));
done:
  free (source);
  return err;
}

/* The stored tensor of a row, or an error that says what is wrong with it. */
static adamix_err
find_tensor (const adamix_safetensors *file, const adamix_param *row, const adamix_stored_tensor **out)
{
  *out = adamix_safetensors_find (file, row->name);
  if (!*out) return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor %s is missing", file->path, row->name);
  bool same = (*out)->rank == row->rank;
  for (int d = 0; same && d < row->rank; d++) same = (*out)->shape[d] == row->shape[d];
  if (!same)
    return adamix_err_set (ADAMIX_EFORMAT, "%s: tensor %s does not have the shape that %s beside it asks for",
                           file->path, row->name, FILE_ADAPTER_CONFIG);
  return ADAMIX_OK;
}

adamix_err
adamix_module_read (adamix_module *module, const char *path)
{
  adamix_err err = ADAMIX_OK;
  adamix_safetensors file = { 0 };
  ADAMIX_TRY (adamix_safetensors_open (&file, path));
  for (int64_t i = 0; i < module->params.rows; i++) {
    const adamix_param *row = &module->params.row[i];
    const adamix_stored_tensor *tensor;
    ADAMIX_TRY (find_tensor (&file, row, &tensor));
    err = adamix_dtype_to_f32 (tensor->dtype, tensor->data, row->count, row->value);
    if (err) {
      adamix_err_prefix (err, "%s: tensor %s", path, row->name);
      goto done;
    }
  }
done:
  adamix_safetensors_close (&file);
  return err;
}

void
adamix_params_copy (const adamix_params *from_rows, const float *from, const adamix_params *to_rows, float *to)
{
  int64_t next = 0;
  for (int64_t i = 0; i < from_rows->rows; i++) {
    const adamix_param *source = &from_rows->row[i];
    const adamix_param *target = adamix_params_find (to_rows, source->name, &next);
    if (target) memcpy (to + target->offset, from + source->offset, (size_t) source->count * sizeof *to);
  }
}

void
adamix_params_copy_rows (const adamix_params *from_rows, const float *from, const adamix_params *to_rows, float *to)
{
  int64_t next = 0;
  for (int64_t i = 0; i < from_rows->rows; i++) {
    const adamix_param *target = adamix_params_find (to_rows, from_rows->row[i].name, &next);
    if (target) to[target - to_rows->row] = from[i];
  }
}
