#!/usr/bin/env bash
# A fault in a run that goes on from a checkpoint.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/runs.sh"
brief="alloc json_alloc hash file_open file_map directory_read stream_open stream_read mpi_bcast"
must=$brief
ranks=2

# As it was when it died at its end: with the lines of metrics behind the newest checkpoint that is left.
prepare () {
  mkdir -p "$1"
  cp -r "$scratch/whole/run" "$1/run"
  rm -r "$1/run/all_results.json" "$1/run/merged" "$1/run/experts" "$1/run/checkpoints/step-6"
}
attempt () { follow "$1"; }

mkdir "$scratch/whole"
launch "${training[@]}" --output "$scratch/whole/run"
expect "train" [ "$status" = 0 ]
walk "resume on two ranks"
done_testing
