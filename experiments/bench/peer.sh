#!/usr/bin/env bash
# Training speed of adamix beside the PyTorch peer, alternating, in fp32: one line a repetition, then medians and ratios.
#   experiments/bench/peer.sh --adamix PATH --model DIR --data DIR --peer torch_adamix.py [--python python3]
#                             [--tasks "banking77 rte"] [--repetitions 3] [--steps 60]
# Tokens are real ones, one pass counted, without start-up and the first three steps.  Needs two idle cores.
set -euo pipefail
adamix=adamix model='' data='' peer='' python=python3 tasks="banking77 rte" repetitions=3 steps=60
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
needed model data peer

# adamix_speed RANKS THREADS TASK
adamix_speed () {
  train "$1" --threads "$2" --task "$3"
  field train_tokens_per_second
}

# peer_speed TASK: the tuned style with two threads, batches sorted by length
peer_speed () {
  "$python" "$peer" --model "$model" --data "$data" --task "$1" --style tuned --order sorted --dtype fp32 --pool mean \
    --r 48 --experts 4 --share down --lr 2e-3 --batch 32 --threads 2 --max-steps "$steps" --no-eval 2> "$scratch/err" |
    sed -n 's/.*"tokens_per_s": \([0-9.]*\).*/\1/p'
}

ratio () { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

for task in $tasks; do
  for ((i = 0; i < repetitions; i++)); do
    one=$(adamix_speed 1 1 "$task") two=$(adamix_speed 2 1 "$task") threads=$(adamix_speed 1 2 "$task")
    torch=$(peer_speed "$task")
    echo "$one" >> "$scratch/$task.one"
    echo "$two" >> "$scratch/$task.two"
    echo "$threads" >> "$scratch/$task.threads"
    echo "$torch" >> "$scratch/$task.torch"
    printf '%s: adamix 1 rank %.0f, 2 ranks %.0f, 2 threads %.0f; PyTorch 2 threads %.0f tokens/s\n' \
      "$task" "$one" "$two" "$threads" "$torch"
  done
  one=$(median < "$scratch/$task.one") two=$(median < "$scratch/$task.two")
  threads=$(median < "$scratch/$task.threads") torch=$(median < "$scratch/$task.torch")
  printf '%s, medians: 2 ranks / 1 rank %s; 2 threads / 1 thread %s; 2 ranks / PyTorch %s; 2 threads / PyTorch %s\n' "$task" \
    "$(ratio "$two" "$one")" "$(ratio "$threads" "$one")" "$(ratio "$two" "$torch")" "$(ratio "$threads" "$torch")"
done
