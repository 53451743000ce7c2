#!/usr/bin/env bash
# --tensorboard: an event file whose records are whole, and an error where the build cannot (what is in it: make check-peer).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

events=$scratch/run/tensorboard/events.out.tfevents.0.adamix
common=("${base[@]}" --max-steps 6 --eval-every 3 --save-every 3)
run train "${common[@]}" --tensorboard --output "$scratch/run"
if ! grep -q "^#define HAVE_TENSORBOARD 1" "$ADAMIX_BUILD/config.h"; then
  expect_exit 1 "a build without it"
  expect_stderr "configure and build again, or leave it out" "a build without it"
  expect_no_file "$scratch/run"
  done_testing
  exit
fi
expect_exit 0 "a run"

# Records begin with their length in 8 bytes and a check of 4, and end with a check of 4.
records () {
  od -An -v -t u1 -w1 "$1" | awk '{ byte[NR] = $1 } END {
    for (at = 1; at <= NR; at += 16 + length_of) {
      length_of = byte[at] + 256 * byte[at + 1]
      count++
    }
    print at == NR + 1 ? count : "torn"
  }'
}
expect "the file's version and six steps" [ "$(records "$events")" = 7 ]
expect "the numbers have their tags" grep -aq "train/loss_task" "$events"
expect "evaluations too" grep -aq "eval/accuracy" "$events"
expect "metrics.jsonl has them where the dev file was evaluated" [ "$(grep -c '"eval_accuracy"' "$scratch/run/metrics.jsonl")" = 2 ]

run train "${common[@]}" --output "$scratch/without"
expect "without the option there is none" [ ! -e "$scratch/without/tensorboard" ]
expect "and the same metrics" [ "$(without_times "$scratch/without/metrics.jsonl")" = "$(without_times "$scratch/run/metrics.jsonl")" ]

# A run that was made without goes on with it.
rm -r "$scratch/without/all_results.json" "$scratch/without/checkpoints/step-6"
run train "${common[@]}" --tensorboard --resume --output "$scratch/without"
expect_exit 0 "asked for at a resume"
expect "then the lines before are there as well" [ "$(records "$scratch/without/tensorboard/events.out.tfevents.0.adamix")" = 7 ]

# Less often logged, evaluations still are.
run train "${common[@]}" --log-every 4 --output "$scratch/seldom"
expect "a line every four steps and for each evaluation" \
  [ "$(sed 's/.*"step": \([0-9]*\),.*/\1/' "$scratch/seldom/metrics.jsonl" | paste -sd ' ')" = "3 4 6" ]

done_testing
