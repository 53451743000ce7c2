# tests/unit/comm: one program a line of check_PROGRAMS and TESTS.
