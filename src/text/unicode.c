#include "text/unicode.h"

#include <string.h>

#include <adamix/text.h>
#include <utf8proc.h>

#define CAPITAL_I_WITH_DOT  0x130 /* the one code point whose lower case is longer than itself */
#define COMBINING_DOT_ABOVE 0x307

typedef struct point_range {
  int32_t first, last;
} point_range;

static const point_range spaces[] = { { 0x9, 0xd },       { 0x20, 0x20 },     { 0x85, 0x85 },     { 0xa0, 0xa0 },
                                      { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
                                      { 0x205f, 0x205f }, { 0x3000, 0x3000 } };

static const point_range ideographs[] = { { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },   { 0xf900, 0xfaff },
                                          { 0x20000, 0x2a6df }, { 0x2a700, 0x2b81f }, { 0x2b920, 0x2ceaf },
                                          { 0x2f800, 0x2fa1f } };

/* Alphabetic code points that are not letters, marks or letter numbers: circled and squared Latin letters.  With them
 * stand the joiners, which belong to words too. */
static const point_range word_extras[] = {
  { 0x200c, 0x200d }, { 0x24b6, 0x24e9 }, { 0x1f130, 0x1f149 }, { 0x1f150, 0x1f169 }, { 0x1f170, 0x1f189 }
};

static bool
in_ranges (const point_range *range, size_t count, int32_t point)
{
  for (size_t i = 0; i < count; i++)
    if (point <= range[i].last) return point >= range[i].first;
  return false;
}
#define IN_RANGES(ranges, point) in_ranges (ranges, sizeof ranges / sizeof ranges[0], point)

static adamix_char_class
class_of_category (utf8proc_category_t category)
{
  switch (category) {
  case UTF8PROC_CATEGORY_MN:
    return ADAMIX_CHAR_MARK;
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CO:
    return ADAMIX_CHAR_CONTROL;
  case UTF8PROC_CATEGORY_PC:
  case UTF8PROC_CATEGORY_PD:
  case UTF8PROC_CATEGORY_PS:
  case UTF8PROC_CATEGORY_PE:
  case UTF8PROC_CATEGORY_PI:
  case UTF8PROC_CATEGORY_PF:
  case UTF8PROC_CATEGORY_PO:
    return ADAMIX_CHAR_PUNCTUATION;
  default:
    return ADAMIX_CHAR_OTHER;
  }
}

adamix_char_class
adamix_char_classify (int32_t point)
{
  int low = 0, high = adamix_class_exception_count;
  while (low < high) {
    int middle = (low + high) / 2;
    if (adamix_class_exceptions[middle].last < point)
      low = middle + 1;
    else
      high = middle;
  }
  if (low < adamix_class_exception_count && adamix_class_exceptions[low].first <= point)
    return adamix_class_exceptions[low].is;
  return class_of_category (utf8proc_category (point));
}

static adamix_letter_class
letter_of_category (utf8proc_category_t category)
{
  switch (category) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return ADAMIX_LETTER;
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO:
    return ADAMIX_LETTER_NUMBER;
  default:
    return ADAMIX_LETTER_NONE;
  }
}

adamix_letter_class
adamix_char_letter (int32_t point)
{
  if (adamix_char_is_space (point)) return ADAMIX_LETTER_SPACE;
  for (int i = 0; i < adamix_letter_exception_count && adamix_letter_exceptions[i].first <= point; i++)
    if (point <= adamix_letter_exceptions[i].last) return adamix_letter_exceptions[i].is;
  return letter_of_category (utf8proc_category (point));
}

bool
adamix_char_is_space (int32_t point)
{
  return IN_RANGES (spaces, point);
}

bool
adamix_char_is_cjk (int32_t point)
{
  return IN_RANGES (ideographs, point);
}

bool
adamix_char_is_word (int32_t point)
{
  for (int i = 0; i < adamix_word_exception_count && adamix_word_exceptions[i].first <= point; i++)
    if (point <= adamix_word_exceptions[i].last) return adamix_word_exceptions[i].is;
  switch (utf8proc_category (point)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    return IN_RANGES (word_extras, point);
  }
}

int
adamix_char_lower (int32_t point, int32_t *out)
{
  out[0] = utf8proc_tolower (point);
  if (point == CAPITAL_I_WITH_DOT) {
    out[0] = 'i';
    out[1] = COMBINING_DOT_ABOVE;
    return 2;
  }
  for (int i = 0; i < adamix_lower_exception_count; i++) {
    const adamix_lower_exception *row = &adamix_lower_exceptions[i];
    if (point >= row->first && point <= row->last) out[0] = point + row->shift;
  }
  return 1;
}

int
adamix_char_decompose (int32_t point, int32_t *out)
{
  int boundary = 0;
  utf8proc_ssize_t count = utf8proc_decompose_char (point, out, ADAMIX_DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, &boundary);
  ADAMIX_ASSERT (count <= ADAMIX_DECOMPOSED_MAX);
  if (count < 0) {
    out[0] = point;
    return 1;
  }
  return (int) count;
}

int64_t
adamix_utf8_check (const char *text, size_t bytes)
{
  const uint64_t high_bits = 0x8080808080808080u;
  size_t at = 0;
  while (at < bytes) {
    uint64_t word;
    if (at + sizeof word <= bytes) {
      memcpy (&word, text + at, sizeof word);
      if (!(word & high_bits)) {
        at += sizeof word;
        continue;
      }
    }
    utf8proc_int32_t point;
    utf8proc_ssize_t step =
        utf8proc_iterate ((const utf8proc_uint8_t *) text + at, (utf8proc_ssize_t) (bytes - at), &point);
    if (step <= 0) return (int64_t) at;
    at += (size_t) step;
  }
  return -1;
}
