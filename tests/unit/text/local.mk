# tests/unit/text
EXTRA_DIST += %D%/golden_tokens.h tests/golden/make_tokens.py

check_PROGRAMS += tests/unit/text/test_tokenizer
tests_unit_text_test_tokenizer_SOURCES = %D%/test_tokenizer.c
tests_unit_text_test_tokenizer_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_text_test_tokenizer_LDADD = $(unit_LDADD)
TESTS += tests/unit/text/test_tokenizer

check_PROGRAMS += tests/unit/text/test_utf8
tests_unit_text_test_utf8_SOURCES = %D%/test_utf8.c
tests_unit_text_test_utf8_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_text_test_utf8_LDADD = $(unit_LDADD) $(UTF8PROC_LIBS)
TESTS += tests/unit/text/test_utf8

check_PROGRAMS += tests/unit/text/test_bpe
tests_unit_text_test_bpe_SOURCES = %D%/test_bpe.c %D%/encoding.h %D%/golden_bpe.h
tests_unit_text_test_bpe_CPPFLAGS = $(unit_CPPFLAGS)
tests_unit_text_test_bpe_LDADD = $(unit_LDADD)
TESTS += tests/unit/text/test_bpe
