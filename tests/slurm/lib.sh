# shellcheck shell=bash
# Sourced by the tests of slurm/: a Slurm of its own for a test, with nodes node1 .. nodeN on this machine.
#
# The test starts again as the first process of new namespaces, with a network that has loopback alone, and every node is
# namespaces of its own within: a host name, /dev/shm, processes.  When the test ends, however it ends, the kernel ends
# every daemon and every job and undoes every mount, and nothing is left of them.
#   cluster_nodes=N       nodes (2), set before this file is sourced
#   cluster_settings=...  more lines for slurm.conf
#   max_steps=N           of the common run (400)
set -u

namespaces=(unshare --mount --uts --ipc --net --pid --fork --kill-child=KILL --mount-proc)

skip_all () {
  echo "1..0 # SKIP $1"
  exit
}

if [ -z "${ADAMIX_TEST_CLUSTER:-}" ]; then
  [ "$(id -u)" = 0 ] || skip_all "only root can start the daemons of Slurm"
  for program in munged slurmctld slurmd sbatch ip; do
    command -v "$program" > /dev/null || skip_all "there is no $program (packages slurm-wlm, munge and iproute2)"
  done
  "${namespaces[@]}" mount -t tmpfs tmpfs /run 2> /dev/null || skip_all "this machine lets nobody make namespaces"
  ADAMIX_TEST_CLUSTER=1 exec "${namespaces[@]}" "$BASH" "$0" "$@"
fi

# ---- the cluster -------------------------------------------------------------------------------------------------------

cluster=/run/cluster # in memory that only these namespaces see; the path of a socket has to be short
node_count=${cluster_nodes:-2}

# Ranks of several nodes share this machine's cores and its one network interface, which is loopback.
write_site () {
  cp -r "$ADAMIX_SOURCE/slurm" "$1"
  chmod -R u+w "$1"
  cat > "$1/site.env" <<END
ADAMIX=$ADAMIX
export TMPDIR=$cluster/tmp OMP_WAIT_POLICY=passive
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none PMIX_MCA_gds=hash
END
}

# Two nodes with one name or one TmpFS would meet in each other's files; a node needs a name that resolves.
write_configuration () {
  local i
  cat > "$cluster/slurm.conf" <<END
ClusterName=test
SlurmctldHost=head(127.0.0.1)
SlurmctldPort=6817
SlurmUser=root
AuthInfo=socket=$cluster/munge.socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/%n.log
TmpFS=$cluster/tmp
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
PartitionName=test Nodes=ALL Default=YES State=UP
${cluster_settings:-}
END
  echo "127.0.0.1 localhost head" > "$cluster/hosts"
  for ((i = 1; i <= node_count; i++)); do
    mkdir "$cluster/spool.node$i"
    echo "NodeName=node$i NodeAddr=127.0.0.1 Port=$((6818 + i)) CPUs=4 RealMemory=4000" >> "$cluster/slurm.conf"
    echo "127.0.0.1 node$i" >> "$cluster/hosts"
  done
}

# Runs as the first process of a node, which reaps what jobs leave behind; the node ends with it.
be_node () {
  hostname "$1"
  mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs "$cluster/tmp" || exit
  slurmd -D -N "$1" &
  wait $!
}

start_node () {
  unshare --uts --ipc --mount --pid --fork --kill-child=KILL --mount-proc \
    "$BASH" -c "$(declare -f be_node); cluster=$cluster; be_node $1" > "$cluster/$1.out" 2>&1 < /dev/null &
  node_pid[$1]=$!
}
declare -A node_pid

# kill_node NAME - what a power cut does.
kill_node () {
  kill -KILL "${node_pid[$1]}"
  { wait "${node_pid[$1]}"; } 2> /dev/null
}

# wait_for SECONDS COMMAND... - until it succeeds.
wait_for () {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.05
  done
}

nodes_idle () { [ "$(sinfo -h -N -t idle -o %N 2> /dev/null | sort -u | wc -l)" = "$node_count" ]; }

start_cluster () {
  local i
  mount -t tmpfs tmpfs /run && ip link set lo up && hostname head || return
  # The C library finds names only where there is an address beside 127.0.0.1.
  ip address add 127.0.0.2/8 dev lo || return
  mkdir -p "$cluster/state" "$cluster/tmp"
  install -d -m 0700 "$cluster/munge"
  (umask 077 && head -c 1024 /dev/urandom > "$cluster/munge/key")
  export SLURM_CONF=$cluster/slurm.conf
  write_configuration
  mount --bind "$cluster/hosts" /etc/hosts
  munged -F --key-file="$cluster/munge/key" --socket="$cluster/munge.socket" --pid-file="$cluster/munge/pid" \
    --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed" > "$cluster/munged.out" 2>&1 < /dev/null &
  wait_for 10 test -S "$cluster/munge.socket" || return
  slurmctld -D > "$cluster/slurmctld.out" 2>&1 < /dev/null &
  for ((i = 1; i <= node_count; i++)); do start_node "node$i"; done
  wait_for 30 nodes_idle
}

