#!/usr/bin/env bash
# The benches on a tiny encoder: what they report is there and can be; what they cannot do they say.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

out=$scratch/out
# value_of KEY - the numbers of that name in JSON on standard input.
value_of () { sed -n "s/.*\"$1\": *\([-0-9.e+]*\),*\$/\1/p"; }
# value KEY [N] - the N-th number of that name in what the last run printed.
value () { value_of "$1" < "$out" | sed -n "${2:-1}p"; }
# expect_value NAME KEY CONDITION - an awk condition on v.
expect_value () { expect "$1: $2 ($(value "$2")) $3" awk -v v="$(value "$2")" "BEGIN { exit !(v != \"\" && ($3)) }"; }

workload=(--model "$tiny" --max-length 32 --tokens 8 --spread 0 --examples 4 --steps 2 --rank 8 --threads 1 --json)

# ---- steps ----
run bench step "${workload[@]}"
expect_exit 0 "bench step"
expect_value "bench step" examples_per_step 'v == 4'
expect_value "bench step" tokens_per_step 'v == 32'
expect_value "bench step" seconds_per_step 'v > 0 && v < 10'
for phase in differentiate update; do expect_value "bench step" "$phase" 'v > 0'; done
for phase in wait exchange seconds_per_rotation; do expect_value "bench step" "$phase" 'v == 0'; done
# H 32, F 64, 3 layers: 3 (4 H H + 2 H F); two passes of forward and input gradient, two FLOP each
expect_value "bench step" frozen_parameters 'v == 24576'
expect_value "bench step" nominal_flops_per_token 'v == 8 * 24576'
expect_value "bench step" gemm_flops_per_second 'v > 1e6'
expect "bench step: tokens/s is tokens over seconds" \
  close "$(value tokens_per_second)" "$(awk -v s="$(value seconds_per_step)" 'BEGIN { print 32 / s }')" 1e-3
expect "bench step: the share is nominal work over GEMM" close "$(value nominal_share)" \
  "$(awk -v n="$(value nominal_flops_per_second)" -v g="$(value gemm_flops_per_second)" 'BEGIN { print n / g }')" 1e-3
expect_value "bench step" peak_rss_bytes 'v > 1e6'
# flops KERNEL - of the matrix products of that kernel.
flops () { sed -n "/\"$1\": {/,/}/p" "$out" | value_of flops; }
# Rows: 2 passes of 4 x 8 tokens.  The last layer computes queries, keys and values of all, the rest of the first of each
# sequence; the gradient stops at the module of the lowest layer.
layer=$((2 * 64 * 8192)) last=$((2 * (64 * 3072 + 8 * 5120)))
expect "bench step: products of frozen layers that are made" close "$(flops frozen_linear)" $((3 * layer + 2 * last)) 1e-5
expect "bench step: products of modules" \
  close "$(flops modules)" $((2 * 32 * 8 * (2 * (64 + 64 + 8) + 4 * (64 + 8) + 3 * 64))) 1e-5
expect "bench step: products of attention" \
  close "$(flops attention)" $((2 * 2 * 32 * (2 * (256 + 256 + 32) + 5 * (256 + 32)))) 1e-5
# The frozen pooler in both directions, the output of three classes with the gradient of its weights.
expect "bench step: products of the head" close "$(flops head)" $((2 * 8 * 32 * (2 * 32 + 3 * 3))) 1e-5
expect "bench step: the executed share counts them all" close "$(value executed_share)" "$(awk -v f="$(flops frozen_linear)" \
  -v m="$(flops modules)" -v a="$(flops attention)" -v h="$(flops head)" -v s="$(value seconds_per_step)" \
  -v g="$(value gemm_flops_per_second)" 'BEGIN { print (f + m + a + h) / s / g }')" 1e-4
expect "bench step: its kernels take the time between the layers' ends" awk -v whole="$(value differentiate)" \
  -v parts="$(sed -n '/"kernels"/,/^  }/p' "$out" | value_of seconds | awk '{ s += $1 } END { print s }')" \
  'BEGIN { exit !(parts > whole / 2 && parts < 1.5 * whole) }'

run bench step "${workload[@]}" --pool mean
expect "with the mean over tokens all rows of the last layer are computed" close "$(flops frozen_linear)" $((5 * layer)) 1e-5

run_ranks 2 bench step "${workload[@]}"
expect_exit 0 "bench step on two ranks"
expect_value "bench step on two ranks" tokens_per_step 'v == 64'
expect_value "bench step on two ranks" exchange 'v > 0'
expect_value "bench step on two ranks" seconds_per_rotation 'v > 0'

