#!/usr/bin/env bash
# An array of three command lines: each task runs its own; a task that is stopped is requeued alone, also the last one,
# whose job number is that of the array.
. "$(dirname "$0")/lib.sh"

short=("${base[@]}" --max-steps 300 --eval-every never --save-every never)
for seed in 0 1 2; do
  output=runs/seed-$seed
  if [ "$seed" = 1 ]; then output="'runs/seed 1'"; fi
  echo "train ${short[*]} --seed $seed --output $output"
done > lines
submit array --array=1-3 -n 1 slurm/array.sbatch lines
array=$job job=${job}_3
wait_for 60 beyond runs/seed-2 20
scancel --batch --signal=USR1 "$job"
for task in 1 2 3; do
  job=${array}_$task
  finish 120
  expect_state COMPLETED "task $task"
  requeues=$((task == 3))
  expect "task $task: $requeues requeues" [ "$(job_field Restarts)" = "$requeues" ]
done
for seed in 0 1 2; do
  run train "${short[@]}" --seed "$seed" --output "alone-$seed"
  folder=$(echo runs/seed?"$seed")
  expect "seed $seed: the module is that of its line" \
    cmp "alone-$seed/merged/adapter.safetensors" "$folder/merged/adapter.safetensors"
done

submit beyond --array=4 -n 1 slurm/array.sbatch lines
job=${job}_4
finish 60
expect_state FAILED "a task without a line"
expect_log "lines has no command in line 4" "a task without a line"

done_testing
