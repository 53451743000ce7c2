#include "adapt/kind.h"

#include <string.h>

static const adamix_kind_row *const kinds[] = {
  [ADAMIX_BOTTLENECK] = &adamix_kind_bottleneck, [ADAMIX_LORA] = &adamix_kind_lora
};
_Static_assert(sizeof kinds / sizeof *kinds == ADAMIX_KINDS, "a kind has no row");

static const char *const place_names[ADAMIX_PLACES] = { [ADAMIX_PLACE_QUERY] = "query",
                                                        [ADAMIX_PLACE_VALUE] = "value",
                                                        [ADAMIX_PLACE_ATTENTION] = "attention",
                                                        [ADAMIX_PLACE_FFN] = "ffn" };

static const char *const gating_names[ADAMIX_GATINGS] = { "none", "switch", "soft" };

static const char *const share_names[] = { "none", "down", "up", "both" };
#define SHARES ((int) (sizeof share_names / sizeof *share_names))

const char *
adamix_share_name (adamix_share share)
{
  return share_names[share];
}

bool
adamix_share_find (const char *name, adamix_share *out)
{
  for (int s = 0; s < SHARES; s++)
    if (strcmp (share_names[s], name) == 0) {
      *out = (adamix_share) s;
      return true;
    }
  return false;
}

const char *
adamix_gating_name (adamix_gating gating)
{
  return gating_names[gating];
}

bool
adamix_gating_find (const char *name, adamix_gating *out)
{
  for (int g = 0; g < ADAMIX_GATINGS; g++)
    if (strcmp (gating_names[g], name) == 0) {
      *out = (adamix_gating) g;
      return true;
    }
  return false;
}

const adamix_kind_row *
adamix_kind_row_of (adamix_kind kind)
{
  return kinds[kind];
}

const char *
adamix_kind_name (adamix_kind kind)
{
  return kinds[kind]->name;
}

bool
adamix_kind_find (const char *name, adamix_kind *out)
{
  for (int k = 0; k < ADAMIX_KINDS; k++)
    if (strcmp (kinds[k]->name, name) == 0) {
      *out = (adamix_kind) k;
      return true;
    }
  return false;
}

adamix_place_set
adamix_kind_places (adamix_kind kind)
{
  return kinds[kind]->places;
}

const char *
adamix_place_name (adamix_place place)
{
  return place_names[place];
}

/* Add the place that the first `length` characters name. */
static bool
find_place (const char *text, size_t length, adamix_place_set *out)
{
  for (int place = 0; place < ADAMIX_PLACES; place++)
    if (strlen (place_names[place]) == length && strncmp (place_names[place], text, length) == 0) {
      *out |= ADAMIX_PLACE_BIT (place);
      return true;
    }
  return false;
}

bool
adamix_places_find (const char *text, adamix_place_set *out)
{
  *out = 0;
  for (;; text++) {
    const size_t length = strcspn (text, "|");
    if (!find_place (text, length, out)) return false;
    text += length;
    if (*text == '\0') return true;
  }
}
