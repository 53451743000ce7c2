# tests/unit/data: one program a line of check_PROGRAMS and TESTS.
