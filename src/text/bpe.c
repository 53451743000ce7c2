#include "text/tokenizer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "text/load_json.h"

#define SHORT 48 /* symbols: up to here, to look at all pairs again and again is faster than a heap */

/* ---- merges ---------------------------------------------------------------------------------------------------------- */

static adamix_merge *
find_slot (const adamix_bpe *bpe, int32_t left, int32_t right)
{
  uint64_t hash = ((uint64_t) left << 32 | (uint32_t) right) * 0x9e3779b97f4a7c15u;
  uint32_t at = (uint32_t) (hash >> 32) & bpe->mask;
  for (;; at = (at + 1) & bpe->mask) {
    adamix_merge *merge = &bpe->slot[at];
    if (merge->id < 0 || (merge->left == left && merge->right == right)) return merge;
  }
}

/* NULL: the two stay apart. */
static const adamix_merge *
find_merge (const adamix_bpe *bpe, int32_t left, int32_t right)
{
  const adamix_merge *merge = find_slot (bpe, left, right);
  return merge->id < 0 ? NULL : merge;
}

adamix_err
adamix_bpe_init (adamix_bpe *out, int64_t merges)
{
  int64_t slots = 1;
  while (slots < 2 * (merges + 1)) slots *= 2;
  if (slots > INT32_MAX) return adamix_err_set (ADAMIX_EFORMAT, "%lld merges are too many", (long long) merges);
  out->mask = (uint32_t) (slots - 1);
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->slot, slots));
  for (int64_t i = 0; i < slots; i++) out->slot[i].id = -1;
  return ADAMIX_OK;
}

void
adamix_bpe_free (adamix_bpe *bpe)
{
  adamix_splitter_free (&bpe->splitter);
  adamix_vocabulary_free (&bpe->word);
  free (bpe->slot);
}

static adamix_err
find_part (const adamix_vocabulary *vocabulary, const char *text, size_t bytes, int32_t *id)
{
  *id = bytes > 0 ? adamix_vocabulary_find (vocabulary, text, bytes) : -1;
  if (*id >= 0) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EFORMAT, "token \"%.*s\" is not in the vocabulary", (int) bytes, text);
}

adamix_err
adamix_bpe_add_merge (adamix_bpe *bpe, const adamix_vocabulary *vocabulary, const char *left, size_t left_bytes,
                      const char *right, size_t right_bytes)
{
  adamix_err err = ADAMIX_OK;
  char *whole = NULL;
  adamix_merge merge = { .rank = bpe->merges };
  ADAMIX_TRY (find_part (vocabulary, left, left_bytes, &merge.left));
  ADAMIX_TRY (find_part (vocabulary, right, right_bytes, &merge.right));
  ADAMIX_TRY (adamix_format (&whole, "%.*s%.*s", (int) left_bytes, left, (int) right_bytes, right));
  ADAMIX_TRY (find_part (vocabulary, whole, left_bytes + right_bytes, &merge.id));
  adamix_merge *slot = find_slot (bpe, merge.left, merge.right);
  if (slot->id >= 0)
    ADAMIX_TRY (adamix_err_set (ADAMIX_EFORMAT, "\"%.*s %.*s\" was there before, as merge %d", (int) left_bytes, left,
                                (int) right_bytes, right, slot->rank + 1));
  *slot = merge;
  bpe->merges++;
done:
  free (whole);
  return err;
}

/* ---- short words ----------------------------------------------------------------------------------------------------- */

/* The parts of a short word; rank[i] and into[i] are those of the merge of parts i and i + 1. */
typedef struct parts {
  int32_t id[SHORT + 1], rank[SHORT + 1], into[SHORT + 1];
  int count;
} parts;

static void
look_up (const adamix_bpe *bpe, parts *p, int at)
{
  const adamix_merge *merge = at + 1 < p->count ? find_merge (bpe, p->id[at], p->id[at + 1]) : NULL;
  p->rank[at] = merge ? merge->rank : INT32_MAX;
  if (merge) p->into[at] = merge->id;
}

static void
join (const adamix_bpe *bpe, parts *p, int at)
{
  size_t behind = (size_t) (p->count - at - 2);
  p->id[at] = p->into[at];
  memmove (&p->id[at + 1], &p->id[at + 2], behind * sizeof *p->id);
  memmove (&p->rank[at + 1], &p->rank[at + 2], behind * sizeof *p->rank);
  memmove (&p->into[at + 1], &p->into[at + 2], behind * sizeof *p->into);
  p->count--;
  look_up (bpe, p, at);
  if (at > 0) look_up (bpe, p, at - 1);
}

static void
merge_short (const adamix_bpe *bpe, parts *p)
{
  for (int i = 0; i < p->count; i++) look_up (bpe, p, i);
  for (;;) {
    int best = 0;
    for (int i = 1; i < p->count; i++)
      if (p->rank[i] < p->rank[best]) best = i;
    if (p->count < 2 || p->rank[best] == INT32_MAX) return;
    join (bpe, p, best);
  }
}

/* ---- long words: a heap of possible merges, some of them out of date ---------------------------------------------------- */

void
adamix_bpe_scratch_free (adamix_bpe_scratch *scratch)
{
  free (scratch->heap);
  free (scratch->symbol);
}

