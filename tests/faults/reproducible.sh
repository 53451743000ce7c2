#!/usr/bin/env bash
# A fault in a run whose sums are made in the order of shards, by messages from rank to rank.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/runs.sh"
brief="mpi_send mpi_recv"
must=$brief
ranks=2
training+=(--reproducible --placement replicated)
walk "train --reproducible on two ranks"
done_testing
