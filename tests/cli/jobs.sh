#!/usr/bin/env bash
# What the job scripts of slurm/ decide, with programs in the place of Slurm's that do as a test says.  On a real Slurm:
# make check-slurm.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# srun runs one rank here.  $scratch/srun holds what it does instead of, or after, running it.
mkdir "$scratch/bin" "$scratch/jobs"
cat > "$scratch/bin/srun" <<'END'
#!/usr/bin/env bash
if [[ $* == *"echo here" ]]; then
  if [[ $* != *"$(cat "$scratch/lost")"* ]]; then echo here; fi
  exit
fi
while [[ $1 == --* ]]; do shift; done
trap 'kill -USR1 $child' USR1
if [ -s "$scratch/before" ]; then . "$scratch/before"; fi
SLURM_STEP_ID=0 "$@" &
child=$!
echo $child > "$scratch/rank"
wait $child || wait $child
status=$?
. "$scratch/after"
exit $status
END
cat > "$scratch/bin/scontrol" <<'END'
#!/usr/bin/env bash
case $1.$2 in
  show.hostnames) printf 'near\nfar\n' ;;
  show.config) echo "SlurmdTimeout           = 300 sec" ;;
  *) echo "$*" >> "$scratch/calls"; . "$scratch/answer" ;;
esac
END
chmod +x "$scratch"/bin/*
cp "$ADAMIX_SOURCE"/slurm/* "$scratch/jobs"
export PATH=$scratch/bin:$PATH scratch ADAMIX ADAMIX_SLURM=$scratch/jobs
export SLURM_JOB_ID=7 SLURM_JOB_NODELIST="near,far" SLURM_NTASKS=1

# All as it should be.
calm () {
  : > "$scratch/before"
  : > "$scratch/after"
  : > "$scratch/answer"
  : > "$scratch/calls"
  rm -f "$scratch/rank"
  echo nobody > "$scratch/lost"
}

# job SCRIPT ARGUMENT... - start it; `job_pid`.  await - until it has ended.
job () {
  : > "$scratch/err" # here, or who waits for a message finds that of the job before
  bash "$scratch/jobs/$1.sbatch" "${@:2}" > "$scratch/out" 2> "$scratch/err" &
  job_pid=$!
}
await () {
  status=0
  wait "$job_pid" || status=$?
}
calls () { grep -c -x -e "$1" "$scratch/calls"; }
expect_call () { expect "$2: '$1' once" [ "$(calls "$1")" = 1 ]; }
expect_no_requeue () { expect "$1: no requeue" [ "$(calls 'requeue.*')" = 0 ]; }
until_there () { for _ in $(seq 200); do if grep -qs -e "$2" "$1"; then return; fi; sleep 0.1; done; }

for script in "$ADAMIX_SOURCE"/slurm/*.sbatch "$ADAMIX_SOURCE/slurm/lib.sh" "$ADAMIX_SOURCE/slurm/site.env.example"; do
  expect "bash reads ${script##*/}" bash -n "$script"
done

calm
job train "${base[@]}"
await
expect_exit 2 "no --output"
expect_stderr "output" "no --output"
ADAMIX_LAUNCHER=prun job train "${base[@]}" --output "$scratch/x"
await
expect_exit 2 "a launcher that there is not"
expect_stderr "srun or mpirun" "a launcher that there is not"
ADAMIX=$scratch/nowhere job train "${base[@]}" --output "$scratch/x"
await
expect_exit 2 "no binary"
expect_stderr "set ADAMIX in .*site.env" "no binary"

# The first start and every other are one command.
short=("${base[@]}" --max-steps 6 --eval-every never)
for name in "a run" "the same again"; do
  job train "${short[@]}" --output "$scratch/short run"
  await
  expect_exit 0 "$name"
done
expect_stderr "nothing to do" "the same again"
echo exit > "$scratch/before"
job train "${short[@]}" --output "$scratch/none"
await
expect_exit 1 "srun reports success and has started nothing"
job chain "${short[@]}" --output "$scratch/short run" -- \
  --model "$tiny" --file "$scratch/dev.tsv" --output "$scratch/results"
await
expect_exit 1 "the same in an evaluation"
expect_stderr "has written nothing to $scratch/results" "the same in an evaluation"

# A stop by SIGUSR1, that srun reports as it should or as the end of ranks that it killed itself.
long=("${base[@]}" --max-steps 100000 --eval-every never --save-every never)
for reported in 75 137; do
  calm
  echo "status=$reported" > "$scratch/after"
  SLURM_ARRAY_JOB_ID=5 SLURM_ARRAY_TASK_ID=2 job train "${long[@]}" --output "$scratch/stopped"
  until_there "$scratch/err" "steps of"
  kill -USR1 "$job_pid"
  await
  name="stopped, srun reports $reported"
  expect_exit 75 "$name"
  expect_call "requeue 5_2" "$name"
done
calm
echo "exit 1" > "$scratch/answer"
job train "${long[@]}" --output "$scratch/stopped"
until_there "$scratch/err" "steps of"
kill -USR1 "$job_pid"
await
expect_exit 75 "a site without requeue"
expect_stderr "newest valid checkpoint is $scratch/stopped/checkpoints/step-" "a site without requeue"
calm
job train "${long[@]}" --output "$scratch/stopped"
until_there "$scratch/err" "steps of"
kill -TERM "$job_pid"
await
expect_exit 75 "ended by Slurm"
expect_no_requeue "ended by Slurm"
expect_stderr "newest valid checkpoint is $scratch/stopped/checkpoints/step-" "ended by Slurm"

# Nothing has been gained: another start would not do better.
calm
echo "exit 137" > "$scratch/before"
job train "${long[@]}" --output "$scratch/stopped"
await
expect_exit 137 "no start"
echo 'echo started >&2; sleep 1; exit 137' > "$scratch/before"
job train "${long[@]}" --output "$scratch/stopped"
until_there "$scratch/err" "^started"
kill -USR1 "$job_pid"
await
expect_exit 137 "stopped before the first step"
expect_no_requeue "stopped before the first step"

# A rank that hangs, as for one that died, is killed where srun ends it by SIGTERM.
calm
printf '%s\n' 'set -- "${@:1:4}" sh -c "trap : TERM USR1; for i in \$(seq 200); do sleep 0.1; done"' \
  '(sleep 1; kill -TERM "$(cat "$scratch/rank")") &' > "$scratch/before"
job train "${long[@]}" --output "$scratch/stopped"
await
expect_exit 137 "a rank hangs"
expect_no_requeue "a rank hangs"
expect_stderr "newest valid checkpoint is $scratch/stopped/checkpoints/step-" "a rank hangs"

# A node that is lost: the job waits for Slurm, which ends it by SIGTERM when it requeues it.
echo "-w far" > "$scratch/lost"
echo "exit 1" > "$scratch/before"
job train "${long[@]}" --output "$scratch/stopped"
until_there "$scratch/err" "no answer from: far; waiting up to 360 s"
kill -TERM "$job_pid"
await
expect_exit 1 "a node is lost"
expect_stderr "no answer from: far" "a node is lost"
expect_no_requeue "a node is lost"

# A line of an array is cut into words as by a shell.
calm
printf '%s\n' "train ${short[*]} --output $scratch/first" "train ${short[*]} --output \"$scratch/the second\"" \
  > "$scratch/lines"
SLURM_ARRAY_JOB_ID=5 SLURM_ARRAY_TASK_ID=2 job array "$scratch/lines"
await
expect_exit 0 "line 2"
expect_file "$scratch/the second/all_results.json"
expect_no_file "$scratch/first"

done_testing
