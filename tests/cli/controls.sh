#!/usr/bin/env bash
# The controls of docs/controls.md: the commands that stand there, on a tiny encoder, and what they cost beside AdaMix.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# What the page leaves to its reader.
common=(--model "$tiny" --train-file "$scratch/train.tsv" --dev-file "$scratch/dev.tsv" --lr 1e-2 --batch 16 --max-length 32
  --pool mean --dropout 0.02 --threads 1 --save-every never)
texts=(--model "$tiny" --file "$scratch/dev.tsv" --threads 1)
commands=$(sed -n 's/^    //p' "$ADAMIX_SOURCE/docs/controls.md" | sed '/^adamix merge --run A,B,C/,$d; /^common=/d; /^texts=/d')
export ADAMIX scratch
adamix () { "$ADAMIX" "$@" > "$scratch/out" 2> "$scratch/err"; }
cd "$scratch" || exit 1
{ declare -p common texts; declare -f adamix; echo "$commands"; } > commands
status=0
"$BASH" -e commands || status=$?
expect_exit 0 "the commands of docs/controls.md"
expect "the page has nine commands" [ "$(grep -c '^ *adamix ' <<< "$commands")" -eq 9 ]
cp "$scratch/out" "$scratch/table"

# cost RUN... - FLOPs of training, in all.
cost () {
  local run sum=0
  for run; do sum=$((sum + $(printf %.0f "$(field "runs/$run/all_results.json" train_flops)"))); done
  echo "$sum"
}
whole=$(cost adamix) half=$(cost adapter)
expect "AdaMix costs something" [ "$whole" -gt 0 ]
expect "one adapter: half of AdaMix" [ "$whole" -eq $((2 * half)) ]
expect "two passes: as much" [ "$(cost two-passes)" -eq "$whole" ]
expect "twice the epochs: as much" [ "$(cost twice)" -eq "$whole" ]
expect "four apart: twice as much" [ "$(cost apart-{1,2,3,4})" -eq $((2 * whole)) ]
expect "four apart, briefly: as much" [ "$(cost brief-{1,2,3,4})" -eq "$whole" ]
# A module's FLOPs go with its rank, all others stay.
run train "${common[@]}" --method adapter --rank 40 --epochs 4 --output runs/between
expect "four times the rank: what the wider module costs" \
  [ $(((64 - 40) * ($(cost wide) - half))) -eq $(((64 - 16) * ($(cost wide) - $(cost between)))) ]
expect "four times the rank: more than one adapter" [ "$(cost wide)" -gt "$half" ]

parameters () { field "runs/$1/all_results.json" "$2"; }
for name in two-passes twice; do
  expect "$name: a module as large as AdaMix's" [ "$(parameters $name merged_parameters)" = "$(parameters adamix merged_parameters)" ]
done
expect "wide: Down and Up of all of M" [ "$(($(parameters wide merged_parameters) - 3 * 32))" = \
  "$((4 * ($(parameters adapter merged_parameters) - 3 * 32)))" ]
expect "averaged: a module as large as one adapter's" \
  [ "$(wc -c < runs/averaged/adapter.safetensors)" -eq "$(wc -c < runs/adapter/merged/adapter.safetensors)" ]
expect "the ensemble's line is there" grep -q '^ensemble .* 4 ' "$scratch/table"

# One adapter of AdaMix's method is the method adapter but for its second pass.
run train "${common[@]}" --method adamix --experts 1 --passes 1 --rank 16 --epochs 4 --output runs/one-pass
expect "one expert and one pass: one adapter" cmp runs/one-pass/merged/adapter.safetensors runs/adapter/merged/adapter.safetensors
expect "a second pass changes it" [ "$(sha256sum < runs/two-passes/merged/adapter.safetensors)" != \
  "$(sha256sum < runs/adapter/merged/adapter.safetensors)" ]
# compared RUN - the sum of its consistency losses.
compared () { sed 's/.*"loss_consistency": \([^,]*\),.*/\1/' "runs/$1/metrics.jsonl" | awk '{ s += $1 } END { print s }'; }
for run in two-passes adamix; do expect "$run: its passes are compared" [ "$(compared $run)" != 0 ]; done
expect "adapter: nothing to compare" [ "$(compared adapter)" = 0 ]

# The same of LoRA.
for method in adamix-lora lora; do
  extra=()
  if [ $method = adamix-lora ]; then extra=(--experts 4); fi
  run train "${common[@]}" --method $method "${extra[@]}" --rank 4 --max-steps 6 --output runs/$method
done
expect "LoRA: half of AdaMix" [ "$(cost adamix-lora)" -eq $((2 * $(cost lora))) ]

done_testing
