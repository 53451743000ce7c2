/* Attention of one head over one sequence.  Queries go in blocks that keep their n scores each in the nearest cache; keys
 * (and, backward, values) are transposed once, so that every product is the same register-blocked one.               */
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

/* C [m,n] = alpha A B (+ C if `accumulate`): element (i, p) of A [m,k] is a[i * row_step + p * column_step], so that a
 * transposed A needs no copy; B [k,n] and C are row-major. */
typedef struct {
  int64_t m, n, k;
  const float *a;
  int64_t row_step, column_step;
  const float *b;
  int64_t ldb;
  float *c;
  int64_t ldc;
  float alpha;
  bool accumulate;
} product;

INLINE void
tile (const product *p, int64_t row, int64_t column, int rows, int vectors)
{
  vf sum[TILE_ROWS][2];
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) sum[i][v] = splat (0.0f);

  const float *a = p->a + row * p->row_step, *b = p->b + column;
  for (int64_t k = 0; k < p->k; k++, a += p->column_step, b += p->ldb) {
    vf right[2];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) right[v] = load (b + v * LANES);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      float left = a[i * p->row_step];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
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
panel (const product *p, int64_t column, int vectors)
{
  int64_t row = 0;
  for (; row + TILE_ROWS <= p->m; row += TILE_ROWS) tile (p, row, column, TILE_ROWS, vectors);
  switch (p->m - row) {
  case 1:
    tile (p, row, column, 1, vectors);
    break;
  case 2:
    tile (p, row, column, 2, vectors);
    break;
  case 3:
    tile (p, row, column, 3, vectors);
    break;
#if TILE_ROWS > 4
  case 4:
    tile (p, row, column, 4, vectors);
    break;
  case 5:
    tile (p, row, column, 5, vectors);
    break;
  case 6:
    tile (p, row, column, 6, vectors);
    break;
  case 7:
    tile (p, row, column, 7, vectors);
    break;
#endif
  default:
    break;
  }
}

static void
panels_of_two (const product *p, int64_t column)
{
  panel (p, column, 2);
}

static void
panels_of_one (const product *p, int64_t column)
{
  panel (p, column, 1);
}

static void
multiply (const product *p)
{
  int64_t column = 0;
  for (; column + 2 * LANES <= p->n; column += 2 * LANES) panels_of_two (p, column);
  for (; column + LANES <= p->n; column += LANES) panels_of_one (p, column);
  for (; column < p->n; column++)
    for (int64_t i = 0; i < p->m; i++) {
      float sum = 0.0f, *c = p->c + i * p->ldc + column;
      for (int64_t k = 0; k < p->k; k++) sum += p->a[i * p->row_step + k * p->column_step] * p->b[k * p->ldb + column];
      *c = p->alpha * sum + (p->accumulate ? *c : 0.0f);
    }
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

/* Probabilities before dropout of the queries first .. first + rows - 1. */
INLINE void
probabilities (const adamix_attention_head *head, const float *keys, int64_t first, int64_t rows, float *out)
{
  int64_t padded = attention_padded (head->n);
  multiply (&(product){ .m = rows,
                        .n = padded,
                        .k = head->d,
                        .a = head->q + first * head->stride,
                        .row_step = head->stride,
                        .column_step = 1,
                        .b = keys,
                        .ldb = padded,
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

static void
attention (const adamix_attention_head *head, float *out, int64_t out_stride)
{
  int64_t n = head->n, d = head->d, padded = attention_padded (n);
  float *keys = head->scratch, *scores = keys + d * padded;
  transpose (n, d, head->k, head->stride, padded, keys);
  for (int64_t first = 0; first < head->queries; first += ATTENTION_QUERIES) {
    int64_t rows = head->queries - first < ATTENTION_QUERIES ? head->queries - first : ATTENTION_QUERIES;
    probabilities (head, keys, first, rows, scores);
    adamix_dropout dropout = dropout_from (head, first);
    dropout_apply (&dropout, rows * padded, scores);
    multiply (&(product){ .m = rows,
                          .n = d,
                          .k = n,
                          .a = scores,
                          .row_step = padded,
                          .column_step = 1,
                          .b = head->v,
                          .ldb = head->stride,
                          .c = out + first * out_stride,
                          .ldc = out_stride,
                          .alpha = 1.0f });
  }
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

static void
attention_backward (const adamix_attention_head *head, const float *dout, int64_t dout_stride, float *dq, float *dk,
                    float *dv, int64_t d_stride)
{
  int64_t n = head->n, d = head->d, stride = head->stride, padded = attention_padded (n);
  int64_t block = ATTENTION_QUERIES * padded;
  float *keys = head->scratch, *values = keys + d * padded, *p = values + d * padded, *dp = p + block;
  float *kept = drops (&head->dropout) ? dp + block : p;
  transpose (n, d, head->k, stride, padded, keys);
  transpose (n, d, head->v, stride, padded, values);
  for (int64_t i = head->queries; i < n; i++) memset (dq + i * d_stride, 0, (size_t) d * sizeof *dq);
  for (int64_t first = 0; first < head->queries; first += ATTENTION_QUERIES) {
    int64_t rows = head->queries - first < ATTENTION_QUERIES ? head->queries - first : ATTENTION_QUERIES;
    const float *dout_rows = dout + first * dout_stride;
    probabilities (head, keys, first, rows, p);
    product to_dp = { .m = rows,
                      .n = padded,
                      .k = d,
                      .a = dout_rows,
                      .row_step = dout_stride,
                      .column_step = 1,
                      .b = values,
                      .ldb = padded,
                      .c = dp,
                      .ldc = padded,
                      .alpha = 1.0f };
    multiply (&to_dp);
    if (drops (&head->dropout)) {
      adamix_dropout dropout = dropout_from (head, first);
      dropout_both (&dropout, rows * padded, p, kept, dp);
    }
    product to_dv = { .m = n,
                      .n = d,
                      .k = rows,
                      .a = kept,
                      .row_step = 1,
                      .column_step = padded,
                      .b = dout_rows,
                      .ldb = dout_stride,
                      .c = dv,
                      .ldc = d_stride,
                      .alpha = 1.0f,
                      .accumulate = first > 0 };
    multiply (&to_dv);
    softmax_rows_backward (rows, padded, p, dp);
    product to_dq = { .m = rows,
                      .n = d,
                      .k = n,
                      .a = dp,
                      .row_step = padded,
                      .column_step = 1,
                      .b = head->k,
                      .ldb = stride,
                      .c = dq + first * d_stride,
                      .ldc = d_stride,
                      .alpha = head->scale };
    multiply (&to_dq);
    product to_dk = { .m = n,
                      .n = d,
                      .k = rows,
                      .a = dp,
                      .row_step = 1,
                      .column_step = padded,
                      .b = head->q + first * stride,
                      .ldb = stride,
                      .c = dk,
                      .ldc = d_stride,
                      .alpha = head->scale,
                      .accumulate = first > 0 };
    multiply (&to_dk);
  }
}

#endif
