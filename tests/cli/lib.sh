# shellcheck shell=bash
# Sourced by the tests of the command line.  A test runs the binary with `run`, then states what it expects; every
# expectation is one TAP line.  The plan comes last, from `done_testing`.
set -u
case_count=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Tests vary a common command line, while the binary refuses an option given twice: leave in `arguments` what is given,
# without the earlier ones of options that are given again.
keep_last () {
  local given=("$@") i j
  arguments=()
  for ((i = 0; i < ${#given[@]}; i++)); do
    if [[ ${given[i]} == --* && ${given[i + 1]:---} != --* ]]; then
      for ((j = i + 2; j < ${#given[@]}; j++)); do
        if [ "${given[j]}" = "${given[i]}" ]; then break; fi
      done
      if [ "$j" -lt "${#given[@]}" ]; then
        i=$((i + 1))
        continue
      fi
    fi
    arguments+=("${given[i]}")
  done
}

# run ARGUMENT... - `adamix ARGUMENT...`; leaves status, $scratch/out and $scratch/err.
run () {
  keep_last "$@"
  status=0
  "$ADAMIX" "${arguments[@]}" > "$scratch/out" 2> "$scratch/err" || status=$?
}

# run_ranks N ARGUMENT... - the same under mpirun with N ranks.  Open MPI leaves memory behind at its end, which the leak
# sanitizer would report.
run_ranks () {
  local ranks=$1
  shift
  keep_last "$@"
  status=0
  ASAN_OPTIONS=detect_leaks=0 timeout 300 "$MPIRUN" -n "$ranks" "$ADAMIX" "${arguments[@]}" \
    > "$scratch/out" 2> "$scratch/err" || status=$?
}

# report OK NAME - one TAP line; what the last run wrote is shown where it failed.
report () {
  case_count=$((case_count + 1))
  if [ "$1" = 0 ]; then
    echo "ok $case_count - $2"
    return
  fi
  echo "not ok $case_count - $2"
  echo "# status $status"
  sed 's/^/# out: /' "$scratch/out" | head -n 20
  sed 's/^/# err: /' "$scratch/err" | head -n 20
}

# skip NAME WHY
skip () {
  case_count=$((case_count + 1))
  echo "ok $case_count - $1 # SKIP $2"
}

# expect NAME COMMAND... - the command succeeds.
expect () {
  local name=$1 result=0
  shift
  "$@" > /dev/null 2>&1 || result=1
  report "$result" "$name"
}

expect_exit () { expect "$2: exit status $1" [ "$status" -eq "$1" ]; }
expect_stdout () { expect "$2: standard output has '$1'" grep -q -e "$1" "$scratch/out"; }
expect_stderr () { expect "$2: standard error has '$1'" grep -q -e "$1" "$scratch/err"; }
expect_no_stdout () { expect "$1: standard output is empty" [ ! -s "$scratch/out" ]; }
# One message, from one rank.
expect_one_message () { expect "$1: one message" [ "$(grep -c '^adamix: ' "$scratch/err")" -eq 1 ]; }
expect_file () { expect "$1 is there" [ -e "$1" ]; }
expect_no_file () { expect "$1 is not there" [ ! -e "$1" ]; }

done_testing () { echo "1..$case_count"; }
