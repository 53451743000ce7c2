#!/usr/bin/env bash
# `adamix sweep`: the runs of a file are made once each, whatever happens in between, and told of.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"
cd "$scratch" || exit
cores=$(nproc)

# sweep_file NAME TEXT - what all files here have in common, 11 lines, and more behind it.
sweep_file () {
  cat > "$1" <<END
output = sweep
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
END
  printf '%b' "$2" >> "$1"
}

# same_as RUN OPTION... - the run's module is the one that `adamix train` makes with these options.
same_as () {
  rm -rf alone
  "$ADAMIX" train "${base[@]}" --output alone "${@:2}" > /dev/null 2>&1 &&
    cmp alone/merged/adapter.safetensors "$1/merged/adapter.safetensors"
}

# ---- a list, a grid, seeds ---------------------------------------------------------------------------------------------

sweep_file all.ini 'seeds = 0..1
max-steps = 12
[run adamix]
[grid adamix]
experts = 2, 4
[run adapter]
method = adapter\n'
run sweep all.ini
expect_exit 0 "list, grid and seeds"
expect_stdout "^6 runs are finished: sweep" "list, grid and seeds"
expect_stderr "6/6 adapter,seed=1: finished" "list, grid and seeds"
names="adamix,experts=2,seed=0 adamix,experts=2,seed=1 adamix,experts=4,seed=0 adamix,experts=4,seed=1"
names="$names adapter,seed=0 adapter,seed=1"
# folders WHERE NAMES - these runs and no others are there.
folders () { [ "$(cd "$1" && echo */)" = "${2// //\ }/" ]; }
expect "exactly these runs" folders sweep "$names"
expect "the record has them in this order" \
  [ "$(sed -n 's/.*"name": "\(.*\)",/\1/p' sweep/sweep.json | xargs)" = "$names" ]
expect "a run of the grid is that of its options" \
  same_as "sweep/adamix,experts=2,seed=1" --max-steps 12 --experts 2 --seed 1
expect "a run of the list is that of its options" same_as sweep/adapter,seed=0 --max-steps 12 --method adapter

