#!/usr/bin/env bash
# eval --diversity: what it says agrees with the modes of inference, on one rank as on three.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 60 --eval-every never --save-every never)
run train "${common[@]}" --experts 2 --share none --output "$scratch/run"
expect_exit 0 "training"
evaluation=(eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --threads 1)

# line_at FILE T - the loss at a point of the line.
line_at () { grep -A 1 "\"t\": $2," "$1" | sed -n 's/.*"loss": \([0-9.e+-]*\),*/\1/p'; }
# values FILE MEASURE - all its values.
values () { awk -v m="\"$2\"" '/"measure":/ { on = index ($0, m) } /^ *[-0-9.]/ && on { gsub (/[ ,]/, ""); print } /null/ && on { print "null" } /\]/ { on = 0 }' "$1"; }

run "${evaluation[@]}" --diversity --report "$scratch/report"
expect_exit 0 "diversity"
expect_stdout "^no barrier\|^a barrier" "diversity"
json=$scratch/report/diversity.json
for measure in weights_cosine changes_cosine outputs_cka; do
  count=6 # three layers, Down and Up
  if [ $measure = outputs_cka ]; then count=3; fi
  expect "$measure: $count values from -1 to 1" bash -c 'awk -v n="$1" "{ bad += \$1 < -1 || \$1 > 1 } END { exit bad || NR != n }"' - $count \
    < <(values "$json" $measure)
done
expect "outputs of different experts differ" bash -c 'awk "{ bad += \$1 > 0.9999 } END { exit bad || NR != 3 }"' < <(values "$json" outputs_cka)
for t in 0 1; do
  run "${evaluation[@]}" --inference fixed:$t --output "$scratch/fixed.json"
  expect "the line's loss at $t is that of fixed:$t" close "$(line_at "$json" $t.0)" "$(field "$scratch/fixed.json" eval_loss)" 1e-6
done
run "${evaluation[@]}" --output "$scratch/merged.json"
expect "half way it is that of the average of both" close "$(line_at "$json" 0.5)" "$(field "$scratch/merged.json" eval_loss)" 1e-5
expect "it goes beyond both ends" [ -n "$(line_at "$json" -0.125)" ]
expect "11 points" [ "$(wc -l < "$scratch/report/line.tsv")" -eq 12 ]
run_ranks 3 "${evaluation[@]}" --diversity --report "$scratch/ranks"
expect_exit 0 "three ranks"
for file in diversity.json diversity.tsv line.tsv; do
  expect "three ranks write the same $file" cmp "$scratch/report/$file" "$scratch/ranks/$file"
done
if command -v gnuplot > /dev/null; then
  for name in diversity line; do
    expect "$name.svg is drawn" grep -q '</svg>' "$scratch/report/$name.svg"
    expect "$name.png too" grep -qa IEND "$scratch/report/$name.png"
  done
else
  skip "plots" "there is no gnuplot"
fi

# The first update has learning rate 0: nothing changes from the initial values, which no direction can be told of.
run train "${common[@]}" --max-steps 1 --experts 2 --share none --warmup 1 --output "$scratch/first"
run "${evaluation[@]}" --adapter "$scratch/first" --diversity --report "$scratch/unchanged"
expect "without a change there is no cosine of it" [ "$(values "$scratch/unchanged/diversity.json" changes_cosine | sort | uniq -c | tr -s ' ')" = " 6 null" ]
rm "$scratch/first/run.json"
run "${evaluation[@]}" --adapter "$scratch/first" --diversity --report "$scratch/unchanged"
expect_exit 0 "no record"
expect_stderr "no run.json" "no record"
expect "without the run's seed there are no changes" [ -z "$(values "$scratch/unchanged/diversity.json" changes_cosine)" ]

# Experts that share all are one.
run train "${common[@]}" --experts 3 --share both --output "$scratch/same"
run "${evaluation[@]}" --adapter "$scratch/same" --diversity --line 2,0 --report "$scratch/same-report"
expect_exit 0 "experts that share all"
expect "their outputs are alike" bash -c 'awk "{ bad += \$1 < 1 - 1e-9 } END { exit bad || NR != 9 }"' < <(values "$scratch/same-report/diversity.json" outputs_cka)
expect "there is no barrier between them" grep -q '"barrier": 0.0' "$scratch/same-report/diversity.json"
expect "they never disagree" [ "$(awk '/"disagreement"/ { on = 1 } on && /0\.0/ { n++ } /\]/ { on = 0 } END { print n }' "$scratch/same-report/diversity.json")" -eq 3 ]

for line in 0,2 0,0 0 x 0,1,2 ""; do
  run "${evaluation[@]}" --diversity --line "$line"
  expect_exit 2 "--line '$line'"
  expect_stderr "two experts of 0 to 1" "--line '$line'"
done
run train "${common[@]}" --method adapter --output "$scratch/one"
run "${evaluation[@]}" --adapter "$scratch/one" --diversity
expect_exit 2 "a single module"
expect_stderr "1 experts; two are needed" "a single module"
run train "${common[@]}" --max-steps 2 --experts 2 --route switch --output "$scratch/switch"
run "${evaluation[@]}" --adapter "$scratch/switch" --diversity
expect_exit 2 "experts with a router"
expect_stderr "those in $scratch/switch have a router" "experts with a router"

done_testing
