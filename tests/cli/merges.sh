#!/usr/bin/env bash
# Merge methods at the end of training: each gives a module that eval reads, on one rank as on two.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 12 --eval-every never --save-every never --experts 3 --share none)
declare -A options=([average]="" [weighted]="--merge-weights 1,2,0.5" [ties]="--merge-density 0.4" [dare]="" [concat]=""
  [greedy-soup]="" [learned-soup]="--merge-samples 64" [fisher]="" [ema]="--ema 0.9")
if has_scalapack; then
  options[regmean]="--merge-alpha 0.8"
else
  run train "${common[@]}" --merge regmean --output "$scratch/bad"
  expect_exit 1 "regmean without ScaLAPACK"
  expect_stderr "regmean needs ScaLAPACK, which this build lacks" "regmean without ScaLAPACK"
  expect_no_file "$scratch/bad"
fi
for merge in "${!options[@]}"; do
  # shellcheck disable=SC2086 # one word for each option
  run train "${common[@]}" --merge "$merge" ${options[$merge]} --output "$scratch/$merge"
  expect_exit 0 "$merge"
  # shellcheck disable=SC2086
  run_ranks 2 train "${common[@]}" --merge "$merge" ${options[$merge]} --placement replicated --output "$scratch/$merge-2"
  expect_exit 0 "$merge on two ranks"
  for run in "$merge" "$merge-2"; do
    run eval --model "$tiny" --adapter "$scratch/$run" --file "$scratch/dev.tsv" --output "$scratch/$run.json"
    expect_exit 0 "eval of $run"
    expect "$merge: eval gives what the run gave" close "$(field "$scratch/$run.json" eval_loss)" \
      "$(field "$scratch/$run/all_results.json" eval_loss)" 1e-5
  done
  expect "$merge: two ranks are one" close "$(field "$scratch/$merge-2.json" eval_loss)" "$(field "$scratch/$merge.json" eval_loss)" 1e-4
done
expect "methods give different modules" \
  [ "$(for m in "${!options[@]}"; do sha256sum < "$scratch/$m/merged/adapter.safetensors"; done | sort -u | wc -l)" -eq "${#options[@]}" ]
width=$((3 * (2 * 24 * 32 + 24 + 32)))
expect "concat is as wide as its experts together" [ "$(field "$scratch/concat/all_results.json" merged_parameters)" -eq $width ]

# ---- products of LoRA ----
lora=("${common[@]}" --method adamix-lora --rank 4 --lora-dropout 0)
if has_scalapack; then
  for share in none down; do
    run train "${lora[@]}" --share $share --merge svd --output "$scratch/svd-$share"
    expect_exit 0 "svd, share $share"
    kept=$(sed -n 's/.*svd: rank 4 keeps \([0-9.]*\) of the Frobenius norm.*/\1/p' "$scratch/err")
    run_ranks 2 train "${lora[@]}" --share $share --merge svd --placement replicated --output "$scratch/svd-$share-2"
    expect_exit 0 "svd on two ranks, share $share"
    for run in "svd-$share" "svd-$share-2"; do
      run eval --model "$tiny" --adapter "$scratch/$run" --file "$scratch/dev.tsv" --output "$scratch/$run.json"
      expect_exit 0 "eval of $run"
      expect "$run: eval gives what the run gave" close "$(field "$scratch/$run.json" eval_loss)" \
        "$(field "$scratch/$run/all_results.json" eval_loss)" 1e-5
    done
    expect "svd, share $share: two ranks are one" \
      close "$(field "$scratch/svd-$share-2.json" eval_loss)" "$(field "$scratch/svd-$share.json" eval_loss)" 1e-4
    width=$((3 * 2 * 2 * 4 * 32))
    expect "svd, share $share: the module is as large as an expert" \
      [ "$(field "$scratch/svd-$share/all_results.json" merged_parameters)" -eq $width ]
    if [ $share = none ]; then
      expect "svd: what it keeps is less than all, $kept" awk -v kept="$kept" 'BEGIN { exit !(kept > 0 && kept < 1) }'
    else
      expect "svd, share $share: it keeps all" [ "$kept" = 1.0000 ]
    fi
  done
else
  run train "${lora[@]}" --merge svd --output "$scratch/bad"
  expect_exit 1 "svd without ScaLAPACK"
  expect_stderr "svd needs ScaLAPACK, which this build lacks" "svd without ScaLAPACK"
fi
for method in adamix adapter houlsby; do
  run train "${common[@]}" --method $method --merge svd --output "$scratch/bad"
  expect_exit 2 "svd of --method $method"
  expect_stderr "merge svd cuts products .* of --method $method have an activation" "svd of --method $method"
  expect_one_message "svd of --method $method"
done
expect_no_file "$scratch/bad"

run train "${common[@]}" --merge soup --output "$scratch/bad"
expect_exit 2 "an unknown method"
expect_stderr "'soup' is not one of average|.*|concat|" "an unknown method"
for weights in "1,2" "1,2,3,4" "1,,2" "1,-1,1" "0,0,0" "1,2,x" ""; do
  run train "${common[@]}" --merge weighted --merge-weights "$weights" --output "$scratch/bad"
  expect_exit 2 "weights '$weights'"
  expect_stderr "merge-weights" "weights '$weights'"
done
run train "${common[@]}" --merge-weights 1,1,1 --output "$scratch/bad"
expect_exit 2 "weights for the average"
run train "${common[@]}" --merge-density 0.5 --output "$scratch/bad"
expect_exit 2 "density for the average"
expect_stderr "ties or dare" "density for the average"
run train "${common[@]}" --merge ema --output "$scratch/bad"
expect_exit 2 "ema without an average"
expect_stderr "train with --ema" "ema without an average"
expect_no_file "$scratch/average/experts/ema.safetensors"
for option in merge-samples merge-alpha; do
  run train "${common[@]}" --merge ties "--$option" 1 --output "$scratch/bad"
  expect_exit 2 "--$option for ties"
  expect_stderr "$option goes with --merge .*regmean, not with --merge ties" "--$option for ties"
done
expect_no_file "$scratch/bad"

done_testing
