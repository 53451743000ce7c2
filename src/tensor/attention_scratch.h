/* How attention cuts its scratch memory: the same for every instruction set. */
#ifndef TENSOR_ATTENTION_SCRATCH_H
#define TENSOR_ATTENTION_SCRATCH_H

#include <stdint.h>

#define ATTENTION_QUERIES 32 /* queries a block; with 16 columns a multiple it starts at a whole chunk of dropout */
#define ATTENTION_COLUMNS 16 /* rows of scores are padded to a multiple of this */

static inline int64_t
attention_padded (int64_t n)
{
  return (n + ATTENTION_COLUMNS - 1) / ATTENTION_COLUMNS * ATTENTION_COLUMNS;
}

#endif
