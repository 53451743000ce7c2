/* Attention of one head over one sequence.  Queries go in blocks that keep their n scores each in the nearest cache; keys
 * (and, backward, values) are transposed once, so that every product is the same register-blocked one.
 *
 * Products are made in fp32 or in bf16, all else in fp32.  Both run through the same code: what is multiplied are words of
 * 32 bits, a number of fp32 or a pair of bf16 that follow each other along the inner dimension.                        */
#ifndef TENSOR_KERNELS_ATTENTION_H
#define TENSOR_KERNELS_ATTENTION_H

#include "tensor/attention_scratch.h"
#include "tensor/kernels_dropout.h"
#include "tensor/kernels_math.h"

#include <math.h>
#include <string.h>

/* Rows of a register block: with two vectors a row the sums fill half of the 32 or 16 registers. */
#if LANES == 16
#define TILE_ROWS 8
#else
#define TILE_ROWS 4
#endif

/* Word (i, p) of a left operand A [m,k] is data[i * row_step + p * column_step]; the right one, B [k,n], is row-major. */
typedef struct {
  const float *data;
  int64_t row_step, column_step;
} left_words;

typedef struct {
  const float *data;
  int64_t stride;
} right_words;

/* C [m,n] = alpha A B (+ C if `accumulate`), C row-major. */
typedef struct {
  bool pairs;
  int64_t m, n, k;
  left_words a;
  right_words b;
  float *c;
  int64_t ldc;
  float alpha;
  bool accumulate;
} product;

/* sum + left * right, a number or a pair in each lane. */
INLINE vf
multiply_add (bool pairs, vf sum, vu left, vu right)
{
  if (!pairs) return sum + (vf) left * (vf) right;
#if defined __AVX512BF16__ && LANES == 16
  return (vf) _mm512_dpbf16_ps ((__m512) sum, (__m512bh) left, (__m512bh) right);
#else
  return sum + (vf) (left << 16) * (vf) (right << 16) + (vf) (left & UPPER) * (vf) (right & UPPER);
#endif
}

INLINE void
tile (const product *p, bool pairs, int64_t row, int64_t column, int rows, int vectors)
{
  vf sum[TILE_ROWS][2];
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) sum[i][v] = splat (0.0f);

  const float *a = p->a.data + row * p->a.row_step, *b = p->b.data + column;
  for (int64_t k = 0; k < p->k; k++, a += p->a.column_step, b += p->b.stride) {
    vu right[2];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) right[v] = (vu) load (b + v * LANES);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      vu left = broadcast_word (a + i * p->a.row_step);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; v++) sum[i][v] = multiply_add (pairs, sum[i][v], left, right[v]);
    }
  }

#pragma GCC unroll 8
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
      float *c = p->c + (row + i) * p->ldc + column + v * LANES;
      vf value = sum[i][v] * p->alpha;
      store (c, p->accumulate ? load (c) + value : value);
    }
}

/* All rows of one column panel; the last tile has as many rows as are left, each count its own straight code. */
INLINE void
panel (const product *p, bool pairs, int64_t column, int vectors)
{
  int64_t row = 0;
  for (; row + TILE_ROWS <= p->m; row += TILE_ROWS) tile (p, pairs, row, column, TILE_ROWS, vectors);
  switch (p->m - row) {
  case 1:
    tile (p, pairs, row, column, 1, vectors);
    break;
  case 2:
    tile (p, pairs, row, column, 2, vectors);
    break;
  case 3:
    tile (p, pairs, row, column, 3, vectors);
    break;
#if TILE_ROWS > 4
  case 4:
    tile (p, pairs, row, column, 4, vectors);
    break;
  case 5:
    tile (p, pairs, row, column, 5, vectors);
    break;
  case 6:
    tile (p, pairs, row, column, 6, vectors);
    break;
  case 7:
    tile (p, pairs, row, column, 7, vectors);
    break;
#endif
  default:
    break;
  }
}

