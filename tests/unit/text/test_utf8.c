#include <adamix/text.h>

#include <criterion/criterion.h>
#include <string.h>

#include "text/tokenizer.h"
#include <utf8proc.h>

static int64_t
check (const char *text)
{
  return adamix_utf8_check (text, strlen (text));
}

Test (utf8, well_formed_text_passes)
{
  cr_assert_eq (check (""), -1);
  cr_assert_eq (check ("plain text of more than eight bytes"), -1);
  cr_assert_eq (check ("é 中 \xf4\x8f\xbf\xbf \xed\x9f\xbf \xee\x80\x80"), -1);
  cr_assert_eq (adamix_utf8_check ("a\0b", 3), -1);
}

Test (utf8, the_first_bad_byte_is_told)
{
  cr_assert_eq (check ("\x80"), 0);
  cr_assert_eq (check ("a\xc0\xaf"), 1, "an overlong form");
  cr_assert_eq (check ("ab\xe0\x80\x80"), 2, "an overlong form");
  cr_assert_eq (check ("abc\xed\xa0\x80"), 3, "a surrogate");
  cr_assert_eq (check ("abcd\xf4\x90\x80\x80"), 4, "beyond the last plane");
  cr_assert_eq (check ("abcde\xff"), 5);
  cr_assert_eq (check ("0123456789abcde\xe4\xb8"), 15, "cut short");
}

Test (utf8, every_code_point_is_read_back)
{
  for (int32_t point = 0; point < 0x110000; point++) {
    char text[ADAMIX_UTF8_MAX];
    if (point >= 0xd800 && point < 0xe000) continue;
    utf8proc_ssize_t bytes = utf8proc_encode_char (point, (utf8proc_uint8_t *) text);
    const char *at = text;
    cr_assert_eq (adamix_utf8_next (&at), point);
    cr_assert_eq (at - text, bytes);
    cr_assert_eq (adamix_utf8_check (text, (size_t) bytes), -1);
  }
}

/* The bounds that adamix_normalize relies on, for every code point and the settings that make text longest. */
Test (normalizer, no_code_point_grows_beyond_the_bound)
{
  const adamix_normalizer_flags flags[] = { { true, true, true, true },
                                            { false, true, true, false },
                                            { false, true, false, true } };
  for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
    adamix_normalizer normalizer;
    adamix_bytes out = { 0 };
    cr_assert_eq (adamix_normalizer_init (&normalizer, flags[f]), ADAMIX_OK);
    for (int32_t point = 0; point < 0x110000; point++) {
      char text[ADAMIX_UTF8_MAX];
      if (point >= 0xd800 && point < 0xe000) continue;
      utf8proc_ssize_t bytes = utf8proc_encode_char (point, (utf8proc_uint8_t *) text);
      cr_assert_eq (adamix_normalize (&normalizer, text, bytes, &out), ADAMIX_OK);
      cr_assert_leq (out.size, 3 * bytes, "U+%04X", point);
      cr_assert_eq (adamix_utf8_check (out.data, (size_t) out.size), -1, "U+%04X", point);
    }
    free (out.data);
    adamix_normalizer_free (&normalizer);
  }
}

/* The rule of the library, written out: pairs of lengths, room and what is kept. */
Test (truncation, longest_first_by_definition)
{
  enum { LONGEST = 12 };
  for (int64_t room = 0; room <= 2 * LONGEST; room++)
    for (int64_t a = 0; a <= LONGEST; a++)
      for (int64_t b = 0; b <= LONGEST; b++) {
        int64_t keep_a = a, keep_b = b, shorter = a < b ? a : b;
        adamix_truncate (room, &keep_a, &keep_b);
        cr_assert_eq (keep_a + keep_b, a + b < room ? a + b : room, "room %ld: %ld %ld", (long) room, (long) a,
                      (long) b);
        cr_assert (keep_a <= a && keep_b <= b);
        if (2 * shorter <= room) cr_assert_eq (a <= b ? keep_a : keep_b, shorter, "the shorter one stays whole");
        if (2 * shorter > room) cr_assert_leq (labs ((long) (keep_a - keep_b)), 1, "both are cut alike");
      }
}
