#!/usr/bin/env bash
# `adamix merge`: the experts of a finished run become the module that training itself would have made of them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 12 --eval-every never --save-every never --experts 3 --share none --seed 7)
declare -A options=([average]="" [weighted]="--merge-weights 1,2,0.5" [ties]="--merge-density 0.4" [dare]="" [concat]=""
  [greedy-soup]="" [learned-soup]="--merge-samples 64" [fisher]="" [ema]="--ema 0.9")
if has_scalapack; then options[regmean]="--merge-alpha 0.8"; fi
run train "${common[@]}" --output "$scratch/run"
expect_exit 0 "train"

for method in "${!options[@]}"; do
  # shellcheck disable=SC2086 # one word for each option
  run train "${common[@]}" --merge "$method" ${options[$method]} --output "$scratch/$method"
  expect_exit 0 "train --merge $method"
  # A run that ends in a soup holds samples out; one that ends in ema has averages.
  from=run extra=${options[$method]}
  case $method in *-soup) from=$method ;; ema) from=ema extra= ;; esac
  # shellcheck disable=SC2086
  run merge --run "$scratch/$from" --merge "$method" $extra --threads 1 --output "$scratch/again/$method"
  expect_exit 0 "$method"
  expect_stdout "^$method .* $(field "$scratch/$method/all_results.json" merged_parameters) " "$method"
  for file in adapter.safetensors adamix_config.json; do
    expect "$method: $file is that of train --merge" cmp "$scratch/$method/merged/$file" "$scratch/again/$method/$file"
  done
done

run train "${common[@]}" --merge average --hold-out --output "$scratch/held"
run merge --run "$scratch/held" --merge greedy-soup --threads 1 --output "$scratch/again/held"
expect "--hold-out: the soup of a run that ends in one" \
  cmp "$scratch/again/held/adapter.safetensors" "$scratch/greedy-soup/merged/adapter.safetensors"
expect_stderr "greedy-soup: the weights of the experts are [01].[0-9]* [01].[0-9]* [01].[0-9]*\$" "--hold-out"
expect "--hold-out: no warning" [ "$(grep -c warning "$scratch/err")" -eq 0 ]
run merge --run "$scratch/run" --merge greedy-soup --threads 1
expect_exit 0 "a soup of a run that held nothing out"
expect_stderr "warning.*held nothing out" "a soup of a run that held nothing out"

run eval --model "$tiny" --adapter "$scratch/again/dare" --file "$scratch/dev.tsv" --output "$scratch/dare.json"
expect_exit 0 "eval of a module that was merged again"
loss=$(printf %.4f "$(field "$scratch/dare.json" eval_loss)")
echo "the cat sat on the mat" > "$scratch/line"
run predict --model "$tiny" --adapter "$scratch/again/dare" --input "$scratch/line"
expect_exit 0 "predict with a module that was merged again"

# ---- moving averages ----
run train "${common[@]}" --merge average --ema 0.9 --output "$scratch/kept"
expect "--ema leaves the training as it is" cmp "$scratch/kept/merged/adapter.safetensors" "$scratch/average/merged/adapter.safetensors"
run merge --run "$scratch/kept" --merge ema --threads 1 --output "$scratch/again/kept"
expect "a run that kept averages: the module of one that ends in them" \
  cmp "$scratch/again/kept/adapter.safetensors" "$scratch/ema/merged/adapter.safetensors"
# So short a memory holds the last step alone.
run train "${common[@]}" --merge ema --ema 1e-30 --output "$scratch/last"
expect "an average without a memory is the last step's" \
  cmp "$scratch/last/merged/adapter.safetensors" "$scratch/average/merged/adapter.safetensors"
