#!/usr/bin/env bash
# What several ranks cost: speed, and the shares of a step spent waiting and communicating, on one machine.
#   experiments/bench/parallel.sh --adamix PATH --model DIR --data DIR [--task banking77] [--repetitions 3] [--steps 60]
# Alternating: 1 rank; 2 ranks, owned; 2 ranks, replicated; the same with --reproducible.  One line a run, then medians; tokens are
# real ones, one pass counted, without the first three steps.  Needs two idle cores.
set -euo pipefail
adamix=adamix model='' data='' task=banking77 repetitions=3 steps=60
while [ $# -gt 1 ]; do
  declare "${1#--}=$2"
  shift 2
done
for name in model data; do
  [ -n "${!name}" ] || { echo "--$name is missing; see the head of $0" >&2; exit 2; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

median () { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# train RANKS OPTION... - steps of MiniLM's recipe without evaluation or checkpoints, under mpirun where there are several
# ranks; what came out is in $scratch/run.
train () {
  local launcher=()
  [ "$1" = 1 ] || launcher=(mpirun -n "$1")
  "${launcher[@]}" "$adamix" train --model "$model" --data "$data" --rank 48 --pool mean --lr 2e-3 --max-steps "$steps" \
    --eval-every never --save-every never --output "$scratch/run" --force "${@:2}" \
    > /dev/null 2> "$scratch/err" || { cat "$scratch/err" >&2; exit 1; }
}

# field KEY - of its all_results.json.
field () { sed -n "s/.*\"$1\": *\([-0-9.e+]*\),*\$/\1/p" "$scratch/run/all_results.json"; }

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
