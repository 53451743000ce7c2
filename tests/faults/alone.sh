#!/usr/bin/env bash
# A fault in a training run of one process without MPI, which is quick: more places of the sites that have thousands.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/runs.sh"
brief="alloc json_alloc gemm"
must=$brief
most=$((most * 4))
walk "train alone"
done_testing
