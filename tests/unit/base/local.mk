# tests/unit/base: one program a line of check_PROGRAMS and TESTS.
