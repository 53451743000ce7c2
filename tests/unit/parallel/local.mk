# tests/unit/parallel

check_PROGRAMS += tests/unit/parallel/test_placement
tests_unit_parallel_test_placement_SOURCES = %D%/test_placement.c
tests_unit_parallel_test_placement_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_parallel_test_placement_LDADD = $(unit_LDADD)
TESTS += tests/unit/parallel/test_placement

check_PROGRAMS += tests/unit/parallel/test_exchange
tests_unit_parallel_test_exchange_SOURCES = %D%/test_exchange.c
tests_unit_parallel_test_exchange_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_parallel_test_exchange_LDADD = $(unit_LDADD)
TESTS += tests/unit/parallel/test_exchange

check_PROGRAMS += tests/unit/parallel/test_volume
tests_unit_parallel_test_volume_SOURCES = %D%/test_volume.c
tests_unit_parallel_test_volume_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_parallel_test_volume_LDADD = $(unit_LDADD)
TESTS += tests/unit/parallel/test_volume
