# tests/unit/format: one program a line of check_PROGRAMS and TESTS.
