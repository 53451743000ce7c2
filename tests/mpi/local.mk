# tests/mpi

EXTRA_DIST += %D%/parallel/workload.h

check_PROGRAMS += tests/mpi/parallel/test_gradients
tests_mpi_parallel_test_gradients_SOURCES = %D%/parallel/test_gradients.c
tests_mpi_parallel_test_gradients_CPPFLAGS = $(mpi_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_mpi_parallel_test_gradients_LDADD = $(mpi_LDADD)
TESTS += tests/mpi/parallel/test_gradients

check_PROGRAMS += tests/mpi/parallel/test_collect
tests_mpi_parallel_test_collect_SOURCES = %D%/parallel/test_collect.c
tests_mpi_parallel_test_collect_CPPFLAGS = $(mpi_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_mpi_parallel_test_collect_LDADD = $(mpi_LDADD)
TESTS += tests/mpi/parallel/test_collect

EXTRA_DIST += %D%/comm/expect.h

check_PROGRAMS += tests/mpi/comm/test_collectives
tests_mpi_comm_test_collectives_SOURCES = %D%/comm/test_collectives.c
tests_mpi_comm_test_collectives_CPPFLAGS = $(mpi_CPPFLAGS)
tests_mpi_comm_test_collectives_LDADD = $(mpi_LDADD)
TESTS += tests/mpi/comm/test_collectives

check_PROGRAMS += tests/mpi/comm/test_agree
tests_mpi_comm_test_agree_SOURCES = %D%/comm/test_agree.c
tests_mpi_comm_test_agree_CPPFLAGS = $(mpi_CPPFLAGS)
tests_mpi_comm_test_agree_LDADD = $(mpi_LDADD)
TESTS += tests/mpi/comm/test_agree

check_PROGRAMS += tests/mpi/model/test_packed
tests_mpi_model_test_packed_SOURCES = %D%/model/test_packed.c
tests_mpi_model_test_packed_CPPFLAGS = $(mpi_CPPFLAGS)
tests_mpi_model_test_packed_LDADD = $(mpi_LDADD)
TESTS += tests/mpi/model/test_packed

check_PROGRAMS += tests/mpi/train/test_rotation
tests_mpi_train_test_rotation_SOURCES = %D%/train/test_rotation.c
tests_mpi_train_test_rotation_CPPFLAGS = $(mpi_CPPFLAGS)
tests_mpi_train_test_rotation_LDADD = $(mpi_LDADD)
TESTS += tests/mpi/train/test_rotation

if HAVE_SCALAPACK
check_PROGRAMS += tests/mpi/merge/test_regmean tests/mpi/merge/test_svd
TESTS += tests/mpi/merge/test_regmean tests/mpi/merge/test_svd
endif
EXTRA_DIST += %D%/merge/draw.h
tests_mpi_merge_test_regmean_SOURCES = %D%/merge/test_regmean.c
tests_mpi_merge_test_regmean_CPPFLAGS = $(mpi_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_mpi_merge_test_regmean_LDADD = $(mpi_LDADD) $(SCALAPACK_LIBS) $(BLAS_LIBS)
tests_mpi_merge_test_svd_SOURCES = %D%/merge/test_svd.c
tests_mpi_merge_test_svd_CPPFLAGS = $(mpi_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_mpi_merge_test_svd_LDADD = $(mpi_LDADD) $(SCALAPACK_LIBS) $(BLAS_LIBS)
