# tests/unit/export: one program a line of check_PROGRAMS and TESTS.