stamp () { stat -c '%i %Y %n' sweep/*/all_results.json sweep/*.log; }
stamp > before
run sweep all.ini
expect_exit 0 "again"
expect_stderr "all 6 runs of sweep are finished" "again"
expect "finished runs are not repeated" cmp before <(stamp)

# Files may move, what is in them may not change.
cp train.tsv moved.tsv
cp -r "$tiny" encoder
run sweep all.ini --train-file moved.tsv --model encoder
expect_exit 0 "the same files elsewhere"
expect_stderr "all 6 runs of sweep are finished" "the same files elsewhere"
# other MESSAGE OPTION... - these options name something else than the runs were made with.
other () {
  run sweep all.ini "${@:2}"
  expect_exit 2 "$1"
  expect_stderr "run adamix,experts=2,seed=0 has other settings than before.*$1" "$1"
}
head -n 80 train.tsv > fewer.tsv
other "\-\-train-file is fewer.tsv now, but .*/run.json was made with train.tsv, which holds something else" --train-file fewer.tsv
other "\-\-test-file is dev.tsv now, but .*/run.json was made with none" --test-file dev.tsv
printf '\1' | dd of=encoder/model.safetensors bs=1 seek=131000 conv=notrunc 2> /dev/null
other "\-\-model is encoder now, but .*/run.json was made with $tiny, which holds something else" --model encoder

for root in here there elsewhere; do
  mkdir $root
  sed 's/^text\t/sentence\t/; s/cat$/1/; s/none$/0/' train.tsv > $root/train.tsv
  sed 's/^text\t/sentence\t/; s/cat$/1/; s/none$/0/' dev.tsv > $root/dev.tsv
done
sed -i '$d' elsewhere/dev.tsv
sed '/-file/d; s/^output.*/output = tasks\ntask = sst2\nmax-steps = 2/' all.ini | head -n 12 > task.ini
run sweep task.ini --data here
expect_exit 0 "a task"
run sweep task.ini --data there
expect_exit 0 "its files elsewhere"
run sweep task.ini --data elsewhere
expect_exit 2 "other files of the task"
expect_stderr "\-\-data is elsewhere now, but tasks/seed=0/run.json was made with here, which holds something else" "other files of the task"

# Another value and another seed: the names of the others, and so they themselves, stay.
sweep_file more.ini 'seeds = 2, 0..1
max-steps = 12
[run adapter]
method = adapter
[run adamix]
[grid adamix]
experts = 3, 2, 4\n'
run sweep more.ini
expect_exit 0 "more values"
expect_stderr "12 runs, 6 of them finished before" "more values"
expect "the runs of before are as they were" cmp before <(stamp | grep -F -f <(cut -d ' ' -f 3 before))

run sweep all.ini --max-steps 13
expect_exit 2 "other settings under the same name"
expect_stderr "run adamix,experts=2,seed=0 has other settings.*max-steps is 13" "other settings under the same name"
run sweep all.ini --max-steps 13 --output other --seeds 5
expect_exit 0 "the command line wins"
expect "the command line wins: the seed" folders other \
  "adamix,experts=2,seed=5 adamix,experts=4,seed=5 adapter,seed=5"
expect "the command line wins: the steps" [ "$(field other/adapter,seed=5/all_results.json steps)" = 13 ]

# ---- files that are wrong: before anything is made -----------------------------------------------------------------------

# wrong MESSAGE TEXT
wrong () {
  sweep_file wrong.ini "$2"
  run sweep wrong.ini --output wrong
  expect_exit 2 "$1"
  expect_stderr "^adamix: error: .*$1" "$1"
  expect_one_message "$1"
}
wrong "wrong.ini:12: unknown option --epoch; did you mean --epochs" 'epoch = 3\n'
wrong "wrong.ini:13: unknown option --expert; did you mean --experts" '[grid]\nexpert = 3\n'
wrong "wrong.ini:13: option --experts: \"none\" is not allowed" '[grid]\nexperts = 3, none\n'
wrong "wrong.ini:13: a value is missing" '[grid]\nexperts = 3, , 4\n'
wrong "wrong.ini:13: option --experts has the value 3 twice" '[grid]\nexperts = 3, 3\n'
wrong "wrong.ini:12: option --batch is given twice, in line 7 too" 'batch = 3\n'
wrong "wrong.ini:13: option --batch is given in line 7 too, for the same runs" '[grid]\nbatch = 3\n'
wrong "wrong.ini:12: \[rum a\] is no section of a sweep" '[rum a]\n'
wrong "wrong.ini:12: seed is of one run" 'seed = 3\n'
wrong "wrong.ini:13: ranks is one for all runs" '[run a]\nranks = 1\n'
wrong "wrong.ini:13: seeds is one for all runs" '[grid]\nseeds = 3\n'
wrong "wrong.ini:14: seeds is given twice" '[run a]\nseeds = 3\nseeds = 4\n'
wrong "wrong.ini:13: option --seeds: \"x\" is not allowed" '[run a]\nseeds = x\n'
wrong "wrong.ini:12: option --seeds: \"x\" is not allowed" 'seeds = 0, x\n'
wrong "wrong.ini:12: option --seeds: \"9223372036854775807\" is not allowed" 'seeds = 9223372036854775807\n'
sweep_file marked.ini 'max-steps = 2\n'
run sweep marked.ini --output 'runs/{seed}'
expect_exit 2 "a seed in the sweep's folder"
expect_stderr 'output is the folder of all runs, "runs/{seed}" has a {seed} in it' "a seed in the sweep's folder"
wrong "two runs have the name seed=1" 'seeds = 1, 1\n'
wrong "wrong.ini:12: neither \"option = value\" nor" 'nonsense\n'
wrong "wrong.ini:14: run b,seed=0: --method: 'addapter' is not one of" \
  '[run a]\nmethod = adapter\n[run b]\nmethod = addapter\n'
expect_no_file wrong

# ---- profiles ------------------------------------------------------------------------------------------------------------

profiles='[run adamix]
[run adapter]
method = adapter
[brief: train]
max-steps = 2
[brief: run wide]
rank = 16
[long: train]
max-steps = 3
seeds = 7
[long: grid adamix]
experts = 2, 3\n'
sweep_file profiles.ini "$profiles"
# planned OPTION... - the names that a sweep with these options would make.
planned () { "$ADAMIX" sweep "$@" --output planned --dry-run 2> /dev/null | sed -n 's/ .*//; /,*seed=/p' | xargs; }
expect "a profile's settings beside those of all" \
  [ "$(planned profiles.ini --profile brief)" = "adamix,seed=0 adapter,seed=0 wide,seed=0" ]
expect "another profile" [ "$(planned profiles.ini --profile long)" = "adamix,experts=2,seed=7 adamix,experts=3,seed=7 adapter,seed=7" ]
run sweep profiles.ini
expect_exit 2 "no profile is chosen"
expect_stderr "profiles.ini has profiles, such as 'brief': choose one, --profile NAME" "no profile is chosen"
run sweep profiles.ini --profile short
expect_exit 2 "a profile that is not there"
expect_stderr "profiles.ini has no profile 'short', but for instance 'brief'" "a profile that is not there"
run sweep all.ini --profile brief
expect_exit 2 "a file without profiles"
expect_stderr "all.ini has no profile 'brief'$" "a file without profiles"
sweep_file chosen.ini "profile = brief\n$profiles"
expect "the file chooses a profile" [ "$(planned chosen.ini)" = "adamix,seed=0 adapter,seed=0 wide,seed=0" ]
expect "the command line wins over it" [ "$(planned chosen.ini --profile long)" = "$(planned profiles.ini --profile long)" ]
wrong "wrong.ini:14: option --batch is given twice, in line 7 too" 'profile = a\n[a: train]\nbatch = 3\n'
sweep_file nameless.ini '[]\nmax-steps = 2\n'
expect "a section without a name is no place of its own" [ "$(planned nameless.ini)" = "seed=0" ]
sweep_file own.ini 'seeds = 0..1\nmax-steps = 2\n[run adamix]\n[run adapter]\nmethod = adapter\nseeds = 5\n'
expect "a setting with seeds of its own" [ "$(planned own.ini)" = "adamix,seed=0 adamix,seed=1 adapter,seed=5" ]
expect "the command line's seeds are those of all" [ "$(planned own.ini --seeds 3)" = "adamix,seed=3 adapter,seed=3" ]
expect "chosen settings alone, in the order of the file" \
  [ "$(planned profiles.ini --profile brief --settings 'wide, adamix')" = "adamix,seed=0 wide,seed=0" ]
sweep_file settings.ini "settings = adapter\n$profiles"
expect "the file chooses settings" [ "$(planned settings.ini --profile brief)" = "adapter,seed=0" ]
run sweep profiles.ini --profile brief --settings adamix,adaptor
expect_exit 2 "a setting that is not there"
expect_stderr "option --settings: profiles.ini has no setting 'adaptor', but for instance 'adamix'" "a setting that is not there"
run sweep nameless.ini --settings adamix
expect_stderr "option --settings: nameless.ini has no setting 'adamix'$" "a file without settings"
run sweep profiles.ini --profile brief --settings adamix,
expect_stderr "a value is missing in the list" "a comma too many"

# A file that others include, from a folder of their own.
mkdir -p inis/one
sweep_file inis/common.ini "$profiles"
printf 'include = ../common.ini\n[run narrow]\nrank = 4\n[brief: run narrow]\nlr = 1e-3\n' > inis/one/sweep.ini
expect "settings of the included file and its own" \
  [ "$(planned inis/one/sweep.ini --profile brief)" = "adamix,seed=0 adapter,seed=0 wide,seed=0 narrow,seed=0" ]
sweep_file inis/chosen.ini "profile = brief\n$profiles"
printf 'include = ../chosen.ini\n' > inis/one/chosen.ini
expect "the included file chooses the profile" [ "$(planned inis/one/chosen.ini)" = "adamix,seed=0 adapter,seed=0 wide,seed=0" ]
# included MESSAGE TEXT - what is wrong with a file of this text that includes that one
included () {
  printf 'include = ../common.ini\n%b' "$2" > inis/one/wrong.ini
  run sweep inis/one/wrong.ini --profile brief
  expect_exit 2 "$1"
  expect_stderr "^adamix: error: .*$1" "$1"
}
included "inis/one/wrong.ini:2: option --batch is given twice, in inis/one/../common.ini:7 too" 'batch = 3\n'
included "inis/one/wrong.ini:3: option --batch is given in inis/one/../common.ini:7 too" '[grid]\nbatch = 3\n'
included "inis/one/wrong.ini:2: include is given twice" 'include = x\n'
printf 'include = sweep.ini\n' > inis/one/twice.ini
run sweep inis/one/twice.ini
expect_exit 2 "an included file includes"
expect_stderr "inis/one/sweep.ini: a file that is included includes none" "an included file includes"
printf 'include = absent.ini\n' > inis/one/none.ini
run sweep inis/one/none.ini
expect_exit 1 "an included file that is not there"
expect_stderr "inis/one/absent.ini: cannot be opened" "an included file that is not there"

sweep_file profiles.ini "$profiles"
run sweep profiles.ini --profile brief --output brief
expect_exit 0 "a sweep of a profile"
expect "its options are those of the run" [ "$(field brief/wide,seed=0/all_results.json steps)" = 2 ]

# ---- commands that are wrong -----------------------------------------------------------------------------------------------

run sweep nowhere.ini
expect_exit 1 "no file"
expect_stderr "nowhere.ini: cannot be opened" "no file"
run sweep
expect_exit 2 "no name of a file"
run sweep all.ini --rnak 3
expect_exit 2 "an unknown option"
run sweep all.ini --seed 3
expect_exit 2 "the seed of a run"
run sweep all.ini --experts 3
expect_exit 2 "what the grid varies"
expect_stderr "experts is what the grid of all.ini:[0-9]* varies" "what the grid varies"
run sweep all.ini --output cores --jobs $((cores + 1))
expect_exit 2 "more jobs than cores"
expect_stderr "jobs $((cores + 1)): a job has 0 of the $cores cores" "more jobs than cores"
run sweep all.ini --output cores --threads $((cores + 1))
expect_exit 2 "more threads than cores"
expect_no_file cores
PMIX_RANK=0 run sweep all.ini
expect_exit 2 "under a launcher"
sweep_file none.ini ''
sed -i /output/d none.ini
run sweep none.ini
expect_exit 2 "no folder"
expect_stderr "none.ini: output is missing" "no folder"

# ---- what is left, and what time it takes --------------------------------------------------------------------------------

sweep_file plan.ini 'max-steps = 12
method = adapter
seeds = 0..4\n'
run sweep plan.ini --output plan --dry-run
expect_exit 0 "--dry-run"
expect_stdout "^seed=4  *-  *12  *[0-9]* s$" "--dry-run"
expect_stdout "^5 runs, 5 to make in plan, 1 at a time; time left: [0-9]* s$" "--dry-run"
expect_stdout "^by the speed of some steps of seed=0, made here on" "--dry-run"
expect_no_file plan
run sweep plan.ini --output plan --seeds 0
rm -f plan/*.log
# A finished run of 100 tokens/s, 5 s ahead of its first step: 12 steps have 2 * 933 tokens at 4 FLOP a parameter, and the dev
# file's 413 at 2 are evaluated three times, 5 + (7464 + 2478) / 400 s.
sed -i 's/\("train_tokens_per_second":\).*,/\1 100,/; s/\("startup_seconds":\).*,/\1 5,/' plan/seed=0/all_results.json
run sweep plan.ini --output plan --dry-run
expect_stdout "^seed=0  *finished  *12  *-$" "the speed of a finished run"
expect_stdout "^seed=1  *-  *12  *30 s$" "the speed of a finished run"
expect_stdout "time left: 2 min$" "the speed of a finished run"
expect_stdout "^by the speed of 1 finished run of this sweep$" "the speed of a finished run"
if [ "$cores" -ge 2 ]; then
  run sweep plan.ini --output plan --dry-run --jobs 2
  expect_stdout "2 at a time; time left: 1 min$" "two at a time take half as long"
else
  skip "two at a time take half as long" "there is one core"
fi
# Half of a run that was stopped is left: 5 + 25 / 2 s.
run train "${base[@]}" --method adapter --max-steps 12 --save-every 6 --keep 9 --seed 1 --output plan/seed=1
rm -r plan/seed=1/all_results.json plan/seed=1/checkpoints/step-12
run sweep plan.ini --output plan --dry-run
expect_stdout "^seed=1  *step 6  *12  *17 s$" "half of a run"
sweep_file lost.ini 'max-steps = 12
[run good]
[run lost]
train-file = lost.tsv\n'
run sweep lost.ini --output lost --dry-run
expect_exit 1 "a run that cannot be made"
expect_stdout "^good,seed=0 .* 12 " "a run that cannot be made: the others are told of"
expect_stderr "warning: lost,seed=0: lost.tsv: cannot be opened" "a run that cannot be made"
expect_stderr "error: 1 of 2 runs cannot be made" "a run that cannot be made"

# ---- failures ------------------------------------------------------------------------------------------------------------

sweep_file broken.ini 'max-steps = 12
[run first]
[run second]
train-file = second.tsv
[run third]
dev-file = third.tsv
[run last]\n'
run sweep broken.ini --output broken
expect_exit 1 "two runs fail"
expect_stderr "^adamix: error: 2 of 4 runs failed" "two runs fail"
for name in second third; do
  expect_stderr "^adamix: warning: failed: $name,seed=0: exit status 1: $name.tsv: .*(broken/$name,seed=0.log)" \
    "two runs fail"
done
expect_file broken/first,seed=0/all_results.json
expect_file broken/last,seed=0/all_results.json
# Without words of adamix the last ones that there are have to do, and frames are none.
printf '#!/bin/sh\necho the reason; echo; echo -----\nexit 3\n' > mpirun
chmod +x mpirun
if [ "$cores" -ge 2 ]; then
  PATH=$scratch:$PATH run sweep broken.ini --output launched --ranks 2
  expect_exit 1 "a launcher fails"
  expect_stderr "^adamix: warning: failed: first,seed=0: exit status 3: the reason (launched/first,seed=0.log)" \
    "a launcher fails"
else
  skip "a launcher fails" "there is one core"
fi
rm mpirun
cp train.tsv second.tsv
run sweep broken.ini --output broken
expect_exit 1 "one of them is mended"
expect_stderr "4 runs, 2 of them finished before" "one of them is mended"
expect_stderr "^adamix: error: 1 of 4 runs failed" "one of them is mended"
cp dev.tsv third.tsv
run sweep broken.ini --output broken
expect_exit 0 "both are mended"
expect_stdout "^4 runs are finished" "both are mended"

# ---- interruptions -------------------------------------------------------------------------------------------------------

sweep_file long.ini 'max-steps = 4000
eval-every = never
save-every = never
seeds = 0..2\n'
jobs=$((cores > 1 ? 2 : 1))

# begin - the sweep in the background; `sweeping`.
begin () {
  "$ADAMIX" sweep long.ini --output long --jobs "$jobs" > "$scratch/out" 2> "$scratch/err" &
  sweeping=$!
}
lines () { if [ -e "long/seed=$1/metrics.jsonl" ]; then wc -l < "long/seed=$1/metrics.jsonl"; else echo 0; fi; }
# reach STEP - until each of the first runs has made so many steps.
reach () {
  for _ in $(seq 600); do
    if [ "$(lines 0)" -ge "$1" ] && [ "$(lines $((jobs - 1)))" -ge "$1" ]; then return; fi
    sleep 0.05
  done
}
children () { pgrep -P "$sweeping"; }
finish () {
  status=0
  wait "$sweeping" || status=$?
}
# gone PROCESS... - within ten seconds none of them is left.
gone () {
  for _ in $(seq 200); do
    if ! kill -0 "$@" 2> /dev/null; then return; fi
    sleep 0.05
  done
  return 1
}

begin
reach 20
mapfile -t processes < <(children)
if [ "$jobs" = 2 ]; then
  bound=$(for process in "${processes[@]}"; do sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$process/status"; done)
  expect "two jobs: two runs" [ "$(wc -l <<< "$bound")" = 2 ]
  expect "two jobs: each has cores of its own" [ "$(sort -u <<< "$bound" | wc -l)" = 2 ]
else
  skip "two jobs" "there is one core"
fi
expect "another sweep in the same folder is refused" grep -q "another sweep is at work there" \
  <("$ADAMIX" sweep long.ini --output long 2>&1)
kill -INT "$sweeping"
finish
expect_exit 75 "interrupted"
expect_stderr "^adamix: stopped: 0 of 3 runs are finished, 0 failed; the same command goes on" "interrupted"
expect "interrupted: the first run has a checkpoint" test -d "long/seed=0/checkpoints/step-$(lines 0)"
expect "interrupted: the last run has not begun" test ! -e long/seed=2
expect "interrupted: nothing is left running" gone "${processes[@]}"

begin
reach $(($(lines 0) + 100))
mapfile -t processes < <(children)
kill -KILL "$sweeping"
finish
expect "the sweep is killed: its runs stop" gone "${processes[@]}"
expect "the sweep is killed: they write checkpoints" test -d "long/seed=0/checkpoints/step-$(lines 0)"

begin
reach $(($(lines 0) + 100))
kill -KILL "$(children | head -n 1)"
finish
expect_exit 1 "a run is killed"
expect_stderr "^adamix: warning: failed: seed=[01]: killed by signal 9" "a run is killed"
expect_stderr "^adamix: error: 1 of 3 runs failed" "a run is killed"
begin
finish
expect_exit 0 "the last part"
for seed in 0 1; do
  expect "stopped, killed, gone on: seed $seed is as if undisturbed" \
    same_as "long/seed=$seed" --max-steps 4000 --eval-every never --save-every never --seed "$seed"
done

# ---- ranks, and a terminal -----------------------------------------------------------------------------------------------

if [ "$cores" -ge 2 ]; then
  ASAN_OPTIONS=detect_leaks=0 run sweep all.ini --output ranks --ranks 2 --seeds 0 --max-steps 6
  expect_exit 0 "two ranks"
  expect "two ranks: so it was" [ "$(field ranks/adapter,seed=0/all_results.json world_size)" = 2 ]
  run sweep all.ini --output no-ranks --ranks $((cores + 1))
  expect_exit 2 "more ranks than cores"
else
  skip "two ranks" "there is one core"
fi
if command -v script > /dev/null; then
  script -qec "'$ADAMIX' sweep all.ini --output terminal --max-steps 600 --seeds 0" /dev/null \
    > "$scratch/out" 2> "$scratch/err" < /dev/null
  expect_stdout "%  .* left  .* of 3 finished, 1 running, 0 failed" "a terminal"
else
  skip "a terminal" "there is no program script"
fi

done_testing
