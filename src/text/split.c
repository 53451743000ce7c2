#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define BASIC_PLANE 0x10000

adamix_err
adamix_splitter_init (adamix_splitter *out)
{
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->is, BASIC_PLANE));
  for (int32_t point = 0; point < BASIC_PLANE; point++) out->is[point] = (uint8_t) adamix_char_letter (point);
  return ADAMIX_OK;
}

void
adamix_splitter_free (adamix_splitter *splitter)
{
  free (splitter->is);
}

/* Class of the code point at *at, which moves behind it. */
static inline adamix_letter_class
take (const adamix_splitter *splitter, const char **at)
{
  int32_t point = adamix_utf8_next (at);
  return point < BASIC_PLANE ? (adamix_letter_class) splitter->is[point] : adamix_char_letter (point);
}

/* End of the code points of one class that follow `at`. */
static const char *
run (const adamix_splitter *splitter, adamix_letter_class is, const char *at, const char *end)
{
  while (at < end) {
    const char *next = at;
    if (take (splitter, &next) != is) break;
    at = next;
  }
  return at;
}

/* White space goes to the end of the text, or leaves its last character to what follows. */
static const char *
space_run (const adamix_splitter *splitter, const char *at, const char *end)
{
  const char *last = at, *next = at;
  for (int count = 0; at < end; at = next) {
    if (take (splitter, &next) != ADAMIX_LETTER_SPACE) return count > 1 ? last : at;
    last = at;
    count += count < 2;
  }
  return end;
}

/* Length of 's, 't, 're, 've, 'm, 'll or 'd at the apostrophe `at`, else 0. */
static int
contraction (const char *at, const char *end)
{
  int64_t rest = end - at;
  if (rest >= 2 && memchr ("stmd", at[1], 4)) return 2;
  if (rest >= 3 && (memcmp (at + 1, "re", 2) == 0 || memcmp (at + 1, "ve", 2) == 0 || memcmp (at + 1, "ll", 2) == 0))
    return 3;
  return 0;
}

const char *
adamix_split_word (const adamix_splitter *splitter, const char *at, const char *end)
{
  int shortened = *at == '\'' ? contraction (at, end) : 0;
  if (shortened) return at + shortened;
  const char *start = at, *next = at;
  adamix_letter_class is = take (splitter, &next);
  if (*start == ' ' && next < end) is = take (splitter, &next);
  return is == ADAMIX_LETTER_SPACE ? space_run (splitter, start, end) : run (splitter, is, next, end);
}
