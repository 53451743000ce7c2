# shellcheck shell=bash
# Sourced by the walks: a command is run again and again, and each time one more place of it fails (src/base/fault.h).
# Whatever fails, the command ends by itself, with one message that names the cause and a status that tells, or goes on
# without what failed; it leaks nothing, leaves no half of a file, and the next run without a fault gives the bytes of an
# undisturbed one.  A fault at one site and one count is one TAP line.
#   ADAMIX_FAULTS=N          N places of each site, spread over all of them, at the first rank, the last and all of them;
#                            else 2 of the sites that a walk lists as `brief`, at these ranks in turn
#   ADAMIX_FAULTS_SITES=S    these sites only, separated by blanks
# What is tried does not change between runs.  A site that a walk lists as `must` it has to pass, so that none is left out.
#
# A walk defines
#   prepare FOLDER   make the folder in which the command starts
#   attempt FOLDER   run the command there, through `launch`
#   follow FOLDER    run what must succeed afterwards and leave the final state
#   compare A B      are the results in two folders the same?
. "$ADAMIX_SOURCE/tests/cli/lib.sh"
. "$ADAMIX_SOURCE/tests/cli/data.sh"

most=${ADAMIX_FAULTS:-2}
brief=
must=
watchdog=60
ranks=1
fault=
cases=0

# Open MPI and the libraries under it keep memory to their end; nothing of adamix is named here.
for library in libmpi.so libopen-rte.so libopen-pal.so libpmix.so mca_ libevent libhwloc libucp.so libucs.so libfabric; do
  echo "leak:$library"
done > "$scratch/suppressions"
# Leaks of those libraries are told by frames that only the slow unwinder finds, among the innermost ones.
watched="log_path=$scratch/sanitizer:fast_unwind_on_malloc=0:malloc_context_size=8"

# 32 and 12 records: a step does not take long.
head -n 33 "$scratch/train.tsv" > "$scratch/few.tsv" && mv "$scratch/few.tsv" "$scratch/train.tsv"
head -n 13 "$scratch/dev.tsv" > "$scratch/few.tsv" && mv "$scratch/few.tsv" "$scratch/dev.tsv"
training=(train "${base[@]/#16/8}" --max-steps 6 --save-every 2 --eval-every 2 --keep 2 --select best --experts 4
  --rotate-every 2)

# launch ARGUMENT... - `adamix ARGUMENT...` on `ranks` ranks, with `fault`, watched by the sanitizer if there is one;
# leaves status, $scratch/out, $scratch/err and the status of each rank that lived to have one in $scratch/statuses.
launch () {
  local launcher=()
  [ "$ranks" = 1 ] || launcher=("$MPIRUN" -n "$ranks")
  rm -f "$scratch/statuses"
  status=0
  # shellcheck disable=SC2016
  ADAMIX_FAULT=$fault \
    ASAN_OPTIONS=$([ "$fault" ] && echo "$watched" || echo detect_leaks=0) \
    LSAN_OPTIONS=suppressions=$scratch/suppressions:print_suppressions=0 \
    timeout -k 5 "$watchdog" "${launcher[@]}" \
    "$BASH" -c '"$@"; status=$?; echo "$status" >> "$0"; exit "$status"' "$scratch/statuses" "$ADAMIX" "$@" \
    > "$scratch/out" 2> "$scratch/err" < "${input:-/dev/null}" || status=$?
}

# passes SITE POSITION - how often the undisturbed run passes the site: on the rank, or for "" on the rank with most.
passes () {
  sed -n "s/^fault: rank ${2:-[0-9]*} passed $1 \([0-9]*\) times\$/\1/p" "$scratch/counts" | sort -n | tail -n 1
}

# choose N - the counts to try of 1 to N: all, or the first and others spread by the golden ratio, which meets no period.
choose () {
  awk -v n="$1" -v most="$most" 'BEGIN {
    if (n <= most) for (i = 1; i <= n; i++) print i
    else for (i = 0; i < most; i++) print 1 + int (n * (i * 0.6180339887 - int (i * 0.6180339887)))
  }' | sort -nu
}