/* Each a function of its own: the straight code is long. */
#define PANELS(name, pairs, vectors)                                                                                   \
  static void name (const product *p, int64_t column)                                                                  \
  {                                                                                                                    \
    panel (p, pairs, column, vectors);                                                                                 \
  }
PANELS (two_of_numbers, false, 2)
PANELS (one_of_numbers, false, 1)
PANELS (two_of_pairs, true, 2)
PANELS (one_of_pairs, true, 1)

/* A column of C that no whole vector holds. */
INLINE void
multiply_column (const product *p, int64_t column)
{
  for (int64_t i = 0; i < p->m; i++) {
    vf sum = splat (0.0f);
    for (int64_t k = 0; k < p->k; k++)
      sum = multiply_add (p->pairs, sum, broadcast_word (p->a.data + i * p->a.row_step + k * p->a.column_step),
                          broadcast_word (p->b.data + k * p->b.stride + column));
    float *c = p->c + i * p->ldc + column;
    *c = p->alpha * sum[0] + (p->accumulate ? *c : 0.0f);
  }
}

static void
multiply (const product *p)
{
  int64_t column = 0;
  for (; column + 2 * LANES <= p->n; column += 2 * LANES) (p->pairs ? two_of_pairs : two_of_numbers) (p, column);
  for (; column + LANES <= p->n; column += LANES) (p->pairs ? one_of_pairs : one_of_numbers) (p, column);
  for (; column < p->n; column++) multiply_column (p, column);
}

/* ---- operands -------------------------------------------------------------------------------------------------------- */

/* Words that n numbers take. */
INLINE int64_t
words (bool pairs, int64_t n)
{
  return pairs ? (n + 1) / 2 : n;
}

/* x [n,D] to out [D,padded], columns n .. padded - 1 zero; by squares of 4 x 4. */
static void
transpose (int64_t n, int64_t d, const float *x, int64_t stride, int64_t padded, float *out)
{
  typedef float v4_memory __attribute__ ((vector_size (16), aligned (4), may_alias));
  for (int64_t j = 0; j < padded; j += 4) {
    int64_t column = 0;
    for (; column + 4 <= d; column += 4) {
      v4 row[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++)
        row[i] = j + i < n ? (v4) * (const v4_memory *) (x + (j + i) * stride + column) : (v4){ 0 };
      v4 low01 = __builtin_shufflevector (row[0], row[1], 0, 4, 1, 5);
      v4 low23 = __builtin_shufflevector (row[2], row[3], 0, 4, 1, 5);
      v4 high01 = __builtin_shufflevector (row[0], row[1], 2, 6, 3, 7);
      v4 high23 = __builtin_shufflevector (row[2], row[3], 2, 6, 3, 7);
      float *to = out + column * padded + j;
      *(v4_memory *) to = __builtin_shufflevector (low01, low23, 0, 1, 4, 5);
      *(v4_memory *) (to + padded) = __builtin_shufflevector (low01, low23, 2, 3, 6, 7);
      *(v4_memory *) (to + 2 * padded) = __builtin_shufflevector (high01, high23, 0, 1, 4, 5);
      *(v4_memory *) (to + 3 * padded) = __builtin_shufflevector (high01, high23, 2, 3, 6, 7);
    }
    for (; column < d; column++)
      for (int i = 0; i < 4; i++) out[column * padded + j + i] = j + i < n ? x[(j + i) * stride + column] : 0.0f;
  }
}

/* Numbers that follow each other in a row as pairs, [rows,words (d)] words. */
static void
pair_in_rows (int64_t rows, int64_t d, const float *x, int64_t stride, float *to)
{
  const int64_t width = words (true, d);
  for (int64_t r = 0; r < rows; r++, x += stride, to += width) {
    int64_t c = 0;
    for (; c + 2 * LANES <= d; c += 2 * LANES)
      store (to + c / 2, (vf) pairs_of_neighbours (load (x + c), load (x + c + LANES)));
    if (c + LANES <= d) {
      store_part (to + c / 2, (vf) pairs_of_neighbours (load (x + c), splat (0.0f)), LANES / 2);
      c += LANES;
    }
    if (c == d) continue;
    store_part (to + c / 2, (vf) pairs_of_neighbours (load_part (x + c, d - c), splat (0.0f)), words (true, d - c));
  }
}

