#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

adamix_err
adamix_added_add (adamix_added_set *set, const adamix_added_token *token)
{
  if (token->bytes == 0) return ADAMIX_OK;
  ADAMIX_RETURN_IF (ADAMIX_GROW (set->token, &set->capacity, set->count + 1));
  adamix_added_token *own = &set->token[set->count];
  *own = *token;
  own->text = own->content = NULL;
  set->count++;
  ADAMIX_RETURN_IF (adamix_format (&own->content, "%s", token->content));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (own->text, token->bytes));
  memcpy (own->text, token->text, (size_t) token->bytes);
  set->starts[(unsigned char) own->text[0]] = true;
  return ADAMIX_OK;
}

const adamix_added_token *
adamix_added_find (const adamix_added_set *set, const char *content)
{
  for (int64_t i = 0; i < set->count; i++)
    if (strcmp (set->token[i].content, content) == 0) return &set->token[i];
  return NULL;
}

adamix_err
adamix_added_from_json (adamix_added_token *out, const json_t *object, const char *path, bool special)
{
  const char *content = NULL;
  ADAMIX_RETURN_IF (adamix_json_string (object, path, "content", true, &content));
  ADAMIX_RETURN_IF (adamix_json_boolean (object, path, "special", false, &special));
  *out = (adamix_added_token){ .content = (char *) content, .normalized = !special };
  ADAMIX_RETURN_IF (adamix_json_boolean (object, path, "single_word", false, &out->single_word));
  ADAMIX_RETURN_IF (adamix_json_boolean (object, path, "lstrip", false, &out->lstrip));
  ADAMIX_RETURN_IF (adamix_json_boolean (object, path, "rstrip", false, &out->rstrip));
  return adamix_json_boolean (object, path, "normalized", false, &out->normalized);
}

void
adamix_added_free (adamix_added_set *set)
{
  for (int64_t i = 0; i < set->count; i++) {
    free (set->token[i].text);
    free (set->token[i].content);
  }
  free (set->token);
}

static const adamix_added_token *
longest_at (const adamix_added_set *set, const char *text, int64_t bytes)
{
  const adamix_added_token *best = NULL;
  if (!set->starts[(unsigned char) text[0]]) return NULL;
  for (int64_t i = 0; i < set->count; i++) {
    const adamix_added_token *token = &set->token[i];
    if (token->bytes <= bytes && (!best || token->bytes > best->bytes) &&
        memcmp (token->text, text, (size_t) token->bytes) == 0)
      best = token;
  }
  return best;
}

static const char *
step_back (const char *text)
{
  do text--;
  while (!adamix_utf8_starts (*text));
  return text;
}

static int32_t
point_at (const char *text)
{
  return adamix_utf8_next (&text);
}

static bool
stands_alone (const adamix_added_walk *walk, int64_t first, int64_t last)
{
  bool left = first == 0 || !adamix_char_is_word (point_at (step_back (walk->text + first)));
  bool right = last == walk->bytes || !adamix_char_is_word (point_at (walk->text + last));
  return left && right;
}

static int64_t
spaces_before (const adamix_added_walk *walk, int64_t first)
{
  const char *at = walk->text + first;
  while (at > walk->text + walk->cut && adamix_char_is_space (point_at (step_back (at)))) at = step_back (at);
  return at - walk->text;
}

static int64_t
spaces_after (const adamix_added_walk *walk, int64_t last)
{
  const char *at = walk->text + last, *end = walk->text + walk->bytes;
  while (at < end && adamix_char_is_space (point_at (at))) adamix_utf8_next (&at);
  return at - walk->text;
}

/* The next token that counts, with the white space it swallows: [*first, *last). */
static const adamix_added_token *
find_token (adamix_added_walk *walk, int64_t *first, int64_t *last)
{
  while (walk->search < walk->bytes) {
    int64_t at = walk->search;
    const adamix_added_token *token = longest_at (walk->set, walk->text + at, walk->bytes - at);
    walk->search += token ? token->bytes : 1;
    if (!token || (token->single_word && !stands_alone (walk, at, at + token->bytes))) continue;
    *first = token->lstrip ? spaces_before (walk, at) : at;
    *last = token->rstrip ? spaces_after (walk, at + token->bytes) : at + token->bytes;
    if (walk->search < *last) walk->search = *last;
    return token;
  }
  *first = *last = walk->bytes;
  return NULL;
}

bool
adamix_added_next (adamix_added_walk *walk, const adamix_added_token **token, const char **first, const char **last)
{
  *token = walk->pending;
  walk->pending = NULL;
  if (*token) return true;
  if (walk->cut >= walk->bytes) return false;
  int64_t start = walk->cut, token_first, token_last;
  const adamix_added_token *found = find_token (walk, &token_first, &token_last);
  walk->cut = token_last;
  if (token_first == start) {
    *token = found;
    return found != NULL;
  }
  walk->pending = found;
  *first = walk->text + start;
  *last = walk->text + token_first;
  return true;
}
