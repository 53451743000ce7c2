#!/usr/bin/env bash
# Runs that were trained apart: averaged by `adamix merge`, and asked together by `adamix eval`.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --epochs 20 --eval-every never --save-every never --method adapter)
for seed in 0 1 2; do
  run train "${common[@]}" --seed $seed --output "$scratch/r$seed"
  expect_exit 0 "training with seed $seed"
done
runs=$scratch/r0,$scratch/r1,$scratch/r2
module=merged/adapter.safetensors

# values FILE - the numbers of a safetensors file, one a line.
values () { tail -c +$(($(od -An -tu8 -N 8 "$1") + 9)) "$1" | od -An -v -w4 -tf4; }
# mean_of FILE... - of their numbers, and beside it the largest magnitude among these.
mean_of () {
  local file columns=()
  for file; do
    values "$file" > "$scratch/column-${#columns[@]}"
    columns+=("$scratch/column-${#columns[@]}")
  done
  paste "${columns[@]}" | awk '{
    s = m = 0
    for (i = 1; i <= NF; i++) { s += $i; m = $i > m ? $i : -$i > m ? -$i : m }
    printf "%.9g %.9g\n", s / NF, m }'
}
# near MEANS VALUES - as many numbers, each within the rounding of fp32, which od tells in eight digits.
near () { paste "$1" "$2" | awk '{ d = $1 - $3; bad += NF != 3 || (d < 0 ? -d : d) > 2e-7 * $2 } END { exit bad || !NR }'; }

# ---- one module ----
run merge --run "$runs" --threads 1 --output "$scratch/average"
expect_exit 0 "average"
mean_of "$scratch"/r?/$module > "$scratch/expected"
values "$scratch/average/adapter.safetensors" > "$scratch/found"
expect "average: modules and heads are the runs' means" near "$scratch/expected" "$scratch/found"
expect "average: no run's own" [ "$(for f in "$scratch"/r?/"$module" "$scratch/average/adapter.safetensors"; do
  sha256sum < "$f"; done | sort -u | wc -l)" = 4 ]
expect_stdout "dev.tsv: 40 examples" "average"
cp "$scratch/out" "$scratch/table"
for adapter in r0 r1 r2 average; do
  run eval --model "$tiny" --adapter "$scratch/$adapter" --file "$scratch/dev.tsv" --threads 1 --output "$scratch/$adapter.json"
  name=$scratch/$adapter
  if [ $adapter = average ]; then name=average; fi
  expect "average: the line of $adapter has eval's loss" [ "$(awk -v n="$name" '$1 == n { print $3 }' "$scratch/table")" = \
    "$(printf %.4f "$(field "$scratch/$adapter.json" eval_loss)")" ]
done
expect "average: four lines" [ "$(wc -l < "$scratch/table")" = 6 ]
run_ranks 2 merge --run "$runs" --threads 1 --output "$scratch/two"
expect "average: two ranks are one" cmp "$scratch/average/adapter.safetensors" "$scratch/two/adapter.safetensors"
run merge --run "$scratch/r1,$scratch/r1" --threads 1 --output "$scratch/same"
expect "a run and itself" cmp "$scratch/same/adapter.safetensors" "$scratch/r1/$module"
run merge --run "$runs" --threads 1 --output "$scratch/average"
expect_exit 1 "a module is there"
expect_stderr "average already holds a module.*--force" "a module is there"

run merge --run "$runs" --merge weighted --merge-weights 0,2,0 --threads 1 --output "$scratch/second"
expect "weighted: one run alone, with its head" cmp "$scratch/second/adapter.safetensors" "$scratch/r1/$module"
run merge --run "$runs" --merge all --merge-weights 1,0,1 --threads 1 --output "$scratch/all"
expect_exit 0 "all"
expect "all: what can be done with several runs" [ "$(cd "$scratch/all" && echo *)" = "average concat weighted" ]
expect "all: average" cmp "$scratch/all/average/adapter.safetensors" "$scratch/average/adapter.safetensors"
mean_of "$scratch/r0/$module" "$scratch/r2/$module" > "$scratch/expected"
values "$scratch/all/weighted/adapter.safetensors" > "$scratch/found"
expect "all: weighted, heads too" near "$scratch/expected" "$scratch/found"