/* Numbers that follow each other in a column as pairs, [words (rows),d] words: a last row without a partner gets zeros. */
static void
pair_in_columns (int64_t rows, int64_t d, const float *x, int64_t stride, float *to)
{
  for (int64_t r = 0; r < rows; r += 2, x += 2 * stride, to += d) {
    const bool alone = r + 1 == rows;
    int64_t c = 0;
    for (; c + LANES <= d; c += LANES)
      store (to + c, (vf) pairs_of (load (x + c), alone ? splat (0.0f) : load (x + stride + c)));
    if (c == d) continue;
    vf second = alone ? splat (0.0f) : load_part (x + stride + c, d - c);
    store_part (to + c, (vf) pairs_of (load_part (x + c, d - c), second), d - c);
  }
}

/* x [rows,d] to the left of a product over d; `to` has room for rows * words (d). */
INLINE left_words
left_rows (bool pairs, int64_t rows, int64_t d, const float *x, int64_t stride, float *to)
{
  if (!pairs) return (left_words){ x, stride, 1 };
  pair_in_rows (rows, d, x, stride, to);
  return (left_words){ to, words (pairs, d), 1 };
}

/* The transpose of x [rows,d] to the left of a product over rows; room for words (rows) * d. */
INLINE left_words
left_columns (bool pairs, int64_t rows, int64_t d, const float *x, int64_t stride, float *to)
{
  if (!pairs) return (left_words){ x, 1, stride };
  pair_in_columns (rows, d, x, stride, to);
  return (left_words){ to, 1, d };
}

/* x [rows,d] to the right of a product over rows; room for words (rows) * d. */
INLINE right_words
right_rows (bool pairs, int64_t rows, int64_t d, const float *x, int64_t stride, float *to)
{
  if (!pairs) return (right_words){ x, stride };
  pair_in_columns (rows, d, x, stride, to);
  return (right_words){ to, d };
}

/* The transpose of x [n,d] to the right of a product over d, n padded with zeros; room for words (d) * padded, and in
 * `between` for n * words (d). */
INLINE right_words
right_columns (bool pairs, int64_t n, int64_t d, const float *x, int64_t stride, float *to, float *between)
{
  const left_words rows = left_rows (pairs, n, d, x, stride, between);
  transpose (n, words (pairs, d), rows.data, rows.row_step, attention_padded (n), to);
  return (right_words){ to, attention_padded (n) };
}

/* Room in the scratch memory, taken from the front; every piece starts at a cache line. */
INLINE float *
take (float **next, int64_t count)
{
  float *piece = *next;
  *next += attention_padded (count);
  return piece;
}

/* ---- softmax --------------------------------------------------------------------------------------------------------- */

/* Rows of scores to probabilities; the columns from n on become 0, by a mask on the last of the padded columns. */
INLINE void
softmax_rows (int64_t rows, int64_t n, int64_t padded, float *scores)
{
  float mask[ATTENTION_COLUMNS] __attribute__ ((aligned (64)));
  int64_t last = padded - ATTENTION_COLUMNS;
  for (int64_t j = 0; j < ATTENTION_COLUMNS; j++) mask[j] = last + j < n ? 0.0f : -INFINITY;

  for (int64_t r = 0; r < rows; r++) {
    float *row = scores + r * padded;
    for (int64_t j = 0; j < ATTENTION_COLUMNS; j += LANES)
      store (row + last + j, load (row + last + j) + load (mask + j));
    vf top = load (row);
    for (int64_t j = LANES; j < padded; j += LANES) {
      vf value = load (row + j);
      top = choose (value > top, value, top);
    }
    vf largest = splat (largest_lane (top)), sum = splat (0.0f);
    for (int64_t j = 0; j < padded; j += LANES) {
      vf value = exponential (load (row + j) - largest);
      store (row + j, value);
      sum += value;
    }
    vf inverse = splat (1.0f / sum_of_lanes (sum));
    for (int64_t j = 0; j < padded; j += LANES) store (row + j, load (row + j) * inverse);
  }
}

