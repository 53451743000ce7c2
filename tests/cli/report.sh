#!/usr/bin/env bash
# report: one run, groups of seeds, two runs side by side; what is missing or broken is told; the page is whole and safe.
# shellcheck disable=SC2016 # what bash -c runs has its own $1, names may look like commands
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

training=("${base[@]}" --max-steps 12 --eval-every 6 --save-every never --experts 2)
sweep=$scratch/sweep
for seed in 0 1 2; do
  for method in adamix adapter; do
    run train "${training[@]}" --method $method --seed $seed --output "$sweep/$method-$seed"
    expect_exit 0 "training $method, seed $seed"
  done
done
evaluation=(eval --model "$tiny" --file "$scratch/dev.tsv" --threads 1 --inference all)

# column FILE TITLE [ROW] - a column of a CSV file without quotes.
column () {
  awk -F , -v title="$2" -v row="${3:-}" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == title && !c) c = i; next }
    row == "" || $1 == row { print $c }' "$1"
}

# whole PAGE - well-formed, with nothing from elsewhere.
whole () {
  if command -v python3 > /dev/null; then
    expect "$1 is well-formed" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse (sys.argv[1])' "$1"
    expect "$1 has no two elements of one id" python3 -c '
import collections, re, sys
names = re.findall (r"""\bid=["\x27]([^"\x27]+)""", open (sys.argv[1]).read ())
sys.exit (max (collections.Counter (names or [0]).values ()) > 1)' "$1"
  else
    skip "$1 is well-formed" "there is no python3"
  fi
  expect "$1 asks for no other file" bash -c '! grep -Eiq "<(script|link|iframe|img|object|embed)|src=|url\((\"|.)?http|@import" "$1"' - "$1"
}

# ---- one run: the page stands in its folder ----

one=$sweep/adamix-0
run report "$one"
expect_exit 0 "one run"
expect_stdout "^report: $one/report.html" "one run"
expect_stdout "^adamix  *1  *$(printf %.4f "$(field "$one/all_results.json" eval_accuracy)")" "one run"
whole "$one/report.html"
for name in results metrics runs speed environment; do
  for ending in md csv tex; do expect_file "$one/report/$name.$ending"; done
done
expect "one run gives no deviation, which is said" grep -q "one run, which gives neither a deviation" "$one/report.html"
expect "nor is there a number" [ -z "$(column "$one/report/results.csv" deviation)" ]
expect "the work of a prediction stands beside speed and memory" grep -q "a dev text, GFLOP" "$one/report/speed.csv"
expect "and among no metrics" bash -c '! grep -q flops "$1"' - "$one/report/metrics.csv"

# What it says of routes is a command that works.
expect "there are no routes yet, which is said" grep -q "runs with experts have no inference.json" "$one/report.html"
command=$(sed -n 's|.*<pre>adamix \(eval .*\)</pre>.*|\1|p' "$one/report.html")
eval "run $command --threads 1"
expect_exit 0 "the command for routes"
expect_file "$one/inference.json"
run report "$one"
expect_exit 0 "one run with routes"
expect "routes are compared with the merged module" [ "$(column "$one/report/routes.csv" difference | grep -c .)" -ge 4 ]
expect "there is nothing more to say of them" bash -c '! grep -q "have no inference.json" "$1"' - "$one/report.html"

# The command line of the record makes the run again.
command=$(sed -n 's|^adamix \(train .*\)|\1|p' "$one/report/commands.sh")
eval "run $command --output '$scratch/again'"
expect_exit 0 "the command of the run"
expect "it gives the same module" cmp "$one/merged/adapter.safetensors" "$scratch/again/merged/adapter.safetensors"

# What goes its way by a learned router is compared with the router.
run train "${training[@]}" --route switch --output "$scratch/switch"
run "${evaluation[@]}" --adapter "$scratch/switch" --output "$scratch/switch/inference.json"
run report "$scratch/switch"
expect_exit 0 "a learned router"
expect "the router stands for itself" [ "$(column "$scratch/switch/report/routes.csv" n router)$(column "$scratch/switch/report/routes.csv" difference router)" = 1 ]
expect "an expert is compared with it" [ -n "$(column "$scratch/switch/report/routes.csv" difference fixed:0)" ]

