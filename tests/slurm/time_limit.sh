#!/usr/bin/env bash
# Slurm itself tells a job that its time limit is near.
. "$(dirname "$0")/lib.sh"

train_whole
submit limit "${layout[@]}" --time=1 --signal=B:USR1@45 slurm/train.sbatch "${training[@]}" --output limit
wait_for 60 started 1
pause limit 20
wait_for 60 warned 1
signal_ranks CONT
scontrol update jobid="$job" timelimit=10
finish 120
expect_state COMPLETED "the time limit"
expect "the time limit: the job was requeued" [ "$(job_field Restarts)" = 1 ]
expect_whole "the time limit" limit

done_testing
