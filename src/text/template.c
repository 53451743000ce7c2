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
adamix_template_bert (adamix_template pattern[2], int32_t cls, int32_t sep)
{
  const adamix_slot a = { ADAMIX_SLOT_A, 0, 0 }, b = { ADAMIX_SLOT_B, 0, 1 }, start = { ADAMIX_SLOT_SPECIAL, cls, 0 },
                    end_a = { ADAMIX_SLOT_SPECIAL, sep, 0 }, end_b = { ADAMIX_SLOT_SPECIAL, sep, 1 };
  pattern[0] = (adamix_template){ { start, a, end_a }, 3 };
  pattern[1] = (adamix_template){ { start, a, end_a, b, end_b }, 5 };
}

void
adamix_template_roberta (adamix_template pattern[2], int32_t cls, int32_t sep)
{
  const adamix_slot a = { ADAMIX_SLOT_A, 0, 0 }, b = { ADAMIX_SLOT_B, 0, 0 }, start = { ADAMIX_SLOT_SPECIAL, cls, 0 },
                    end = { ADAMIX_SLOT_SPECIAL, sep, 0 };
  pattern[0] = (adamix_template){ { start, a, end }, 3 };
  pattern[1] = (adamix_template){ { start, a, end, end, b, end }, 6 };
}

void
adamix_template_plain (adamix_template pattern[2], int32_t bos, int32_t eos)
{
  adamix_template all = { .count = 0 };
  for (int32_t text = 0; text < 2; text++) {
    const adamix_slot part[] = { { ADAMIX_SLOT_SPECIAL, bos, text },
                                 { text == 0 ? ADAMIX_SLOT_A : ADAMIX_SLOT_B, 0, text },
                                 { ADAMIX_SLOT_SPECIAL, eos, text } };
    for (int i = 0; i < 3; i++)
      if (part[i].id >= 0) all.slot[all.count++] = part[i];
    pattern[text] = all;
  }
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
