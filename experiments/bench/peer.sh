#!/usr/bin/env bash
# Training speed of adamix beside the PyTorch peer, alternating, in fp32: one line a repetition, then medians and ratios.
#   experiments/bench/peer.sh --adamix PATH --model DIR --data DIR --peer torch_adamix.py [--python python3]
#                             [--tasks "banking77 rte"] [--repetitions 3] [--steps 60]
# Tokens are real ones, one pass counted, without start-up and the first three steps.  Needs two idle cores.
set -euo pipefail
adamix=adamix model='' data='' peer='' python=python3 tasks="banking77 rte" repetitions=3 steps=60
while [ $# -gt 1 ]; do
  declare "${1#--}=$2"
  shift 2
done
for name in model data peer; do
  [ -n "${!name}" ] || { echo "--$name is missing; see the head of this file" >&2; exit 2; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

# adamix_speed RANKS THREADS TASK
adamix_speed () {
  local launcher=()
  [ "$1" = 1 ] || launcher=(mpirun -n "$1")
  "${launcher[@]}" "$adamix" train --model "$model" --data "$data" --task "$3" --rank 48 --pool mean --lr 2e-3 \
    --max-steps "$steps" --eval-every never --save-every never --threads "$2" --output "$scratch/run" --force \
    > /dev/null 2> "$scratch/err" || { cat "$scratch/err" >&2; exit 1; }
  sed -n 's/.*"train_tokens_per_second": \([0-9.]*\).*/\1/p' "$scratch/run/all_results.json"
}

# peer_speed TASK: the tuned style with two threads, batches sorted by length
peer_speed () {
  "$python" "$peer" --model "$model" --data "$data" --task "$1" --style tuned --order sorted --dtype fp32 --pool mean \
    --r 48 --experts 4 --share down --lr 2e-3 --batch 32 --threads 2 --max-steps "$steps" --no-eval 2> "$scratch/err" |
    sed -n 's/.*"tokens_per_s": \([0-9.]*\).*/\1/p'
}

median () { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
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
