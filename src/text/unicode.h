/* src/text/unicode.h - code points as the tokenizers library sees them: utf8proc's tables, corrected where the library's
 * own tables are of another Unicode version.                                                                            */
#ifndef ADAMIX_TEXT_UNICODE_H
#define ADAMIX_TEXT_UNICODE_H

#include <adamix/base.h>

#define ADAMIX_UTF8_MAX       4  /* bytes of a code point */
#define ADAMIX_DECOMPOSED_MAX 18 /* utf8proc's bound on a canonical decomposition, with room */

typedef enum adamix_char_class {
  ADAMIX_CHAR_OTHER,
  ADAMIX_CHAR_MARK,       /* Mn: stripped as an accent */
  ADAMIX_CHAR_CONTROL,    /* Cc, Cf, Co: dropped when text is cleaned */
  ADAMIX_CHAR_PUNCTUATION /* P* */
} adamix_char_class;

/* What GPT-2's regular expression tells apart. */
typedef enum adamix_letter_class {
  ADAMIX_LETTER_NONE,   /* none of the others */
  ADAMIX_LETTER,        /* \p{L} */
  ADAMIX_LETTER_NUMBER, /* \p{N} */
  ADAMIX_LETTER_SPACE   /* \s */
} adamix_letter_class;

/* Rows of unicode_exceptions.c, sorted by code point. */
typedef struct adamix_class_exception {
  int32_t first, last;
  adamix_char_class is;
} adamix_class_exception;

typedef struct adamix_letter_exception {
  int32_t first, last;
  adamix_letter_class is;
} adamix_letter_exception;

typedef struct adamix_word_exception {
  int32_t first, last;
  bool is;
} adamix_word_exception;

typedef struct adamix_lower_exception {
  int32_t first, last, shift;
} adamix_lower_exception;

extern const adamix_class_exception adamix_class_exceptions[];
extern const int adamix_class_exception_count;
extern const adamix_letter_exception adamix_letter_exceptions[];
extern const int adamix_letter_exception_count;
extern const adamix_word_exception adamix_word_exceptions[];
extern const int adamix_word_exception_count;
extern const adamix_lower_exception adamix_lower_exceptions[];
extern const int adamix_lower_exception_count;

adamix_char_class adamix_char_classify (int32_t point);
adamix_letter_class adamix_char_letter (int32_t point);
bool adamix_char_is_space (int32_t point); /* White_Space */
bool adamix_char_is_cjk (int32_t point);   /* an ideograph in the sense of BERT */
bool adamix_char_is_word (int32_t point);  /* \w of a Unicode regular expression */

/* Lower case without context, out[0..2): the number of code points. */
int adamix_char_lower (int32_t point, int32_t *out);
/* Full canonical decomposition, out[0..ADAMIX_DECOMPOSED_MAX): the number of code points. */
int adamix_char_decompose (int32_t point, int32_t *out);

/* Read the code point at *at and step over it; the text is well-formed. */
static inline int32_t
adamix_utf8_next (const char **at)
{
  const unsigned char *s = (const unsigned char *) *at;
  if (s[0] < 0x80) {
    *at += 1;
    return s[0];
  }
  if (s[0] < 0xe0) {
    *at += 2;
    return (s[0] & 0x1f) << 6 | (s[1] & 0x3f);
  }
  if (s[0] < 0xf0) {
    *at += 3;
    return (s[0] & 0x0f) << 12 | (s[1] & 0x3f) << 6 | (s[2] & 0x3f);
  }
  *at += 4;
  return (s[0] & 0x07) << 18 | (s[1] & 0x3f) << 12 | (s[2] & 0x3f) << 6 | (s[3] & 0x3f);
}

/* Is this byte the first of a code point? */
static inline bool
adamix_utf8_starts (char byte)
{
  return ((unsigned char) byte & 0xc0) != 0x80;
}

#endif
