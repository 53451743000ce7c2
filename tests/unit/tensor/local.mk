# tests/unit/tensor: one program a thing that is tested.
check_PROGRAMS += tests/unit/tensor/test_activations
tests_unit_tensor_test_activations_SOURCES = %D%/test_activations.c %D%/fixture.h
tests_unit_tensor_test_activations_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_activations_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_activations

check_PROGRAMS += tests/unit/tensor/test_attention
tests_unit_tensor_test_attention_SOURCES = %D%/test_attention.c %D%/fixture.h
tests_unit_tensor_test_attention_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_attention_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_attention

check_PROGRAMS += tests/unit/tensor/test_dropout
tests_unit_tensor_test_dropout_SOURCES = %D%/test_dropout.c %D%/fixture.h
tests_unit_tensor_test_dropout_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_dropout_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_dropout

check_PROGRAMS += tests/unit/tensor/test_dtype
tests_unit_tensor_test_dtype_SOURCES = %D%/test_dtype.c %D%/fixture.h
tests_unit_tensor_test_dtype_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_dtype_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_dtype

check_PROGRAMS += tests/unit/tensor/test_gemm
tests_unit_tensor_test_gemm_SOURCES = %D%/test_gemm.c %D%/fixture.h
tests_unit_tensor_test_gemm_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_gemm_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_gemm

check_PROGRAMS += tests/unit/tensor/test_linear
tests_unit_tensor_test_linear_SOURCES = %D%/test_linear.c %D%/fixture.h
tests_unit_tensor_test_linear_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_linear_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_linear

check_PROGRAMS += tests/unit/tensor/test_norm
tests_unit_tensor_test_norm_SOURCES = %D%/test_norm.c %D%/fixture.h
tests_unit_tensor_test_norm_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_norm_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_norm

check_PROGRAMS += tests/unit/tensor/test_params
tests_unit_tensor_test_params_SOURCES = %D%/test_params.c %D%/fixture.h
tests_unit_tensor_test_params_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_params_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_params

check_PROGRAMS += tests/unit/tensor/test_vectors
tests_unit_tensor_test_vectors_SOURCES = %D%/test_vectors.c %D%/fixture.h
tests_unit_tensor_test_vectors_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_tensor_test_vectors_LDADD = $(unit_LDADD)
TESTS += tests/unit/tensor/test_vectors
