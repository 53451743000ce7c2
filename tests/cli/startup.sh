#!/usr/bin/env bash
# What happens before the first step, and what is put off until behind it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"
short=("${base[@]}" --max-steps 5)
hash=$(sha256sum < "$tiny/model.safetensors" | cut -d ' ' -f 1)

# between LOW VALUE HIGH - in this order.
between () { awk -v low="$1" -v value="$2" -v high="$3" 'BEGIN { exit !(value != "" && low <= value && value <= high) }'; }

# started COMMAND... - leaves status, and in `elapsed` the seconds that the command took.
started () {
  local begin=$EPOCHREALTIME
  status=0
  "$@" > "$scratch/out" 2> "$scratch/err" || status=$?
  elapsed=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
}

# The process of a shell becomes that of adamix: its second of sleep is one before the first step.
# shellcheck disable=SC2016
started "$BASH" -c 'sleep 1; exec "$0" "$@"' "$ADAMIX" train "${short[@]}" --output "$scratch/one"
expect_exit 0 "train"
seconds=$(field "$scratch/one/all_results.json" startup_seconds)
trained=$(field "$scratch/one/all_results.json" train_runtime)
# The kernel tells the start in ticks of a hundredth of a second.
expect "a start of $seconds s, in $elapsed s" between 1 "$seconds" "$(awk -v e="$elapsed" -v t="$trained" 'BEGIN { print e - t + 0.01 }')"
expect "run.json has the hash of the model" grep -q "$hash" "$scratch/one/run.json"
expect "so has the module" grep -q "$hash" "$scratch/one/merged/adamix_config.json"

# A resumed run starts anew.
rm "$scratch/one/all_results.json"
started "$ADAMIX" train "${short[@]}" --output "$scratch/one" --resume
expect_exit 0 "resume"
seconds=$(field "$scratch/one/all_results.json" startup_seconds)
expect "a start of $seconds s, in $elapsed s" between 0 "$seconds" "$elapsed"

# The hash that run.json waits for is asked for on one rank only.
run_ranks 2 train "${short[@]}" --output "$scratch/two"
expect_exit 0 "two ranks"
expect "two ranks: run.json has the hash of the model" grep -q "$hash" "$scratch/two/run.json"

# A run is not walked through before it starts, however long it is.
timeout -k 5 120 "$ADAMIX" train "${base[@]}" --max-steps 1000000000000000 --output "$scratch/long" > "$scratch/out" 2> "$scratch/err" &
child=$!
until [ "$(wc -l < "$scratch/long/metrics.jsonl" 2> /dev/null || echo 0)" -ge 3 ] || ! kill -0 "$child" 2> /dev/null; do sleep 0.05; done
kill -TERM "$child"
status=0
wait "$child" || status=$?
expect_exit 75 "10^15 steps"
expect_stderr "of 1000000000000000, a checkpoint is written" "10^15 steps"

# Ranks of one node look for no network unless they are told to.
unset OMPI_MCA_pml
export OMPI_MCA_pml_base_verbose=10
run_ranks 2 eval --model "$tiny" --adapter "$scratch/two" --file "$scratch/dev.tsv" --threads 1
expect_exit 0 "MPI by default"
expect "MPI by default: what passes messages through memory is opened alone" \
  [ "$(sed -n 's/.*components_open: found loaded component //p' "$scratch/err" | sort -u)" = ob1 ]
# Not by a component that does not exist: of ranks that fail so early, what they say may be lost on its way.
OMPI_MCA_pml=^cm run_ranks 2 eval --model "$tiny" --adapter "$scratch/two" --file "$scratch/dev.tsv" --threads 1
expect_exit 0 "MPI as the user has it"
expect "MPI as the user has it: more than that is opened" \
  [ "$(sed -n 's/.*components_open: found loaded component //p' "$scratch/err" | sort -u | wc -l)" -gt 1 ]
done_testing
