#include <stdlib.h>
#include <string.h>

#include <adamix/adapt.h>

/* Limits of the counter words that key routes and initial values. */
#define MAX_LAYERS  65535
#define MAX_EXPERTS 65535

/* Second counter word of an expert's initial values: (projection + 1) << 24 | expert.  The first is the layer. */
#define INIT_PROJECTION_SHIFT 24
#define INIT_DEVIATION        0.02

static const char *const projection_name[ADAMIX_PROJECTIONS] = { "down", "up" };

static bool
is_shared (const adamix_bank_shape *shape, adamix_projection projection)
{
  return shape->experts > 1 && ((unsigned) shape->share >> projection & 1) != 0;
}

static int64_t
outputs_of (const adamix_bank_shape *shape, adamix_projection projection)
{
  return projection == ADAMIX_DOWN ? shape->bottleneck : shape->hidden;
}

static int64_t
inputs_of (const adamix_bank_shape *shape, adamix_projection projection)
{
  return projection == ADAMIX_DOWN ? shape->hidden : shape->bottleneck;
}

int64_t
adamix_bank_copies (const adamix_bank_shape *shape, adamix_projection projection)
{
  return is_shared (shape, projection) ? 1 : shape->experts;
}

static int64_t
parameters_of (const adamix_bank_shape *shape, adamix_projection projection)
{
  return outputs_of (shape, projection) * (inputs_of (shape, projection) + 1);
}

int64_t
adamix_bank_trainable_parameters (const adamix_bank_shape *shape)
{
  int64_t layer = adamix_bank_copies (shape, ADAMIX_DOWN) * parameters_of (shape, ADAMIX_DOWN) +
                  adamix_bank_copies (shape, ADAMIX_UP) * parameters_of (shape, ADAMIX_UP);
  return shape->layers * layer;
}

int64_t
adamix_bank_merged_parameters (const adamix_bank_shape *shape)
{
  return shape->layers * (parameters_of (shape, ADAMIX_DOWN) + parameters_of (shape, ADAMIX_UP));
}

/* ---- creation ---------------------------------------------------------------------------------------------------- */

static adamix_err
check_shape (const adamix_bank_shape *shape)
{
  if (shape->layers < 1 || shape->layers > MAX_LAYERS || shape->experts < 1 || shape->experts > MAX_EXPERTS)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "bank of %lld layers with %lld experts: layers must be 1 to %d, experts 1 to %d",
                           (long long) shape->layers, (long long) shape->experts, MAX_LAYERS, MAX_EXPERTS);
  if (shape->hidden < 1 || shape->bottleneck < 1)
    return adamix_err_set (ADAMIX_ESHAPE, "bank with hidden size %lld and bottleneck %lld: both must be at least 1",
                           (long long) shape->hidden, (long long) shape->bottleneck);
  return ADAMIX_OK;
}

/* Names of an expert's tensors. */
typedef struct expert_names {
  char weight[112], bias[112];
} expert_names;

/* The merged module stands for all experts and so has no number in its names. */
static expert_names
names_of (const adamix_bank_shape *shape, int64_t layer, adamix_projection projection, int64_t number)
{
  expert_names names;
  char stem[96];
  if (shape->merged)
    snprintf (stem, sizeof stem, "layers.%lld.ffn.%s", (long long) layer, projection_name[projection]);
  else
    snprintf (stem, sizeof stem, "layers.%lld.ffn.experts.%lld.%s", (long long) layer, (long long) number,
              projection_name[projection]);
  snprintf (names.weight, sizeof names.weight, "%s.weight", stem);
  snprintf (names.bias, sizeof names.bias, "%s.bias", stem);
  return names;
}

static adamix_err
announce (const adamix_bank_shape *shape, int64_t layer, adamix_projection projection, adamix_params *params,
          adamix_expert *expert)
{
  int64_t outputs = outputs_of (shape, projection);
  expert_names names = names_of (shape, layer, projection, expert->number);
  ADAMIX_RETURN_IF (
      adamix_params_add (params, names.weight, 2, outputs, inputs_of (shape, projection), true, &expert->weight_row));
  return adamix_params_add (params, names.bias, 1, outputs, 1, false, &expert->bias_row);
}

/* `owned`: this layer's M flags, NULL for all. */
static adamix_err
fill_list (adamix_expert_list *list, const adamix_bank_shape *shape, int64_t layer, adamix_projection projection,
           const bool *owned, adamix_params *params)
{
  int64_t copies = adamix_bank_copies (shape, projection);
  bool all = owned == NULL || is_shared (shape, projection);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (list->expert, copies));
  for (int64_t j = 0; j < copies; j++) {
    if (!all && !owned[j]) continue;
    adamix_expert *expert = &list->expert[list->count++];
    expert->number = j;
    ADAMIX_RETURN_IF (announce (shape, layer, projection, params, expert));
  }
  if (list->count == 0)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "layer %lld: a rank without an expert of its own cannot route; form fewer groups",
                           (long long) layer);
  return ADAMIX_OK;
}

