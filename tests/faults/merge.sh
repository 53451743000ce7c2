#!/usr/bin/env bash
# A fault in merging the experts of a finished run on two ranks, by every method; and in averaging two runs.
. "$(dirname "$0")/lib.sh"
brief="alloc json_alloc file_open file_write file_rename mpi_allreduce mpi_bcast mpi_split"
must=$brief

prepare () { mkdir -p "$1"; }
attempt () {
  launch merge --run "$scratch/run" --merge all --merge-weights 1,2,3,4 --merge-samples 6 --threads 1 --force \
    --output "$1/merges"
}
follow () { attempt "$1"; }
compare () { diff -r "$1/merges" "$2/merges" > /dev/null; }

launch "${training[@]}" --ema 0.9 --share none --output "$scratch/run"
expect "train" [ "$status" = 0 ]
launch "${training[@]}" --ema 0.9 --share none --seed 1 --output "$scratch/other"
expect "train another run" [ "$status" = 0 ]
ranks=2
walk "merge on two ranks"

attempt () {
  launch merge --run "$scratch/run,$scratch/other" --merge all --merge-weights 1,2 --threads 1 --force --output "$1/merges"
}
brief="alloc json_alloc file_open file_write mpi_allreduce"
must=$brief
walk "merge two runs on two ranks"
done_testing
