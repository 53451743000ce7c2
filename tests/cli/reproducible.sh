#!/usr/bin/env bash
# --reproducible: the same bytes on any number of ranks and threads; without it, the same bytes from the same command.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# 90 examples in batches of 16: the sixth batch has 10, fewer than there are shards.
common=("${base[@]}" --max-steps 8 --eval-every never --save-every 4 --keep 9 --dropout 0.1)
exact=("${common[@]}" --reproducible --placement replicated)

# expect_same NAME A B - two runs have the same bytes but for what tells times and ranks.
expect_same () {
  local file
  for file in merged/adapter.safetensors experts/experts.safetensors checkpoints/step-8/optimizer.safetensors; do
    expect "$1: $file" cmp "$2/$file" "$3/$file"
  done
  expect "$1: metrics" cmp <(without_times "$2/metrics.jsonl") <(without_times "$3/metrics.jsonl")
}

run train "${exact[@]}" --output "$scratch/one"
expect_exit 0 "reproducible on one rank"
for case in "1 2" "2 1" "2 2" "3 1" "4 1" "5 1" "6 1" "12 1"; do
  read -r ranks threads <<< "$case"
  run_ranks "$ranks" train "${exact[@]}" --threads "$threads" --output "$scratch/many"
  expect_exit 0 "reproducible, $ranks ranks x $threads threads"
  expect_same "$ranks ranks x $threads threads" "$scratch/one" "$scratch/many"
  rm -rf "$scratch/many"
done

# The order of sums shows in the bits, or the tests above would prove nothing.
run train "${common[@]}" --placement replicated --output "$scratch/plain"
expect "sums in another order have other bits" \
  bash -c "! cmp -s '$scratch/one/merged/adapter.safetensors' '$scratch/plain/merged/adapter.safetensors'"
worst=$(paste <(sed 's/.*"loss": \([^,]*\),.*/\1/' "$scratch/one/metrics.jsonl") \
  <(sed 's/.*"loss": \([^,]*\),.*/\1/' "$scratch/plain/metrics.jsonl") |
  awk '{ d = ($1 - $2) / $1; if (d < 0) d = -d; if (d > w) w = d } END { print w + 0 }')
expect "and the same values but for rounding ($worst)" awk -v w="$worst" 'BEGIN { exit !(w < 2e-5) }'

# A checkpoint of three ranks goes on on two.
run_ranks 3 train "${exact[@]}" --output "$scratch/cut"
rm -r "$scratch/cut/all_results.json" "$scratch/cut/merged" "$scratch/cut/experts" "$scratch/cut/checkpoints/step-8"
run_ranks 2 train "${exact[@]}" --output "$scratch/cut" --resume
expect_exit 0 "resume on another number of ranks"
expect_stderr "step 4" "resume on another number of ranks"
expect_same "resume on another number of ranks" "$scratch/one" "$scratch/cut"

# Owned experts: who owns what depends on the ranks, but threads still do not show.
for threads in 1 2; do
  run_ranks 3 train "${common[@]}" --reproducible --rotate-every 3 --threads "$threads" --output "$scratch/owned-$threads"
  expect_exit 0 "owned, three ranks x $threads threads"
done
expect_same "owned, threads" "$scratch/owned-1" "$scratch/owned-2"

run_ranks 13 train "${exact[@]}" --output "$scratch/too-many"
expect "13 ranks: not success" [ "$status" -ne 0 ]
expect_stderr "12 shards" "13 ranks"
expect_no_file "$scratch/too-many"

done_testing
