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
  for method in adamix adamix-lora adapter houlsby bitfit full head; do
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

# ---- what a merge reads ----
# part NAME - of the rank in the plan.
part () { field "$scratch/plan.json" "$1"; }
plan 1 "$tiny" "${data[@]}" "${steps[@]}" --share none
unshared=$(part parameter_bytes)
plan 1 "$tiny" "${data[@]}" "${steps[@]}" --share up
expect "what is shared takes less memory" [ "$unshared" -gt "$(part parameter_bytes)" ]
plan 1 "$tiny" "${data[@]}" "${steps[@]}"
average=$(part parameter_bytes) gathered=$(part gathered_bytes) evaluation=$(part evaluation_bytes)
plan 1 "$tiny" "${data[@]}" "${steps[@]}" --merge fisher --merge-samples 40 --ema 0.9
expect_exit 0 "fisher and ema"
expect "ema: beside values, gradients and two moments a fifth array" close "$(part parameter_bytes)" $((average * 5 / 4)) 0.02
expect "ema: gathered too" [ "$(part gathered_bytes)" -gt "$gathered" ]
expect "fisher: buffers for samples" [ "$(part evaluation_bytes)" -gt "$evaluation" ]

# ---- a budget: layers are computed again, as few as it takes, and the results are the same ----
# A tiny encoder of 3 layers: each budget is one byte less than what was needed before.
for method in adamix adapter; do
  for ranks in 1 2; do
    name="$method on $ranks ranks" whole=$scratch/$method-$ranks
    need=$(field "$whole/all_results.json" activation_bytes)
    expect "$name without a budget keeps all" [ "$(field "$whole/all_results.json" recomputed_layers)" = 0 ]
    for layers in 1 2; do
      budget=$((need - 1)) output=$scratch/$method-$ranks-$layers
      plan "$ranks" "$tiny" "${data[@]}" "${steps[@]}" --method "$method" --activation-memory "$budget"
      train "$ranks" "$output" --model "$tiny" "${data[@]}" "${steps[@]}" --method "$method" --activation-memory "$budget"
      expect_exit 0 "$name in $budget bytes"
      expect_stderr "$layers of 3 layers are computed again" "$name in $budget bytes"
      expect "$name in $budget bytes: $layers layers are computed again" \
        [ "$(field "$output/all_results.json" recomputed_layers)" = "$layers" ]
      expect_planned "$name in $budget bytes" "$output/all_results.json"
      need=$(field "$output/all_results.json" activation_bytes)
      expect "$name in $budget bytes: $need are taken" [ "$need" -le "$budget" ]
      for file in merged/adapter.safetensors experts/experts.safetensors; do
        expect "$name in $budget bytes: the same $file" cmp "$whole/$file" "$output/$file"
      done
    done
    train "$ranks" "$scratch/refused" --model "$tiny" "${data[@]}" "${steps[@]}" --method "$method" \
      --activation-memory $((need - 1))
    expect_exit 2 "$name in less"
    expect_stderr "activation-memory $((need - 1)).*needs $need bytes at least" "$name in less: how much is needed"
    expect_stderr "smaller --batch" "$name in less: what to do"
    expect_no_file "$scratch/refused"
  done
done
run train --model "$tiny" "${data[@]}" "${steps[@]}" --output "$scratch/refused" --method head --activation-memory 1K
expect_exit 2 "a head has no layers to compute again"
expect_stderr "0 of 3 layers" "a head has no layers to compute again"
# What a checkpoint was written with does not bind: the results are the same.
limited=(--model "$tiny" "${data[@]}" "${steps[@]}" --save-every 2 --output "$scratch/resumed")
run train "${limited[@]}" --activation-memory "$(field "$scratch/adamix-1-1/all_results.json" activation_bytes)"
rm -r "$scratch/resumed"/{merged,experts,all_results.json}
run train "${limited[@]}" --resume
expect_exit 0 "a run is resumed without its budget"
expect_stderr "checkpoint of step 2" "a run is resumed without its budget"
expect "resumed without its budget: the same module" \
  cmp "$scratch/resumed/merged/adapter.safetensors" "$scratch/adamix-1/merged/adapter.safetensors"

# sum_of NODE|RANK - its parts.
sum_of () { sed -n "/\"$1\": {/,/memory_bytes/{/memory_bytes/d;s/.*_bytes\": \([0-9]*\).*/\1/p}" "$scratch/plan.json" | awk '{ s += $1 } END { printf "%d", s }'; }
expect "the node's parts sum up" [ "$(sum_of node)" = "$(field "$scratch/plan.json" predicted_memory_bytes)" ]
part_of () { sed -n "/\"$1\": {/,/}/p" "$scratch/plan.json" | sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p"; }
expect "packed weights are once a node" [ "$(part_of node packed_weight_bytes)" = "$(part_of rank packed_weight_bytes)" ]
expect "activations are once a rank" [ "$(part_of node activation_bytes)" = $((2 * $(part_of rank activation_bytes))) ]
plan 2 "$tiny" "${data[@]}" "${steps[@]}" --method full
expect "those that train are once a rank" [ "$(part_of node repacked_weight_bytes)" = $((2 * $(part_of rank repacked_weight_bytes))) ]
expect "and there are no others" [ "$(part_of node packed_weight_bytes)" = 0 ]
plan 2 "$tiny" "${data[@]}" "${steps[@]}" --method bitfit
expect "under trained biases weights are once a node" [ "$(part_of node packed_weight_bytes)" -gt 0 ]

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