# Files that are there are whole.
check_files () {
  local file
  while IFS= read -r file; do
    case $file in
      *.safetensors) ASAN_OPTIONS=detect_leaks=0 "$ADAMIX" inspect "$file" > /dev/null 2>&1 ;;
      *.json) [[ $(tail -c 2 "$file") == [\]\}] ]] ;;
      *.jsonl) ! grep -qv '^{.*}$' "$file" ;;
    esac || echo "$file is not whole"
  done < <(find "$1" -name '*.safetensors' -o -name '*.json' -o -name '*.jsonl')
}

no_temporary () { find "$1" -name '*.tmp' | sed 's/$/ is left over/'; }

# What is wrong with a run that met the fault; $1 the folder, $2 the site, $3 what the message must name.
judge_attempt () {
  local errors
  errors=$(grep -c '^adamix: error: ' "$scratch/err")
  if [ "$status" -ge 124 ] && [ "$status" != 255 ]; then echo "ends with status $status: hangs or crashes"; fi
  grep -q '^fault: rank [0-9]* fails at' "$scratch/err" || echo "the fault was not reached"
  if compgen -G "$scratch/sanitizer*" > /dev/null; then
    echo "the sanitizer complains"
    cat "$scratch"/sanitizer* >> "$scratch/err"
  fi
  if [ "$status" = 0 ]; then
    [ "$errors" = 0 ] || echo "a message, but success"
    compare "$scratch/baseline" "$1" || echo "success with other results"
  else
    [ "$errors" = 1 ] || echo "$errors messages"
    grep '^adamix: error: ' "$scratch/err" | grep -qi -e "$3" || echo "the message does not name the cause, $3"
    ! grep -qx 0 "$scratch/statuses" 2> /dev/null || echo "a rank ends with success"
  fi
  # Ranks that MPI_Abort ends cannot clean up; the next run does.
  [[ $2 == mpi_* ]] || no_temporary "$1"
  check_files "$1"
}

# What is wrong with the run after it.
judge_follow () {
  [ "$status" = 0 ] || echo "the next run fails"
  ! grep -q 'cannot be used' "$scratch/err" || echo "a checkpoint is damaged"
  compare "$scratch/baseline" "$1" || echo "the next run has other results"
  no_temporary "$1"
  check_files "$1"
}

# strike SITE COUNT POSITION CAUSE
strike () {
  local folder=$scratch/case wrong
  fault=$1:$2${3:+@$3}
  rm -rf "$folder" "$scratch"/sanitizer*
  prepare "$folder"
  attempt "$folder"
  wrong=$(judge_attempt "$folder" "$1" "$4")
  cp "$scratch/err" "$scratch/first"
  if [ -z "$wrong" ]; then
    fault=
    follow "$folder"
    wrong=$(judge_follow "$folder")
    cat "$scratch/err" >> "$scratch/first"
  fi
  mv "$scratch/first" "$scratch/err"
  [ -z "$wrong" ]
  report $? "$walk: $1:$2${3:+@$3}${wrong:+: ${wrong//$'\n'/; }}"
}

# walk NAME - a site that the command never passes is left to other walks.
walk () {
  local name cause n where places sites=$brief ends=("")
  walk=$1
  [ -z "${ADAMIX_FAULTS:-}" ] || sites=
  sites=${ADAMIX_FAULTS_SITES:-$sites}
  [ "$ranks" = 1 ] || ends=(0 $((ranks - 1)) "")
  fault=count
  rm -rf "$scratch/baseline"
  prepare "$scratch/baseline"
  attempt "$scratch/baseline"
  grep '^fault: ' "$scratch/err" > "$scratch/counts"
  expect "$walk: undisturbed" [ "$status" = 0 ]
  while IFS=$'\t' read -r name cause _; do
    [[ -z $sites || " $sites " == *" $name "* ]] || continue
    n=$(passes "$name" "")
    if [ "${n:-0}" = 0 ] && [[ " $must " == *" $name "* ]]; then
      report 1 "$walk: $name is never passed"
    fi
    for n in $(choose "${n:-0}"); do
      places=()
      for where in "${ends[@]}"; do
        if [ "$n" -le "$(passes "$name" "$where")" ]; then places+=("$where"); fi
      done
      if [ -z "${ADAMIX_FAULTS:-}" ]; then places=("${places[cases++ % ${#places[@]}]}"); fi
      for where in "${places[@]}"; do strike "$name" "$n" "$where" "$cause"; done
    done
  done < <("$ADAMIX" --faults)
}
