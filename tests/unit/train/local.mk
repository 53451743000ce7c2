# tests/unit/train: one program a line of check_PROGRAMS and TESTS.
