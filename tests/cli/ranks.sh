#!/usr/bin/env bash
# Runs over several ranks: parity of replicated placement with one rank, owned placement in uneven cases.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# 90 examples in batches of 16: the sixth batch of an epoch has 10.  20 steps see three short batches.
common=("${base[@]}" --max-steps 20 --eval-every never)
run train "${common[@]}" --output "$scratch/one"
expect_exit 0 "one rank"
for ranks in 2 4; do
  run_ranks "$ranks" train "${common[@]}" --placement replicated --output "$scratch/replicated-$ranks"
  expect_exit 0 "replicated, $ranks ranks"
  # Sums in another order: a few units in the last place a step, which 20 steps of AdamW carry on.
  worst=$(paste <(sed 's/.*"loss": \([^,]*\),.*/\1/' "$scratch/one/metrics.jsonl") \
    <(sed 's/.*"loss": \([^,]*\),.*/\1/' "$scratch/replicated-$ranks/metrics.jsonl") |
    awk '{ d = ($1 - $2) / $1; if (d < 0) d = -d; if (d > w) w = d } END { print w + 0 }')
  expect "replicated, $ranks ranks: losses agree with one rank's ($worst)" awk -v w="$worst" 'BEGIN { exit !(w < 2e-5) }'
  expect "replicated, $ranks ranks: 20 steps" [ "$(wc -l < "$scratch/replicated-$ranks/metrics.jsonl")" -eq 20 ]
done

# Owned: two groups of ranks with two experts each; groups of unlike size; experts that the groups do not divide.
for case in "2 4 2" "3 4 2" "4 4 2" "3 5 1" "4 3 1" "4 2 2"; do
  read -r ranks experts owned <<< "$case"
  name="owned, $ranks ranks, $experts experts, at least $owned a rank"
  run_ranks "$ranks" train "${common[@]}" --experts "$experts" --experts-per-rank "$owned" --output "$scratch/owned"
  expect_exit 0 "$name"
  expect "$name: world size" [ "$(field "$scratch/owned/all_results.json" world_size)" = "$ranks" ]
  rm -rf "$scratch/owned"
done

# Fewer examples in a batch than ranks, and the same bytes again.
for copy in first second; do
  run_ranks 4 train "${common[@]}" --batch 3 --output "$scratch/few-$copy"
  expect_exit 0 "batches of 3 on 4 ranks, $copy run"
done
expect "the same command gives the same module" cmp "$scratch/few-first/merged/adapter.safetensors" "$scratch/few-second/merged/adapter.safetensors"

# A checkpoint of two ranks goes on to the bits of the uninterrupted run, within a period of rotation and at its end.
for period in 3 4; do
  rotating=("${common[@]}" --rotate-every "$period" --save-every 8 --keep 9)
  whole=$scratch/whole-$period cut=$scratch/cut-$period
  run_ranks 2 train "${rotating[@]}" --output "$whole"
  expect_exit 0 "two ranks, rotation every $period steps"
  mkdir -p "$cut/checkpoints"
  cp -r "$whole/checkpoints/step-8" "$cut/checkpoints"
  cp "$whole/run.json" "$whole/metrics.jsonl" "$cut"
  run_ranks 2 train "${rotating[@]}" --output "$cut" --resume
  name="resumed on two ranks, rotation every $period steps"
  expect_exit 0 "$name"
  expect "$name: the same bytes" cmp "$whole/merged/adapter.safetensors" "$cut/merged/adapter.safetensors"
  expect "$name: the same metrics" cmp <(without_times "$whole/metrics.jsonl") <(without_times "$cut/metrics.jsonl")
done
run_ranks 2 train "${common[@]}" --rotate-every 0 --output "$scratch/still"
expect_exit 0 "two ranks without rotation"
expect "rotation begins with its first period's end" \
  cmp <(without_times "$scratch/still/metrics.jsonl" | head -n 3) <(without_times "$scratch/whole-3/metrics.jsonl" | head -n 3)
expect "rotation changes who trains what" \
  bash -c "! cmp -s '$scratch/still/merged/adapter.safetensors' '$scratch/whole-3/merged/adapter.safetensors'"

# Ranks whose processors differ use the kernels that both have: what they update alike stays alike to the bit.
mixed=("${common[@]}" --placement replicated --save-every 5 --output "$scratch/mixed")
status=0
"$MPIRUN" -n 1 "$ADAMIX" train "${mixed[@]}" --kernels auto : -n 1 "$ADAMIX" train "${mixed[@]}" --kernels reference \
  > "$scratch/out" 2> "$scratch/err" || status=$?
expect_exit 0 "ranks with unlike kernels"
expect "ranks with unlike kernels: both use the lesser" grep -q '"isa": "reference"' "$scratch/mixed/run.json"

# Evaluation over ranks is that of one.
run eval --model "$tiny" --adapter "$scratch/whole-3" --file "$scratch/dev.tsv" --output "$scratch/eval-1.json"
run_ranks 3 eval --model "$tiny" --adapter "$scratch/whole-3" --file "$scratch/dev.tsv" --output "$scratch/eval-3.json"
expect_exit 0 "eval on three ranks"
expect "eval on three ranks gives what one gives" cmp "$scratch/eval-1.json" "$scratch/eval-3.json"

# A bad input ends all ranks with one message.
sed -i '5s/$/x/' "$scratch/dev.tsv"
run_ranks 3 train "${common[@]}" --output "$scratch/bad"
expect "three ranks, a bad label: not success" [ "$status" -ne 0 ]
expect "three ranks, a bad label: one message" [ "$(grep -c '^adamix: error' "$scratch/err")" -eq 1 ]
expect_stderr "dev.tsv.*5" "three ranks, a bad label: file and line"

done_testing
