#!/usr/bin/env bash
# A fault in a training run of two ranks that own experts of their own.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/runs.sh"
ranks=2
# Only a resumed run reads a stream, only an ordered sum sends messages.
must=$("$ADAMIX" --faults | cut -f 1 | grep -v -x -e process -e stream_read -e mpi_send -e mpi_recv | tr "\n" " ")
walk "train on two ranks"
done_testing