# The mean of the averages: that of experts whose values are those.
cp -r "$scratch/kept" "$scratch/exchanged"
cp "$scratch/kept/experts/ema.safetensors" "$scratch/exchanged/experts/experts.safetensors"
run merge --run "$scratch/exchanged" --merge average --threads 1 --output "$scratch/again/exchanged"
expect "ema is the average of averages" cmp "$scratch/again/exchanged/adapter.safetensors" "$scratch/ema/merged/adapter.safetensors"
run merge --run "$scratch/run" --merge ema
expect_exit 2 "ema of a run without averages"
expect_stderr "train with --ema" "ema of a run without averages"
rm "$scratch/exchanged/experts/ema.safetensors"
run merge --run "$scratch/exchanged" --merge ema
expect_exit 1 "averages that are gone"
expect_stderr "ema.safetensors" "averages that are gone"
# Resumed on another number of ranks.
same=("${common[@]}" --ema 0.9 --reproducible --placement replicated --save-every 3 --keep 9 --select best --eval-every 3)
run train "${same[@]}" --output "$scratch/whole"
cp -r "$scratch/whole" "$scratch/cut"
rm -r "$scratch/cut/all_results.json" "$scratch/cut/merged" "$scratch/cut/experts" "$scratch/cut/checkpoints/step-"{9,12}
run_ranks 2 train "${same[@]}" --output "$scratch/cut" --resume
expect_exit 0 "resumed on two ranks"
for ema in experts/ema checkpoints/step-12/ema; do
  expect "resumed on two ranks: the same $ema" cmp "$scratch/whole/$ema.safetensors" "$scratch/cut/$ema.safetensors"
done
best=$(field "$scratch/whole/all_results.json" best_step)
expect "the best step is not the last" [ "$best" -lt 12 ]
expect "--select best: the averages of that step" \
  cmp "$scratch/whole/experts/ema.safetensors" "$scratch/whole/checkpoints/step-$best/ema.safetensors"

# ---- a task of the table ----
mkdir "$scratch/sst2"
for split in train dev; do
  sed "1s/text/sentence/; s/\tcat\$/\t1/; s/\tnone\$/\t0/" "$scratch/$split.tsv" > "$scratch/sst2/$split.tsv"
done
run train --model "$tiny" --task sst2 --data "$scratch/sst2" --rank 8 --max-length 32 --threads 1 --max-steps 4 --output "$scratch/task"
expect_exit 0 "train a task"
run merge --run "$scratch/task" --threads 1 --output "$scratch/again/task"
expect_exit 0 "a task"
expect "a task: the module of the run" cmp "$scratch/task/merged/adapter.safetensors" "$scratch/again/task/adapter.safetensors"
mv "$scratch/sst2" "$scratch/moved"
run merge --run "$scratch/task" --threads 1
expect_exit 1 "data that moved"
expect_stderr "sst2" "data that moved"
run merge --run "$scratch/task" --threads 1 --data "$scratch/moved"
expect_exit 0 "data that moved: told where"

run_ranks 2 merge --run "$scratch/run" --merge all --merge-weights 1,2,0.5 --threads 1 --output "$scratch/all"
expect_exit 0 "all on two ranks"
expect_stdout "dev.tsv: 40 examples" "all on two ranks"
expect_stdout "^dare .* $loss " "all on two ranks: the loss of eval"
for method in average weighted dare concat; do
  run merge --run "$scratch/run" --merge "$method" --threads 1 ${options[$method]:+${options[$method]}} --output "$scratch/one/$method"
done
for method in average dare concat; do
  expect "$method: two ranks are one" cmp "$scratch/all/$method/adapter.safetensors" "$scratch/one/$method/adapter.safetensors"
done
run merge --run "$scratch/run" --merge all --threads 1
expect_exit 0 "all without an output"
expect "all without weights leaves weighted out" [ "$(grep -c '^weighted' "$scratch/out")" -eq 0 ]

run merge --run "$scratch/run" --output "$scratch/all/ties"
expect_exit 1 "a module is there"
expect_stderr "all/ties already holds a module.*--force" "a module is there"
run merge --run "$scratch/run" --output "$scratch/all/ties" --force
expect_exit 0 "--force"
expect "--force: the other module" cmp "$scratch/all/ties/adapter.safetensors" "$scratch/all/average/adapter.safetensors"

