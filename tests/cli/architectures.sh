#!/usr/bin/env bash
# Encoders beside BERT, end to end: what inspect tells of them, which head --pool gives them, how long a text may be.
. "$(dirname "$0")/lib.sh"

golden=$ADAMIX_SOURCE/tests/golden

# copy NAME - $scratch/NAME: the tiny model with a WordPiece vocabulary of its 60 tokens.
copy () {
  mkdir "$scratch/$1"
  cp "$golden/$1-tiny/config.json" "$golden/$1-tiny/model.safetensors" "$scratch/$1"
  { printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' good bad; seq 53; } > "$scratch/$1/vocab.txt"
}
{ printf 'text\tlabel\n'; for i in $(seq 20); do printf 'good %d\tyes\nbad %d\tno\n' "$i" "$i"; done; } > "$scratch/data.tsv"
base=(train --train-file "$scratch/data.tsv" --dev-file "$scratch/data.tsv" --text-column text --label-column label
  --task-type classification --rank 4 --max-steps 3 --batch 8 --max-length 8 --threads 1 --eval-every never)

# Two labels: dense [H,H] and the output layer [2,H] with their biases, or the output layer alone on the mean.
check () {
  local name=$1 hidden=$2
  copy "$name"
  run inspect "$scratch/$name"
  expect_exit 0 "$name: inspect"
  expect_stdout "architecture *$name" "$name: inspect"
  run "${base[@]}" --model "$scratch/$name" --output "$scratch/$name-own"
  expect_exit 0 "$name: its own head"
  expect "$name: its own head is counted" \
    grep -q "\"head_parameters\": $(((hidden + 2) * (hidden + 1)))" "$scratch/$name-own/all_results.json"
  echo "good 1" > "$scratch/line"
  run predict --model "$scratch/$name" --adapter "$scratch/$name-own" --input "$scratch/line"
  expect_stdout '"label": "\(yes\|no\)"' "$name: predict"
  run "${base[@]}" --model "$scratch/$name" --output "$scratch/$name-mean" --pool mean
  expect_exit 0 "$name: the mean"
  expect "$name: the mean's head is counted" \
    grep -q "\"head_parameters\": $((2 * (hidden + 1)))" "$scratch/$name-mean/all_results.json"
}
check distilbert 24
check electra 32

# 2 (E H + L (4 H H + 2 H F)) with E 20, H 32, F 40, L 2
run inspect "$scratch/electra"
expect_stdout "flops_per_token *27904" "the projection is counted"

# 36 positions, of which the first two are never a text's.
copy roberta
run inspect "$scratch/roberta"
expect_stdout "longest_sequence *34" "roberta"
run "${base[@]}" --model "$scratch/roberta" --output "$scratch/long" --max-length 35
expect_exit 2 "a text longer than the positions"
expect_stderr "max-length 35 is more than the 34 tokens" "a text longer than the positions"

# A pooling that sentence-transformers asks for comes before the architecture's own head.
mkdir "$scratch/electra/1_Pooling"
echo '{"pooling_mode_mean_tokens": true}' > "$scratch/electra/1_Pooling/config.json"
run "${base[@]}" --model "$scratch/electra" --output "$scratch/asked"
expect "1_Pooling asks for the mean" grep -q '"head_parameters": 66' "$scratch/asked/all_results.json"

done_testing
