check_PROGRAMS += tests/unit/base/test_clock
tests_unit_base_test_clock_SOURCES = %D%/test_clock.c
tests_unit_base_test_clock_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_clock_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_clock

check_PROGRAMS += tests/unit/base/test_err
tests_unit_base_test_err_SOURCES = %D%/test_err.c
tests_unit_base_test_err_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_err_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_err

check_PROGRAMS += tests/unit/base/test_file
tests_unit_base_test_file_SOURCES = %D%/test_file.c %D%/scratch.h
tests_unit_base_test_file_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_file_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_file

check_PROGRAMS += tests/unit/base/test_json
tests_unit_base_test_json_SOURCES = %D%/test_json.c %D%/scratch.h
tests_unit_base_test_json_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_json_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_json

check_PROGRAMS += tests/unit/base/test_log
tests_unit_base_test_log_SOURCES = %D%/test_log.c %D%/scratch.h
tests_unit_base_test_log_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_log_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_log

check_PROGRAMS += tests/unit/base/test_memory
tests_unit_base_test_memory_SOURCES = %D%/test_memory.c %D%/scratch.h
tests_unit_base_test_memory_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_memory_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_memory

check_PROGRAMS += tests/unit/base/test_ini
tests_unit_base_test_ini_SOURCES = %D%/test_ini.c %D%/scratch.h
tests_unit_base_test_ini_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_ini_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_ini

check_PROGRAMS += tests/unit/base/test_options
tests_unit_base_test_options_SOURCES = %D%/test_options.c %D%/scratch.h
tests_unit_base_test_options_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_options_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_options

check_PROGRAMS += tests/unit/base/test_rng
tests_unit_base_test_rng_SOURCES = %D%/test_rng.c
tests_unit_base_test_rng_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_base_test_rng_LDADD = $(unit_LDADD)
TESTS += tests/unit/base/test_rng
