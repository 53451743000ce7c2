golden_models = %D%/roberta-tiny %D%/distilbert-tiny %D%/electra-tiny
EXTRA_DIST += %D%/make_models.py $(golden_models:=/config.json) $(golden_models:=/model.safetensors) \
  $(golden_models:=/golden.safetensors)
# What tests/cli/trajectory.sh compares runs with.
EXTRA_DIST += %D%/make_trajectory.py %D%/trajectory/texts.tsv %D%/trajectory/order.jsonl %D%/trajectory/none.ini \
  %D%/trajectory/none.routes.jsonl %D%/trajectory/none.golden.jsonl %D%/trajectory/up.ini \
  %D%/trajectory/up.routes.jsonl %D%/trajectory/up.golden.jsonl %D%/trajectory/regression.ini \
  %D%/trajectory/regression.routes.jsonl %D%/trajectory/regression.golden.jsonl %D%/trajectory/lora.ini \
  %D%/trajectory/lora.routes.jsonl %D%/trajectory/lora.golden.jsonl %D%/trajectory/houlsby.ini \
  %D%/trajectory/houlsby.golden.jsonl %D%/trajectory/full.ini %D%/trajectory/full.golden.jsonl

EXTRA_DIST += %D%/make_bert.py %D%/bert-tiny/config.json %D%/bert-tiny/vocab.txt %D%/bert-tiny/model.safetensors \
  %D%/bert-tiny/golden.safetensors

check_PROGRAMS += tests/golden/test_adamix_gradients
tests_golden_test_adamix_gradients_SOURCES = %D%/test_adamix_gradients.c tests/unit/model/fixture.h tests/unit/model/fixture.c
tests_golden_test_adamix_gradients_CPPFLAGS = $(unit_CPPFLAGS)
tests_golden_test_adamix_gradients_LDADD = $(unit_LDADD)
TESTS += tests/golden/test_adamix_gradients
