#!/usr/bin/env bash
# The binary end to end on one rank: train, evaluate, answer, inspect, resume.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

run train "${full[@]}" --output "$scratch/run"
expect_exit 0 "train"
for file in run.json metrics.jsonl all_results.json merged/adapter.safetensors merged/adamix_config.json \
  experts/experts.safetensors experts/adamix_config.json checkpoints/step-90/state.json checkpoints/step-360/state.json; do
  expect_file "$scratch/run/$file"
done
results=$scratch/run/all_results.json
accuracy=$(field "$results" eval_accuracy)
expect "the task is learnt: accuracy $accuracy" awk -v a="$accuracy" 'BEGIN { exit !(a > 0.9) }'
expect "the majority class is reported" close "$(field "$results" eval_majority)" 0.6 1e-12
expect "a line of metrics a step" [ "$(wc -l < "$scratch/run/metrics.jsonl")" -eq 360 ]
for key in epoch train_loss train_runtime train_samples_per_second train_tokens_per_second train_flops eval_loss eval_samples \
  best_step trainable_parameters merged_parameters head_parameters peak_rss_bytes memory_bytes predicted_memory_bytes \
  activation_bytes comm_fraction wait_fraction world_size; do
  expect "all_results.json has $key" grep -q "\"$key\"" "$results"
done
# 3 layers of H = 32, R = 8: Down is shared, 4 Ups.
expect "trainable parameters are counted" \
  [ "$(field "$results" trainable_parameters)" = $((3 * (8 * 32 + 8 + 4 * (8 * 32 + 32)))) ]
expect "merged parameters are counted" [ "$(field "$results" merged_parameters)" = $((3 * (2 * 8 * 32 + 8 + 32))) ]
expect "the head's are counted" [ "$(field "$results" head_parameters)" = 66 ]

run train "${base[@]}" --output "$scratch/run"
expect_exit 1 "a finished run is not overwritten"
expect_stderr "force" "a finished run is not overwritten"

run train "${full[@]}" --output "$scratch/run" --resume
expect_exit 0 "--resume of a finished run"
expect_stderr "nothing to do" "--resume of a finished run"
run train "${full[@]}" --epochs 61 --output "$scratch/run" --resume
expect_exit 2 "--resume of a finished run with other options"
expect_stderr "epochs" "--resume of a finished run with other options"

# The same numbers from the stored module.
run eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --output "$scratch/eval.json"
expect_exit 0 "eval"
expect "eval gives the run's accuracy" [ "$(field "$scratch/eval.json" eval_accuracy)" = "$accuracy" ]
expect "eval gives the run's loss" [ "$(field "$scratch/eval.json" eval_loss)" = "$(field "$results" eval_loss)" ]
run eval --model "$tiny" --adapter "$scratch/run/merged" --file "$scratch/dev.tsv" --inference all
expect_exit 0 "eval --inference all"
for mode in merged fixed:0 fixed:3 random-sentence random-token; do expect_stdout "^$mode " "eval --inference all"; done
run eval --model "$tiny" --adapter "$scratch/run" --file "$scratch/dev.tsv" --inference fixed:4
expect_exit 2 "an expert that there is not"
expect_stderr "fixed:3" "an expert that there is not"

# Predictions come in order, one a line, for odd lines too.
printf 'the dog sat on the cat\n\nmy bank card\tis happy\nthe dog sat' > "$scratch/lines"
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/lines"
expect_exit 0 "predict"
expect "predict answers each line" [ "$(wc -l < "$scratch/out")" -eq 4 ]
expect "predict finds the cat" grep -q '"label": "cat"' <(sed -n 1p "$scratch/out")
expect "predict finds none" grep -q '"label": "none"' <(sed -n 4p "$scratch/out")
expect "predict gives all probabilities" grep -q '"probabilities": {"cat": [0-9.e-]*, "none": [0-9.e-]*}' "$scratch/out"
"$ADAMIX" predict --model "$tiny" --adapter "$scratch/run" < "$scratch/lines" > "$scratch/piped"
expect "predict reads standard input alike" cmp -s "$scratch/out" "$scratch/piped"

run inspect "$scratch/run" --json
expect_exit 0 "inspect a run"
expect_stdout '"trainable_parameters": 4248' "inspect a run"
expect_stdout '"finished": true' "inspect a run"
expect_stdout "\"checkpoint\": \"$scratch/run/checkpoints/step-360\"" "inspect a run"
cp -r "$scratch/run" "$scratch/damaged"
echo "{" > "$scratch/damaged/experts/adamix_config.json"
run inspect "$scratch/damaged"
expect_exit 1 "inspect a run with damaged experts"
expect_stderr "experts/adamix_config.json" "inspect a run with damaged experts"
rm -r "$scratch/damaged/experts"
run inspect "$scratch/damaged" --json
expect_exit 0 "inspect a run without its experts"
expect_stdout '"kind": "run"' "inspect a run without its experts"
rm -r "$scratch/damaged"
run inspect "$tiny"
expect_exit 0 "inspect a model"
expect_stdout "hidden_size *32" "inspect a model"
run inspect "$scratch/run/merged/adapter.safetensors"
expect_exit 0 "inspect a safetensors file"
expect_stdout "layers.0.ffn.down.weight" "inspect a safetensors file"

