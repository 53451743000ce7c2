#!/usr/bin/env bash
# What several ranks cost: speed, and the shares of a step spent waiting and communicating, on one machine.
#   experiments/bench/parallel.sh --adamix PATH --model DIR --data DIR [--task banking77] [--repetitions 3] [--steps 60]
# Alternating: 1 rank; 2 ranks, owned; 2 ranks, replicated; the same with --reproducible.  One line a run, then medians; tokens are
# real ones, one pass counted, without the first three steps.  Needs two idle cores.
set -euo pipefail
adamix=adamix model='' data='' task=banking77 repetitions=3 steps=60
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
needed model data

# measure NAME RANKS OPTION...
measure () {
  local name=$1 ranks=$2
  shift 2
  train "$ranks" --threads 1 --task "$task" "$@"
  for key in train_tokens_per_second wait_fraction comm_fraction; do field "$key" >> "$scratch/$name.$key"; done
  printf '%-28s %8.0f tokens/s, waiting %.4f, communicating %.4f\n' "$name" "$(field train_tokens_per_second)" \
    "$(field wait_fraction)" "$(field comm_fraction)"
}

for ((i = 0; i < repetitions; i++)); do
  measure "1 rank" 1
  measure "2 ranks, owned" 2
  measure "2 ranks, replicated" 2 --placement replicated
  measure "2 ranks, reproducible" 2 --placement replicated --reproducible
done
echo "medians of $repetitions:"
for name in "1 rank" "2 ranks, owned" "2 ranks, replicated" "2 ranks, reproducible"; do
  printf '%-28s %8.0f tokens/s, waiting %.4f, communicating %.4f\n' "$name" \
    "$(median < "$scratch/$name.train_tokens_per_second")" "$(median < "$scratch/$name.wait_fraction")" \
    "$(median < "$scratch/$name.comm_fraction")"
done
