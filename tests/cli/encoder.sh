#!/usr/bin/env bash
# The pretrained encoder of the quick start, named by ADAMIX_MODEL: what a tiny encoder does not show.
. "$(dirname "$0")/lib.sh"
model=${ADAMIX_MODEL:-}

if [ ! -f "$model/config.json" ]; then
  skip "the real encoder" "ADAMIX_MODEL names no model folder"
  done_testing
  exit
fi

run inspect "$model"
expect_exit 0 "inspect"
expect_stdout "hidden_size *384" "inspect"
status=0
echo "Hello world" | "$ADAMIX" encode --model "$model" > "$scratch/out" 2> "$scratch/err" || status=$?
expect "encode" cmp "$scratch/out" <(echo "101 7592 2088 102")

# A signal meets the GEMM kernels of real shapes, which keep no room for its frame on the stack.
for n in 1 2 3 4 5; do
  "$ADAMIX" train --recipe support --model "$model" --data "$ADAMIX_SOURCE/examples/support" --limit-train 200 \
    --max-steps 5000 --eval-every never --save-every never --output "$scratch/stopped-$n" \
    > "$scratch/out" 2> "$scratch/err" &
  child=$!
  for _ in $(seq 600); do
    if [ "$(cat "$scratch/stopped-$n/metrics.jsonl" 2> /dev/null | wc -l)" -gt "$n" ]; then break; fi
    sleep 0.1
  done
  sleep "0.0$((2 * n - 1))" # into the middle of a step
  kill -TERM "$child"
  status=0
  wait "$child" || status=$?
  expect_exit 75 "signal $n stops at a checkpoint"
  expect "signal $n: the checkpoint is there" test -n "$(ls "$scratch/stopped-$n/checkpoints")"
done

done_testing
