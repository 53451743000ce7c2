#!/usr/bin/env bash
# A fault in an evaluation on two ranks, with and without reports, and of two runs.
. "$(dirname "$0")/lib.sh"
brief="alloc json_alloc file_open file_write file_rename stream_write mpi_allreduce mpi_bcast mpi_split"
must=$brief

prepare () { mkdir -p "$1"; }
attempt () {
  launch eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --threads 1 --inference all \
    --output "$1/eval.json"
}
follow () { attempt "$1"; }
compare () { cmp -s "$1/eval.json" "$2/eval.json"; }

launch "${training[@]}" --output "$scratch/run"
expect "train" [ "$status" = 0 ]
launch "${training[@]}" --seed 1 --output "$scratch/other"
expect "train another run" [ "$status" = 0 ]
ranks=2
walk "eval on two ranks"

attempt () {
  launch eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --threads 1 --uncertainty 2 \
    --ood-file "$scratch/train.tsv" --diversity --report "$1/report"
}
compare () {
  local file
  for file in uncertainty.json diversity.json risk_coverage.tsv line.tsv; do
    cmp -s "$1/report/$file" "$2/report/$file" || return 1
  done
}
brief="alloc json_alloc file_write stream_open directory_make mpi_allreduce"
must=$brief
walk "reports on two ranks"

attempt () {
  launch eval --model "$tiny" --adapter "$scratch/run,$scratch/other" --file "$scratch/dev.tsv" --threads 1 --inference all \
    --output "$1/eval.json"
}
compare () { cmp -s "$1/eval.json" "$2/eval.json"; }
brief="alloc json_alloc file_open file_write mpi_allreduce"
must=$brief
walk "eval of two runs on two ranks"
done_testing
