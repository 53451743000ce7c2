#!/usr/bin/env bash
# A job that is cancelled stops at a checkpoint and is not requeued.  It has one node, where mpirun is signalled as well:
# it then gives its ranks a second, which may be too short, and ends with 1.
. "$(dirname "$0")/lib.sh"

# cancel LAUNCHER SAVE-EVERY
cancel () {
  local name="a job cancelled under $1"
  use_launcher "$1"
  submit "$1" -n 2 slurm/train.sbatch "${base[@]}" --max-steps 20000 --eval-every never --save-every "$2" --output "$1"
  wait_for 60 beyond "$1" 20
  scancel "$job"
  finish 60
  expect_state CANCELLED "$name"
  expect_log "the newest valid checkpoint is $1/checkpoints/step-" "$name"
  expect "$name: it is not requeued" [ "$(job_field Restarts)" = 0 ]
}

cancel srun never
cancel mpirun 10

# One that Slurm itself requeues, as it does for preemption, goes on.
submit other "${layout[@]}" slurm/train.sbatch "${training[@]}" --output other
wait_for 60 beyond other 20
scontrol requeue "$job"
finish 120
expect_state COMPLETED "requeued by Slurm"
expect_log "resuming from the checkpoint of step" "requeued by Slurm"

done_testing