/* Probabilities before dropout of the queries first .. first + rows - 1; `between` has room for their words. */
INLINE void
probabilities (const adamix_attention_head *head, bool pairs, right_words keys, int64_t first, int64_t rows,
               float *between, float *out)
{
  int64_t padded = attention_padded (head->n);
  multiply (&(product){ .pairs = pairs,
                        .m = rows,
                        .n = padded,
                        .k = words (pairs, head->d),
                        .a = left_rows (pairs, rows, head->d, head->q + first * head->stride, head->stride, between),
                        .b = keys,
                        .c = out,
                        .ldc = padded,
                        .alpha = head->scale });
  softmax_rows (rows, head->n, padded, out);
}

/* The dropout of the elements from query `first` on: blocks of queries start at whole chunks. */
INLINE adamix_dropout
dropout_from (const adamix_attention_head *head, int64_t first)
{
  adamix_dropout dropout = head->dropout;
  dropout.first_block += (uint32_t) (first * attention_padded (head->n) / CHUNK * CHUNK_BLOCKS);
  return dropout;
}

INLINE void
forward (const adamix_attention_head *head, bool pairs, float *out, int64_t out_stride)
{
  const int64_t n = head->n, d = head->d, padded = attention_padded (n), block = ATTENTION_QUERIES;
  float *next = head->scratch, *transposed = take (&next, d * padded), *scores = take (&next, block * padded);
  float *between = take (&next, padded * d), *score_words = take (&next, block * padded);
  const right_words keys = right_columns (pairs, n, d, head->k, head->stride, transposed, between);
  const right_words values = right_rows (pairs, n, d, head->v, head->stride, take (&next, d * padded));
  for (int64_t first = 0; first < head->queries; first += block) {
    const int64_t rows = head->queries - first < block ? head->queries - first : block;
    probabilities (head, pairs, keys, first, rows, between, scores);
    adamix_dropout dropout = dropout_from (head, first);
    dropout_apply (&dropout, rows * padded, scores);
    multiply (&(product){ .pairs = pairs,
                          .m = rows,
                          .n = d,
                          .k = words (pairs, n),
                          .a = left_rows (pairs, rows, padded, scores, padded, score_words),
                          .b = values,
                          .c = out + first * out_stride,
                          .ldc = out_stride,
                          .alpha = 1.0f });
  }
}

static void
attention (const adamix_attention_head *head, float *out, int64_t out_stride)
{
  forward (head, false, out, out_stride);
}

static void
attention_bf16 (const adamix_attention_head *head, float *out, int64_t out_stride)
{
  forward (head, true, out, out_stride);
}

/* kept = p z and dp = dkept z, z the dropout's factors. */
INLINE void
dropout_both (const adamix_dropout *dropout, int64_t count, const float *p, float *kept, float *dp)
{
  float factors[CHUNK] __attribute__ ((aligned (64)));
  for (int64_t c = 0; c < count; c += CHUNK) {
    dropout_factors (dropout, dropout->first_block + (uint32_t) (c / CHUNK * CHUNK_BLOCKS), factors);
    int64_t width = count - c < CHUNK ? count - c : CHUNK;
    for (int64_t i = 0; i < width; i += LANES) {
      vf z = load (factors + i);
      store (kept + c + i, load (p + c + i) * z);
      store (dp + c + i, load (dp + c + i) * z);
    }
  }
}

