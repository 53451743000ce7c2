#!/usr/bin/env bash
# A job that is cancelled stops at a checkpoint and is not requeued.  It has one node, where mpirun is signalled as well:
# it then gives its ranks a second and ends with 1.
. "$(dirname "$0")/lib.sh"

for launcher in srun mpirun; do
  use_launcher "$launcher"
  name="a job cancelled under $launcher"
  submit "$launcher" -n 2 slurm/train.sbatch "${base[@]}" --max-steps 20000 --eval-every never --save-every never --output "$launcher"
  wait_for 60 beyond "$launcher" 20
  scancel "$job"
  finish 60
  expect_state CANCELLED "$name"
  expect_log "the newest valid checkpoint is $launcher/checkpoints/step-$(steps "$launcher") " "$name"
  expect "$name: it is not requeued" [ "$(job_field Restarts)" = 0 ]
done

done_testing
