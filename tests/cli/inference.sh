#!/usr/bin/env bash
# Modes of inference: what eval's table and its JSON say of each, on one rank as on three.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 40 --eval-every never --save-every never)
run train "${common[@]}" --experts 3 --output "$scratch/run"
expect_exit 0 "training"
evaluation=(eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --threads 1)

run "${evaluation[@]}" --inference all --output "$scratch/all.json"
expect_exit 0 "all"
cp "$scratch/out" "$scratch/table"
for mode in merged fixed:0 fixed:1 fixed:2 random-sentence random-token ensemble:3; do
  expect "all has $mode" grep -q "^$mode " "$scratch/table"
  run "${evaluation[@]}" --inference "$mode" --output "$scratch/one.json"
  expect "$mode alone is as in the table" [ "$(grep "^$mode " "$scratch/table" | awk '{ print $3, $4, $5, $6, $7 }')" = \
    "$(awk -v mode="$mode" '$1 == mode { print $3, $4, $5, $6, $7 }' "$scratch/out")" ]
  for key in eval_accuracy eval_loss eval_ece eval_brier forward_passes parameters; do
    expect "$mode: JSON has $key" [ -n "$(field "$scratch/one.json" $key)" ]
  done
done
best=$(awk 'NR > 2 && $1 !~ /:$/ && $2 > best { best = $2; name = $1 } END { print name }' "$scratch/table")
expect "the last line says that $best is best" \
  bash -c 'tail -n 1 "$1" | grep -qE "^accuracy: ($2 is best|none is better than $2) with "' - "$scratch/table" "$best"

run "${evaluation[@]}" --inference ensemble:4 --output "$scratch/ensemble.json"
expect_exit 0 "ensemble"
expect "an ensemble of four costs four passes" [ "$(field "$scratch/ensemble.json" forward_passes)" -eq 4 ]
expect "all experts are in use" [ "$(field "$scratch/ensemble.json" parameters)" -eq \
  "$(field "$scratch/run/all_results.json" trainable_parameters)" ]
run_ranks 3 "${evaluation[@]}" --inference ensemble:4 --output "$scratch/ranks.json"
expect "three ranks store the same bytes" cmp "$scratch/ensemble.json" "$scratch/ranks.json"
run "${evaluation[@]}" --inference ensemble:4 --threads 2 --output "$scratch/threads.json"
expect "two threads store the same bytes" cmp "$scratch/ensemble.json" "$scratch/threads.json"
run "${evaluation[@]}" --inference ensemble:4 --seed 1 --output "$scratch/seed.json"
expect "another seed draws other routes" [ "$(field "$scratch/seed.json" eval_loss)" != "$(field "$scratch/ensemble.json" eval_loss)" ]
run "${evaluation[@]}" --inference ensemble:1 --output "$scratch/first.json"
expect "more draws differ from one" [ "$(field "$scratch/first.json" eval_loss)" != "$(field "$scratch/ensemble.json" eval_loss)" ]

for mode in ensemble:0 ensemble: ensemble:x ensemble:-1 ensemble fixed:3 fixed: Merged; do
  run "${evaluation[@]}" --inference "$mode"
  expect_exit 2 "--inference '$mode'"
  expect_stderr "'$mode' is not one of .*ensemble:1" "--inference '$mode'"
done
run "${evaluation[@]}" --inference ""
expect_exit 2 "no mode"
expect_stderr "inference" "no mode"

# A regression has no probabilities.
awk -F '\t' 'NR == 1 { print; next } { print $1 "\t" length ($1) / 20 }' "$scratch/dev.tsv" > "$scratch/numbers.tsv"
run train "${common[@]}" --train-file "$scratch/numbers.tsv" --dev-file "$scratch/numbers.tsv" --task-type regression \
  --experts 2 --output "$scratch/numbers"
expect_exit 0 "training of a regression"
run eval --model "$tiny" --adapter "$scratch/numbers" --file "$scratch/numbers.tsv" --threads 1 --inference all \
  --output "$scratch/numbers.json"
expect_exit 0 "all modes of a regression"
expect_stdout "mse  *passes" "a regression"
expect "its calibration is null" [ "$(grep -c '"eval_\(ece\|brier\)": null' "$scratch/numbers.json")" -eq 12 ]

run train "${common[@]}" --method head --output "$scratch/head"
run eval --model "$tiny" --adapter "$scratch/head" --file "$scratch/dev.tsv" --threads 1 --inference ensemble:2
expect "a module without experts: not 0" [ "$status" -ne 0 ]
expect_stderr "experts" "a module without experts"

done_testing
