#!/usr/bin/env bash
# A job that is cancelled stops at a checkpoint and is not requeued.  It has one node, where mpirun is signalled as well:
# it then gives its ranks a second, which may be too short, and ends with 1.  A job that Slurm itself requeues, as for preemption, goes on.
. "$(dirname "$0")/lib.sh"

# cancel LAUNCHER SAVE-EVERY CHECKPOINT - what the job tells of in the end.
cancel () {
  local launcher=$1 name="a job cancelled under $1"
  use_launcher "$launcher"
  submit "$launcher" -n 2 slurm/train.sbatch "${base[@]}" --max-steps 20000 --eval-every never --save-every "$2" --output "$launcher"
  wait_for 60 beyond "$launcher" 20
  scancel "$job"
  finish 60
  expect_state CANCELLED "$name"
  expect_log "the newest valid checkpoint is $launcher/checkpoints/step-$3" "$name"
  expect "$name: it is not requeued" [ "$(job_field Restarts)" = 0 ]
}

cancel srun never "[2-9]"
cancel mpirun 10 "[1-9]"

name="requeued by Slurm"
submit other "${layout[@]}" slurm/train.sbatch "${training[@]}" --output other
wait_for 60 beyond other 20
scontrol requeue "$job"
finish 120
expect_state COMPLETED "$name"
expect_log "resuming from the checkpoint of step" "$name"

done_testing
