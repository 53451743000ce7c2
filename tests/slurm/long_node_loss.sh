#!/usr/bin/env bash
# A node is lost with all its processes: Slurm puts the job back into the queue, where it goes on, on the nodes that are
# left, to the bytes of the run that nothing happened to.  Nodes do not come back here.
cluster_nodes=5 cluster_settings="SlurmdTimeout=10"
. "$(dirname "$0")/lib.sh"

# lose LAUNCHER WHICH - start a job and lose its first node, which runs the script, or its last.
lose () {
  local run=lost-$1-$2 name="$2 node lost under $1" nodes
  use_launcher "$1"
  submit "$run" "${layout[@]}" slurm/train.sbatch "${training[@]}" --output "$run"
  wait_for 60 test -e "$run/checkpoints/step-100/state.json"
  pause "$run" 20
  mapfile -t nodes < <(scontrol show hostnames "$(job_field NodeList)")
  if [ "$2" = first ]; then kill_node "${nodes[0]}"; else kill_node "${nodes[1]}"; fi
  signal_ranks CONT
  finish 180
  expect_state COMPLETED "$name"
  expect "$name: the job was requeued" [ "$(job_field Restarts)" = 1 ]
  expect_log "resuming from the checkpoint of step [12]00" "$name"
  # srun ends no sooner than Slurm notices.
  if [ "$1" = mpirun ]; then expect_log "no answer from: ${nodes[1]}; waiting" "$name"; fi
  expect_whole "$name" "$run"
}

train_whole
lose srun last
lose mpirun last
lose srun first

done_testing