# The merged module of a run of several experts counts, whatever they share.
for seed in 0 1; do run train "${common[@]}" --method adamix --experts 3 --seed $seed --output "$scratch/m$seed"; done
run merge --run "$scratch/m0,$scratch/m1" --threads 1 --output "$scratch/means"
expect_exit 0 "runs of several experts"
mean_of "$scratch"/m?/$module > "$scratch/expected"
values "$scratch/means/adapter.safetensors" > "$scratch/found"
expect "runs of several experts: the mean of merged modules" near "$scratch/expected" "$scratch/found"
# Of LoRA concat has the mean of the products.
for seed in 0 1; do run train "${common[@]}" --method lora --seed $seed --output "$scratch/l$seed"; done
run merge --run "$scratch/l0,$scratch/l1" --merge concat --threads 1 --output "$scratch/products"
expect_exit 0 "concat of LoRA"
expect_stdout "^concat .* $((2 * $(field "$scratch/l0/all_results.json" merged_parameters))) " "concat of LoRA"

if has_scalapack; then
  run merge --run "$scratch/l0,$scratch/l1" --merge svd --threads 1 --output "$scratch/cut"
  expect_exit 0 "svd of LoRA"
  expect_stderr "svd: rank 8 keeps 0\." "svd of LoRA"
fi

# A name with a comma; a run that is where its name says as it stands.
cp -r "$scratch/r0" "$scratch/lr=1,seed=0"
run merge --run "$scratch/lr=1,seed=0" --threads 1 --output "$scratch/comma"
expect "a name with a comma" cmp "$scratch/comma/adapter.safetensors" "$scratch/r0/$module"
cp -r "$scratch/r1" "$scratch/lr=1,seed=1"
run merge --run "$scratch/r0,$scratch/r1" --threads 1 --output "$scratch/pair"
run merge --run "$scratch/lr=1,seed=0,$scratch/lr=1,seed=1" --threads 1 --output "$scratch/pair-commas"
expect_exit 0 "two names with commas"
expect "two names with commas" cmp "$scratch/pair-commas/adapter.safetensors" "$scratch/pair/adapter.safetensors"
run merge --run "$scratch/r0,$scratch/lr=1,seed=2,$scratch/r1" --threads 1 --output "$scratch/none"
expect "a name with a comma that is not there: not 0" [ "$status" -ne 0 ]
expect_stderr "lr=1[^,]" "a name with a comma that is not there"

