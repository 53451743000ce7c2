#!/usr/bin/env bash
# The table of tasks: the files of a split, which of them are reported, and under which keys.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# make_pairs FILE RECORDS FIRST - the columns of MNLI that the task reads, label last.
make_pairs () {
  make_data "$scratch/texts" "$2" "$3"
  awk -F '\t' 'BEGIN { print "index\tsentence1\tsentence2\tgold_label" }
    NR > 1 { print NR - 2 "\t" $1 "\tthe mat\t" (NR % 3 ? ($2 == "cat" ? "entailment" : "neutral") : "contradiction") }' \
    "$scratch/texts" > "$1"
}
mkdir -p "$scratch/root/glue/MNLI" "$scratch/few"
make_pairs "$scratch/root/glue/MNLI/train.tsv" 40 0
make_pairs "$scratch/root/glue/MNLI/dev_matched.tsv" 21 500
make_pairs "$scratch/root/glue/MNLI/dev_mismatched.tsv" 33 900
make_pairs "$scratch/few/train.tsv" 24 40
make_pairs "$scratch/few/dev_matched.tsv" 12 80
short=(--model "$tiny" --rank 4 --batch 8 --max-steps 6 --max-length 32 --pool mean --threads 1 --task mnli)

run train "${short[@]}" --data "$scratch/root" --output "$scratch/run"
expect_exit 0 "mnli with both dev files"
results=$scratch/run/all_results.json
expect "matched pairs are counted" [ "$(field "$results" eval_samples)" = 21 ]
expect "mismatched pairs are counted" [ "$(field "$results" eval_samples_mm)" = 33 ]
for key in eval_accuracy eval_loss eval_majority eval_accuracy_mm eval_loss_mm eval_majority_mm; do
  expect "all_results.json has $key" grep -q "\"$key\"" "$results"
done
expect_stdout "^dev_mismatched accuracy" "mnli with both dev files"
expect "run.json names the mismatched file" grep -q '"file": "dev_mismatched.tsv"' "$scratch/run/run.json"

run eval --model "$tiny" --adapter "$scratch/run" --data "$scratch/root" --split dev_mismatched --output "$scratch/mm.json"
expect_exit 0 "eval of the mismatched pairs"
expect "eval gives the run's mismatched accuracy" \
  [ "$(field "$scratch/mm.json" eval_accuracy_mm)" = "$(field "$results" eval_accuracy_mm)" ]
run eval --model "$tiny" --adapter "$scratch/run" --data "$scratch/root" --output "$scratch/m.json"
expect "eval gives the run's matched accuracy" \
  [ "$(field "$scratch/m.json" eval_accuracy)" = "$(field "$results" eval_accuracy)" ]

# Few-shot: the split's own dev file selects, the task's dev file is reported.
run train "${short[@]}" --data "$scratch/few" --select best --eval-every 2 --output "$scratch/few-run" \
  --test-file "$scratch/root/glue/MNLI/dev_matched.tsv"
expect_exit 0 "a few-shot split"
results=$scratch/few-run/all_results.json
expect "its dev file is the split's" [ "$(field "$results" eval_samples)" = 12 ]
expect "the file that is reported is the given one" [ "$(field "$results" test_samples)" = 21 ]
expect "no mismatched numbers without the file" bash -c "! grep -q _mm '$results'"
run eval --model "$tiny" --adapter "$scratch/few-run" --data "$scratch/root" --output "$scratch/few.json"
expect "eval gives the same" [ "$(field "$scratch/few.json" eval_accuracy)" = "$(field "$results" test_accuracy)" ]

run train "${short[@]}" --data "$scratch/root" --text-column sentence1 --output "$scratch/none"
expect_exit 2 "a column beside a task"
expect_stderr "--text-column goes with --train-file" "a column beside a task"
run train "${short[@]}" --data "$scratch/root" --test-file "$scratch/absent.tsv" --output "$scratch/none"
expect_exit 1 "a test file that is not there"
expect_stderr "absent.tsv" "a test file that is not there"
expect_no_file "$scratch/none"

done_testing
