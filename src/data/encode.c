#include "data/data_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 64 /* records that a thread encodes at a time */

/* The records first .. last - 1, encoded one after the other. */
typedef struct chunk {
  int64_t first, last;
  adamix_encoding joined; /* id, type, count, capacity: all records */
  int64_t length[CHUNK];
  int64_t truncated, empty;
  bool failed;
} chunk;

/* What every thread reads. */
typedef struct source {
  const adamix_table *table;
  const adamix_data_columns *columns;
  const adamix_tokenizer *tokenizer;
  int64_t max_length;
} source;

static bool
is_blank (const char *text)
{
  return text[strspn (text, " \t\r\n")] == '\0';
}

static adamix_err
text_of (const source *s, int64_t row, int64_t column, const char **out)
{
  *out = s->table->field[row * s->table->columns + column];
  if (*out) return ADAMIX_OK;
  return adamix_err_set (ADAMIX_EDATA, "%s:%" PRId64 ": the record ends before column %" PRId64, s->table->path,
                         s->table->line[row], column + 1);
}

static adamix_err
encode_record (const source *s, int64_t row, adamix_encoding *out, bool *empty)
{
  const char *a, *b = NULL;
  ADAMIX_RETURN_IF (text_of (s, row, s->columns->text, &a));
  if (s->columns->pair >= 0) ADAMIX_RETURN_IF (text_of (s, row, s->columns->pair, &b));
  *empty = is_blank (a) || (b && is_blank (b));
  adamix_err err = adamix_tokenizer_encode (s->tokenizer, a, strlen (a), b, b ? strlen (b) : 0, s->max_length, out);
  if (err != ADAMIX_OK) return adamix_err_prefix (err, "%s:%" PRId64, s->table->path, s->table->line[row]);
  return ADAMIX_OK;
}

static adamix_err
join (adamix_encoding *all, const adamix_encoding *one)
{
  int64_t capacity = all->capacity;
  ADAMIX_RETURN_IF (ADAMIX_GROW (all->id, &capacity, all->count + one->count));
  ADAMIX_RETURN_IF (ADAMIX_GROW (all->type, &all->capacity, all->count + one->count));
  memcpy (all->id + all->count, one->id, (size_t) one->count * sizeof *one->id);
  memcpy (all->type + all->count, one->type, (size_t) one->count * sizeof *one->type);
  all->count += one->count;
  return ADAMIX_OK;
}

static adamix_err
encode_chunk (const source *s, chunk *c)
{
  adamix_err err = ADAMIX_OK;
  adamix_encoding one = { 0 };
  c->joined.count = c->truncated = c->empty = 0;
  for (int64_t row = c->first; row < c->last; row++) {
    bool empty;
    ADAMIX_TRY (encode_record (s, row, &one, &empty));
    ADAMIX_TRY (join (&c->joined, &one));
    c->length[row - c->first] = one.count;
    c->truncated += one.full_count > one.count;
    c->empty += empty;
  }
done:
  adamix_encoding_destroy (&one);
  return err;
}

static adamix_err
gather (const chunk *piece, int64_t pieces, const adamix_table *table, adamix_dataset *out)
{
  int64_t total = 0;
  for (int64_t i = 0; i < pieces; i++) total += piece[i].joined.count;
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->id, total));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->type, total));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->offset, out->examples + 1));
  ADAMIX_RETURN_IF (ADAMIX_ALLOC (out->line, out->examples));
  for (int64_t i = 0; i < pieces; i++) {
    const chunk *c = &piece[i];
    int64_t start = out->offset[c->first];
    memcpy (out->id + start, c->joined.id, (size_t) c->joined.count * sizeof *out->id);
    memcpy (out->type + start, c->joined.type, (size_t) c->joined.count * sizeof *out->type);
    for (int64_t row = c->first; row < c->last; row++)
      out->offset[row + 1] = out->offset[row] + c->length[row - c->first];
    out->truncated += c->truncated;
    out->empty += c->empty;
  }
  memcpy (out->line, table->line, (size_t) out->examples * sizeof *out->line);
  return ADAMIX_OK;
}

/* Messages belong to threads: the first failure is met again in the calling one, which then has its message. */
static adamix_err
repeat_failure (const source *s, chunk *piece, int64_t pieces)
{
  for (int64_t i = 0; i < pieces; i++)
    if (piece[i].failed) ADAMIX_RETURN_IF (encode_chunk (s, &piece[i]));
  return ADAMIX_OK;
}

adamix_err
adamix_data_encode (adamix_dataset *out, const adamix_table *table, const adamix_data_columns *columns,
                    const adamix_tokenizer *tokenizer, int64_t max_length)
{
  adamix_err err = ADAMIX_OK;
  const source s = { table, columns, tokenizer, max_length };
  int64_t pieces = (out->examples + CHUNK - 1) / CHUNK;
  chunk *piece = NULL;
  ADAMIX_TRY (ADAMIX_ALLOC (piece, pieces));
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < pieces; i++) {
    chunk *c = &piece[i];
    c->first = i * CHUNK;
    c->last = c->first + CHUNK < out->examples ? c->first + CHUNK : out->examples;
    c->failed = encode_chunk (&s, c) != ADAMIX_OK;
  }
  ADAMIX_TRY (repeat_failure (&s, piece, pieces));
  ADAMIX_TRY (gather (piece, pieces, table, out));
done:
  for (int64_t i = 0; piece && i < pieces; i++) adamix_encoding_destroy (&piece[i].joined);
  free (piece);
  return err;
}