# What one run held out to select by, another one was trained on.
cp "$scratch/dev.tsv" "$scratch/test.tsv"
for seed in 0 1; do
  keep_last "${common[@]}" --seed $seed --test-file "$scratch/test.tsv" --select best --eval-every epoch --epochs 2 \
    --output "$scratch/b$seed"
  selected=()
  for ((i = 0; i < ${#arguments[@]}; i += 2)); do
    if [ "${arguments[i]}" != --dev-file ]; then selected+=("${arguments[@]:i:2}"); fi
  done
  run train "${selected[@]}"
  expect_exit 0 "--select best of what was held out"
done
run merge --run "$scratch/b0" --threads 1
expect_stdout "train.tsv: 8 examples" "one run: on what it held out"
run merge --run "$scratch/b0,$scratch/b1" --threads 1
expect_stdout "test.tsv: 40 examples" "several runs: not on what one of them held out"

# ---- an ensemble ----
evaluation=(eval --model "$tiny" --adapter "$runs" --file "$scratch/dev.tsv" --threads 1)
run "${evaluation[@]}" --inference ensemble --output "$scratch/ensemble.json"
expect_exit 0 "ensemble"
# p RUN - the probability of "cat" of every text.
p () { tail -n +2 "$scratch/dev.tsv" | cut -f 1 | "$ADAMIX" predict --model "$tiny" --adapter "$1" | sed 's/.*"cat": \([-0-9.e]*\).*/\1/'; }
paste <(p "$scratch/r0") <(p "$scratch/r1") <(p "$scratch/r2") <(tail -n +2 "$scratch/dev.tsv" | cut -f 2) > "$scratch/answers"
read -r accuracy nll brier <<< "$(awk '{ c = ($1 + $2 + $3) / 3; y = $4 == "cat"; q = y ? c : 1 - c
  right += (c > 0.5) == y; loss -= log (q); brier += 2 * (1 - q) ^ 2 } END { print right / NR, loss / NR, brier / NR }' "$scratch/answers")"
# predict tells six digits.
expect "ensemble: accuracy of mean probabilities" close "$(field "$scratch/ensemble.json" eval_accuracy)" "$accuracy" 1e-12
expect "ensemble: NLL of mean probabilities" close "$(field "$scratch/ensemble.json" eval_loss)" "$nll" 1e-5
expect "ensemble: Brier score of mean probabilities" close "$(field "$scratch/ensemble.json" eval_brier)" "$brier" 1e-5
expect "ensemble: it has an ECE" [ -n "$(field "$scratch/ensemble.json" eval_ece)" ]
expect "ensemble: three passes" [ "$(field "$scratch/ensemble.json" forward_passes)" = 3 ]
expect "ensemble: the parameters of three" [ "$(field "$scratch/ensemble.json" parameters)" = \
  $((3 * $(field "$scratch/r0/all_results.json" merged_parameters))) ]
expect "ensemble: the FLOPs of three" close "$(field "$scratch/ensemble.json" eval_flops_per_sample)" \
  "$(awk -v f="$(field "$scratch/r0/all_results.json" eval_flops_per_sample)" 'BEGIN { printf "%.17g", 3 * f }')" 1e-12
run_ranks 3 "${evaluation[@]}" --inference ensemble --output "$scratch/ranks.json"
expect "ensemble: three ranks store the same bytes" cmp "$scratch/ensemble.json" "$scratch/ranks.json"
run "${evaluation[@]}" --inference all --output "$scratch/all.json"
expect_exit 0 "all modes"
for adapter in r0 r1 r2; do
  expect_stdout "^$scratch/$adapter .* $(printf %.4f "$(field "$scratch/$adapter.json" eval_loss)") " "all modes: $adapter alone"
done
expect_stdout "^ensemble .* $(printf %.4f "$(field "$scratch/ensemble.json" eval_loss)") .* 3 " "all modes"
expect_stdout "^accuracy: \(.* is best\|none is better\)" "all modes"
run "${evaluation[@]}" --output "$scratch/merged.json"
expect "merged: a line a run" [ "$(grep -c '"inference"' "$scratch/merged.json")" = 3 ]
run "${evaluation[@]}" --adapter "$scratch/r1,$scratch/r1" --inference ensemble --output "$scratch/itself.json"
expect "a run and itself have its loss" close "$(field "$scratch/itself.json" eval_loss)" "$(field "$scratch/r1.json" eval_loss)" 1e-12
# Modules of other sizes may answer as well.
run train "${common[@]}" --rank 3 --pool pooler --output "$scratch/small"
run "${evaluation[@]}" --adapter "$scratch/r0,$scratch/small,$scratch/m0/merged,$scratch/average" --inference all
expect_exit 0 "modules of several kinds"

# Experts under a learned router answer as they do alone, but are no single module.
run train "${common[@]}" --method adamix --experts 3 --route switch --output "$scratch/router"
run "${evaluation[@]}" --adapter "$scratch/router" --output "$scratch/router.json"
run "${evaluation[@]}" --adapter "$scratch/m0,$scratch/router" --inference all
expect_exit 0 "a run with a router"
expect_stdout "^$scratch/router .* $(printf %.4f "$(field "$scratch/router.json" eval_loss)") .* \
$(field "$scratch/router/all_results.json" trainable_parameters) " "a run with a router"
run merge --run "$scratch/m0,$scratch/router"
expect_exit 2 "experts under a router"
expect_stderr "router kept its experts under a learned router" "experts under a router"
for seed in 0 1; do
  run train "${common[@]}" --method adamix --experts 3 --route switch --allow-router-merge --capacity-factor 2 --seed $seed \
    --output "$scratch/s$seed"
done
run merge --run "$scratch/s0,$scratch/s1" --threads 1 --output "$scratch/without"
expect_exit 0 "runs that left their routers out"
mean_of "$scratch"/s?/$module > "$scratch/expected"
values "$scratch/without/adapter.safetensors" > "$scratch/found"
expect "runs that left their routers out: the mean of merged modules" near "$scratch/expected" "$scratch/found"

# A regression has scores to average.
awk -F '\t' 'NR == 1 { print; next } { print $1 "\t" length ($1) / 20 }' "$scratch/dev.tsv" > "$scratch/numbers.tsv"
for seed in 0 1; do
  run train "${common[@]}" --train-file "$scratch/numbers.tsv" --dev-file "$scratch/numbers.tsv" --task-type regression \
    --seed $seed --output "$scratch/n$seed"
done
run "${evaluation[@]}" --adapter "$scratch/n0,$scratch/n1" --file "$scratch/numbers.tsv" --inference ensemble --output "$scratch/n.json"
s () { tail -n +2 "$scratch/numbers.tsv" | cut -f 1 | "$ADAMIX" predict --model "$tiny" --adapter "$1" | sed 's/.*"score": \([-0-9.e]*\).*/\1/'; }
mse=$(paste <(s "$scratch/n0") <(s "$scratch/n1") <(tail -n +2 "$scratch/numbers.tsv" | cut -f 2) |
  awk '{ d = ($1 + $2) / 2 - $3; sum += d * d } END { print sum / NR }')
expect "regression: squared error of mean scores" close "$(field "$scratch/n.json" eval_loss)" "$mse" 1e-4

# ---- refusals ----
# refused NAME TEXT ARGUMENT... - wrong use, with one message.
refused () {
  local name=$1 text=$2
  shift 2
  run "$@"
  expect_exit 2 "$name"
  expect_stderr "$text" "$name"
}
run train "${common[@]}" --method pfeiffer --output "$scratch/pfeiffer"
run train "${common[@]}" --method head --output "$scratch/head"
run train "${common[@]}" --method bitfit --output "$scratch/bitfit"
run train "${common[@]}" --max-length 30 --output "$scratch/short"
run train "${common[@]}" --pool pooler --output "$scratch/pooler"
sed 's/cat$/dog/; s/\tnone$/\tnil/' "$scratch/train.tsv" > "$scratch/dogs.tsv"
run train "${common[@]}" --train-file "$scratch/dogs.tsv" --dev-file "$scratch/dogs.tsv" --output "$scratch/dogs"
cp -r "$scratch/r0" "$scratch/other"
sed -i 's/"sha256": "....../"sha256": "123456/' "$scratch/other/merged/adamix_config.json"
merging=(merge --output "$scratch/none" --run)
refused "another rank" "r0 and .*small cannot be averaged.*--pool" "${merging[@]}" "$scratch/r0,$scratch/small"
refused "another method" "differ in --method (adapter; pfeiffer)" "${merging[@]}" "$scratch/r0,$scratch/pfeiffer"
refused "another length" "differ in --max-length (32; 30)" "${merging[@]}" "$scratch/r0,$scratch/r1,$scratch/short"
refused "another head" "differ in --pool (mean; pooler)" "${merging[@]}" "$scratch/r0,$scratch/pooler"
refused "other labels" "differ in their labels" "${merging[@]}" "$scratch/r0,$scratch/dogs"
refused "a regression" "differ in kind of task" "${merging[@]}" "$scratch/r0,$scratch/n0"
refused "another encoder" "differ in encoder" "${merging[@]}" "$scratch/r0,$scratch/other"
run train "${common[@]}" --rank 3 --output "$scratch/rank"
refused "another rank" "differ in modules (.* of rank 8 .*; .* of rank 3 " "${merging[@]}" "$scratch/r0,$scratch/rank"
refused "no modules" "method head has no modules" "${merging[@]}" "$scratch/head,$scratch/head"
refused "no run" "nowhere: there is no merged/adapter.safetensors" "${merging[@]}" "$scratch/r0,$scratch/nowhere"
refused "nothing between commas" "between two commas" "${merging[@]}" "$scratch/r0,,$scratch/r1"
for method in fisher greedy-soup dare; do
  refused "$method of several runs" "--merge $method reads .*by average, weighted, concat" "${merging[@]}" "$runs" --merge $method
done
refused "weights of two for three" "expected 3 numbers" "${merging[@]}" "$runs" --merge weighted --merge-weights 1,2
expect_no_file "$scratch/none"

refused "ensemble: other labels" "cannot be asked together: they differ in their labels" "${evaluation[@]}" --adapter "$scratch/r0,$scratch/dogs"
refused "ensemble: another encoder" "differ in encoder" "${evaluation[@]}" --adapter "$scratch/r0,$scratch/other"
refused "ensemble: another length" "differ in --max-length" "${evaluation[@]}" --adapter "$scratch/r0,$scratch/short"
for list in "$scratch/bitfit,$scratch/r0" "$scratch/r0,$scratch/bitfit"; do
  refused "ensemble: tensors of the encoder" "method bitfit has tensors of the encoder" "${evaluation[@]}" --adapter "$list"
done
for mode in fixed:0 ensemble:3 random-token; do
  refused "ensemble: $mode" "'$mode' is not one of merged, ensemble, all" "${evaluation[@]}" --inference $mode
done
refused "ensemble: uncertainty" "experts of one run, not of 3" "${evaluation[@]}" --uncertainty 4
refused "ensemble: diversity" "experts of one run, not of 3" "${evaluation[@]}" --diversity
refused "ensemble of one" "'ensemble' is not one of" "${evaluation[@]}" --adapter "$scratch/m0" --inference ensemble

done_testing