/* Lowest rank first, leftmost among equals: both in one number. */
static adamix_err
offer (const adamix_bpe *bpe, adamix_bpe_scratch *s, int32_t left, int32_t right)
{
  if (left < 0 || right < 0) return ADAMIX_OK;
  const adamix_merge *merge = find_merge (bpe, s->symbol[left].id, s->symbol[right].id);
  if (!merge) return ADAMIX_OK;
  uint64_t key = (uint64_t) merge->rank << 32 | (uint32_t) left;
  ADAMIX_RETURN_IF (ADAMIX_GROW (s->heap, &s->heap_capacity, s->heap_count + 1));
  int64_t at = s->heap_count++;
  for (; at > 0 && s->heap[(at - 1) / 2] > key; at = (at - 1) / 2) s->heap[at] = s->heap[(at - 1) / 2];
  s->heap[at] = key;
  return ADAMIX_OK;
}

static uint64_t
take_first (adamix_bpe_scratch *s)
{
  uint64_t first = s->heap[0], key = s->heap[--s->heap_count];
  int64_t at = 0;
  for (int64_t child; (child = 2 * at + 1) < s->heap_count; at = child) {
    if (child + 1 < s->heap_count && s->heap[child + 1] < s->heap[child]) child++;
    if (s->heap[child] >= key) break;
    s->heap[at] = s->heap[child];
  }
  s->heap[at] = key;
  return first;
}

static adamix_err
merge_long (const adamix_bpe *bpe, adamix_bpe_scratch *s, int32_t count)
{
  s->heap_count = 0;
  for (int32_t i = 0; i + 1 < count; i++) ADAMIX_RETURN_IF (offer (bpe, s, i, i + 1));
  while (s->heap_count > 0) {
    uint64_t key = take_first (s);
    int32_t at = (int32_t) (key & UINT32_MAX), gone = s->symbol[at].next;
    if (s->symbol[at].id < 0 || gone < 0) continue;
    const adamix_merge *merge = find_merge (bpe, s->symbol[at].id, s->symbol[gone].id);
    if (!merge || (uint64_t) merge->rank != key >> 32) continue;
    int32_t next = s->symbol[gone].next;
    s->symbol[at].id = merge->id;
    s->symbol[at].next = next;
    s->symbol[gone].id = -1;
    if (next >= 0) s->symbol[next].previous = at;
    ADAMIX_RETURN_IF (offer (bpe, s, s->symbol[at].previous, at));
    ADAMIX_RETURN_IF (offer (bpe, s, at, next));
  }
  return ADAMIX_OK;
}

static adamix_err
encode_long (const adamix_bpe *bpe, const char *word, const char *end, adamix_bpe_scratch *s, adamix_ids *out)
{
  if (end - word > INT32_MAX)
    return adamix_err_set (ADAMIX_EDATA, "a word of %lld bytes is too long; break the text up",
                           (long long) (end - word));
  int32_t count = 0;
  ADAMIX_RETURN_IF (ADAMIX_GROW (s->symbol, &s->symbol_capacity, end - word));
  for (; word < end; word++) {
    int32_t id = bpe->byte[(unsigned char) *word];
    if (id < 0) continue;
    s->symbol[count] = (adamix_symbol){ id, count - 1, count + 1 };
    count++;
  }
  if (count == 0) return ADAMIX_OK;
  s->symbol[count - 1].next = -1;
  ADAMIX_RETURN_IF (merge_long (bpe, s, count));
  for (int32_t i = 0; i >= 0; i = s->symbol[i].next) ADAMIX_RETURN_IF (adamix_ids_push (out, s->symbol[i].id));
  return ADAMIX_OK;
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */

adamix_err
adamix_bpe_merge_word (const adamix_bpe *bpe, const char *word, const char *end, adamix_bpe_scratch *scratch,
                       adamix_ids *out)
{
  if (end - word > SHORT) return encode_long (bpe, word, end, scratch, out);
  parts p = { .count = 0 };
  for (; word < end; word++) {
    int32_t id = bpe->byte[(unsigned char) *word];
    if (id >= 0) p.id[p.count++] = id;
  }
  merge_short (bpe, &p);
  for (int i = 0; i < p.count; i++) ADAMIX_RETURN_IF (adamix_ids_push (out, p.id[i]));
  return ADAMIX_OK;
}

static adamix_err
encode_word (const adamix_bpe *bpe, const char *word, const char *end, adamix_text_scratch *s)
{
  int32_t id = end - word <= bpe->word.longest ? adamix_vocabulary_find (&bpe->word, word, (size_t) (end - word)) : -1;
  if (id >= 0) return adamix_ids_push (&s->ids, id);
  return adamix_bpe_merge_word (bpe, word, end, &s->bpe, &s->ids);
}

static adamix_err
put_blank_before (const char **first, const char **last, adamix_bytes *out)
{
  int64_t bytes = *last - *first;
  ADAMIX_RETURN_IF (ADAMIX_GROW (out->data, &out->capacity, bytes + 1));
  out->data[0] = ' ';
  memcpy (out->data + 1, *first, (size_t) bytes);
  *first = out->data;
  *last = out->data + bytes + 1;
  return ADAMIX_OK;
}

static adamix_err
encode (const adamix_tokenizer *tokenizer, const char *first, const char *last, adamix_text_scratch *s)
{
  const adamix_bpe *bpe = &tokenizer->bpe;
  if (bpe->add_prefix_space && *first != ' ') ADAMIX_RETURN_IF (put_blank_before (&first, &last, &s->prefixed));
  while (first < last) {
    const char *end = bpe->split ? adamix_split_word (&bpe->splitter, first, last) : last;
    ADAMIX_RETURN_IF (encode_word (bpe, first, end, s));
    first = end;
  }
  return ADAMIX_OK;
}

const adamix_tokenizer_kind adamix_kind_bpe = { "BPE", "merges", adamix_json_load_bpe, NULL, encode };
