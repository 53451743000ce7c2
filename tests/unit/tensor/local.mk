# tests/unit/tensor: one program a line of check_PROGRAMS and TESTS.