# The same command gives the same bytes; so does a run that was cut off and resumed.
run train "${full[@]}" --output "$scratch/again"
expect "the same command gives the same module" cmp "$scratch/run/merged/adapter.safetensors" "$scratch/again/merged/adapter.safetensors"
mkdir -p "$scratch/cut/checkpoints"
cp -r "$scratch/run/checkpoints/step-90" "$scratch/cut/checkpoints"
cp "$scratch/run/run.json" "$scratch/run/metrics.jsonl" "$scratch/cut"
run train "${full[@]}" --output "$scratch/cut" --resume
expect_exit 0 "resume"
expect_stderr "step 90" "resume"
for file in merged/adapter.safetensors experts/experts.safetensors checkpoints/step-360/optimizer.safetensors; do
  expect "resumed: the same bytes in $file" cmp "$scratch/run/$file" "$scratch/cut/$file"
done
expect "resumed: the same metrics" cmp <(without_times "$scratch/run/metrics.jsonl") <(without_times "$scratch/cut/metrics.jsonl")
rm "$scratch/cut/all_results.json"
run train "${full[@]}" --output "$scratch/cut" --resume --seed 1
expect_exit 2 "resume with another seed"
expect_stderr "seed" "resume with another seed"
sed 's/cat$/CAT/' "$scratch/train.tsv" > "$scratch/renamed.tsv"
run train "${full[@]}" --output "$scratch/cut" --resume --train-file "$scratch/renamed.tsv" --dev-file ""
expect_exit 2 "resume with other data"
expect_stderr "train-file" "resume with other data"
truncate -s 1000 "$scratch/cut"/checkpoints/*/experts.safetensors
run train "${full[@]}" --output "$scratch/cut" --resume
expect_exit 1 "resume from a damaged checkpoint"
expect_stderr "experts.safetensors" "resume from a damaged checkpoint"
mkdir -p "$scratch/mine/experts"
run train "${base[@]}" --output "$scratch/mine" --epochs 1 --method head --force
expect_exit 0 "--force in a folder that holds no run"
expect_file "$scratch/mine/experts"
run train --recipe support "${base[@]}" --max-steps 2 --output "$scratch/recipe"
expect_exit 0 "a recipe with own data"

# A signal asks for a checkpoint; the same command goes on.
"$ADAMIX" train "${base[@]}" --output "$scratch/stopped" --max-steps 20000 2> "$scratch/err" &
child=$!
for _ in $(seq 100); do
  if [ "$(cat "$scratch/stopped/metrics.jsonl" 2> /dev/null | wc -l)" -gt 5 ]; then break; fi
  sleep 0.1
done
run train "${base[@]}" --output "$scratch/stopped" --max-steps 20000 --resume
expect_exit 1 "a second training in one folder"
expect_stderr "another training is at work" "a second training in one folder"
kill -TERM "$child"
status=0
wait "$child" || status=$?
expect_exit 75 "a signal stops at a checkpoint"
expect_stderr "resume" "a signal stops at a checkpoint"
expect "the checkpoint is there" test -n "$(ls "$scratch/stopped/checkpoints")"
expect_no_file "$scratch/stopped/all_results.json"
run inspect "$scratch/stopped"
expect_exit 0 "inspect a stopped run"
expect_stdout "^finished *false" "inspect a stopped run"
expect_stdout "^checkpoint_step *$(wc -l < "$scratch/stopped/metrics.jsonl")\$" "inspect a stopped run"

# The other methods, and the best step.
run train "${base[@]}" --output "$scratch/adapter" --method adapter --epochs 4 --select best
expect_exit 0 "method adapter"
run inspect "$scratch/adapter/experts/experts.safetensors"
expect_stdout "layers.0.ffn.experts.0.up.bias" "the one expert has a number"
expect "one module, nothing to merge" cmp <(tail -c 1000 "$scratch/adapter/merged/adapter.safetensors") \
  <(tail -c 1000 "$scratch/adapter/experts/experts.safetensors")
run train "${base[@]}" --output "$scratch/head" --method head --epochs 4
expect_exit 0 "method head"
expect "method head trains the head alone" [ "$(field "$scratch/head/all_results.json" trainable_parameters)" = 0 ]
run eval --model "$tiny" --adapter "$scratch/head" --file "$scratch/dev.tsv"
expect_exit 0 "eval of a head"
for share in none up both; do
  run train "${base[@]}" --output "$scratch/share-$share" --share "$share" --epochs 2
  expect_exit 0 "--share $share"
done

done_testing
