#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_PER_TOKEN 2 /* at least: the table stays at most half full */

static uint32_t
hash_bytes (const char *text, size_t bytes)
{
  uint32_t hash = ADAMIX_HASH_START;
  for (size_t i = 0; i < bytes; i++) hash = adamix_hash_byte (hash, text[i]);
  return hash;
}

/* Multiplication carries low bits upwards only: fold the high ones back for the slot. */
static uint32_t
first_slot (const adamix_vocabulary *vocabulary, uint32_t hash)
{
  return (hash ^ hash >> 16) & vocabulary->mask;
}

adamix_err
adamix_vocabulary_init (adamix_vocabulary *out, int64_t tokens, size_t bytes)
{
  int64_t slots = 1;
  while (slots < SLOTS_PER_TOKEN * (tokens + 1)) slots *= 2;
  if (slots > UINT32_MAX)
    return adamix_err_set (ADAMIX_EFORMAT, "a vocabulary of %lld tokens is too large", (long long) tokens);
  out->mask = (uint32_t) (slots - 1);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->slot, slots));
  return ADAMIX_ALLOC (out->text, (int64_t) bytes + 1);
}

adamix_err
adamix_vocabulary_from_json (adamix_vocabulary *out, json_t *object, const char *path)
{
  const char *token;
  json_t *id;
  size_t bytes = 0;
  json_object_foreach (object, token, id) bytes += strlen (token);
  ADAMIX_RETURN_IF (adamix_vocabulary_init (out, (int64_t) json_object_size (object), bytes));
  json_object_foreach (object, token, id)
  {
    json_int_t value = json_integer_value (id);
    if (!json_is_integer (id) || value < 0 || value >= INT32_MAX)
      return adamix_err_set (ADAMIX_EFORMAT, "%s: the id of token \"%s\" is not a number from 0 to 2^31 - 2", path,
                             token);
    adamix_vocabulary_add (out, token, strlen (token), (int32_t) value);
  }
  return ADAMIX_OK;
}

void
adamix_vocabulary_free (adamix_vocabulary *vocabulary)
{
  free (vocabulary->text);
  free (vocabulary->slot);
}

void
adamix_vocabulary_add (adamix_vocabulary *vocabulary, const char *token, size_t bytes, int32_t id)
{
  uint32_t hash = hash_bytes (token, bytes), at = first_slot (vocabulary, hash);
  adamix_vocabulary_entry *entry = &vocabulary->slot[at];
  while (entry->text && (entry->bytes != bytes || memcmp (entry->text, token, bytes) != 0)) {
    at = (at + 1) & vocabulary->mask;
    entry = &vocabulary->slot[at];
  }
  if (!entry->text) {
    char *copy = vocabulary->text + vocabulary->text_bytes;
    memcpy (copy, token, bytes);
    vocabulary->text_bytes += (int64_t) bytes;
    vocabulary->count++;
    *entry = (adamix_vocabulary_entry){ copy, hash, (uint32_t) bytes, id };
  }
  entry->id = id;
  if ((int64_t) bytes > vocabulary->longest) vocabulary->longest = (int64_t) bytes;
  if (id >= vocabulary->ids) vocabulary->ids = (int64_t) id + 1;
}

int32_t
adamix_vocabulary_find_hashed (const adamix_vocabulary *vocabulary, uint32_t hash, const char *lead, size_t lead_bytes,
                               const char *text, size_t bytes)
{
  uint32_t at = first_slot (vocabulary, hash);
  for (;; at = (at + 1) & vocabulary->mask) {
    const adamix_vocabulary_entry *entry = &vocabulary->slot[at];
    if (!entry->text) return -1;
    if (entry->hash == hash && entry->bytes == lead_bytes + bytes && memcmp (entry->text, lead, lead_bytes) == 0 &&
        memcmp (entry->text + lead_bytes, text, bytes) == 0)
      return entry->id;
  }
}

int32_t
adamix_vocabulary_find (const adamix_vocabulary *vocabulary, const char *token, size_t bytes)
{
  return adamix_vocabulary_find_hashed (vocabulary, hash_bytes (token, bytes), "", 0, token, bytes);
}

size_t
adamix_take_line (const char **at, const char *end)
{
  const char *line = *at, *stop = memchr (line, '\n', (size_t) (end - line));
  *at = stop ? stop + 1 : end;
  size_t bytes = (size_t) ((stop ? stop : end) - line);
  return bytes > 0 && line[bytes - 1] == '\r' ? bytes - 1 : bytes;
}
