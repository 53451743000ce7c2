/* The kernel tables of this build, one a translation of kernels.c. */
#ifndef TENSOR_KERNELS_H
#define TENSOR_KERNELS_H

#include <adamix/tensor.h>

extern const adamix_kernels adamix_kernels_reference;
#ifdef __x86_64__
extern const adamix_kernels adamix_kernels_avx2;
extern const adamix_kernels adamix_kernels_avx512;
#endif

#endif
