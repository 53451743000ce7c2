#!/usr/bin/env bash
# Runs whose order and routes are given by files: the same on any number of ranks, recorded, and bad files refused.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# 20 steps of 1 to 16 of the 90 records; 2 passes, 3 layers, 4 experts, Down shared.
make_files () {
  awk -v shift="$1" 'BEGIN {
    for (t = 0; t < 20; t++) {
      n = 1 + (t * 5 + 12) % 16
      for (i = 0; i < n; i++) printf "%s%d", i ? ", " : "[", (t * 37 + i * 7 + shift) % 90
      print "]"
      route = "["
      for (p = 0; p < 2; p++) {
        route = route (p ? ", [" : "[")
        for (l = 0; l < 3; l++) route = route (l ? ", " : "") "[0, " ((t * t + 3 * p + l * (t + 1) + shift) % 4) "]"
        route = route "]"
      }
      print route "]" > "/dev/stderr"
    }
  }' > "$scratch/order-$1.jsonl" 2> "$scratch/routes-$1.jsonl"
}
make_files 0
make_files 1

common=("${base[@]}" --dropout 0 --max-steps 20 --eval-every never --placement replicated --order-file
  "$scratch/order-0.jsonl" --routes-file "$scratch/routes-0.jsonl")
losses () { sed 's/.*"loss": \([^,]*\),.*/\1/' "$scratch/$1/metrics.jsonl"; }
# worst A B - the largest relative difference of the losses of two runs.
worst () {
  paste <(losses "$1") <(losses "$2") | awk '{ d = ($1 - $2) / $1; if (d < 0) d = -d; if (d > w) w = d } END { print w + 0 }'
}

for ranks in 1 2 3 4; do
  run_ranks "$ranks" train "${common[@]}" --output "$scratch/ranks-$ranks"
  expect_exit 0 "$ranks ranks"
  expect "$ranks ranks: 20 steps" [ "$(losses "ranks-$ranks" | wc -l)" -eq 20 ]
  # Sums in another order: a few units in the last place a step, which 20 steps of AdamW carry on.
  difference=$(worst ranks-1 "ranks-$ranks")
  expect "$ranks ranks: the losses of one ($difference)" awk -v w="$difference" 'BEGIN { exit !(w < 2e-5) }'
done

# The files are what decides: the seed no longer shuffles, and other routes are other losses.
for file in order routes; do
  run train "${common[@]}" --$file-file "$scratch/$file-1.jsonl" --output "$scratch/other-$file"
  expect_exit 0 "another file of $file"
  expect "another file of $file: other losses" awk -v w="$(worst ranks-1 "other-$file")" 'BEGIN { exit !(w > 1e-3) }'
done
run train "${common[@]}" --placement owned --output "$scratch/owned"
expect_exit 0 "one rank that owns all experts"
expect "one rank that owns all experts: the same module" cmp "$scratch/ranks-1/merged/adapter.safetensors" "$scratch/owned/merged/adapter.safetensors"
for file in order-0 routes-0; do
  sum=$(sha256sum < "$scratch/$file.jsonl")
  expect "run.json has the sum of $file" grep -q "${sum%% *}" "$scratch/ranks-1/run.json"
done
run_ranks 2 train "${common[@]}" --placement owned --output "$scratch/groups"
expect_exit 2 "two groups of owners"
expect_stderr "placement replicated" "two groups of owners"

# A resumed run needs the same files, wherever they lie.
run train "${common[@]}" --save-every 10 --keep 9 --output "$scratch/whole"
mkdir -p "$scratch/cut/checkpoints"
cp -r "$scratch/whole/checkpoints/step-10" "$scratch/cut/checkpoints"
cp "$scratch/whole/run.json" "$scratch/whole/metrics.jsonl" "$scratch/cut"
for file in order routes; do
  run train "${common[@]}" --save-every 10 --keep 9 --$file-file "" --output "$scratch/cut" --resume
  expect_exit 2 "resume without --$file-file"
  expect_stderr "$file-file" "resume without --$file-file"
done
for file in order routes; do cp "$scratch/$file-0.jsonl" "$scratch/moved-$file.jsonl"; done
run train "${common[@]}" --save-every 10 --keep 9 --order-file "$scratch/moved-order.jsonl" \
  --routes-file "$scratch/moved-routes.jsonl" --output "$scratch/cut" --resume
expect_exit 0 "resume with moved files"
expect "resumed: the same bytes" cmp "$scratch/whole/merged/adapter.safetensors" "$scratch/cut/merged/adapter.safetensors"

# Bad files end all ranks with one message, before anything is written.
sed '7s/, [0-9]*\]$/, 90]/' "$scratch/order-0.jsonl" > "$scratch/bad.jsonl"
run_ranks 3 train "${common[@]}" --order-file "$scratch/bad.jsonl" --output "$scratch/bad"
expect_exit 1 "a record that is not there"
expect_stderr "bad.jsonl:7: .*record 90" "a record that is not there"
expect "a record that is not there: one message" [ "$(grep -c '^adamix: error' "$scratch/err")" -eq 1 ]
sed '9s/\[0, .\]/[0, 4]/' "$scratch/routes-0.jsonl" > "$scratch/bad.jsonl"
run train "${common[@]}" --routes-file "$scratch/bad.jsonl" --output "$scratch/bad"
expect_exit 1 "an expert that is not there"
expect_stderr "bad.jsonl:9: pass 0, layer 0: up: .*expert 4" "an expert that is not there"
for file in order routes; do cat "$scratch/$file-0.jsonl" "$scratch/$file-1.jsonl" > "$scratch/long-$file.jsonl"; done
for file in order routes; do
  run train "${common[@]}" --max-steps 21 --order-file "$scratch/long-order.jsonl" \
    --routes-file "$scratch/long-routes.jsonl" --$file-file "$scratch/$file-0.jsonl" --output "$scratch/bad"
  expect_exit 1 "too few lines in --$file-file"
  expect_stderr "$file-0.jsonl has 20 lines.* 21 steps" "too few lines in --$file-file"
done
expect_no_file "$scratch/bad"

# One pass has one route; a method without experts to draw has the route of expert 0.
sed 's/\], \[\[.*/]]/; s/\[0, [1-3]\]/[0, 0]/g' "$scratch/routes-0.jsonl" > "$scratch/single.jsonl"
run train "${common[@]}" --method adapter --routes-file "$scratch/single.jsonl" --output "$scratch/adapter"
expect_exit 0 "method adapter"
run train "${common[@]}" --consistency 0 --output "$scratch/bad"
expect_exit 1 "two passes for a run of one"
expect_stderr "routes-0.jsonl:1: .*1 pass" "two passes for a run of one"

# The gradient of the whole consistency term starts from the same losses and goes elsewhere.
run train "${common[@]}" --consistency-gradient both --output "$scratch/both"
expect_exit 0 "--consistency-gradient both"
expect "--consistency-gradient both: the first losses" [ "$(losses both | head -n 2)" = "$(losses ranks-1 | head -n 2)" ]
expect "--consistency-gradient both: other losses" [ "$(losses both | tail -n 1)" != "$(losses ranks-1 | tail -n 1)" ]

run train "${base[@]}" --method head --max-steps 2 --experts 4 --placement owned --output "$scratch/head"
expect_exit 0 "options without use"
expect_stderr "warning: --method head has no use for --rank, --experts, --placement$" "options without use"

done_testing
