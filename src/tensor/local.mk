libadamix_la_SOURCES += \
  %D%/activation.c \
  %D%/attention_scratch.h \
  %D%/compute.c \
  %D%/profile.c \
  %D%/dtype.c \
  %D%/gemm.c \
  %D%/gemm_backend.h \
  %D%/gemm_blas.c \
  %D%/kernels.h \
  %D%/kernels_select.c \
  %D%/linear.c \
  %D%/params.c
if HAVE_DNNL
libadamix_la_SOURCES += %D%/gemm_onednn.c
endif

# The kernels: one source, compiled once for each instruction set with its flags.  No kernel reads errno or traps.
tensor_kernels_sources = \
  %D%/attention_scratch.h \
  %D%/kernels.c \
  %D%/kernels.h \
  %D%/kernels_attention.h \
  %D%/kernels_dropout.h \
  %D%/kernels_math.h \
  %D%/kernels_norm.h \
  %D%/kernels_simd.h
tensor_kernels_cflags = $(AM_CFLAGS) -fno-math-errno -fno-trapping-math

noinst_LTLIBRARIES += libkernels_reference.la
libkernels_reference_la_SOURCES = $(tensor_kernels_sources)
libkernels_reference_la_CPPFLAGS = $(AM_CPPFLAGS) -DADAMIX_KERNELS_ISA=reference
libkernels_reference_la_CFLAGS = $(tensor_kernels_cflags)
libadamix_la_LIBADD += libkernels_reference.la

if ARCH_X86_64
tensor_avx512_cflags = -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mprefer-vector-width=512
noinst_LTLIBRARIES += libkernels_avx2.la libkernels_avx512.la libkernels_avx512_bf16.la
libkernels_avx2_la_SOURCES = $(tensor_kernels_sources)
libkernels_avx2_la_CPPFLAGS = $(AM_CPPFLAGS) -DADAMIX_KERNELS_ISA=avx2
libkernels_avx2_la_CFLAGS = $(tensor_kernels_cflags) -mavx2 -mfma -mf16c
libkernels_avx512_la_SOURCES = $(tensor_kernels_sources)
libkernels_avx512_la_CPPFLAGS = $(AM_CPPFLAGS) -DADAMIX_KERNELS_ISA=avx512
libkernels_avx512_la_CFLAGS = $(tensor_kernels_cflags) $(tensor_avx512_cflags)
libkernels_avx512_bf16_la_SOURCES = $(tensor_kernels_sources)
libkernels_avx512_bf16_la_CPPFLAGS = $(AM_CPPFLAGS) -DADAMIX_KERNELS_ISA=avx512_bf16
libkernels_avx512_bf16_la_CFLAGS = $(tensor_kernels_cflags) $(tensor_avx512_cflags) -mavx512bf16
libadamix_la_LIBADD += libkernels_avx2.la libkernels_avx512.la libkernels_avx512_bf16.la
endif
