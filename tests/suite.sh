# shellcheck shell=bash
# Sourced by the suites that `make check` leaves out: run tests through automake's TAP driver and sum up.
# The caller has set `build_dir`.

# How many cases of the tests ended so: count RESULT TEST...
count_results () {
  local result=$1 test total=0 n
  shift
  for test in "$@"; do
    n=$(grep -c "^:test-result: $result" "$build_dir/${test%.*}.trs" 2> /dev/null) || n=${n:-0}
    total=$((total + n))
  done
  echo "$total"
}

# run_suite NAME JOBS TEST... - JOBS is -jN or nothing.  Ends with "N passed, N failed"; fails if a case did, or none was
# counted.
run_suite () {
  local name=$1 jobs=$2 status=0 passed skipped failed test
  shift 2
  "${MAKE:-make}" -C "$build_dir" ${jobs:+"$jobs"} check-TESTS TESTS="$*" check_PROGRAMS= \
    TEST_SUITE_LOG="$name-suite.log" || status=$?
  passed=$(count_results PASS "$@") skipped=$(count_results SKIP "$@")
  failed=$(($(count_results FAIL "$@") + $(count_results ERROR "$@") + $(count_results XPASS "$@")))
  for test in "$@"; do
    if [ ! -s "$build_dir/${test%.*}.trs" ]; then
      say "$test did not run"
      failed=$((failed + 1))
    fi
  done
  [ "$skipped" = 0 ] || echo "$skipped skipped"
  echo "$passed passed, $failed failed"
  [ "$status" = 0 ] && [ "$failed" = 0 ] && [ $((passed + skipped)) -gt 0 ]
}
