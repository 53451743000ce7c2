# tests/unit/merge: one program a line of check_PROGRAMS and TESTS.
