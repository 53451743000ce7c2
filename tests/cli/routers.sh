#!/usr/bin/env bash
# Learned routers, switch and soft: training on one rank and on three, what is shipped, merges that are refused or allowed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 40 --save-every never --experts 4)
for route in switch soft; do
  out=$scratch/$route
  run train "${common[@]}" --route $route --output "$out"
  expect_exit 0 "$route"
  expect "$route: the record says how it was merged" grep -q '"merge": "none"' "$out/run.json"
  expect "$route: the module to ship has routers" grep -aq 'layers.1.ffn.experts.3.router.weight' "$out/merged/adapter.safetensors"
  expect "$route: it has all parameters" [ "$(field "$out/all_results.json" merged_parameters)" -eq \
    "$(field "$out/all_results.json" trainable_parameters)" ]
  expect "$route: in each line the loads of four experts, and what was dropped, are all" \
    awk -F'"expert_load": \\[|\\]|"dropped_fraction": |, "lr"' '
    { n = split ($2, load, ","); sum = /dropped_fraction/ ? $4 : 0; for (j in load) sum += load[j]
      if (n != 4 || sum > 1.0001 || sum < 0.9999) bad = 1 }
    END { exit bad || NR != 40 }' "$out/metrics.jsonl"
  evaluation=(eval --model "$tiny" --adapter "$out" --file "$scratch/dev.tsv" --threads 1)
  run "${evaluation[@]}" --inference all --output "$scratch/all.json"
  expect_exit 0 "$route: all modes"
  expect_stdout "^router " "$route: all modes"
  expect "$route: nothing was merged" bash -c '! grep -q "^merged " "$1"' - "$scratch/out"
  run "${evaluation[@]}" --output "$scratch/own.json"
  expect_exit 0 "$route: the module's own way"
  expect_stdout "^router " "$route: the module's own way"
  expect "$route: it gives the run's number" [ "$(field "$scratch/own.json" eval_loss)" = \
    "$(field "$out/all_results.json" eval_loss)" ]
  run predict --model "$tiny" --adapter "$out" --threads 1 --input "$scratch/dev.tsv"
  expect_exit 0 "$route: predict"
  expect "$route: an answer a line" [ "$(wc -l < "$scratch/out")" -eq 41 ]
  for _ in {1..4}; do cat "$scratch/dev.tsv"; done > "$scratch/lines"
  for threads in 1 2; do
    run predict --model "$tiny" --adapter "$out" --threads $threads --input "$scratch/lines" --output "$scratch/by-$threads"
  done
  expect "$route: threads with routers of their own give the same bytes" cmp "$scratch/by-1" "$scratch/by-2"
  run inspect "$out"
  expect_stdout "router.*$route" "$route: inspect"
  run_ranks 3 train "${common[@]}" --route $route --experts-per-rank 1 --output "$out-owned"
  expect_exit 0 "$route on three ranks"
  merge=(merge --run "$out" --dev-file "$scratch/dev.tsv" --threads 1)
  run "${merge[@]}"
  expect_exit 2 "$route: merged afterwards"
  expect_stderr "loses what the router of --route $route has learned" "$route: merged afterwards"
  run "${merge[@]}" --allow-router-merge --output "$scratch/$route-average"
  expect_exit 0 "$route: merged all the same"
  expect "$route: that module has no router" bash -c '! grep -aq router.weight "$1"' - "$scratch/$route-average/adapter.safetensors"
  run "${merge[@]}" --merge all
  expect_exit 0 "$route: all merges"
  expect "$route: there is one that keeps the router" [ "$(grep -c '^none ' "$scratch/out")" = 1 ]
  expect "$route: and no other" bash -c '! grep -qE "^(average|regmean|concat) " "$1"' - "$scratch/out"
done

# Loads are balanced, and places given, within a shard: without both, ranks do not show.
for route in switch soft; do
  limits=()
  [ $route = soft ] || limits=(--router-balance 0 --capacity-factor 0)
  run train "${common[@]}" --route $route "${limits[@]}" --output "$scratch/one-$route"
  run_ranks 3 train "${common[@]}" --route $route "${limits[@]}" --placement replicated --output "$scratch/three-$route"
  expect_exit 0 "$route, replicated"
  expect "$route: three ranks that hold all experts are one" close \
    "$(field "$scratch/three-$route/all_results.json" train_loss)" "$(field "$scratch/one-$route/all_results.json" train_loss)" 1e-5
done

out=$scratch/lora
run train "${common[@]}" --method adamix-lora --route switch --allow-router-merge --output "$out"
expect_exit 0 "LoRA, merged"
expect "LoRA, merged: the record has it" grep -q '"merge": "average"' "$out/run.json"
run eval --model "$tiny" --adapter "$out" --file "$scratch/dev.tsv" --threads 1 --inference all
expect_stdout "^merged " "LoRA, merged: all modes"
expect_stdout "^router " "LoRA, merged: all modes"

# refused STATUS WHAT TEXT OPTION...
refused () {
  run train "${common[@]}" "${@:4}" --output "$scratch/bad"
  expect_exit "$1" "$2"
  expect_stderr "$3" "$2"
  expect_one_message "$2"
  expect_no_file "$scratch/bad"
}
refused 2 "an average of what a router chose among" "add --allow-router-merge" --route switch --merge average
refused 2 "no merge without a router" "which --route stochastic has not" --merge none
refused 2 "a merge of routers without any" "goes with --route switch or soft" --allow-router-merge
refused 2 "a capacity of no router" "--capacity-factor goes with --route switch" --capacity-factor 2
refused 2 "a balance of soft routes" "--router-balance goes with --route switch" --route soft --router-balance 1

done_testing
