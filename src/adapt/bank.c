#include "adapt/kind.h"

#include <stdlib.h>
#include <string.h>

/* Limits of the counter words that key routes and initial values. */
#define MAX_LAYERS  65535
#define MAX_EXPERTS 65535

/* First counter word of initial values: places apart from that after the FFN << 16 | layer. */
#define INIT_PLACE_SHIFT 16

#define ROUTER_DEVIATION 0.02

/* ---- sizes ---- */

static int64_t
places_of (const adamix_bank_shape *shape)
{
  int64_t count = 0;
  for (int place = 0; place < ADAMIX_PLACES; place++) count += shape->places >> place & 1;
  return count;
}

int64_t
adamix_bank_sites (const adamix_bank_shape *shape)
{
  return shape->layers * places_of (shape);
}

int64_t
adamix_bank_site (const adamix_bank_shape *shape, int64_t layer, adamix_place place)
{
  int64_t site = layer * places_of (shape);
  for (int p = 0; p < (int) place; p++) site += shape->places >> p & 1;
  return site;
}

/* The place of a site: of its layer's places the one with that number. */
static adamix_place
place_of (const adamix_bank_shape *shape, int64_t site)
{
  int64_t number = site % places_of (shape);
  int place = 0;
  while (!(shape->places >> place & 1) || number-- > 0) place++;
  return (adamix_place) place;
}

static int64_t
layer_of (const adamix_bank_shape *shape, int64_t site)
{
  return site / places_of (shape);
}

static bool
is_shared (const adamix_bank_shape *shape, int list)
{
  return shape->experts > 1 && ((unsigned) shape->share >> list & 1) != 0;
}

/* How many lists a site has: the router's is the last. */
static int
lists_of (const adamix_bank_shape *shape)
{
  return shape->gating ? ADAMIX_LISTS : ADAMIX_PROJECTIONS;
}

/* A tensor of a list: its ending, W [outputs, inputs] and whether b [outputs] stands beside it. */
typedef struct list_form {
  const char *weight, *bias; /* bias NULL: none */
  int64_t outputs, inputs;
} list_form;

static list_form
form_of (const adamix_bank_shape *shape, int list)
{
  const adamix_kind_row *kind = adamix_kind_row_of (shape->kind);
  const int64_t H = shape->hidden, R = shape->bottleneck;
  if (list == ADAMIX_ROUTER) return (list_form){ "router.weight", NULL, 1, H };
  return (list_form){ kind->weight[list], kind->bias[list], list == ADAMIX_DOWN ? R : H, list == ADAMIX_DOWN ? H : R };
}

static int64_t
copies_of (const adamix_bank_shape *shape, int list)
{
  return is_shared (shape, list) ? 1 : shape->experts;
}

int64_t
adamix_bank_copies (const adamix_bank_shape *shape, adamix_projection projection)
{
  return copies_of (shape, (int) projection);
}

static int64_t
parameters_of (const adamix_bank_shape *shape, int list)
{
  const list_form form = form_of (shape, list);
  return form.outputs * (form.inputs + (form.bias != NULL));
}

int64_t
adamix_bank_trainable_parameters (const adamix_bank_shape *shape)
{
  int64_t site = 0;
  for (int list = 0; list < lists_of (shape); list++) site += copies_of (shape, list) * parameters_of (shape, list);
  return adamix_bank_sites (shape) * site;
}

int64_t
adamix_bank_merged_parameters (const adamix_bank_shape *shape)
{
  return adamix_bank_sites (shape) * (parameters_of (shape, ADAMIX_DOWN) + parameters_of (shape, ADAMIX_UP));
}

