# tests/unit/data
EXTRA_DIST += %D%/fixture.h

check_PROGRAMS += tests/unit/data/test_task
tests_unit_data_test_task_SOURCES = %D%/test_task.c
tests_unit_data_test_task_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_data_test_task_LDADD = $(unit_LDADD)
TESTS += tests/unit/data/test_task

check_PROGRAMS += tests/unit/data/test_dataset
tests_unit_data_test_dataset_SOURCES = %D%/test_dataset.c
tests_unit_data_test_dataset_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_data_test_dataset_LDADD = $(unit_LDADD)
TESTS += tests/unit/data/test_dataset

check_PROGRAMS += tests/unit/data/test_hold_out
tests_unit_data_test_hold_out_SOURCES = %D%/test_hold_out.c
tests_unit_data_test_hold_out_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_data_test_hold_out_LDADD = $(unit_LDADD)
TESTS += tests/unit/data/test_hold_out

check_PROGRAMS += tests/unit/data/test_shard
tests_unit_data_test_shard_SOURCES = %D%/test_shard.c
tests_unit_data_test_shard_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_data_test_shard_LDADD = $(unit_LDADD)
TESTS += tests/unit/data/test_shard
