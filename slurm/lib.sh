# shellcheck shell=bash
# lib.sh - what the job scripts beside it share: the settings of site.env, starting adamix on all ranks of the job, and
# what to do when it ends.  Sourced at the start of a job.  How it behaves: docs/slurm.md.

stop=   # the signal that asked this job to stop: USR1, the time limit is near; TERM, Slurm ends the job
child=  # the launcher, while one runs
run=    # the folder of the run
gained= # set once this start of the job has brought something further
finished=false step=0 checkpoint=null # how far the run is

say () { echo "adamix job ${SLURM_JOB_ID:-}: $*" >&2; }

# fail STATUS MESSAGE...
fail () {
  local status=$1
  shift
  say "$@"
  exit "$status"
}

# ---- signals -----------------------------------------------------------------------------------------------------------

# hand_on SIGNAL - to the command that runs, if one does.
hand_on () {
  signalled=1
  if [ -n "$child" ]; then kill "-$1" "$child" 2> /dev/null; fi
}

# attend COMMAND... - run it and hand on what signals come; returns its status.
attend () {
  local status
  "$@" < /dev/null &
  child=$!
  # A signal ends bash's wait, not the command, so the wait is taken up again.
  signalled=1
  while [ -n "$signalled" ]; do
    signalled=
    status=0
    wait "$child" || status=$?
  done
  child=
  return "$status"
}

# To adamix, SIGUSR1 and SIGTERM are the same; mpirun hands on only the former.
on_signal () {
  stop=$1
  say "SIG$1 has come"
  hand_on USR1
}
trap 'on_signal USR1' USR1
trap 'on_signal TERM' TERM

# ---- settings ----------------------------------------------------------------------------------------------------------

settings=$(dirname "${BASH_SOURCE[0]}")/site.env
# shellcheck source=/dev/null
if [ -e "$settings" ]; then . "$settings"; fi
set -u # only now: modules may know nothing of it
ADAMIX=${ADAMIX:-adamix}
ADAMIX_LAUNCHER=${ADAMIX_LAUNCHER:-srun}

# as_rank COMMAND... - what srun starts as a rank.  If one is killed, the others wait for it, and `srun -K` ends them by
# SIGTERM, which asks adamix for a checkpoint, and by SIGKILL only after Slurm's KillWait.  Where the job as a whole is to
# end, its script sends SIGUSR1 too; without it, there is nothing to wait for.
as_rank () {
  asked=
  trap 'asked=yes; hand_on USR1' USR1
  trap end_soon TERM
  attend "$@"
}

end_soon () {
  hand_on TERM
  for _ in 1 2 3 4; do
    if kill -0 "$child" 2> /dev/null; then sleep 1; fi
  done
  if [ -z "$asked" ]; then hand_on KILL; fi
}

start_by_srun () {
  export -f hand_on attend end_soon as_rank
  # shellcheck disable=SC2016
  attend srun --mpi=pmix --kill-on-bad-exit=1 "${launcher_options[@]}" bash -c 'as_rank "$@"' rank "$@"
}

# mpirun would bind a rank to one core; adamix itself divides the cores of a node among its ranks.
start_by_mpirun () {
  attend mpirun --bind-to none "${launcher_options[@]}" "$@"
}

[ "$(type -t "start_by_$ADAMIX_LAUNCHER")" = function ] ||
  fail 2 "ADAMIX_LAUNCHER=$ADAMIX_LAUNCHER: it can be srun or mpirun; correct $settings"
command -v "$ADAMIX" > /dev/null || fail 2 "there is no $ADAMIX: set ADAMIX in $settings to the path of the binary"
read -r -a launcher_options <<< "${ADAMIX_LAUNCHER_OPTIONS:-}"
# srun no longer takes this from sbatch by itself.
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi

# ---- the run -----------------------------------------------------------------------------------------------------------

# value_of NAME ARGUMENT... - what follows --NAME among the arguments.
value_of () {
  local name=$1
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      "--$name") echo "${2:-}" ;;
      "--$name="*) echo "${1#*=}" ;;
    esac
    shift
  done
}

# Sets `finished`, and `step` and `checkpoint` of the newest checkpoint that is whole (0 and null: there is none).
read_run () {
  local key value
  finished=false step=0 checkpoint=null
  if [ ! -e "$run/run.json" ]; then return; fi
  while read -r key value; do
    case $key in
      finished) finished=$value ;;
      checkpoint_step) step=$value ;;
      checkpoint) checkpoint=$value ;;
    esac
  done < <("$ADAMIX" inspect "$run")
}

