# tests/unit/metrics: one program a line of check_PROGRAMS and TESTS.