/* ds = p (dp - sum p dp), a row at a time, in place of dp. */
INLINE void
softmax_rows_backward (int64_t rows, int64_t padded, const float *p, float *dp)
{
  for (int64_t r = 0; r < rows; r++, p += padded, dp += padded) {
    vf sum = splat (0.0f);
    for (int64_t j = 0; j < padded; j += LANES) sum += load (p + j) * load (dp + j);
    vf along = splat (sum_of_lanes (sum));
    for (int64_t j = 0; j < padded; j += LANES) store (dp + j, load (p + j) * (load (dp + j) - along));
  }
}

INLINE void
backward (const adamix_attention_head *head, bool pairs, const float *dout, int64_t dout_stride, float *dq, float *dk,
          float *dv, int64_t d_stride)
{
  const int64_t n = head->n, d = head->d, stride = head->stride, padded = attention_padded (n);
  const int64_t block = ATTENTION_QUERIES;
  float *next = head->scratch, *p = take (&next, block * padded), *dp = take (&next, block * padded);
  float *kept = drops (&head->dropout) ? take (&next, block * padded) : p;
  float *between = take (&next, padded * d), *left = take (&next, block * padded), *right = take (&next, block * d);
  const right_words keys = right_columns (pairs, n, d, head->k, stride, take (&next, d * padded), between);
  const right_words values = right_columns (pairs, n, d, head->v, stride, take (&next, d * padded), between);
  const right_words key_rows = right_rows (pairs, n, d, head->k, stride, take (&next, d * padded));
  for (int64_t i = head->queries; i < n; i++) memset (dq + i * d_stride, 0, (size_t) d * sizeof *dq);
  for (int64_t first = 0; first < head->queries; first += block) {
    const int64_t rows = head->queries - first < block ? head->queries - first : block;
    const float *dout_rows = dout + first * dout_stride, *q = head->q + first * stride;
    probabilities (head, pairs, keys, first, rows, between, p);
    multiply (&(product){ .pairs = pairs,
                          .m = rows,
                          .n = padded,
                          .k = words (pairs, d),
                          .a = left_rows (pairs, rows, d, dout_rows, dout_stride, between),
                          .b = values,
                          .c = dp,
                          .ldc = padded,
                          .alpha = 1.0f });
    if (drops (&head->dropout)) {
      adamix_dropout dropout = dropout_from (head, first);
      dropout_both (&dropout, rows * padded, p, kept, dp);
    }
    multiply (&(product){ .pairs = pairs,
                          .m = n,
                          .n = d,
                          .k = words (pairs, rows),
                          .a = left_columns (pairs, rows, padded, kept, padded, left),
                          .b = right_rows (pairs, rows, d, dout_rows, dout_stride, right),
                          .c = dv,
                          .ldc = d_stride,
                          .alpha = 1.0f,
                          .accumulate = first > 0 });
    softmax_rows_backward (rows, padded, p, dp);
    multiply (&(product){ .pairs = pairs,
                          .m = rows,
                          .n = d,
                          .k = words (pairs, n),
                          .a = left_rows (pairs, rows, padded, dp, padded, left),
                          .b = key_rows,
                          .c = dq + first * d_stride,
                          .ldc = d_stride,
                          .alpha = head->scale });
    multiply (&(product){ .pairs = pairs,
                          .m = n,
                          .n = d,
                          .k = words (pairs, rows),
                          .a = left_columns (pairs, rows, padded, dp, padded, left),
                          .b = right_rows (pairs, rows, d, q, stride, right),
                          .c = dk,
                          .ldc = d_stride,
                          .alpha = head->scale,
                          .accumulate = first > 0 });
  }
}

static void
attention_backward (const adamix_attention_head *head, const float *dout, int64_t dout_stride, float *dq, float *dk,
                    float *dv, int64_t d_stride)
{
  backward (head, false, dout, dout_stride, dq, dk, dv, d_stride);
}

static void
attention_backward_bf16 (const adamix_attention_head *head, const float *dout, int64_t dout_stride, float *dq,
                         float *dk, float *dv, int64_t d_stride)
{
  backward (head, true, dout, dout_stride, dq, dk, dv, d_stride);
}

#endif
