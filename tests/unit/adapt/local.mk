# tests/unit/adapt: one program a line of check_PROGRAMS and TESTS.
