#include "format/table_private.h"

#include <string.h>

/* The well-formed sequences of the Unicode standard (table 3-7): ranges of the first and the second byte, and how
 * many follow the first.  Third and fourth bytes are always 80..BF. */
static const struct {
  uint8_t first_low, first_high, second_low, second_high, following;
} sequences[] = {
  { 0xc2, 0xdf, 0x80, 0xbf, 1 }, { 0xe0, 0xe0, 0xa0, 0xbf, 2 }, { 0xe1, 0xec, 0x80, 0xbf, 2 },
  { 0xed, 0xed, 0x80, 0x9f, 2 }, { 0xee, 0xef, 0x80, 0xbf, 2 }, { 0xf0, 0xf0, 0x90, 0xbf, 3 },
  { 0xf1, 0xf3, 0x80, 0xbf, 3 }, { 0xf4, 0xf4, 0x80, 0x8f, 3 },
};

/* Length of the well-formed sequence of two or more bytes at `at`, 0 if there is none. */
static size_t
sequence_length (const uint8_t *at, size_t left)
{
  for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
    if (at[0] < sequences[i].first_low || at[0] > sequences[i].first_high) continue;
    size_t length = 1 + (size_t) sequences[i].following;
    if (left < length || at[1] < sequences[i].second_low || at[1] > sequences[i].second_high) return 0;
    for (size_t k = 2; k < length; k++)
      if (at[k] < 0x80 || at[k] > 0xbf) return 0;
    return length;
  }
  return 0;
}

size_t
adamix_utf8_invalid (const char *data, size_t size)
{
  const uint64_t high_bits = 0x8080808080808080u, ones = 0x0101010101010101u;
  const uint8_t *bytes = (const uint8_t *) data;
  for (size_t at = 0; at < size;) {
    uint64_t word;
    if (size - at >= sizeof word) {
      memcpy (&word, bytes + at, sizeof word);
      /* no byte above 7F and none that is 0: the high bit of (byte - 1) shows a borrow */
      if (((word | (word - ones)) & high_bits) == 0) {
        at += sizeof word;
        continue;
      }
    }
    size_t length = bytes[at] > 0 && bytes[at] < 0x80 ? 1 : sequence_length (bytes + at, size - at);
    if (length == 0) return at;
    at += length;
  }
  return size;
}
