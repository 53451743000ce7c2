#!/usr/bin/env bash
# Ten requeues, by srun and by mpirun.
max_steps=1500
. "$(dirname "$0")/lib.sh"

train_whole
requeue_often srun 10
requeue_often mpirun 10

done_testing
