# tests/unit/report
check_PROGRAMS += tests/unit/report/test_study
tests_unit_report_test_study_SOURCES = %D%/test_study.c
tests_unit_report_test_study_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_report_test_study_LDADD = $(unit_LDADD)
TESTS += tests/unit/report/test_study

check_PROGRAMS += tests/unit/report/test_table
tests_unit_report_test_table_SOURCES = %D%/test_table.c
tests_unit_report_test_table_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_report_test_table_LDADD = $(unit_LDADD)
TESTS += tests/unit/report/test_table

check_PROGRAMS += tests/unit/report/test_command
tests_unit_report_test_command_SOURCES = %D%/test_command.c
tests_unit_report_test_command_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_report_test_command_LDADD = $(unit_LDADD)
TESTS += tests/unit/report/test_command
