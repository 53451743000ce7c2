check_PROGRAMS += tests/unit/comm/test_single
tests_unit_comm_test_single_SOURCES = %D%/test_single.c
tests_unit_comm_test_single_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_comm_test_single_LDADD = $(unit_LDADD)
TESTS += tests/unit/comm/test_single

check_PROGRAMS += tests/unit/comm/test_cost
tests_unit_comm_test_cost_SOURCES = %D%/test_cost.c
tests_unit_comm_test_cost_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_comm_test_cost_LDADD = $(unit_LDADD)
TESTS += tests/unit/comm/test_cost
