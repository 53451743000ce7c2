# tests/unit/metrics
EXTRA_DIST += %D%/golden_metrics.h tests/golden/make_metrics.py

check_PROGRAMS += tests/unit/metrics/test_metrics
tests_unit_metrics_test_metrics_SOURCES = %D%/test_metrics.c
tests_unit_metrics_test_metrics_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_metrics_test_metrics_LDADD = $(unit_LDADD)
TESTS += tests/unit/metrics/test_metrics

EXTRA_DIST += %D%/golden_uncertainty.h tests/golden/make_uncertainty.py
check_PROGRAMS += tests/unit/metrics/test_uncertainty
tests_unit_metrics_test_uncertainty_SOURCES = %D%/test_uncertainty.c
tests_unit_metrics_test_uncertainty_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_metrics_test_uncertainty_LDADD = $(unit_LDADD)
TESTS += tests/unit/metrics/test_uncertainty

EXTRA_DIST += %D%/golden_statistics.h tests/golden/make_statistics.py
check_PROGRAMS += tests/unit/metrics/test_statistics
tests_unit_metrics_test_statistics_SOURCES = %D%/test_statistics.c
tests_unit_metrics_test_statistics_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_metrics_test_statistics_LDADD = $(unit_LDADD)
TESTS += tests/unit/metrics/test_statistics