# ---- a sweep: groups of seeds ----

for seed in 1 2; do run "${evaluation[@]}" --adapter "$sweep/adamix-$seed" --output "$sweep/adamix-$seed/inference.json"; done
run report "$sweep"
expect_exit 0 "a sweep"
expect_stdout "^report: $sweep/report/report.html" "a sweep"
folder=$sweep/report
whole "$folder/report.html"
results=$folder/results.csv
expect "two groups of three" [ "$(column "$results" n | tr '\n' ' ')" = "3 3 " ]
expect "named by the method" [ "$(column "$results" setting | tr '\n' ' ')" = "adamix adapter " ]
for method in adamix adapter; do
  values=$(for seed in 0 1 2; do field "$sweep/$method-$seed/all_results.json" eval_accuracy; done)
  expect "$method: the mean" close "$(column "$results" mean $method)" "$(awk '{ s += $1 } END { printf "%.15g", s / NR }' <<< "$values")" 1e-12
  expect "$method: the deviation" close "$(column "$results" deviation $method)" \
    "$(awk '{ x[NR] = $1; s += $1 } END { for (i in x) q += (x[i] - s / NR)^2; printf "%.15g", sqrt (q / (NR - 1)) }' <<< "$values")" 1e-9
  # 4.302653 is Student's quantile for two degrees of freedom.
  expect "$method: the interval" close "$(column "$results" "± 95 %" $method)" \
    "$(awk -v d="$(column "$results" deviation $method)" 'BEGIN { print 4.30265272974946 * d / sqrt (3) }')" 1e-5
done
expect "all runs are there" [ "$(column "$folder/runs.csv" state | sort | uniq -c | tr -s ' ')" = " 6 finished" ]
expect "their speed too" [ "$(column "$folder/runs.csv" tokens/s | grep -c '^[0-9]')" -eq 6 ]
expect "a command a run" [ "$(grep -c '^adamix train' "$folder/commands.sh")" -eq 6 ]
expect "the record's environment" grep -q "^kernels,$(sed -n 's/.*"isa": "\(.*\)",/\1/p' "$one/run.json"),6$" "$folder/environment.csv"
expect "five modes of three runs" [ "$(column "$folder/routes.csv" n | tr '\n' ' ')" = "3 3 3 3 3 3 " ]
if command -v gnuplot > /dev/null; then
  for name in results loss dev routes; do
    expect "$name.svg is drawn" grep -q '</svg>' "$folder/$name.svg"
    expect "$name.png too" grep -qa IEND "$folder/$name.png"
  done
  expect "and stand in the page" [ "$(grep -c '<svg role="img"' "$folder/report.html")" -eq 4 ]
else
  skip "plots" "there is no gnuplot"
fi
# The metric of each evaluation, in the mean over the three seeds.
expect "the dev curve ends with the runs' own metric" close "$(awk -F'\t' 'NR > 1 && $2 != "nan" { last = $2 } END { print last }' "$folder/dev.tsv")" \
  "$(column "$results" mean adamix)" 1e-6
expect "the curve ends with the last steps" [ "$(tail -n 1 "$folder/loss.tsv" | cut -f 1)" = 12 ]

run report "$sweep" --metric eval_flops_per_sample
expect_stdout "eval_flops_per_sample (lower is better)" "work of a prediction"
run report "$sweep" --metric eval_loss --baseline adapter
expect_exit 0 "another metric and baseline"
expect_stdout "eval_loss (lower is better).*difference to adapter" "another metric and baseline"

# As a sweep calls them: SETTING,seed=N.
mkdir "$scratch/named"
for seed in 0 1; do
  ln -s "$sweep/adamix-$seed" "$scratch/named/ours,seed=$seed"
  ln -s "$sweep/adapter-$seed" "$scratch/named/theirs, rank=4,seed=$seed"
