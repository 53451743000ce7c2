#include "text/tokenizer.h"

adamix_err
adamix_template_add (adamix_template *template, adamix_slot slot)
{
  if (template->count == ADAMIX_TEMPLATE_SLOTS)
    return adamix_err_set (ADAMIX_EUNSUPPORTED, "the post-processor's template has more than %d parts",
                           ADAMIX_TEMPLATE_SLOTS);
  template->slot[template->count++] = slot;
  return ADAMIX_OK;
}

void
adamix_template_bert (adamix_template *single, adamix_template *pair, int32_t cls, int32_t sep)
{
  *single = (adamix_template){
    .slot = { { ADAMIX_SLOT_SPECIAL, cls, 0 }, { ADAMIX_SLOT_A, 0, 0 }, { ADAMIX_SLOT_SPECIAL, sep, 0 } }, .count = 3
  };
  *pair = *single;
  pair->slot[pair->count++] = (adamix_slot){ ADAMIX_SLOT_B, 0, 1 };
  pair->slot[pair->count++] = (adamix_slot){ ADAMIX_SLOT_SPECIAL, sep, 1 };
}

int
adamix_template_specials (const adamix_template *template)
{
  int specials = 0;
  for (int i = 0; i < template->count; i++) specials += template->slot[i].kind == ADAMIX_SLOT_SPECIAL;
  return specials;
}

/* The shorter sequence is kept whole if that leaves the other at least as much; else they share, the longer one (b if
 * both are equal) getting the odd token. */
void
adamix_truncate (int64_t room, int64_t *a, int64_t *b)
{
  if (*a + *b <= room) return;
  int64_t *shorter = *a > *b ? b : a, *longer = *a > *b ? a : b;
  if (2 * *shorter <= room)
    *longer = room - *shorter;
  else {
    *shorter = room / 2;
    *longer = room - *shorter;
  }
}
