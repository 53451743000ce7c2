#!/usr/bin/env bash
# Every method trains, keeps what it has learnt, goes on where it was stopped, and counts what it trains.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

run inspect "$tiny" --json
cp "$scratch/out" "$scratch/tiny.json"
L=$(field "$scratch/tiny.json" num_hidden_layers) H=$(field "$scratch/tiny.json" hidden_size) R=8 M=3
F=$(field "$scratch/tiny.json" intermediate_size)
down=$((H * R + R)) up=$((H * R + H)) factor=$((H * R))
all=$(field "$scratch/tiny.json" parameters)

# check METHOD TRAINABLE MERGED OPTION...
check () {
  local method=$1 trainable=$2 merged=$3
  shift 3
  local command=("${base[@]}" --method "$method" --experts "$M" --lr 3e-3 --max-steps 12 --save-every 4 --keep 9
    --eval-every 6 --select best "$@")
  local name="$method $*" folder=$scratch/$method-$#
  run train "${command[@]}" --output "$folder"
  expect_exit 0 "$name"
  expect "$name: $trainable parameters train" \
    [ "$(field "$folder/all_results.json" trainable_parameters)" = "$trainable" ]
  expect "$name: $merged are merged" [ "$(field "$folder/all_results.json" merged_parameters)" = "$merged" ]
  first=$(sed -n '1s/.*"loss": \([^,]*\),.*/\1/p' "$folder/metrics.jsonl")
  expect "$name: the loss falls" awk -v a="$first" -v b="$(field "$folder/all_results.json" train_loss)" 'BEGIN { exit !(b < a) }'

  run eval --model "$tiny" --adapter "$folder" --file "$scratch/dev.tsv" --threads 1 --output "$scratch/eval.json"
  expect_exit 0 "$name: eval"
  expect "$name: eval has the run's loss" \
    close "$(field "$scratch/eval.json" eval_loss)" "$(field "$folder/all_results.json" eval_loss)" 1e-6

  cp -r "$folder" "$scratch/cut"
  rm -r "$scratch/cut/all_results.json" "$scratch/cut/merged" "$scratch/cut/experts" "$scratch/cut/checkpoints/step-12"
  run train "${command[@]}" --output "$scratch/cut" --resume
  expect_exit 0 "$name: --resume"
  expect "$name: the same module after a resume" \
    cmp "$folder/merged/adapter.safetensors" "$scratch/cut/merged/adapter.safetensors"
  rm -r "$scratch/cut"
}

check adamix $((L * (down + M * up))) $((L * (down + up)))
check adamix $((2 * L * (M * down + up))) $((2 * L * (down + up))) --place both --share up
gated=$((L * (down + M * (up + H))))
check adamix "$gated" "$gated" --route switch
check adamix-lora $((2 * L * (M * factor + factor))) $((2 * L * 2 * factor))
check adamix-lora $((2 * L * M * 2 * factor)) $((2 * L * M * 2 * factor)) --share none --merge concat
check adapter $((L * (down + up))) $((L * (down + up)))
check adapter $((L * (down + up))) $((L * (down + up))) --place attention
check houlsby $((2 * L * (down + up))) $((2 * L * (down + up)))
check pfeiffer $((L * (down + up))) $((L * (down + up)))
check lora $((2 * L * 2 * factor)) $((2 * L * 2 * factor)) --lora-alpha 4 --lora-dropout 0
# query, key, value, attention, its norm, the second of the FFN, its norm: 7 of H; the first of the FFN; embeddings' norm, pooler
biases=$((H + L * (7 * H + F) + H))
check bitfit "$biases" "$biases"
check full "$all" "$all"

# What a method learnt is its own: no two activations and places end with the same loss.
expect "adapters differ by activation and place" \
  [ "$(for m in adapter-0 adapter-2 houlsby-0 pfeiffer-0; do field "$scratch/$m/all_results.json" train_loss; done | sort -u | wc -l)" = 4 ]
expect "bitfit stores the encoder's biases alone" grep -q -a '"backbone.encoder.layer.0.attention.self.query.bias"' \
  "$scratch/bitfit-0/merged/adapter.safetensors"
expect "bitfit stores no weights of the encoder" \
  [ "$(grep -c -a '"backbone.encoder.layer.0.attention.self.query.weight"' "$scratch/bitfit-0/merged/adapter.safetensors")" = 0 ]
expect "names of LoRA are those of the contract" grep -q -a '"layers.0.query.lora_A"' \
  "$scratch/adamix-lora-0/merged/adapter.safetensors"
expect "the record has adamix-lora's own --share" grep -q '"share": "up"' "$scratch/adamix-lora-0/run.json"

# Ranks change nothing but the order of sums.
for method in adamix-lora houlsby bitfit full; do
  several=("${base[@]}" --method "$method" --max-steps 6 --lr 1e-3 --dropout 0 --lora-dropout 0 --placement replicated)
  run train "${several[@]}" --output "$scratch/one-$method"
  run_ranks 2 train "${several[@]}" --output "$scratch/two-$method"
  expect_exit 0 "$method on two ranks"
  expect "$method: two ranks have the loss of one" close "$(field "$scratch/two-$method/all_results.json" train_loss)" \
    "$(field "$scratch/one-$method/all_results.json" train_loss)" 1e-5
done

# A part of the batch goes through a mask of its own: dropout of LoRA's input changes the run, and nothing else does.
run train "${base[@]}" --method lora --max-steps 3 --lora-dropout 0.5 --output "$scratch/dropped"
run train "${base[@]}" --method lora --max-steps 3 --lora-dropout 0 --output "$scratch/kept"
expect "--lora-dropout is heard" [ "$(field "$scratch/dropped/all_results.json" train_loss)" != \
  "$(field "$scratch/kept/all_results.json" train_loss)" ]
run train "${base[@]}" --method lora --place both --max-steps 3 --output "$scratch/moved"
expect_exit 0 "an option of other methods"
expect_stderr "warning: --method lora has no use for --place" "an option of other methods"
run bench step --model "$tiny" --method full --steps 1 --threads 1 --max-length 32 --tokens 16
expect_exit 2 "benches measure frozen encoders"
expect_stderr "--method full: benches" "benches measure frozen encoders"

done_testing