done
run report "$scratch/named" --baseline ours
expect_exit 0 "runs of a sweep"
expect_stdout "^theirs, rank=4  *2 .*$" "runs of a sweep go by its settings"
mv "$scratch/named/ours,seed=1" "$scratch/named/other,seed=1"
run report "$scratch/named"
expect_stdout "^adamix  *2 " "one setting under two names is named by its options"
mv "$scratch/named/other,seed=1" "$scratch/named/ours,seed=x"
run report "$scratch/named"
expect_stdout "^adamix  *2 " "no number behind seed= is no name of a sweep"
# What a sweep varies as a task is no part of a setting.
for task in mrpc rte; do
  cp -r "$sweep/adamix-0" "$scratch/tasks-$task"
  sed -i 's|"task": null|"task": "'"$task"'"|' "$scratch/tasks-$task/run.json"
  mkdir -p "$scratch/tasks"
  mv "$scratch/tasks-$task" "$scratch/tasks/ours,task=$task,seed=0"
done
run report "$scratch/tasks" --baseline ours
expect_exit 0 "one setting of two tasks"
expect "one setting of two tasks is one row" [ "$(grep -c '^| ours |' "$scratch/tasks/report/overview.md")" = 1 ]
p=$(column "$results" p adamix)
expect "a paired test" close "$p" "$(for s in 0 1 2; do
  echo "$(field "$sweep/adamix-$s/all_results.json" eval_loss) $(field "$sweep/adapter-$s/all_results.json" eval_loss)"
done | awk '{ x[NR] = $1 - $2; s += $1 - $2 } END { m = s / 3; for (i in x) q += (x[i] - m)^2
  t = m / sqrt (q / 2 / 3); if (t < 0) t = -t; printf "%.15g", 1 - t / sqrt (2 + t * t) }')" 1e-6
expect "one test needs no correction" [ "$(column "$results" "p (Holm)" adamix)" = "$p" ]

# ---- two runs ----

run report --compare "$sweep/adamix-0" "$sweep/adapter-1" --output "$scratch/compared"
expect_exit 0 "two runs"
whole "$scratch/compared/report.html"
expect "settings that differ" grep -q "^method,adamix,adapter$" "$scratch/compared/differences.csv"
expect "the seed too" grep -q "^seed,0,1$" "$scratch/compared/differences.csv"
expect "those that do not are left out" bash -c '! grep -q "^batch,\|^output," "$1"' - "$scratch/compared/differences.csv"
a=$(field "$sweep/adamix-0/all_results.json" train_loss) b=$(field "$sweep/adapter-1/all_results.json" train_loss)
expect "differences of results" close "$(column "$scratch/compared/results.csv" difference train_loss)" \
  "$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.15g", b - a }')" 1e-9
(cd "$scratch" && run report --compare sweep/adamix-0 sweep/adamix-1; exit "$status")
expect "without --output it is the folder report" [ -s "$scratch/report/report.html" ]

# ---- what is missing or broken ----

broken=$scratch/broken
mkdir -p "$broken/logs" "$broken/nothing-1"
cp -r "$sweep/adamix-0" "$sweep/adamix-1" "$sweep/adapter-0" "$sweep/adapter-1" "$broken"
rm -r "$broken/adamix-0/report" "$broken/adamix-0/report.html"
rm "$broken/adamix-1/all_results.json"
head -n 7 "$sweep/adamix-1/metrics.jsonl" > "$broken/adamix-1/metrics.jsonl"
printf '{"step": 8, "lo' >> "$broken/adamix-1/metrics.jsonl"
sed -i '3s/,$//' "$broken/adapter-0/run.json"
head -c 100 "$sweep/adapter-1/all_results.json" > "$broken/adapter-1/all_results.json"
touch "$broken/nothing-1/metrics.jsonl"
run report "$broken"
expect_exit 0 "unfinished and broken runs"
whole "$broken/report/report.html"
expect_stderr "adamix-1: no all_results.json: not finished, step 7 is the last one" "an unfinished run"
expect_stderr "adapter-0: .*run.json: line [0-9]*, column [0-9]*: not valid JSON" "a broken record"
expect_stderr "adapter-1: .*all_results.json: line" "broken results"
expect_stderr "nothing-1: no run.json" "no record"
for name in adamix-1 adapter-0 adapter-1 nothing-1 logs; do
  expect "$name is told on the page" bash -c 'sed -n "/What is missing/,/<.section>/p" "$1" | grep -q "<li>.*$2"' - \
    "$broken/report/report.html" "$name"
