# tests/unit/adapt
EXTRA_DIST += %D%/fixture.h %D%/differences.h

check_PROGRAMS += tests/unit/adapt/test_bank
tests_unit_adapt_test_bank_SOURCES = %D%/test_bank.c
tests_unit_adapt_test_bank_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_adapt_test_bank_LDADD = $(unit_LDADD)
TESTS += tests/unit/adapt/test_bank

check_PROGRAMS += tests/unit/adapt/test_route
tests_unit_adapt_test_route_SOURCES = %D%/test_route.c
tests_unit_adapt_test_route_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_adapt_test_route_LDADD = $(unit_LDADD)
TESTS += tests/unit/adapt/test_route

check_PROGRAMS += tests/unit/adapt/test_inserted
tests_unit_adapt_test_inserted_SOURCES = %D%/test_inserted.c
tests_unit_adapt_test_inserted_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_adapt_test_inserted_LDADD = $(unit_LDADD)
TESTS += tests/unit/adapt/test_inserted

check_PROGRAMS += tests/unit/adapt/test_loss
tests_unit_adapt_test_loss_SOURCES = %D%/test_loss.c
tests_unit_adapt_test_loss_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_adapt_test_loss_LDADD = $(unit_LDADD)
TESTS += tests/unit/adapt/test_loss

check_PROGRAMS += tests/unit/adapt/test_lora
tests_unit_adapt_test_lora_SOURCES = %D%/test_lora.c
tests_unit_adapt_test_lora_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_adapt_test_lora_LDADD = $(unit_LDADD)
TESTS += tests/unit/adapt/test_lora

check_PROGRAMS += tests/unit/adapt/test_gate
tests_unit_adapt_test_gate_SOURCES = %D%/test_gate.c
tests_unit_adapt_test_gate_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_adapt_test_gate_LDADD = $(unit_LDADD)
TESTS += tests/unit/adapt/test_gate