# The first process of namespaces hears only signals that it catches.
trap 'exit 130' INT
trap 'exit 143' TERM
if ! start_cluster; then
  echo "Bail out! Slurm does not come up"
  tail -n 20 "$cluster"/*.log "$cluster"/*.out "$cluster/munge/log" 2> /dev/null | sed 's/^/# /'
  exit 1
fi
mkdir /run/tmp
export TMPDIR=/run/tmp
# shellcheck source=tests/cli/lib.sh
. "$ADAMIX_SOURCE/tests/cli/lib.sh"
# shellcheck source=tests/cli/data.sh
. "$ADAMIX_SOURCE/tests/cli/data.sh"
cd "$scratch" || exit
write_site "$scratch/slurm"
# Jobs have what site.env gives them, not what tests are given.
for name in "${!OMPI_@}"; do unset "$name"; done

# ---- jobs --------------------------------------------------------------------------------------------------------------

# submit NAME ARGUMENT... - sbatch; leaves `job`.  What the job writes goes to NAME.out.
submit () {
  log=$scratch/$1.out
  job=$(sbatch --parsable --output="$log" "${@:2}" 2> "$scratch/err")
  status=$?
}

# The state of the job: PENDING, RUNNING, COMPLETED, FAILED, ...
job_field () { scontrol show job "$job" 2> /dev/null | sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" | head -n 1; }
job_is () { [[ " $* " == *" $(job_field JobState) "* ]]; }
ended () { ! job_is PENDING RUNNING COMPLETING REQUEUED CONFIGURING; }

# finish SECONDS - until the job has ended; leaves what report shows.
finish () {
  wait_for "$1" ended
  status=$(job_field JobState)/$(job_field ExitCode)
  cp "$log" "$scratch/out"
}
lines_with () { grep -c -s -e "$1" "$log" || [ -e "$log" ] || echo 0; }
expect_state () { expect "$2: the job is $1" job_is "$1"; }
expect_log () { expect "$2: the job tells '$1'" grep -q -e "$1" "$log"; }

# ---- ranks -------------------------------------------------------------------------------------------------------------

# ranks [NODE] - the processes of adamix, on one node or on all.
ranks () {
  local process name environment
  for process in /proc/[0-9]*; do
    { read -r name < "$process/comm" && mapfile -d '' environment < "$process/environ"; } 2> /dev/null || continue
    if [[ $name == *adamix && " ${environment[*]} " == *" SLURMD_NODENAME=${1:-}"* ]]; then echo "${process#/proc/}"; fi
  done
}

# signal_ranks SIGNAL [NODE]
signal_ranks () {
  local process
  for process in $(ranks "${2:-}"); do kill "-$1" "$process" 2> /dev/null; done
}

# steps RUN - lines of metrics, each of which is one step.
steps () { if [ -e "$1/metrics.jsonl" ]; then wc -l < "$1/metrics.jsonl"; else echo 0; fi; }
beyond () { [ "$(steps "$1")" -gt "$2" ]; }

# pause RUN N - let the run go on for N steps from where it is, then hold all ranks: what follows does not depend on how
# fast this machine is.
pause () {
  wait_for 60 beyond "$1" $(($(steps "$1") + $2))
  signal_ranks STOP
}

# started N - the job has been started N times.
started () { [ "$(lines_with '^adamix job.*: start')" -ge "$1" ]; }
warned () { [ "$(lines_with 'SIGUSR1 has come')" -ge "$1" ]; }

# interrupt RUN N - let the N-th start of the job make some steps, then have its script told that the time limit is near.
interrupt () {
  wait_for 120 started "$2"
  pause "$1" 20
  scancel --batch --signal=USR1 "$job"
  wait_for 60 warned "$2"
  signal_ranks CONT
}

# ---- what there is to expect -------------------------------------------------------------------------------------------

# The run of most tests, and one job that makes it without interruption, on 2 nodes with 2 ranks each.
max_steps=${max_steps:-400}
training=("${base[@]}" --max-steps "$max_steps" --save-every $((max_steps / 4)) --eval-every $((max_steps / 2))
  --select best)
layout=(-N 2 -n 4 --ntasks-per-node=2)

train_whole () {
  submit whole "${layout[@]}" slurm/train.sbatch "${training[@]}" --output whole
  finish 120
  expect_state COMPLETED "a job without interruption"
}

# expect_whole NAME RUN - the run is that without interruption, byte for byte, in all but times.
expect_whole () {
  local file
  for file in merged/adapter.safetensors experts/experts.safetensors "checkpoints/step-$max_steps/optimizer.safetensors"; do
    expect "$1: the same $file" cmp "whole/$file" "$2/$file"
  done
  expect "$1: the same metrics.jsonl" cmp <(without_times whole/metrics.jsonl) <(without_times "$2/metrics.jsonl")
}

use_launcher () { echo "ADAMIX_LAUNCHER=$1" >> slurm/site.env; }

# requeue_often LAUNCHER N - interrupt a run N times.
requeue_often () {
  local run=$1-$2 i
  use_launcher "$1"
  submit "$run" "${layout[@]}" slurm/train.sbatch "${training[@]}" --output "$run"
  for ((i = 1; i <= $2; i++)); do interrupt "$run" "$i"; done
  finish 120
  expect_state COMPLETED "$1, $2 requeues"
  expect "$1, $2 requeues: the job was requeued $2 times" [ "$(job_field Restarts)" = "$2" ]
  expect "$1, $2 requeues: every start but the first goes on" [ "$(lines_with 'resuming from the checkpoint of')" = "$2" ]
  expect_whole "$1, $2 requeues" "$run"
}
