#!/usr/bin/env bash
# train_flops: the products that steps are made of, counted here once more from the sizes; the same however the work is cut
# into ranks, shards and processes.  And the same of inference.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

run inspect "$tiny" --json
cp "$scratch/out" "$scratch/tiny.json"
L=$(field "$scratch/tiny.json" num_hidden_layers) H=$(field "$scratch/tiny.json" hidden_size)
F=$(field "$scratch/tiny.json" intermediate_size) R=8 K=2 N=90
# T tokens of the training file, and Q: the sum of their texts' squared lengths, the pairs that attention looks at.
tail -n +2 "$scratch/train.tsv" | cut -f 1 | "$ADAMIX" encode --model "$tiny" --max-length 32 > "$scratch/ids"
read -r T Q <<< "$(awk '{ t += NF; q += NF * NF } END { print t, q }' "$scratch/ids")"
linear=$((2 * T * (4 * H * H + 2 * H * F))) attention=$((2 * Q * H)) head=$((2 * N * H * K)) module=$((2 * T * H * R))

# flops RUN - train_flops of a run, without an exponent.
flops () { printf %.0f "$(field "$1/all_results.json" train_flops)"; }
# spends NAME FLOP OPTION... - one epoch takes that many.
spends () {
  local name=$1 expected=$2
  shift 2
  run train "${base[@]}" --epochs 1 --save-every never --eval-every never --output "$scratch/run" --force "$@"
  expect_exit 0 "$name"
  expect "$name: $(flops "$scratch/run") FLOP, expected $expected" [ "$(flops "$scratch/run")" = "$expected" ]
}

# A layer's linear maps once, attention's two products, the head's output and the gradient of its weights.
forward=$((L * (linear + 2 * attention)))
spends "the head alone" $((forward + 2 * head)) --method head
# And the gradients of what they read: attention's scores once more beside four gradients.
spends "all biases" $((2 * L * linear + 7 * L * attention + 3 * head)) --method bitfit
spends "the whole encoder" $((3 * L * linear + 7 * L * attention + 3 * head)) --method full
# Below the module of the lowest layer nothing asks for a gradient: not its Down's input, and no linear map or attention.
adapter=$((forward + (L - 1) * (linear + 5 * attention) + L * 6 * module - module + 3 * head))
spends "one adapter" "$adapter" --method adapter
spends "two epochs" $((2 * adapter)) --method adapter --epochs 2
spends "two passes" $((2 * adapter)) --method adamix --experts 4
spends "three passes" $((3 * adapter)) --method adamix --experts 4 --passes 3
spends "another rank" $((adapter + 2 * (6 * L - 1) * module)) --method adapter --rank $((3 * R))
# Query and value, whose inputs ask for gradients in the lowest layer too, of attention but not of its linear map.
qkv=$((2 * T * 3 * H * H))
spends "LoRA" $((forward + L * (linear + 5 * attention) - qkv + 2 * (6 * L - 1) * module + 3 * head)) --method lora
# Layers that are computed again: each forward that is repeated counts.
run train "${base[@]}" --method adapter --epochs 1 --eval-every never --activation-memory 1 --output "$scratch/least"
least=$(sed -n 's/.* needs \([0-9]*\) bytes at least.*/\1/p' "$scratch/err")
spends "layers computed again" $((adapter + (L - 1) * (linear + 2 * attention + 2 * module))) --method adapter \
  --activation-memory "${least:-0}"

# ---- however the work is cut ----
common=("${base[@]}" --experts 4 --epochs 2 --save-every 3 --keep 9 --eval-every 4 --select best)
run train "${common[@]}" --output "$scratch/whole"
expect_exit 0 "two epochs with evaluations"
expect "evaluations are not counted" [ "$(flops "$scratch/whole")" = $((4 * adapter)) ]
for ranks in 2 3; do
  for placement in owned replicated; do
    run_ranks "$ranks" train "${common[@]}" --placement "$placement" --output "$scratch/$placement-$ranks"
    expect "$ranks ranks, $placement: as many" [ "$(flops "$scratch/$placement-$ranks")" = $((4 * adapter)) ]
  done
done
run train "${common[@]}" --reproducible --output "$scratch/shards"
expect "twelve shards: as many" [ "$(flops "$scratch/shards")" = $((4 * adapter)) ]

cp -r "$scratch/owned-2" "$scratch/cut"
rm -r "$scratch/cut/all_results.json" "$scratch/cut/merged" "$scratch/cut/experts" "$scratch/cut/checkpoints/step-"{9,12}
run_ranks 2 train "${common[@]}" --placement owned --output "$scratch/cut" --resume
expect_exit 0 "resumed"
expect "resumed: as many" [ "$(flops "$scratch/cut")" = $((4 * adapter)) ]
expect "a checkpoint has those of its steps" \
  [ "$(field "$scratch/cut/checkpoints/step-6/state.json" train_flops)" = "$((2 * adapter)).0" ]
run inspect "$scratch/cut" --json
expect "inspect tells them" [ "$(printf %.0f "$(field "$scratch/out" train_flops)")" = $((4 * adapter)) ]

# ---- inference ----
per_sample () { printf %.6g "$(field "$1" eval_flops_per_sample)"; }
tail -n +2 "$scratch/dev.tsv" | cut -f 1 | "$ADAMIX" encode --model "$tiny" --max-length 32 > "$scratch/ids"
expected=$(awk -v L="$L" -v H="$H" -v F="$F" -v R="$R" -v K="$K" '
  { t += NF; q += NF * NF }
  END { printf "%.6g", (L * (2 * t * (4 * H * H + 2 * H * F + 2 * H * R) + 4 * q * H) + 2 * NR * H * K) / NR }' "$scratch/ids")
expect "a text by the merged module" [ "$(per_sample "$scratch/whole/all_results.json")" = "$expected" ]
run eval --model "$tiny" --adapter "$scratch/whole" --file "$scratch/dev.tsv" --threads 1 --output "$scratch/merged.json"
expect "eval: a text by the merged module" [ "$(per_sample "$scratch/merged.json")" = "$expected" ]
run eval --model "$tiny" --adapter "$scratch/whole" --file "$scratch/dev.tsv" --threads 1 --inference ensemble:3 \
  --output "$scratch/ensemble.json"
expect "eval: a text by an ensemble of three" \
  [ "$(per_sample "$scratch/ensemble.json")" = "$(awk -v e="$expected" 'BEGIN { printf "%.6g", 3 * e }')" ]

# A soft router asks all experts, and has a product of its own with its M rows.
M=3
run train "${base[@]}" --route soft --experts $M --max-steps 1 --output "$scratch/soft"
more=$(awk -v L="$L" -v H="$H" -v R="$R" -v M="$M" '{ t += NF } END { print L * 2 * t * H * ((M - 1) * 2 * R + M) / NR }' "$scratch/ids")
expect "a text by experts under a soft router" [ "$(per_sample "$scratch/soft/all_results.json")" = \
  "$(awk -v e="$expected" -v m="$more" 'BEGIN { printf "%.6g", e + m }')" ]

done_testing
