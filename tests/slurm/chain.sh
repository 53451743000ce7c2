#!/usr/bin/env bash
# Train, then evaluate, in one job that is stopped in between.
. "$(dirname "$0")/lib.sh"

evaluation=(--model "$tiny" --file "$scratch/dev.tsv" --inference all --output results.json)
submit chain "${layout[@]}" slurm/chain.sbatch "${training[@]}" --output chain -- "${evaluation[@]}"
interrupt chain 1
finish 120
expect_state COMPLETED "chain"
expect "chain: the job was requeued" [ "$(job_field Restarts)" = 1 ]
run eval --adapter chain "${evaluation[@]}" --output alone.json
expect "chain: the evaluation is that of the finished run" cmp alone.json results.json
expect_log "^random-token " "chain"

submit failing -n 1 slurm/chain.sbatch "${training[@]}" --output chain -- "${evaluation[@]}" --inference fixed:9
finish 60
expect_state FAILED "an evaluation that fails"

submit unsplit -n 1 slurm/chain.sbatch "${training[@]}" --output chain
finish 60
expect_state FAILED "a chain without evaluation"
expect_log "use: sbatch slurm/chain.sbatch" "a chain without evaluation"

done_testing
