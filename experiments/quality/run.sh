#!/usr/bin/env bash
# Accuracy of adamix and of the PyTorch peer on real data, run by run; what is finished is not run again.
#   experiments/quality/run.sh --adamix PATH --model DIR --data DIR --peer torch_adamix.py --output DIR
#                              [--python python3] [--grid experiments/quality/grid.tsv] [--jobs 1] [--threads 1]
# Each line of the grid is a cell: who trains (adamix, peer), task, method, seeds (0 .. n - 1), epochs, rate, share.
# Then `table.py DIR` makes the table of docs/results.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
adamix=adamix model='' data='' peer='' output='' python=python3 grid=$here/grid.tsv jobs=1 threads=1
while [ $# -gt 1 ]; do
  declare "${1#--}=$2"
  shift 2
done
for name in model data peer output; do
  [ -n "${!name}" ] || { echo "--$name is missing; see the head of this file" >&2; exit 2; }
done
mkdir -p "$output"
export adamix model data peer output python threads

# one WHO TASK METHOD SEED EPOCHS LR SHARE
one () {
  local who=$1 task=$2 method=$3 seed=$4 epochs=$5 lr=$6 share=$7
  local place=$output/$who-$task-$method-$seed
  local common=(--model "$model" --data "$data" --task "$task" --method "$method" --seed "$seed" --epochs "$epochs"
    --lr "$lr" --share "$share" --batch 32 --pool mean --threads "$threads")
  if [ "$who" = adamix ]; then
    [ ! -f "$place/all_results.json" ] || return 0
    "$adamix" train "${common[@]}" --rank 48 --experts 4 --save-every never --force --output "$place" 2> "$place.log"
  else
    [ ! -f "$place.json" ] || return 0
    "$python" "$peer" "${common[@]}" --r 48 --experts 4 --style tuned --order sorted > "$place.part" 2> "$place.log"
    mv "$place.part" "$place.json"
  fi
  echo "$place"
}
export -f one

while read -r who task method seeds epochs lr share; do
  case $who in '#'* | '') continue ;; esac
  for ((seed = 0; seed < seeds; seed++)); do echo "$who $task $method $seed $epochs $lr $share"; done
done < "$grid" | xargs -P "$jobs" -L 1 bash -c 'one "$@"' one
