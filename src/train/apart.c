#include "train/run_private.h"

#include <string.h>

/* ---- finding ---- */

static adamix_err
find (adamix_part *part)
{
  adamix_err err = ADAMIX_OK;
  char *folder = NULL;
  ADAMIX_TRY (adamix_path_join (&folder, part->run, FOLDER_MERGED));
  ADAMIX_TRY (adamix_path_join (&part->file, folder, FILE_ADAPTER));
  if (!adamix_path_exists (part->file))
    ADAMIX_TRY (adamix_err_set (
        ADAMIX_EUSAGE, "--run %s: there is no " FOLDER_MERGED "/" FILE_ADAPTER "; give the folder of a finished run",
        part->run));
  ADAMIX_TRY (adamix_adapter_read_config (&part->config, folder));
  if (!part->config.has_bank)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EUSAGE, "--run %s: a run of --method %s has no modules to merge", part->run,
                                part->config.method));
  if (part->config.shape.gating)
    ADAMIX_TRY (
        adamix_err_set (ADAMIX_EUSAGE,
                        "--run %s kept its experts under a learned router (--merge none): only single modules can "
                        "be averaged",
                        part->run));
done:
  free (folder);
  return err;
}

adamix_err
adamix_parts_find (adamix_part **out, const char *const *run, int64_t count)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (*out, count));
  for (int64_t j = 0; j < count; j++) {
    adamix_part *part = &(*out)[j];
    part->run = run[j];
    ADAMIX_RETURN_IF (find (part));
    ADAMIX_RETURN_IF (adamix_adapter_compare (&(*out)->config, run[0], &part->config, run[j], true));
  }
  return ADAMIX_OK;
}

/* ---- experts ---- */

static void
copy_param (const adamix_param *from, const adamix_param *to)
{
  memcpy (to->value, from->value, (size_t) to->count * sizeof *to->value);
}

/* Expert j of every site is the one of run j. */
static void
fill_bank (const adamix_bank *from, int64_t j, adamix_bank *to)
{
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < adamix_bank_sites (&to->shape); i++) {
      const adamix_expert *source = from->local[p][i].expert, *target = &to->local[p][i].expert[j];
      copy_param (source->weight, target->weight);
      if (target->bias) copy_param (source->bias, target->bias);
    }
}

adamix_err
adamix_parts_open (adamix_part *part, int64_t count, adamix_run *run)
{
  run->shape = part->config.shape;
  run->shape.experts = count;
  run->shape.merged = false;
  const adamix_module_form all = adamix_run_form (run, &run->shape);
  ADAMIX_RETURN_IF (adamix_module_create (&run->all, run->model, &all));
  for (int64_t j = 0; j < count; j++) {
    const adamix_module_form form = adamix_run_form (run, &part[j].config.shape);
    ADAMIX_RETURN_IF (adamix_module_create (&part[j].module, run->model, &form));
    ADAMIX_RETURN_IF (adamix_module_read (&part[j].module, part[j].file));
    fill_bank (part[j].module.bank, j, run->all.bank);
  }
  return ADAMIX_OK;
}

/* ---- heads ---- */

/* h' = sum_j w_j h_j / sum_j w_j */
static void
average_row (const adamix_part *part, int64_t count, const double *weight, int64_t row, const adamix_param *out)
{
  double whole = 0;
  for (int64_t j = 0; j < count; j++) whole += weight ? weight[j] : 1;
  for (int64_t e = 0; e < out->count; e++) {
    double sum = 0;
    for (int64_t j = 0; j < count; j++) sum += (weight ? weight[j] : 1) * part[j].module.params.row[row].value[e];
    out->value[e] = (float) (sum / whole);
  }
}

void
adamix_parts_average_heads (const adamix_part *part, int64_t count, const double *weight, adamix_module *all)
{
  int64_t next = 0;
  const adamix_params *rows = &part->module.params;
  for (int64_t i = 0; i < rows->rows; i++) {
    /* A merged module's tensors have names of their own, its head's have not. */
    const adamix_param *target = adamix_params_find (&all->params, rows->row[i].name, &next);
    if (target) average_row (part, count, weight, i, target);
  }
}

/* ---- life ---- */

void
adamix_parts_close (adamix_part *part, int64_t count)
{
  for (int64_t j = 0; part && j < count; j++) {
    adamix_module_destroy (&part[j].module);
    adamix_adapter_config_destroy (&part[j].config);
    free (part[j].file);
  }
  free (part);
}
