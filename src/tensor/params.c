#include <adamix/tensor.h>

#include <stdlib.h>
#include <string.h>

/* Rows start on cache lines, so that kernels meet aligned memory and rows never share a line. */
#define ROW_MULTIPLE 16

adamix_err
adamix_params_add (adamix_params *params, const char *name, int rank, int64_t rows, int64_t cols, bool decay,
                   int64_t *index)
{
  ADAMIX_ASSERT (params->values == NULL);
  ADAMIX_RETURN_IF (ADAMIX_GROW (params->row, &params->capacity, params->rows + 1));
  char *copy;
  ADAMIX_RETURN_IF (adamix_format (&copy, "%s", name));

  adamix_param row = { .name = copy, .rank = rank, .shape = { rows, rank > 1 ? cols : 1 }, .decay = decay };
  row.count = row.shape[0] * row.shape[1];
  row.offset = params->count;
  params->count += (row.count + ROW_MULTIPLE - 1) / ROW_MULTIPLE * ROW_MULTIPLE;
  *index = params->rows;
  params->row[params->rows++] = row;
  return ADAMIX_OK;
}

int64_t
adamix_params_exchanged (const adamix_params *params)
{
  return params->count + params->rows + ADAMIX_PARAMS_RIDERS + params->more_riders;
}

size_t
adamix_params_bytes (const adamix_params *params)
{
  return (size_t) (params->count + adamix_params_exchanged (params)) * sizeof *params->values;
}

adamix_err
adamix_params_allocate (adamix_params *params)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (params->values, params->count));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (params->grads, adamix_params_exchanged (params)));
  for (int64_t r = 0; r < params->rows; r++) {
    adamix_param *row = &params->row[r];
    row->value = params->values + row->offset;
    row->grad = params->grads + row->offset;
    row->touched = params->grads + params->count + r;
  }
  params->riders = params->grads + params->count + params->rows;
  return ADAMIX_OK;
}

void
adamix_params_zero_grads (adamix_params *params)
{
  memset (params->grads, 0, (size_t) adamix_params_exchanged (params) * sizeof *params->grads);
}

const adamix_param *
adamix_params_find (const adamix_params *params, const char *name, int64_t *next)
{
  for (int64_t step = 0; step < params->rows; step++) {
    int64_t row = (*next + step) % params->rows;
    if (strcmp (params->row[row].name, name) != 0) continue;
    *next = row + 1;
    return &params->row[row];
  }
  return NULL;
}

adamix_err
adamix_params_rename (adamix_params *params, int64_t row, const char *name)
{
  char *copy;
  ADAMIX_RETURN_IF (adamix_format (&copy, "%s", name));
  free (params->row[row].name);
  params->row[row].name = copy;
  return ADAMIX_OK;
}

void
adamix_params_destroy (adamix_params *params)
{
  if (params == NULL) return;
  for (int64_t r = 0; r < params->rows; r++) free (params->row[r].name);
  free (params->row);
  free (params->values);
  free (params->grads);
  *params = (adamix_params){ 0 };
}
