#!/usr/bin/env bash
# run-program.sh PROGRAM - run a compiled test and print TAP.
# A unit test reports its own cases.  A program under tests/mpi is one case for each number of ranks, told by its status.
set -u
program=$1

run_unit () {
  local output status
  output=$("$program" --tap --jobs 1 2>&1)
  status=$?
  printf '%s\n' "$output"
  # A failed case is counted by its line; any other failure of the program has to be told by the status.
  if [ "$status" -ne 0 ] && grep -q '^not ok' <<< "$output"; then status=0; fi
  return "$status"
}

# Open MPI leaves memory behind at its end, which the leak sanitizer would report.
run_mpi () {
  local ranks output status case=0
  local counts=${ADAMIX_TEST_RANKS:-1 2 3 4} seconds=${ADAMIX_TEST_TIMEOUT:-300}
  export ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1
  echo "1..$(wc -w <<< "$counts")"
  for ranks in $counts; do
    case=$((case + 1))
    output=$(timeout "$seconds" "${MPIRUN:-mpirun}" -n "$ranks" "$program" 2>&1)
    status=$?
    if [ -n "$output" ]; then sed 's/^/# /' <<< "$output"; fi
    if [ "$status" -eq 77 ]; then echo "ok $case - $ranks ranks # SKIP"
    elif [ "$status" -eq 0 ]; then echo "ok $case - $ranks ranks"
    else echo "not ok $case - $ranks ranks, status $status"; fi
  done
}

case $program in
  *tests/mpi/*) run_mpi ;;
  *) run_unit ;;
esac
