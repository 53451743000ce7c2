#!/usr/bin/env bash
# A rank that dies ends its job within 10 s, although the others wait for it in a collective and Slurm would give them
# KillWait = 30 s; the script names the newest checkpoint that is whole, and the run goes on from there.
. "$(dirname "$0")/lib.sh"

newest=$((max_steps / 2)) before=$((max_steps / 4))

# lose_rank LAUNCHER RANKS-A-NODE - kill a rank of the second node while the newest checkpoint is torn.
lose_rank () {
  local run=dead-$1-$2 name="a dead rank under $1, $2 a node" options victims
  options=(-N 2 -n $((2 * $2)) --ntasks-per-node="$2" slurm/train.sbatch "${training[@]}" --output "$run")
  use_launcher "$1"
  submit "$run" "${options[@]}"
  wait_for 60 test -e "$run/checkpoints/step-$newest/state.json"
  signal_ranks STOP
  truncate -s 2000 "$run/checkpoints/step-$newest/experts.safetensors"
  mapfile -t victims < <(ranks node2)
  kill -KILL "${victims[0]}"
  signal_ranks CONT
  SECONDS=0
  finish 60
  expect "$name: the job has ended within 10 s ($SECONDS)" [ "$SECONDS" -le 10 ]
  expect_state FAILED "$name"
  expect_log "the newest valid checkpoint is $run/checkpoints/step-$before (step $before)" "$name"
  submit "$run-again" "${options[@]}"
  finish 120
  expect_state COMPLETED "$name, submitted again"
}

train_whole
for launcher in srun mpirun; do
  lose_rank "$launcher" 2
  expect_whole "a dead rank under $launcher, submitted again" "dead-$launcher-2"
  lose_rank "$launcher" 1
done

done_testing
