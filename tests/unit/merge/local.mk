# tests/unit/merge

check_PROGRAMS += tests/unit/merge/test_average
tests_unit_merge_test_average_SOURCES = %D%/test_average.c
tests_unit_merge_test_average_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_merge_test_average_LDADD = $(unit_LDADD)
TESTS += tests/unit/merge/test_average

check_PROGRAMS += tests/unit/merge/test_methods
tests_unit_merge_test_methods_SOURCES = %D%/test_methods.c
tests_unit_merge_test_methods_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_merge_test_methods_LDADD = $(unit_LDADD)
TESTS += tests/unit/merge/test_methods

EXTRA_DIST += %D%/scorer.h

check_PROGRAMS += tests/unit/merge/test_soups
tests_unit_merge_test_soups_SOURCES = %D%/test_soups.c
tests_unit_merge_test_soups_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_merge_test_soups_LDADD = $(unit_LDADD)
TESTS += tests/unit/merge/test_soups

check_PROGRAMS += tests/unit/merge/test_svd
tests_unit_merge_test_svd_SOURCES = %D%/test_svd.c
tests_unit_merge_test_svd_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_merge_test_svd_LDADD = $(unit_LDADD)
TESTS += tests/unit/merge/test_svd