run bench step "${workload[@]}" --method adapter
expect_value "one pass" nominal_flops_per_token 'v == 4 * 24576'
run bench step "${workload[@]}" --method head
expect_exit 0 "the head alone"
run bench step "${workload[@]}" --task banking77 --data "$ADAMIX_SOURCE/examples/support"
expect_exit 0 "bench step on a task's texts"
expect_value "bench step on a task's texts" tokens_per_step 'v > 16 && v <= 128'
arguments=("${workload[@]:0:${#workload[@]}-1}")
run bench step "${arguments[@]}"
expect_exit 0 "bench step in words"
expect_stdout "a step of 4 examples, 32 tokens" "bench step in words"

# ---- GEMM ----
run bench gemm "${workload[@]}"
expect_exit 0 "bench gemm"
expect "bench gemm: four layers" [ "$(grep -c forward_flops_per_second "$out")" -eq 4 ]
expect_value "bench gemm" rows 'v == 64'
expect_value "bench gemm" gemm_flops_per_second 'v > 1e6'

# ---- communication ----
run_ranks 2 bench comm --json
expect_exit 0 "bench comm"
expect_value "bench comm" nodes 'v == 1'
expect_value "bench comm" ranks_per_node 'v == 2'
expect_value "bench comm" latency_seconds 'v > 0 && v < 1'
expect_value "bench comm" bandwidth_bytes_per_second 'v > 1e5'
for collective in all-reduce broadcast gather barrier; do expect_stdout "\"collective\": \"$collective\"" "bench comm"; done
expect_stdout '"wire": null' "bench comm on one node"
expect "bench comm: 12 sizes of 3 collectives, and a barrier" [ "$(grep -c median_seconds "$out")" -eq 37 ]
expect_stdout '"bytes": 33554432' "bench comm"

# ---- scaling ----
scaling=("${workload[@]}" --batch 16 --max-ranks 64)
run_ranks 2 bench scaling "${scaling[@]}" --check
expect_exit 0 "bench scaling"
expect "bench scaling: weak and strong on two networks, 1 to 64 ranks, two algorithms" [ "$(grep -c efficiency "$out")" -eq 56 ]
expect "bench scaling: checked on 1 and 2 ranks" [ "$(grep -c predicted_over_measured "$out")" -eq 4 ]
expect_value "bench scaling" efficiency 'v == 1'
expect_value "bench scaling" shared 'v > 0'
expect_value "bench scaling" groups 'v == 2'
expect_value "bench scaling" predicted_over_measured 'v > 0.01 && v < 100'
expect "bench scaling: 48 of 64 ranks have no example of 16" [ "$(grep -c '"idle_ranks": 48' "$out")" -eq 2 ]
expect "bench scaling: efficiencies are above 0" \
  awk -F'[:,]' '/efficiency/ { n++; if (!($2 > 0)) bad++ } END { exit !n || bad }' "$out"
run_ranks 2 bench scaling "${scaling[@]}" --wire-latency 10 --wire-bandwidth 1
expect "bench scaling: a given network" [ "$(grep -c '"network": "given"' "$out")" -eq 2 ]

# ---- wrong use ----
run bench
expect_exit 2 "no bench"
expect_stderr "bench scaling" "no bench: the benches are listed"
run bench stpe
expect_exit 2 "an unknown bench"
expect_stderr "stpe" "an unknown bench is named"
for bench in step gemm comm scaling; do
  run bench "$bench" --help
  expect_exit 0 "bench $bench --help"
  expect_stdout "adamix bench $bench" "bench $bench --help"
  run bench "$bench" --jsno
  expect_exit 2 "bench $bench with an unknown option"
  expect_stderr "jsno.*json" "bench $bench suggests the nearest option"
done
for bench in comm scaling; do
  run bench "$bench"
  expect_exit 2 "bench $bench on one rank"
  expect_stderr "mpirun -n 2 adamix bench $bench" "bench $bench on one rank says how"
  expect_one_message "bench $bench on one rank"
done

# wrong WORD ARGUMENT... - status 2 and a message with the word.
wrong () {
  local word=$1
  shift
  run bench "$@"
  expect_exit 2 "bench $1, wrong ${*: -2}"
  expect_stderr "$word" "bench $1, wrong ${*: -2}"
}
wrong "minilm|bert-base|roberta-large" step --shape huge
wrong "shape.*model" step --shape minilm --model "$tiny"
wrong "model" step --task banking77
wrong "task" step --model "$tiny" --data .
wrong "regression" step --model "$tiny" --max-length 32 --task stsb --data .
wrong "max-length" step --model "$tiny" --max-length 64
wrong "tokens" step --model "$tiny" --max-length 32 --tokens 48
wrong "experts-per-rank" step "${workload[@]}" --experts 2 --experts-per-rank 3
wrong "placement" step "${workload[@]}" --placement scattered
wrong "wire-bandwidth" scaling "${workload[@]}" --wire-latency 3
wrong "draw" scaling "${workload[@]}" --task banking77 --data .
run bench step --model "$scratch" --json
expect_exit 1 "a folder without a model"
expect_stderr "config.json" "a folder without a model"

done_testing
