#!/usr/bin/env bash
# A sweep as one array job: what is left of it runs, a task that is stopped goes on, a run that fails stops no other, and
# the report's job starts behind all of them and names what is not finished.
. "$(dirname "$0")/lib.sh"

# The report is another command's affair: here it only says when it is made.
cat > adamix <<END
#!/usr/bin/env bash
if [ "\$1" = report ]; then date +%s.%N > "\$2/made"; ls -d "\$2"/*/all_results.json > "\$2/seen"; exit; fi
exec -a adamix "$ADAMIX" "\$@"
END
chmod +x adamix
echo "ADAMIX=$scratch/adamix" >> slurm/site.env
cat > sweep.ini <<END
output = the sweep
model = $tiny
train-file = train.tsv
dev-file = dev.tsv
rank = 8
lr = 1e-2
batch = 16
max-length = 32
pool = mean
dropout = 0.02
threads = 1
max-steps = 300
eval-every = never
save-every = never
seeds = 0..1
[run adamix]
[run broken]
train-file = missing.tsv
[run it]
train-file = it's.tsv
END
cp train.tsv "it's.tsv"

run sweep sweep.ini --slurm --dry-run --jobs 3 -- --exclusive
expect_exit 0 "--dry-run"
expect_stdout "^sbatch .*--array=1-6%3 .*--ntasks=1 --exclusive slurm/sweep.sbatch 'the sweep/lines-" "--dry-run"
expect_stdout "^sbatch .*--exclusive .*--dependency=afterany:JOB .*slurm/sweep.sbatch --report " "--dry-run"
expect_no_file "the sweep"
run sweep sweep.ini --slurm -- --no-such-option
expect_exit 1 "an option that sbatch does not know"
expect_stderr "sbatch has not taken the job" "an option that sbatch does not know"

# submitted NAME - sets `array`, `report`.
submitted () {
  array=$(sed -n 's/^job \([0-9]*\): .* runs .*/\1/p' "$scratch/out")
  report=$(sed -n 's/^job \([0-9]*\): their report/\1/p' "$scratch/out")
  expect "$1: two jobs" [ -n "$array" -a -n "$report" ]
}
# One run of the six is finished here, before.
run train "${base[@]}" --max-steps 300 --eval-every never --save-every never --seed 0 --output "the sweep/adamix,seed=0"
run sweep sweep.ini --slurm -- --time=10
expect_exit 0 "submitting"
expect_stdout "^job [0-9]*: 5 runs (the sweep/lines-" "submitting"
submitted "submitting"
job=${array}_1
wait_for 60 beyond "the sweep/adamix,seed=1" 20
scancel --batch --signal=USR1 "$job"
for task in 1 2 3 4 5; do
  job=${array}_$task log="the sweep/slurm-${array}_$task.out"
  finish 120
  expect_state "$([[ $task == [23] ]] && echo FAILED || echo COMPLETED)" "task $task"
  expect "task $task: $((task == 1)) requeues" [ "$(job_field Restarts)" = $((task == 1)) ]
done
expect "the finished run is not made again" [ ! -e "the sweep/adamix,seed=0.log" ]
expect "a run writes to its log, over all starts" [ "$(grep -c "steps of 16 examples" "the sweep/adamix,seed=1.log")" = 2 ]
for seed in 0 1; do
  run train "${base[@]}" --max-steps 300 --eval-every never --save-every never --seed "$seed" --output "alone-$seed"
  for name in adamix it; do
    expect "$name, seed $seed: the module is that of its options" \
      cmp "alone-$seed/merged/adapter.safetensors" "the sweep/$name,seed=$seed/merged/adapter.safetensors"
  done
done

job=$report log="the sweep/slurm-$report.out"
finish 120
expect_state FAILED "the report of a sweep with failures"
expect "the report's job starts behind all runs" [ "$(wc -l < "the sweep/seen")" = 4 ]
for seed in 0 1; do
  expect_log "not finished: the sweep/broken,seed=$seed: missing.tsv: cannot be opened.* (the sweep/broken,seed=$seed.log)" \
    "a failed run is named with its reason"
done

# What failed is mended; nothing else is left.
cp train.tsv missing.tsv
run sweep sweep.ini --slurm
expect_stdout "^job [0-9]*: 2 runs" "the rest"
submitted "the rest"
for task in 1 2; do
  job=${array}_$task log="the sweep/slurm-${array}_$task.out"
  finish 120
  expect_state COMPLETED "the rest: task $task"
done
job=$report log="the sweep/slurm-$report.out"
finish 120
expect_state COMPLETED "the report of a finished sweep"
expect "the report of a finished sweep has all runs" [ "$(wc -l < "the sweep/seen")" = 6 ]
run sweep sweep.ini --slurm
expect_exit 0 "nothing to do"
expect_stderr "all 6 runs of the sweep are finished" "nothing to do"

done_testing