done
expect "states of all" [ "$(column "$broken/report/runs.csv" state | sort | uniq -c | tr -s ' \n' ' ')" = " 1 finished 2 unfinished 2 unreadable " ]
expect "the finished one counts" [ "$(column "$broken/report/results.csv" n adamix)" = 1 ]
expect "its unfinished neighbour has a curve" [ "$(sed -n 7p "$broken/report/loss.tsv" | cut -f 3 | grep -c '^[0-9]')" = 1 ]

cp -r "$sweep/adamix-0" "$broken/adamix-0-again"
run report "$broken"
expect_stderr "adamix-0-again: settings, seed and data are those of adamix-0" "the same run twice"
expect "it counts once" [ "$(column "$broken/report/results.csv" n adamix)" = 1 ]

rm -r "$broken/adamix-0" "$broken/adamix-0-again" "$broken/adamix-1" "$broken/adapter-1"
run report "$broken"
expect_exit 1 "no run can be read"
expect_stderr "no run could be read: .*run.json: line" "no run can be read"

# ---- names from anywhere ----

odd="$scratch/odd/<b>R&D 'x' | \"y\""
mkdir -p "$scratch/odd"
cp -r "$sweep/adamix-1" "$odd"
cp -r "$sweep/adamix-2" "$scratch/odd/plain"
sed -i 's|"place": "auto"|"place": "<i>\&\x27 `x`</i>"|' "$odd/run.json"
run report "$scratch/odd"
expect_exit 0 "odd names"
whole "$scratch/odd/report/report.html"
expect "no tag of a name becomes one of the page" bash -c '! grep -q "<b>\|<i>" "$1"' - "$scratch/odd/report/report.html"
expect "it is shown as it is" grep -q "&lt;b&gt;R&amp;D &#39;x&#39; | &quot;y&quot;" "$scratch/odd/report/report.html"
if command -v gnuplot > /dev/null; then
  expect "plots bear it" grep -q "</svg>" "$scratch/odd/report/results.svg"
else
  skip "plots bear it" "there is no gnuplot"
fi

# ---- without gnuplot ----

mkdir "$scratch/bin"
PATH=$scratch/bin run report "$sweep" --output "$scratch/plain"
expect_exit 0 "no gnuplot"
expect_stderr "gnuplot is not installed" "no gnuplot"
whole "$scratch/plain/report.html"
expect "the page says so" grep -q "All plots: gnuplot is not installed" "$scratch/plain/report.html"
expect "the tables are there" [ "$(column "$scratch/plain/results.csv" n | tr '\n' ' ')" = "3 3 " ]
expect_no_file "$scratch/plain/loss.svg"
expect_file "$scratch/plain/loss.gp"

# ---- wrong use ----

refuse () { # STATUS NAME WORD ARGUMENT...
  local expected=$1 name=$2 word=$3
  shift 3
  run report "$@" --output "$scratch/refused"
  expect_exit "$expected" "$name"
  expect_stderr "$word" "$name"
  expect_one_message "$name"
  expect_no_file "$scratch/refused"
}
refuse 2 "no run" "which RUN or SWEEP"
refuse 2 "three runs to compare" "there are 3" --compare "$one" "$one" "$one"
refuse 1 "a sweep to compare" "takes two runs" --compare "$sweep" "$one"
refuse 1 "a folder that is not there" "nowhere: there is no such folder" "$scratch/nowhere"
refuse 1 "a file" "not a folder" "$scratch/train.tsv"
refuse 1 "a folder without runs" "no run: neither" "$broken/logs"
refuse 2 "a baseline that is not there" '"adamix", "adapter"' "$sweep" --baseline lora
refuse 2 "a metric that is not there" "eval_bleu" "$sweep" --metric eval_bleu
run report "$one" --output "$scratch/train.tsv"
expect_exit 1 "an output that is a file"
expect_stderr "train.tsv: cannot be made as a folder" "an output that is a file"

done_testing