int64_t
adamix_bank_forward_flops (const adamix_bank_shape *shape)
{
  const int64_t module = 4 * shape->hidden * shape->bottleneck, router = 2 * shape->hidden * shape->experts;
  const int64_t modules = shape->gating == ADAMIX_GATING_SOFT ? shape->experts : 1;
  return adamix_bank_sites (shape) * (modules * module + (shape->gating ? router : 0));
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
  if (!shape->places || (shape->places & ~adamix_kind_places (shape->kind)))
    return adamix_err_set (ADAMIX_ESHAPE, "bank of %s modules at places 0x%x: they cannot stand there",
                           adamix_kind_name (shape->kind), shape->places);
  return ADAMIX_OK;
}

/* Names of an expert's tensors. */
typedef struct expert_names {
  char weight[112], bias[112];
} expert_names;

/* The merged module stands for all experts and so has no number in its names. */
static expert_names
names_of (const adamix_bank_shape *shape, int64_t site, int list, int64_t number)
{
  expert_names names;
  char stem[64], expert[32] = "";
  const list_form form = form_of (shape, list);
  snprintf (stem, sizeof stem, "layers.%lld.%s", (long long) layer_of (shape, site),
            adamix_place_name (place_of (shape, site)));
  if (!shape->merged) snprintf (expert, sizeof expert, ".experts.%lld", (long long) number);
  snprintf (names.weight, sizeof names.weight, "%s%s.%s", stem, expert, form.weight);
  snprintf (names.bias, sizeof names.bias, "%s%s.%s", stem, expert, form.bias ? form.bias : "");
  return names;
}

static adamix_err
announce (const adamix_bank_shape *shape, int64_t site, int list, adamix_params *params, adamix_expert *expert)
{
  const list_form form = form_of (shape, list);
  expert_names names = names_of (shape, site, list, expert->number);
  ADAMIX_RETURN_IF (adamix_params_add (params, names.weight, 2, form.outputs, form.inputs, true, &expert->weight_row));
  expert->bias_row = -1;
  if (!form.bias) return ADAMIX_OK;
  return adamix_params_add (params, names.bias, 1, form.outputs, 1, false, &expert->bias_row);
}

