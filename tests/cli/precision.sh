#!/usr/bin/env bash
# --precision bf16: near fp32 where the CPU multiplies bf16, refused with advice where it does not.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 60 --eval-every never)
run train "${common[@]}" --output "$scratch/refused" --precision bf16 --gemm blas
expect_exit 1 "bf16 by BLAS"
expect_stderr "blas has no bf16 GEMM; use --precision fp32" "bf16 by BLAS"
expect_no_file "$scratch/refused"
run train "${common[@]}" --output "$scratch/refused" --precision fp8
expect_exit 2 "an unknown precision"
expect_stderr "fp32|bf16" "an unknown precision"

if ! grep -q avx512_bf16 /proc/cpuinfo || ! grep -q "define HAVE_DNNL 1" "$ADAMIX_BUILD/config.h"; then
  run train "${common[@]}" --output "$scratch/refused" --precision bf16
  expect_exit 1 "bf16 on a CPU without it"
  expect_stderr "use --precision fp32" "bf16 on a CPU without it"
  done_testing
  exit
fi

run train "${common[@]}" --output "$scratch/fp32"
run train "${common[@]}" --output "$scratch/bf16" --precision bf16
expect_exit 0 "bf16"
expect "the record has the precision" grep -q '"precision": "bf16"' "$scratch/bf16/run.json"
# A product of two rounded factors is off by 2^-8 at most; the loss, a mean of many, by less.
expect "bf16: the loss is near fp32's" \
  close "$(field "$scratch/bf16/all_results.json" train_loss)" "$(field "$scratch/fp32/all_results.json" train_loss)" 4e-3
expect "bf16 is not fp32" bash -c "! cmp -s '$scratch/bf16/merged/adapter.safetensors' '$scratch/fp32/merged/adapter.safetensors'"
run train "${common[@]}" --output "$scratch/threads" --precision bf16 --threads 2
expect "bf16: threads do not show" cmp "$scratch/bf16/merged/adapter.safetensors" "$scratch/threads/merged/adapter.safetensors"
# Of bitfit's layers the weights are frozen.
for precision in fp32 bf16; do
  run train "${common[@]}" --output "$scratch/bitfit-$precision" --precision $precision --method bitfit --lr 1e-3
  expect_exit 0 "bitfit in $precision"
done
expect "bitfit in bf16: the loss is near fp32's" close "$(field "$scratch/bitfit-bf16/all_results.json" train_loss)" \
  "$(field "$scratch/bitfit-fp32/all_results.json" train_loss)" 4e-3
expect "bitfit in bf16 is not fp32" \
  bash -c "! cmp -s '$scratch/bitfit-bf16/merged/adapter.safetensors' '$scratch/bitfit-fp32/merged/adapter.safetensors'"
for ranks in 1 3; do
  run_ranks "$ranks" train "${common[@]}" --output "$scratch/exact-$ranks" --precision bf16 --reproducible --placement replicated
  expect_exit 0 "bf16, reproducible on $ranks ranks"
done
expect "bf16: ranks do not show with --reproducible" \
  cmp "$scratch/exact-1/merged/adapter.safetensors" "$scratch/exact-3/merged/adapter.safetensors"
for precision in fp32 bf16; do
  run eval --model "$tiny" --adapter "$scratch/bf16" --file "$scratch/dev.tsv" --precision $precision --output "$scratch/$precision.json"
  expect_exit 0 "eval in $precision"
done
expect "eval in bf16: the loss is near fp32's" \
  close "$(field "$scratch/bf16.json" eval_loss)" "$(field "$scratch/fp32.json" eval_loss)" 4e-3

done_testing
