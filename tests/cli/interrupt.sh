#!/usr/bin/env bash
# A run of three ranks that is stopped again and again, politely and not, comes to the bits of the run that nothing stopped.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# Dropout, rotation and unlike groups: what a resumed run has to bring back is not in the parameters alone.
common=("${base[@]}" --max-steps 1200 --eval-every 300 --select best --save-every 80 --keep 2 --rotate-every 7)
run_ranks 3 train "${common[@]}" --output "$scratch/whole"
expect_exit 0 "the run that nothing stops"
cut=$scratch/cut

# begin - start or go on in the background; sets `launcher` and, once all are there, `ranks[r]`, the processes.
begin () {
  local pid rank
  : > "$scratch/err"
  ASAN_OPTIONS=detect_leaks=0 timeout 120 "$MPIRUN" -n 3 "$ADAMIX" train "${common[@]}" --output "$cut" --resume \
    > "$scratch/out" 2> "$scratch/err" &
  guard=$!
  ranks=()
  until [ "${#ranks[@]}" -eq 3 ] || ! kill -0 "$guard" 2> /dev/null; do
    launcher=$(pgrep -P "$guard")
    for pid in $(pgrep -P "${launcher:-0}"); do
      rank=$(tr '\0' '\n' < "/proc/$pid/environ" 2> /dev/null | sed -n 's/^OMPI_COMM_WORLD_RANK=//p')
      if [ -n "$rank" ]; then ranks[rank]=$pid; fi
    done
    sleep 0.01
  done
}

# reach STEP - wait until the run trains and has made STEP steps.
reach () {
  until { grep -q "steps of" "$scratch/err" && [ "$(wc -l < "$cut/metrics.jsonl" 2> /dev/null || echo 0)" -ge "$1" ]; } || ! kill -0 "$guard" 2> /dev/null; do
    sleep 0.01
  done
}

# stop_at STEP NAME SIGNAL WHOM... - send the signal when the run has come to STEP; sets `status`.
stop_at () {
  local step=$1 name=$2 signal=$3
  shift 3
  begin
  reach "$step"
  for whom in "$@"; do
    case $whom in
      launcher) kill "-$signal" "$launcher" ;;
      *) kill "-$signal" "${ranks[whom]}" ;;
    esac
  done
  status=0
  wait "$guard" || status=$?
  expect "$name: not at the end yet" [ ! -e "$cut/all_results.json" ]
}

# stops_politely STEP NAME SIGNAL WHOM... - a checkpoint of the very step, exit status 75, one message.
stops_politely () {
  stop_at "$@"
  expect_exit 75 "$2"
  expect_stderr "stopped at step" "$2"
  expect "$2: the checkpoint of its last step" [ -d "$cut/checkpoints/step-$(wc -l < "$cut/metrics.jsonl")" ]
}

stops_politely 60 "SIGUSR1 to the launcher" USR1 launcher
stops_politely 220 "SIGUSR1 to rank 2 alone" USR1 2
stops_politely 380 "SIGTERM to rank 1 alone" TERM 1
stop_at 540 "SIGKILL of rank 1" KILL 1
expect "SIGKILL of rank 1: not success" [ "$status" -ne 0 ]
stop_at 700 "SIGKILL of all" KILL launcher 0 1 2
stop_at 860 "SIGKILL of rank 0" KILL 0
stops_politely 1020 "SIGTERM to all ranks" TERM 0 1 2

run_ranks 3 train "${common[@]}" --output "$cut" --resume
expect_exit 0 "the last part"
for file in merged/adapter.safetensors experts/experts.safetensors checkpoints/step-1200/optimizer.safetensors \
  checkpoints/step-1200/best.safetensors; do
  expect "stopped seven times: the same $file" cmp "$scratch/whole/$file" "$cut/$file"
done
expect "stopped seven times: the same metrics" \
  cmp <(without_times "$scratch/whole/metrics.jsonl") <(without_times "$cut/metrics.jsonl")
expect "stopped seven times: the same best step" \
  [ "$(field "$scratch/whole/all_results.json" best_step)" = "$(field "$cut/all_results.json" best_step)" ]
expect "nothing half-written is left" [ -z "$(find "$cut" -name '*.tmp*')" ]

# On other ranks a run goes on too, and says what that means for its numbers.
cp -r "$cut" "$scratch/elastic"
rm -r "$scratch/elastic/all_results.json" "$scratch/elastic/checkpoints/step-1200"
run_ranks 2 train "${common[@]}" --output "$scratch/elastic" --resume --kernels reference
expect_exit 2 "other kernels by option"
run_ranks 2 train "${common[@]}" --output "$scratch/elastic" --resume
expect_exit 0 "on two ranks"
expect_stderr "warning: --resume: the number of ranks is 2 now and was 3" "on two ranks"

done_testing