# ---- products of LoRA ----
if has_scalapack; then
  for share in none down; do
    run train "${common[@]}" --method adamix-lora --rank 4 --share $share --merge svd --output "$scratch/lora-$share"
    expect_exit 0 "train --merge svd, share $share"
    run merge --run "$scratch/lora-$share" --merge svd --threads 1 --output "$scratch/again/svd-$share"
    expect_exit 0 "svd, share $share"
    expect_stderr "svd: rank 4 keeps [01]\.[0-9]* of the Frobenius norm" "svd, share $share"
    expect "svd, share $share: the module of train --merge" \
      cmp "$scratch/lora-$share/merged/adapter.safetensors" "$scratch/again/svd-$share/adapter.safetensors"
    run eval --model "$tiny" --adapter "$scratch/again/svd-$share" --file "$scratch/dev.tsv" --output "$scratch/svd.json"
    loss=$(printf %.4f "$(field "$scratch/svd.json" eval_loss)")
    run_ranks 3 merge --run "$scratch/lora-$share" --merge all --threads 1 --output "$scratch/all-$share"
    expect_exit 0 "all of LoRA on three ranks, share $share"
    expect_stdout "^svd .* $loss .* $((3 * 2 * 2 * 4 * 32)) " "all of LoRA on three ranks, share $share: the loss of eval"
    expect_file "$scratch/all-$share/svd/adapter.safetensors"
  done
  for factor in svd concat; do
    expect "$factor of a shared factor is average" \
      cmp "$scratch/all-down/$factor/adapter.safetensors" "$scratch/all-down/average/adapter.safetensors"
  done
  run train "${base[@]}" --max-steps 2 --method lora --output "$scratch/lora"
  run merge --run "$scratch/lora" --merge svd --threads 1 --output "$scratch/again/lora"
  expect_exit 0 "svd of a run of one module"
  expect "svd of one module is that module" cmp "$scratch/again/lora/adapter.safetensors" "$scratch/lora/merged/adapter.safetensors"
fi
run merge --run "$scratch/run" --merge svd --output "$scratch/bad"
expect_exit 2 "svd of bottlenecks"
expect_stderr "merge svd cuts products .* of --method adamix have an activation" "svd of bottlenecks"
expect_one_message "svd of bottlenecks"
expect_no_file "$scratch/bad"

# ---- refusals ----
run merge --run "$scratch/run" --merge soup
expect_exit 2 "an unknown method"
expect_stderr "'soup' is not one of average|.*|concat|" "an unknown method"
run merge --run "$scratch/run" --merge weighted
expect_exit 2 "weighted without weights"
run merge --run "$scratch/run" --merge weighted --merge-weights 1,2
expect_exit 2 "weights of other experts"
expect_stderr "expected 3 numbers" "weights of other experts"
run merge --run "$scratch/run" --merge ties --merge-samples 5
expect_exit 2 "samples for ties"
expect_stderr "merge-samples goes with" "samples for ties"
run merge --run "$scratch/nowhere"
expect_exit 1 "no run"
expect_stderr "nowhere/run.json" "no run"
run merge
expect_exit 2 "no --run"
expect_stderr "run is missing" "no --run"
run train "${base[@]}" --max-steps 2 --method head --output "$scratch/head"
run merge --run "$scratch/head"
expect_exit 2 "a run without experts"
expect_stderr "method head has no experts" "a run without experts"
run train "${base[@]}" --max-steps 2 --method adapter --output "$scratch/adapter"
run merge --run "$scratch/adapter" --merge all --threads 1 --output "$scratch/single"
expect_exit 0 "a run of one module"
for method in average ties dare concat greedy-soup learned-soup fisher; do
  expect "$method of one module is that module" cmp "$scratch/single/$method/adapter.safetensors" "$scratch/adapter/merged/adapter.safetensors"
done
run merge --run "$scratch/adapter" --merge fisher --threads 1
expect_exit 0 "fisher alone of a run of one module"
cp -r "$scratch/run" "$scratch/unlike"
cp "$scratch/ties/experts/"* "$scratch/unlike/experts"
sed -i 's/"experts": 3/"experts": 2/' "$scratch/unlike/run.json"
run merge --run "$scratch/unlike"
expect_exit 1 "experts of another run"
expect_stderr "holds 3 experts.*tells of 2" "experts of another run"
rm -r "$scratch/unlike/experts"
run merge --run "$scratch/unlike"
expect_exit 2 "an unfinished run"
expect_stderr "no experts/experts.safetensors" "an unfinished run"
sed 's/\tcat$/\tdog/' "$scratch/dev.tsv" > "$scratch/other.tsv"
run merge --run "$scratch/run" --dev-file "$scratch/other.tsv"
expect_exit 1 "labels that the head does not have"
expect_stderr "other.tsv.*dog" "labels that the head does not have"

done_testing
