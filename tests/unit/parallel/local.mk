# tests/unit/parallel: one program a line of check_PROGRAMS and TESTS.
