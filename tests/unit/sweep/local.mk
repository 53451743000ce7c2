# tests/unit/sweep
check_PROGRAMS += tests/unit/sweep/test_read
tests_unit_sweep_test_read_SOURCES = %D%/test_read.c
tests_unit_sweep_test_read_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_sweep_test_read_LDADD = $(unit_LDADD)
TESTS += tests/unit/sweep/test_read
