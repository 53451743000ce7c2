check_PROGRAMS += tests/unit/model/test_drawn tests/unit/model/test_dropout tests/unit/model/test_encoder \
  tests/unit/model/test_golden tests/unit/model/test_head tests/unit/model/test_open tests/unit/model/test_weights
tests_unit_model_test_drawn_SOURCES = %D%/test_drawn.c
tests_unit_model_test_drawn_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_drawn_LDADD = $(unit_LDADD)
tests_unit_model_test_dropout_SOURCES = %D%/test_dropout.c %D%/fixture.c %D%/fixture.h %D%/run.c %D%/run.h
tests_unit_model_test_dropout_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_dropout_LDADD = $(unit_LDADD)
tests_unit_model_test_encoder_SOURCES = %D%/test_encoder.c %D%/fixture.c %D%/fixture.h %D%/run.c %D%/run.h
tests_unit_model_test_encoder_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_encoder_LDADD = $(unit_LDADD)
tests_unit_model_test_golden_SOURCES = %D%/test_golden.c %D%/fixture.c %D%/fixture.h %D%/run.c %D%/run.h
tests_unit_model_test_golden_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_golden_LDADD = $(unit_LDADD)
tests_unit_model_test_head_SOURCES = %D%/test_head.c %D%/fixture.c %D%/fixture.h %D%/run.c %D%/run.h
tests_unit_model_test_head_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_head_LDADD = $(unit_LDADD)
tests_unit_model_test_open_SOURCES = %D%/test_open.c %D%/fixture.c %D%/fixture.h
tests_unit_model_test_open_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_open_LDADD = $(unit_LDADD)
tests_unit_model_test_weights_SOURCES = %D%/test_weights.c %D%/fixture.c %D%/fixture.h
tests_unit_model_test_weights_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_model_test_weights_LDADD = $(unit_LDADD)
TESTS += tests/unit/model/test_drawn tests/unit/model/test_dropout tests/unit/model/test_encoder \
  tests/unit/model/test_golden tests/unit/model/test_head tests/unit/model/test_open tests/unit/model/test_weights
