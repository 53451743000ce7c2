# tests/unit/text: one program a line of check_PROGRAMS and TESTS.
