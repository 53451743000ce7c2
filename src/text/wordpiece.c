#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: it grows byte by byte, so that one pass over a word gives the hashes of all its beginnings. */
#define HASH_START      2166136261u
#define HASH_FACTOR     16777619u
#define SLOTS_PER_TOKEN 2 /* at least: the table stays at most half full */

static uint32_t
hash_byte (uint32_t hash, char byte)
{
  return (hash ^ (unsigned char) byte) * HASH_FACTOR;
}

static uint32_t
hash_bytes (const char *text, size_t bytes)
{
  uint32_t hash = HASH_START;
  for (size_t i = 0; i < bytes; i++) hash = hash_byte (hash, text[i]);
  return hash;
}

/* Multiplication carries low bits upwards only: fold the high ones back for the slot. */
static uint32_t
first_slot (const adamix_wordpiece *wordpiece, uint32_t hash)
{
  return (hash ^ hash >> 16) & wordpiece->mask;
}

adamix_err
adamix_ids_push (adamix_ids *ids, int32_t id)
{
  if (ids->count == ids->capacity) ADAMIX_RETURN_IF (ADAMIX_GROW (ids->data, &ids->capacity, ids->count + 1));
  ids->data[ids->count++] = id;
  return ADAMIX_OK;
}

adamix_err
adamix_wordpiece_init (adamix_wordpiece *out, int64_t tokens, size_t bytes, const char *prefix)
{
  int64_t slots = 1;
  while (slots < SLOTS_PER_TOKEN * (tokens + 1)) slots *= 2;
  if (slots > UINT32_MAX)
    return adamix_err_set (ADAMIX_EFORMAT, "a vocabulary of %lld tokens is too large", (long long) tokens);
  out->mask = (uint32_t) (slots - 1);
  out->prefix_bytes = strlen (prefix);
  out->prefix_hash = hash_bytes (prefix, out->prefix_bytes);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->slot, slots));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->text, (int64_t) bytes + 1));
  return adamix_format (&out->prefix, "%s", prefix);
}

void
adamix_wordpiece_free (adamix_wordpiece *wordpiece)
{
  free (wordpiece->prefix);
  free (wordpiece->text);
  free (wordpiece->slot);
}

void
adamix_wordpiece_add (adamix_wordpiece *wordpiece, const char *token, size_t bytes, int32_t id)
{
  uint32_t hash = hash_bytes (token, bytes), at = first_slot (wordpiece, hash);
  adamix_vocabulary_entry *entry = &wordpiece->slot[at];
  while (entry->text && (entry->bytes != bytes || memcmp (entry->text, token, bytes) != 0)) {
    at = (at + 1) & wordpiece->mask;
    entry = &wordpiece->slot[at];
  }
  if (!entry->text) {
    char *copy = wordpiece->text + wordpiece->text_bytes;
    memcpy (copy, token, bytes);
    wordpiece->text_bytes += (int64_t) bytes;
    *entry = (adamix_vocabulary_entry){ copy, hash, (uint32_t) bytes, id };
  }
  entry->id = id;
  if ((int64_t) bytes > wordpiece->longest) wordpiece->longest = (int64_t) bytes;
  if (id >= wordpiece->ids) wordpiece->ids = (int64_t) id + 1;
}

/* The token that is `lead` (a prefix or nothing) and `text` together. */
static int32_t
find_hashed (const adamix_wordpiece *wordpiece, uint32_t hash, size_t lead, const char *text, size_t bytes)
{
  uint32_t at = first_slot (wordpiece, hash);
  for (;; at = (at + 1) & wordpiece->mask) {
    const adamix_vocabulary_entry *entry = &wordpiece->slot[at];
    if (!entry->text) return -1;
    if (entry->hash == hash && entry->bytes == lead + bytes && memcmp (entry->text, wordpiece->prefix, lead) == 0 &&
        memcmp (entry->text + lead, text, bytes) == 0)
      return entry->id;
  }
}

int32_t
adamix_wordpiece_find (const adamix_wordpiece *wordpiece, const char *token, size_t bytes)
{
  return find_hashed (wordpiece, hash_bytes (token, bytes), 0, token, bytes);
}

/* The longest token at *at, after the prefix if the word has begun; *at moves behind it.  -1: none. */
static int32_t
longest_piece (const adamix_wordpiece *wordpiece, bool begun, const char **at, const char *end, uint32_t *scratch)
{
  size_t lead = begun ? wordpiece->prefix_bytes : 0;
  uint32_t hash = begun ? wordpiece->prefix_hash : HASH_START;
  int64_t room = wordpiece->longest - (int64_t) lead, bytes = end - *at;
  if (bytes > room) bytes = room;
  for (int64_t i = 0; i < bytes; i++) scratch[i] = hash = hash_byte (hash, (*at)[i]);
  for (; bytes > 0; bytes--) {
    if (*at + bytes < end && !adamix_utf8_starts ((*at)[bytes])) continue;
    int32_t id = find_hashed (wordpiece, scratch[bytes - 1], lead, *at, (size_t) bytes);
    if (id < 0) continue;
    *at += bytes;
    return id;
  }
  return -1;
}

static bool
is_too_long (const adamix_wordpiece *wordpiece, const char *word, const char *end)
{
  if (end - word <= wordpiece->max_chars) return false;
  int64_t chars = 0;
  for (; word < end; word++) chars += adamix_utf8_starts (*word);
  return chars > wordpiece->max_chars;
}

adamix_err
adamix_wordpiece_encode (const adamix_wordpiece *wordpiece, const char *word, const char *end, uint32_t *scratch,
                         adamix_ids *out)
{
  int64_t before = out->count;
  bool unknown = is_too_long (wordpiece, word, end);
  for (const char *at = word; at < end && !unknown;) {
    int32_t id = longest_piece (wordpiece, at > word, &at, end, scratch);
    if (id >= 0)
      ADAMIX_RETURN_IF (adamix_ids_push (out, id));
    else
      unknown = true;
  }
  if (!unknown) return ADAMIX_OK;
  out->count = before;
  return adamix_ids_push (out, wordpiece->unknown);
}
