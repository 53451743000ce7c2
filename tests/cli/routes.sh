#!/usr/bin/env bash
# Routing policies of training: each runs on one rank and on three, alike where all ranks hold all experts.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 12 --eval-every never --save-every never --experts 3)
policies="stochastic stochastic-sentence stochastic-token fixed round-robin hash balanced"
for route in $policies; do
  run train "${common[@]}" --route $route --output "$scratch/$route"
  expect_exit 0 "$route"
  expect "$route: the record has it" grep -q "\"route\": \"$route\"" "$scratch/$route/run.json"
  run_ranks 3 train "${common[@]}" --route $route --experts-per-rank 1 --output "$scratch/$route-owned"
  expect_exit 0 "$route on three ranks"
  run_ranks 3 train "${common[@]}" --route $route --placement replicated --output "$scratch/$route-3"
  expect_exit 0 "$route, replicated"
  expect "$route: three ranks that hold all experts are one" close "$(field "$scratch/$route-3/all_results.json" train_loss)" \
    "$(field "$scratch/$route/all_results.json" train_loss)" 1e-5
done
expect "policies lead to different modules" \
  [ "$(for route in $policies; do sha256sum < "$scratch/$route/merged/adapter.safetensors"; done | sort -u | wc -l)" -eq 7 ]

run train "${common[@]}" --route topk --output "$scratch/bad"
expect_exit 2 "an unknown policy"
expect_stderr "'topk' is not one of stochastic|.*|switch|soft" "an unknown policy"
run train "${common[@]}" --route prescribed --output "$scratch/bad"
expect_exit 2 "routes of a file without a file"
expect_no_file "$scratch/bad"

done_testing
