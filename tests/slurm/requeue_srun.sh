#!/usr/bin/env bash
# A training by srun over two nodes that is stopped and requeued three times ends with the bytes of the uninterrupted one.
. "$(dirname "$0")/lib.sh"

train_whole
requeue_often srun 3

done_testing
