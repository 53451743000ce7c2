# tests/unit/model: one program a line of check_PROGRAMS and TESTS.
