/* The kernel tables of this build, one a translation of kernels.c. */
#ifndef TENSOR_KERNELS_H
#define TENSOR_KERNELS_H

#include <adamix/tensor.h>

extern const adamix_kernels adamix_kernels_reference;
#ifdef __x86_64__
extern const adamix_kernels adamix_kernels_avx2;
extern const adamix_kernels adamix_kernels_avx512;
extern const adamix_kernels adamix_kernels_avx512_bf16;
#endif

/* The place of a table among those of this build, from 0 for the best, and the table at a place.  A CPU that can use a
 * table can use those behind it too. */
int adamix_kernels_place (const adamix_kernels *kernels);
const adamix_kernels *adamix_kernels_at (int place);

#endif
