check_PROGRAMS += tests/grad/test_model
tests_grad_test_model_SOURCES = %D%/test_model.c tests/unit/model/fixture.c tests/unit/model/fixture.h \
  tests/unit/model/run.c tests/unit/model/run.h
tests_grad_test_model_CPPFLAGS = $(unit_CPPFLAGS)
tests_grad_test_model_LDADD = $(unit_LDADD)
TESTS += tests/grad/test_model