/* `owned`: the M flags of the site's layer, NULL for all. */
static adamix_err
fill_list (adamix_expert_list *list, const adamix_bank_shape *shape, int64_t site, int which, const bool *owned,
           adamix_params *params)
{
  int64_t copies = copies_of (shape, which);
  bool all = owned == NULL || is_shared (shape, which);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (list->expert, copies));
  for (int64_t j = 0; j < copies; j++) {
    if (!all && !owned[j]) continue;
    adamix_expert *expert = &list->expert[list->count++];
    expert->number = j;
    ADAMIX_RETURN_IF (announce (shape, site, which, params, expert));
  }
  if (list->count == 0)
    return adamix_err_set (ADAMIX_ESHAPE,
                           "layer %lld: a rank without an expert of its own cannot route; form fewer groups",
                           (long long) layer_of (shape, site));
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
  for (int p = 0; p < lists_of (shape); p++) ADAMIX_TRY (ADAMIX_ALLOC (bank->local[p], adamix_bank_sites (shape)));
  for (int64_t i = 0; i < adamix_bank_sites (shape); i++)
    for (int p = 0; p < lists_of (shape); p++)
      ADAMIX_TRY (fill_list (&bank->local[p][i], shape, i, p,
                             owned == NULL ? NULL : owned + layer_of (shape, i) * shape->experts,
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
  for (int p = 0; p < lists_of (&bank->shape); p++) {
    adamix_params *params = is_shared (&bank->shape, p) ? shared : experts;
    for (int64_t i = 0; i < adamix_bank_sites (&bank->shape); i++)
      for (int64_t slot = 0; slot < bank->local[p][i].count; slot++) {
        adamix_expert *expert = &bank->local[p][i].expert[slot];
        expert->weight = &params->row[expert->weight_row];
        expert->bias = expert->bias_row < 0 ? NULL : &params->row[expert->bias_row];
      }
  }
}

/* `owned`: the M flags of the site's layer. */
static adamix_err
deal_list (adamix_expert_list *list, const adamix_bank_shape *shape, int64_t site, int which, const bool *owned,
           adamix_params *params)
{
  int64_t dealt = 0;
  for (int64_t j = 0; j < shape->experts; j++) dealt += owned[j];
  if (dealt != list->count)
    return adamix_err_set (ADAMIX_ESHAPE, "layer %lld: %lld experts are dealt to a place for %lld",
                           (long long) layer_of (shape, site), (long long) dealt, (long long) list->count);
  adamix_expert *expert = list->expert;
  for (int64_t j = 0; j < shape->experts; j++) {
    if (!owned[j]) continue;
    expert_names names = names_of (shape, site, which, j);
    expert->number = j;
    ADAMIX_RETURN_IF (adamix_params_rename (params, expert->weight_row, names.weight));
    if (expert->bias_row >= 0) ADAMIX_RETURN_IF (adamix_params_rename (params, expert->bias_row, names.bias));
    expert++;
  }
  return ADAMIX_OK;
}

adamix_err
adamix_bank_deal (adamix_bank *bank, const bool *owned, adamix_params *experts)
{
  const adamix_bank_shape *shape = &bank->shape;
  for (int64_t i = 0; i < adamix_bank_sites (shape); i++)
    for (int p = 0; p < lists_of (shape); p++)
      if (!is_shared (shape, p))
        ADAMIX_RETURN_IF (
            deal_list (&bank->local[p][i], shape, i, p, owned + layer_of (shape, i) * shape->experts, experts));
  return ADAMIX_OK;
}

void
adamix_bank_destroy (adamix_bank *bank)
{
  if (bank == NULL) return;
  for (int p = 0; p < ADAMIX_LISTS; p++) {
    for (int64_t i = 0; bank->local[p] != NULL && i < adamix_bank_sites (&bank->shape); i++)
      free (bank->local[p][i].expert);
    free (bank->local[p]);
  }
  free (bank);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

uint32_t
adamix_initial_word (int list, const adamix_expert *expert)
{
  enum { LIST_SHIFT = 24 };
  return (uint32_t) (list + 1) << LIST_SHIFT | (uint32_t) expert->number;
}

static void
initialise (const adamix_bank_shape *shape, const adamix_expert *expert, int list, adamix_rng rng, uint32_t word)
{
  if (list == ADAMIX_ROUTER)
    adamix_rng_normal (rng, word, adamix_initial_word (list, expert), expert->weight->count, ROUTER_DEVIATION,
                       expert->weight->value);
  else
    adamix_kind_row_of (shape->kind)->initialise (shape, expert, (adamix_projection) list, rng, word);
}

void
adamix_bank_initialise (adamix_bank *bank, uint64_t seed)
{
  const adamix_rng rng = adamix_rng_stream (seed, ADAMIX_RNG_INIT);
  const adamix_bank_shape *shape = &bank->shape;
  const int lists = lists_of (shape);
#pragma omp parallel for collapse(2) schedule(dynamic)
  for (int p = 0; p < lists; p++)
    for (int64_t i = 0; i < adamix_bank_sites (shape); i++) {
      const uint32_t place = (uint32_t) (ADAMIX_PLACE_FFN - place_of (shape, i));
      const uint32_t word = place << INIT_PLACE_SHIFT | (uint32_t) layer_of (shape, i);
      for (int64_t slot = 0; slot < bank->local[p][i].count; slot++)
        initialise (shape, &bank->local[p][i].expert[slot], p, rng, word);
    }
}

const adamix_expert_list *
adamix_bank_list (const adamix_bank *bank, adamix_projection projection, int64_t layer)
{
  return &bank->local[projection][layer * places_of (&bank->shape)];
}

int64_t
adamix_bank_slot (const adamix_bank *bank, adamix_projection projection, int64_t layer, int64_t number)
{
  const adamix_expert_list *list = adamix_bank_list (bank, projection, layer);
  if (is_shared (&bank->shape, projection)) return 0;
  for (int64_t slot = 0; slot < list->count; slot++)
    if (list->expert[slot].number == number) return slot;
  return -1;
}
