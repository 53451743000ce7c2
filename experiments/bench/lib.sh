# shellcheck shell=bash
# Sourced by the scripts beside it, which set their options' defaults first: takes their command line, `--name value` pairs, into
# variables of those names, and sets `scratch`, a folder that is gone at the end.
while [ $# -gt 1 ]; do
  declare "${1#--}=$2"
  shift 2
done
# needed NAME... - options without a default.
needed () {
  local name
  for name in "$@"; do
    [ -n "${!name}" ] || { echo "--$name is missing; see the head of $0" >&2; exit 2; }
  done
}
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
