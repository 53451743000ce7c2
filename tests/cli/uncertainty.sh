#!/usr/bin/env bash
# eval --uncertainty: files and numbers, on one rank as on three; with texts from elsewhere; without gnuplot.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

run train "${base[@]}" --max-steps 60 --eval-every never --save-every never --experts 3 --output "$scratch/run"
expect_exit 0 "training"
# Texts of another kind, in a table of their own.
awk 'BEGIN { print "nr\ttext"; for (i = 0; i < 25; i++) print i "\t" "42 % 17 = 8 ; " i " ( 9 )" }' > "$scratch/elsewhere.tsv"
evaluation=(eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --threads 1)

# numbers FILE KEY - all numbers of that key in a JSON file, one a line.
numbers () { sed -n "s/.*\"$2\": *\([-0-9.e+]*\),*\$/\1/p" "$1"; }
# all_between FILE KEY COUNT LOW HIGH - so many numbers, all of them in that range.
all_between () { numbers "$1" "$2" | awk -v n="$3" -v low="$4" -v high="$5" '{ bad += $1 < low || $1 > high } END { exit bad || NR != n }'; }

run "${evaluation[@]}" --uncertainty 6 --ood-file "$scratch/elsewhere.tsv" --report "$scratch/report" --output "$scratch/table.json"
expect_exit 0 "uncertainty"
expect_stdout "^mutual information " "uncertainty"
expect_stdout "25 texts" "uncertainty"
json=$scratch/report/uncertainty.json
for name in reliability risk_coverage uncertainty; do expect_file "$scratch/report/$name.tsv"; done
expect "15 bins, 40 coverages, 40 and 25 texts" \
  [ "$(wc -l < "$scratch/report/reliability.tsv") $(wc -l < "$scratch/report/risk_coverage.tsv") $(wc -l < "$scratch/report/uncertainty.tsv")" = "16 41 66" ]
expect "the merged module's numbers are those of the table" [ "$(numbers "$json" nll | head -n 1)" = "$(field "$scratch/table.json" eval_loss)" ]
expect "its calibration error too" [ "$(numbers "$json" ece | head -n 1)" = "$(field "$scratch/table.json" eval_ece)" ]
run "${evaluation[@]}" --inference ensemble:6 --output "$scratch/ensemble.json"
for pair in nll:eval_loss ece:eval_ece brier:eval_brier accuracy:eval_accuracy; do
  expect "the ensemble's ${pair%:*} is that of ensemble:6" close "$(grep -A 5 '"ensemble": {' "$json" | sed -n "s/.*\"${pair%:*}\": \([0-9.e-]*\).*/\1/p")" \
    "$(field "$scratch/ensemble.json" "${pair#*:}")" 1e-12
done
expect "bins hold all examples, twice" [ "$(numbers "$json" count | awk '{ n += $1 } END { print n }')" -eq 80 ]
expect "AUROC of three scores" all_between "$json" ood_auroc 3 0 1
expect "areas under risk" all_between "$json" aurc 3 "$(numbers "$json" aurc_least)" 1
expect "no score is below 0" awk -F '\t' 'NR > 1 { for (i = 8; i <= 10; i++) bad += $i < 0 } END { exit bad || NR == 1 }' "$scratch/report/uncertainty.tsv"
# The whole of the curve's end is the error rate.
expect "at full coverage the risk is the error rate" close "$(tail -n 1 "$scratch/report/risk_coverage.tsv" | cut -f 3)" \
  "$(awk -v a="$(field "$scratch/ensemble.json" eval_accuracy)" 'BEGIN { printf "%.6f", 1 - a }')" 1e-5

run_ranks 3 "${evaluation[@]}" --uncertainty 6 --ood-file "$scratch/elsewhere.tsv" --report "$scratch/ranks"
expect_exit 0 "three ranks"
for file in uncertainty.json reliability.tsv risk_coverage.tsv uncertainty.tsv; do
  expect "three ranks write the same $file" cmp "$scratch/report/$file" "$scratch/ranks/$file"
done
if command -v gnuplot > /dev/null; then
  for name in reliability risk_coverage uncertainty; do
    expect "$name.svg is drawn" grep -q '</svg>' "$scratch/report/$name.svg"
  done
else
  skip "plots" "there is no gnuplot"
fi
mkdir "$scratch/bin"
PATH=$scratch/bin run "${evaluation[@]}" --uncertainty 2 --report "$scratch/report"
expect_exit 0 "no gnuplot"
expect_stderr "reliability.svg is missing" "no gnuplot"
for ending in svg png; do expect_no_file "$scratch/report/reliability.$ending"; done
expect "the numbers are there" [ "$(numbers "$scratch/report/uncertainty.json" draws)" -eq 2 ]
expect "no texts from elsewhere: null" grep -q '"ood": null' "$scratch/report/uncertainty.json"

refuse () { # NAME WORD ARGUMENT...
  local name=$1 word=$2
  shift 2
  run "${evaluation[@]}" "$@"
  expect_exit 2 "$name"
  expect_stderr "$word" "$name"
}
refuse "one route" "2 or more" --uncertainty 1
refuse "texts from elsewhere alone" "for --uncertainty" --ood-file "$scratch/elsewhere.tsv"
refuse "two sources" "one of them" --uncertainty 2 --ood-file "$scratch/elsewhere.tsv" --ood-task sst2
refuse "an unknown task" "no task 'sst'" --uncertainty 2 --ood-task sst
refuse "a task without data" "needs --data" --uncertainty 2 --ood-task sst2
refuse "a report of nothing" "report is for" --report "$scratch/nothing"
expect_no_file "$scratch/nothing"

done_testing
