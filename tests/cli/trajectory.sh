#!/usr/bin/env bash
# Twenty steps of training against losses and gradient norms that PyTorch computed in fp64 (tests/golden/make_trajectory.py).
. "$(dirname "$0")/lib.sh"
golden=$ADAMIX_SOURCE/tests/golden/trajectory

# values FILE - task loss, consistency and gradient norm of each step.
values () { sed 's/.*"loss_task": \([^,]*\), "loss_consistency": \([^,]*\),.*"grad_norm": \([^,}]*\).*/\1 \2 \3/' "$1"; }

# worst CASE - the largest error: of task loss and gradient norm relative to them; of the consistency's square root relative
# to that of the task loss, as the term is a square of differences between the passes, which rounding disturbs.
worst () {
  paste -d ' ' <(values "$scratch/$1/metrics.jsonl") <(values "$golden/$1.golden.jsonl") | awk '
    function larger (e) { if (e < 0) e = -e; if (e > w || e != e) w = e }
    NF != 6 { w = 1 }
    { larger(($1 - $4) / $4); larger(($3 - $6) / $6); larger((sqrt ($2) - sqrt ($5)) / sqrt ($4)) }
    END { print NR == 20 ? w + 0 : 1 }'
}

for case in none up regression lora houlsby full; do
  routes=()
  if [ -e "$golden/$case.routes.jsonl" ]; then routes=(--routes-file "$golden/$case.routes.jsonl"); fi
  run train --config "$golden/$case.ini" --model "$ADAMIX_SOURCE/tests/golden/bert-tiny" --train-file "$golden/texts.tsv" \
    --order-file "$golden/order.jsonl" "${routes[@]}" --threads 1 --output "$scratch/$case"
  expect_exit 0 "$case"
  error=$(worst "$case")
  # fp32 rounds each step by some 1e-7, which 20 updates carry on; a mistake in the update is above 1e-4.
  expect "$case: the losses and norms of PyTorch ($error)" awk -v e="$error" 'BEGIN { exit !(e < 1e-5) }'
done

done_testing
