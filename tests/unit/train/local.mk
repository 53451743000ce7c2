# tests/unit/train
check_PROGRAMS += tests/unit/train/test_config
tests_unit_train_test_config_SOURCES = %D%/test_config.c
tests_unit_train_test_config_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_config_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_config

check_PROGRAMS += tests/unit/train/test_optimizer
tests_unit_train_test_optimizer_SOURCES = %D%/test_optimizer.c
tests_unit_train_test_optimizer_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_optimizer_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_optimizer

check_PROGRAMS += tests/unit/train/test_schedule
tests_unit_train_test_schedule_SOURCES = %D%/test_schedule.c
tests_unit_train_test_schedule_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_schedule_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_schedule

check_PROGRAMS += tests/unit/train/test_plan
tests_unit_train_test_plan_SOURCES = %D%/test_plan.c
tests_unit_train_test_plan_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_plan_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_plan

check_PROGRAMS += tests/unit/train/test_prescribed
tests_unit_train_test_prescribed_SOURCES = %D%/test_prescribed.c
tests_unit_train_test_prescribed_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_prescribed_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_prescribed

check_PROGRAMS += tests/unit/train/test_scaling
tests_unit_train_test_scaling_SOURCES = %D%/test_scaling.c
tests_unit_train_test_scaling_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_scaling_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_scaling

check_PROGRAMS += tests/unit/train/test_samples
tests_unit_train_test_samples_SOURCES = %D%/test_samples.c
tests_unit_train_test_samples_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_train_test_samples_LDADD = $(unit_LDADD)
TESTS += tests/unit/train/test_samples
