#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#define BASIC_PLANE    0x10000
#define REPLACEMENT    0xfffd
#define POINTS_AT_ONCE 1024 /* of a thread */
#define MAX_GROWTH     3    /* normalized bytes for a byte of text: a Hangul syllable becomes three letters */
/* A code point becomes at most this many: a decomposition, or a lower case, or two blanks around an ideograph. */
#define POINTS_MAX (2 * ADAMIX_DECOMPOSED_MAX + 2)

static bool
is_dropped (int32_t point)
{
  if (point == '\t' || point == '\n' || point == '\r') return false;
  return point == 0 || point == REPLACEMENT || adamix_char_classify (point) == ADAMIX_CHAR_CONTROL;
}

static bool
is_ascii_punctuation (int32_t point)
{
  return (point >= '!' && point <= '/') || (point >= ':' && point <= '@') || (point >= '[' && point <= '`') ||
         (point >= '{' && point <= '~');
}

static adamix_char_role
role_of (int32_t point)
{
  if (adamix_char_is_space (point)) return ADAMIX_ROLE_SPACE;
  bool punctuation = is_ascii_punctuation (point) || adamix_char_classify (point) == ADAMIX_CHAR_PUNCTUATION;
  return punctuation ? ADAMIX_ROLE_PUNCTUATION : ADAMIX_ROLE_WORD;
}

/* Decomposed and without marks, then in lower case.  Marks are put in canonical order by the library before it drops
 * them; what survives is in no need of it, but for musical signs, which no vocabulary has. */
static int
strip_and_lower (adamix_normalizer_flags flags, int32_t point, int32_t *out)
{
  int32_t part[ADAMIX_DECOMPOSED_MAX] = { point };
  int parts = flags.strip_accents ? adamix_char_decompose (point, part) : 1, count = 0;
  for (int i = 0; i < parts; i++) {
    if (flags.strip_accents && adamix_char_classify (part[i]) == ADAMIX_CHAR_MARK) continue;
    if (flags.lowercase)
      count += adamix_char_lower (part[i], out + count);
    else
      out[count++] = part[i];
  }
  return count;
}

static int
normalize_point (adamix_normalizer_flags flags, int32_t point, int32_t *out)
{
  int count = 0;
  if (flags.clean_text) {
    if (is_dropped (point)) return 0;
    if (adamix_char_is_space (point)) point = ' ';
  }
  bool apart = flags.handle_cjk && adamix_char_is_cjk (point);
  if (apart) out[count++] = ' ';
  count += strip_and_lower (flags, point, out + count);
  if (apart) out[count++] = ' ';
  return count;
}

static int64_t
write_point (adamix_normalizer_flags flags, int32_t point, char *to)
{
  int32_t out[POINTS_MAX];
  int count = normalize_point (flags, point, out);
  int64_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += utf8proc_encode_char (out[i], (utf8proc_uint8_t *) to + bytes);
  return bytes;
}

static bool
is_surrogate (int32_t point)
{
  return point >= 0xd800 && point < 0xe000;
}

static void
fill_unit (adamix_unit *unit, adamix_normalizer_flags flags, int32_t point)
{
  char text[POINTS_MAX * ADAMIX_UTF8_MAX];
  int64_t bytes = write_point (flags, point, text);
  ADAMIX_ASSERT (bytes <= ADAMIX_UNIT_BYTES);
  memcpy (unit->text, text, (size_t) bytes);
  unit->bytes = (uint8_t) bytes;
  unit->role = (uint8_t) role_of (point);
}

adamix_err
adamix_normalizer_init (adamix_normalizer *out, adamix_normalizer_flags flags)
{
  out->flags = flags;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->unit, BASIC_PLANE));
#pragma omp parallel for schedule(dynamic, POINTS_AT_ONCE)
  for (int32_t point = 0; point < BASIC_PLANE; point++)
    if (!is_surrogate (point)) fill_unit (&out->unit[point], flags, point);
  return ADAMIX_OK;
}

void
adamix_normalizer_free (adamix_normalizer *normalizer)
{
  free (normalizer->unit);
}

adamix_err
adamix_normalize (const adamix_normalizer *normalizer, const char *text, int64_t bytes, adamix_bytes *out)
{
  /* Units are copied whole, also where they are shorter: hence the room behind. */
  ADAMIX_RETURN_IF (ADAMIX_GROW (out->data, &out->capacity, MAX_GROWTH * bytes + ADAMIX_UNIT_BYTES));
  const char *end = text + bytes;
  char *to = out->data;
  while (text < end) {
    int32_t point = adamix_utf8_next (&text);
    if (point < BASIC_PLANE) {
      const adamix_unit *unit = &normalizer->unit[point];
      memcpy (to, unit->text, ADAMIX_UNIT_BYTES);
      to += unit->bytes;
    } else
      to += write_point (normalizer->flags, point, to);
  }
  out->size = to - out->data;
  ADAMIX_ASSERT (out->size <= MAX_GROWTH * bytes);
  return ADAMIX_OK;
}

static adamix_char_role
next_role (const adamix_normalizer *normalizer, const char **at)
{
  int32_t point = adamix_utf8_next (at);
  return point < BASIC_PLANE ? (adamix_char_role) normalizer->unit[point].role : role_of (point);
}

bool
adamix_next_word (const adamix_normalizer *normalizer, const char **at, const char *end, const char **word,
                  const char **word_end)
{
  const char *p = *at, *start = NULL;
  while (p < end) {
    const char *here = p;
    adamix_char_role role = next_role (normalizer, &p);
    if (role == ADAMIX_ROLE_WORD) {
      if (!start) start = here;
      continue;
    }
    if (!start && role == ADAMIX_ROLE_SPACE) continue;
    *word = start ? start : here;
    *word_end = start ? here : p;
    /* The character that ended a word is looked at again: it may be punctuation. */
    *at = *word_end;
    return true;
  }
  *at = end;
  *word = start;
  *word_end = end;
  return start != NULL;
}
