check_PROGRAMS += tests/unit/comm/test_single
tests_unit_comm_test_single_SOURCES = %D%/test_single.c
tests_unit_comm_test_single_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_comm_test_single_LDADD = $(unit_LDADD)
TESTS += tests/unit/comm/test_single