adamix_err
adamix_bank_create (adamix_bank **out, const adamix_bank_shape *shape, const bool *owned, adamix_params *shared,
                    adamix_params *experts)
{
  adamix_err err = ADAMIX_OK;
  adamix_bank *bank = NULL;
  ADAMIX_TRY (check_shape (shape));
  ADAMIX_TRY (ADAMIX_ALLOC (bank, 1));
  bank->shape = *shape;
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) ADAMIX_TRY (ADAMIX_ALLOC (bank->local[p], shape->layers));
  for (int64_t i = 0; i < shape->layers; i++)
    for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
      ADAMIX_TRY (fill_list (&bank->local[p][i], shape, i, p, owned == NULL ? NULL : owned + i * shape->experts,
                             is_shared (shape, p) ? shared : experts));
  *out = bank;
  bank = NULL;
done:
  adamix_bank_destroy (bank);
  return err;
}

void
adamix_bank_link (adamix_bank *bank, adamix_params *shared, adamix_params *experts)
{
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    adamix_params *params = is_shared (&bank->shape, p) ? shared : experts;
    for (int64_t i = 0; i < bank->shape.layers; i++)
      for (int64_t slot = 0; slot < bank->local[p][i].count; slot++) {
        adamix_expert *expert = &bank->local[p][i].expert[slot];
        expert->weight = &params->row[expert->weight_row];
        expert->bias = &params->row[expert->bias_row];
      }
  }
}

/* `owned`: this layer's M flags. */
static adamix_err
deal_list (adamix_expert_list *list, const adamix_bank_shape *shape, int64_t layer, adamix_projection projection,
           const bool *owned, adamix_params *params)
{
  int64_t dealt = 0;
  for (int64_t j = 0; j < shape->experts; j++) dealt += owned[j];
  if (dealt != list->count)
    return adamix_err_set (ADAMIX_ESHAPE, "layer %lld: %lld experts are dealt to a place for %lld", (long long) layer,
                           (long long) dealt, (long long) list->count);
  adamix_expert *expert = list->expert;
  for (int64_t j = 0; j < shape->experts; j++) {
    if (!owned[j]) continue;
    expert_names names = names_of (shape, layer, projection, j);
    expert->number = j;
    ADAMIX_RETURN_IF (adamix_params_rename (params, expert->weight_row, names.weight));
    ADAMIX_RETURN_IF (adamix_params_rename (params, expert->bias_row, names.bias));
    expert++;
  }
  return ADAMIX_OK;
}

adamix_err
adamix_bank_deal (adamix_bank *bank, const bool *owned, adamix_params *experts)
{
  const adamix_bank_shape *shape = &bank->shape;
  for (int64_t i = 0; i < shape->layers; i++)
    for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
      if (!is_shared (shape, p))
        ADAMIX_RETURN_IF (deal_list (&bank->local[p][i], shape, i, p, owned + i * shape->experts, experts));
  return ADAMIX_OK;
}

void
adamix_bank_destroy (adamix_bank *bank)
{
  if (bank == NULL) return;
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++) {
    for (int64_t i = 0; bank->local[p] != NULL && i < bank->shape.layers; i++) free (bank->local[p][i].expert);
    free (bank->local[p]);
  }
  free (bank);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void
initialise_expert (const adamix_expert *expert, adamix_rng rng, int64_t layer, adamix_projection projection)
{
  uint32_t which = (uint32_t) (projection + 1) << INIT_PROJECTION_SHIFT | (uint32_t) expert->number;
  adamix_rng_normal (rng, (uint32_t) layer, which, expert->weight->count, INIT_DEVIATION, expert->weight->value);
  memset (expert->bias->value, 0, (size_t) expert->bias->count * sizeof (float));
}

void
adamix_bank_initialise (adamix_bank *bank, uint64_t seed)
{
  const adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_INIT);
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int p = 0; p < ADAMIX_PROJECTIONS; p++)
    for (int64_t i = 0; i < bank->shape.layers; i++)
      for (int64_t slot = 0; slot < bank->local[p][i].count; slot++)
        initialise_expert (&bank->local[p][i].expert[slot], rng, i, (adamix_projection) p);
}

int64_t
adamix_bank_slot (const adamix_bank *bank, adamix_projection projection, int64_t layer, int64_t number)
{
  const adamix_expert_list *list = &bank->local[projection][layer];
  if (is_shared (&bank->shape, projection)) return 0;
  for (int64_t slot = 0; slot < list->count; slot++)
    if (list->expert[slot].number == number) return slot;
  return -1;
}