tell_checkpoint () {
  if [ "$checkpoint" != null ]; then
    say "the newest valid checkpoint is $checkpoint (step $step); submit the same command again to go on from it"
  else
    say "there is no checkpoint yet"
  fi
}

# ---- starting and ending ------------------------------------------------------------------------------------------------

# launch COMMAND ARGUMENT... - adamix on all ranks; returns the launcher's status.
launch () { "start_by_$ADAMIX_LAUNCHER" "$ADAMIX" "$@"; }

# Back into the queue, with the same number.  A task of an array needs its long name: the short one of the last task is
# that of the whole array.
requeue () {
  local id=$SLURM_JOB_ID
  if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
  say "stopped at step $step; the job goes back into the queue"
  trap '' TERM
  scontrol requeue "$id" && exit 75
  tell_checkpoint
  fail 75 "'scontrol requeue $id' failed"
}

# Those of the job's nodes that start nothing any more.
lost_nodes () {
  local node
  for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
    # srun may end with 0 though it started nothing, so it is the answer that counts.
    [ "$(timeout 20 srun --overlap --mpi=none -N 1 -n 1 -w "$node" echo here 2> /dev/null)" = here ] || echo "$node"
  done
}

# The launcher misses a lost node long before Slurm does, which then requeues the job by itself.  A job that ended before
# would count as failed.
await_requeue () {
  local seconds
  seconds=$(scontrol show config | sed -n 's/^SlurmdTimeout *= *\([0-9]*\).*/\1/p')
  say "no answer from: $*; waiting up to $((seconds + 60)) s for Slurm to notice and to requeue the job"
  sleep "$((seconds + 60))" &
  wait $!
}

# ended STATUS WHAT - a command did not reach its end: requeue the job, or end it and say what is left.
ended () {
  local status=$1 lost=()
  if [ "$stop" != TERM ] && [ "$status" = 75 ]; then requeue; fi
  # A launcher may also report ranks that it ended itself, once the first had left with 75.
  if [ "$stop" = USR1 ] && [ -n "$gained" ]; then requeue; fi
  say "$2"
  if [ -z "$stop" ]; then mapfile -t lost < <(lost_nodes); fi
  if [ "${#lost[@]}" -gt 0 ]; then await_requeue "${lost[*]}"; fi
  if [ -n "$run" ]; then tell_checkpoint; fi
  if [ "$status" = 0 ]; then status=1; fi
  exit "$status"
}

# run_train OPTION... - `adamix train`, from the newest checkpoint or from the start; returns once the run is finished.
run_train () {
  local status=0 before
  run=$(value_of output "$@")
  [ -n "$run" ] || fail 2 "--output is missing: the job has to know the folder of the run"
  case " $* " in *" --resume "*) ;; *) set -- "$@" --resume ;; esac
  read_run
  before=$finished$step
  launch train "$@" || status=$?
  read_run
  if [ "$finished$step" != "$before" ]; then gained=yes; fi
  # Some versions of srun end with 0 though no rank could be started, so it is the run that is asked.
  if [ "$status" != 0 ] || [ "$finished" != true ]; then ended "$status" "the training has ended with status $status"; fi
}

# run_other COMMAND OPTION... - another command of adamix.
run_other () {
  local status=0 output before
  output=$(value_of output "$@")
  before=$(stat -c %i "$output" 2> /dev/null)
  launch "$@" || status=$?
  # A result is written under another name first, so a new one is another file.
  if [ -n "$output" ] && [ "$(stat -c %i "$output" 2> /dev/null)" = "$before" ]; then
    ended "$status" "adamix $1 has written nothing to $output, status $status"
  fi
  if [ "$status" != 0 ]; then ended "$status" "adamix $1 has ended with status $status"; fi
}

# read_line FILE N - the words of its line N into `words`; quotes work as in a shell, variables do not.
read_line () {
  mapfile -d '' -t words < <(sed -n "${2}p" "$1" | xargs -r printf '%s\0')
  [ "${#words[@]}" -gt 0 ] || fail 2 "$1 has no command in line $2"
}

# run_command COMMAND OPTION... - any command of adamix; returns once it has done its work.
run_command () {
  if [ -n "$stop" ]; then ended 1 "there is no time left for adamix $1"; fi
  case $1 in
    train) run_train "${@:2}" ;;
    *) run_other "$@" ;;
  esac
}

say "start $((${SLURM_RESTART_COUNT:-0} + 1)): ${SLURM_NTASKS:-1} ranks on $SLURM_JOB_NODELIST by $ADAMIX_LAUNCHER"
