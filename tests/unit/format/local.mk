check_PROGRAMS += tests/unit/format/test_safetensors
tests_unit_format_test_safetensors_SOURCES = %D%/test_safetensors.c
tests_unit_format_test_safetensors_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_format_test_safetensors_LDADD = $(unit_LDADD)
TESTS += tests/unit/format/test_safetensors

check_PROGRAMS += tests/unit/format/test_table
tests_unit_format_test_table_SOURCES = %D%/test_table.c
tests_unit_format_test_table_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_format_test_table_LDADD = $(unit_LDADD)
TESTS += tests/unit/format/test_table
