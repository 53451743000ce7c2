#!/usr/bin/env bash
# What `adamix inspect --memory` predicts is what a training has.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# plan RANKS ARGUMENT... - the prediction of the memory of a training on so many ranks.
plan () {
  local ranks=$1
  shift
  run inspect --memory --json --ranks "$ranks" "$@"
  cp "$scratch/out" "$scratch/plan.json"
}
# train RANKS OUTPUT ARGUMENT... - alone for one rank.
train () {
  local ranks=$1 output=$2
  shift 2
  if [ "$ranks" = 1 ]; then
    run train "$@" --output "$output"
  else
    run_ranks "$ranks" train "$@" --output "$output"
  fi
}
# expect_planned NAME RESULTS - the run's buffers are the planned ones to the byte.
expect_planned () {
  local bytes
  bytes=$(field "$2" activation_bytes)
  expect "$1: activations of $bytes bytes as predicted" \
    [ "$bytes" -gt 0 -a "$bytes" = "$(field "$scratch/plan.json" activation_bytes)" ]
}

# ---- a tiny encoder: buffers ----
data=(--train-file "$scratch/train.tsv" --dev-file "$scratch/dev.tsv")
steps=(--rank 8 --batch 16 --max-length 32 --pool mean --threads 1 --max-steps 3)
for ranks in 1 2; do
  for method in adamix adapter head; do
    plan "$ranks" "$tiny" "${data[@]}" "${steps[@]}" --method "$method"
    expect_exit 0 "$method on $ranks ranks: inspect --memory"
    train "$ranks" "$scratch/$method-$ranks" --model "$tiny" "${data[@]}" "${steps[@]}" --method "$method"
    expect_exit 0 "$method on $ranks ranks"
    expect_planned "$method on $ranks ranks" "$scratch/$method-$ranks/all_results.json"
  done
done
plan 2 "$tiny" "${data[@]}" "${steps[@]}" --reproducible --placement replicated --select best --share none
train 2 "$scratch/more" --model "$tiny" "${data[@]}" "${steps[@]}" --reproducible --placement replicated --select best --share none
expect_planned "--reproducible --select best" "$scratch/more/all_results.json"

# sum_of NODE|RANK - its parts.
sum_of () { sed -n "/\"$1\": {/,/memory_bytes/{/memory_bytes/d;s/.*_bytes\": \([0-9]*\).*/\1/p}" "$scratch/plan.json" | awk '{ s += $1 } END { printf "%d", s }'; }
expect "the node's parts sum up" [ "$(sum_of node)" = "$(field "$scratch/plan.json" predicted_memory_bytes)" ]
part_of () { sed -n "/\"$1\": {/,/}/p" "$scratch/plan.json" | sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p"; }
expect "packed weights are once a node" [ "$(part_of node packed_weight_bytes)" = "$(part_of rank packed_weight_bytes)" ]
expect "activations are once a rank" [ "$(part_of node activation_bytes)" = $((2 * $(part_of rank activation_bytes))) ]

# Without data all sequences are as long as they may be.
plan 1 "$tiny" "${steps[@]}" --batch 5
expect "without data: 5 sequences of 32 tokens" [ "$(field "$scratch/plan.json" shard_tokens)" = 160 ]
plan 2 "$tiny" "${steps[@]}" --batch 5
expect "without data: the larger of 2 shards" [ "$(field "$scratch/plan.json" shard_tokens)" = 96 ]
run inspect "$tiny" --memory --max-length 32
expect_exit 0 "as text"
expect_stdout "^activations of training  *[0-9.]*M  *[0-9.]*M$" "as text"

# ---- wrong use ----
run inspect "$tiny" --batch 3
expect_exit 2 "an option of a training without --memory"
expect_stderr "batch goes with --memory" "an option of a training without --memory"
run inspect --memory "$scratch" --max-length 32
expect_exit 1 "--memory of what is no model"
expect_stderr "config.json" "--memory of what is no model"
run inspect --memory "$tiny" --max-length 32 --task banking77
expect_exit 2 "a task without its data"
expect_stderr "data DIR" "a task without its data"
run inspect --memory "$tiny" --max-length 32 --ranks 0
expect_exit 2 "no ranks"

# ---- a real encoder: all memory of the process ----
if [ ! -f "${ADAMIX_MODEL:-}/config.json" ]; then
  skip "the memory of the real encoder" "ADAMIX_MODEL names no model folder"
  done_testing
  exit
fi

# Pages of a file that others map too would count in part only.
cp -rL "$ADAMIX_MODEL" "$scratch/model"
support=$ADAMIX_SOURCE/examples/support
head -n 200 "$support/test.csv" > "$scratch/test.csv"
real=(--task banking77 --data "$support" --test-file "$scratch/test.csv" --rank 48 --pool mean --max-steps 4 --threads 1)
precisions=(fp32)
if grep -q avx512_bf16 /proc/cpuinfo && grep -q "define HAVE_DNNL 1" "$ADAMIX_BUILD/config.h"; then precisions+=(bf16); fi
for precision in "${precisions[@]}"; do
  for ranks in 1 2; do
    name="$precision on $ranks ranks" output=$scratch/$precision-$ranks
    plan "$ranks" "$scratch/model" "${real[@]}" --precision "$precision"
    expect_exit 0 "$name: inspect --memory"
    train "$ranks" "$output" --model "$scratch/model" "${real[@]}" --precision "$precision" --eval-every never --save-every never
    expect_exit 0 "$name"
    expect_planned "$name" "$output/all_results.json"
    measured=$(field "$output/all_results.json" memory_bytes)
    for predicted in "$(field "$scratch/plan.json" predicted_memory_bytes)" \
      "$(field "$output/all_results.json" predicted_memory_bytes)"; do
      expect "$name: predicted $predicted, measured $measured bytes" close "$predicted" "$measured" 0.1
    done
  done
done

done_testing
