#!/usr/bin/env bash
# Bad input: one message that says what and where, a status that is not success, nothing half-written.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# refuse NAME PATTERN ARGUMENT... - train with these arguments fails with one message that matches PATTERN.
refuse () {
  local name=$1 pattern=$2
  shift 2
  run train "${base[@]}" --max-steps 3 --output "$scratch/out-run" "$@"
  expect "$name: not success" [ "$status" -ne 0 ]
  expect "$name: no crash" [ "$status" -lt 128 ]
  expect "$name: one message" [ "$(grep -c '^adamix: error' "$scratch/err")" -eq 1 ]
  expect_stderr "$pattern" "$name"
  expect_no_file "$scratch/out-run/merged"
  rm -rf "$scratch/out-run"
}

# broken NAME - a copy of the tiny encoder to spoil.
broken () {
  rm -rf "$scratch/model"
  mkdir "$scratch/model"
  cp "$tiny"/config.json "$tiny"/model.safetensors "$tiny"/vocab.txt "$scratch/model"
}
edit_config () { sed -i "$1" "$scratch/model/config.json"; }
weights=$scratch/model/model.safetensors

broken; rm "$weights"
refuse "no weights" "model.safetensors" --model "$scratch/model"
broken; truncate -s 5000 "$weights"
refuse "truncated weights" "model.safetensors" --model "$scratch/model"
broken; printf '\377\377\377\377\377\377\377\177' | dd of="$weights" conv=notrunc status=none
refuse "a header length that lies" "model.safetensors.*header" --model "$scratch/model"
broken; sed -i 's/"F32"/"I32"/' "$weights"
refuse "a wrong dtype" "I32" --model "$scratch/model"
broken; sed -i 's/embeddings.word_embeddings.weight/embeddings.word_embeddings.WEIGHT/' "$weights"
refuse "a missing tensor" "embeddings.word_embeddings.weight" --model "$scratch/model"
broken; edit_config 's/"hidden_size": *[0-9]*/"hidden_size": 64/'
refuse "a wrong shape" "shape\|\[" --model "$scratch/model"
broken; printf '\377\377\377\177' | dd of="$weights" bs=1 seek=$(($(stat -c %s "$weights") - 4)) conv=notrunc status=none
refuse "a weight that is not a number" "NaN\|not finite\|not a number" --model "$scratch/model"
broken; edit_config 's/"model_type": *"[a-z]*"/"model_type": "mamba"/'
refuse "an unknown architecture" "mamba" --model "$scratch/model"
broken; edit_config 's/"num_attention_heads": *[0-9]*/"num_attention_heads": 5/'
refuse "heads that do not divide the width" "num_attention_heads\|heads" --model "$scratch/model"
broken; edit_config 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": -1/'
refuse "an impossible number" "num_hidden_layers" --model "$scratch/model"
broken; echo '{"model_type": ' > "$scratch/model/config.json"
refuse "config.json that is no JSON" "config.json" --model "$scratch/model"
broken; rm "$scratch/model/vocab.txt"
refuse "no vocabulary" "vocab.txt\|tokenizer" --model "$scratch/model"
refuse "no such folder" "nowhere" --model "$scratch/nowhere"
refuse "more positions than the model has" "max-length" --max-length 512

: > "$scratch/empty.tsv"
refuse "an empty file" "empty.tsv" --train-file "$scratch/empty.tsv"
printf 'text\tlabel\n' > "$scratch/header.tsv"
refuse "a header alone" "header.tsv" --train-file "$scratch/header.tsv"
refuse "a column that is not there" "words" --text-column words
refuse "no such file" "nowhere.tsv" --train-file "$scratch/nowhere.tsv"
printf 'text\tlabel\nthe cat\tcat\nthe \377\tnone\n' > "$scratch/utf8.tsv"
refuse "invalid UTF-8" "utf8.tsv.*3" --train-file "$scratch/utf8.tsv"
printf 'text\tlabel\nthe cat\tcat\nthe dog\tdog\n' > "$scratch/label.tsv"
refuse "a dev label that training lacks" "label.tsv.*3.*dog" --dev-file "$scratch/label.tsv"
printf 'text\tlabel\nthe cat\tcat\nthe dog\tcat\n' > "$scratch/one.tsv"
refuse "one label only" "one.tsv.*two at least" --train-file "$scratch/one.tsv" --dev-file "$scratch/one.tsv"
refuse "a number that is none" "train.tsv.*2" --task-type regression
refuse "a loss that becomes not a number" "step [0-9]*.*loss\|step [0-9]*.*gradient" --lr 1e6 --warmup 0 --clip 0 --max-steps 20

run train "${base[@]}" --output "$scratch/train.tsv/run"
expect_exit 1 "an output that cannot be made"
expect_stderr "train.tsv" "an output that cannot be made"

# A full disk: a file system of a few pages, where one may be mounted.
mkdir "$scratch/small"
if mount -t tmpfs -o size=32k none "$scratch/small" 2> /dev/null; then
  run train "${base[@]}" --max-steps 3 --output "$scratch/small/run"
  expect "a full disk: not success" [ "$status" -eq 1 ]
  expect "a full disk: one message" [ "$(grep -c '^adamix: error' "$scratch/err")" -eq 1 ]
  expect_stderr "No space left" "a full disk"
  expect_no_file "$scratch/small/run/all_results.json"
  expect "a full disk: nothing half-written" [ -z "$(find "$scratch/small" -name '*tmp*')" ]
  umount "$scratch/small"
else
  skip "a full disk" "needs a mount"
fi

# Texts that are empty or too long are used, counted and told of once.
printf 'text\tlabel\n\tcat\nthe dog\tnone\nthe dog sat on the mat and ran\tnone\n\tcat\n' > "$scratch/odd.tsv"
run train "${base[@]}" --train-file "$scratch/odd.tsv" --max-length 6 --max-steps 2 --output "$scratch/odd"
expect_exit 0 "empty and over-long texts"
expect "empty texts are counted once" [ "$(grep -c '2 texts are empty' "$scratch/err")" -eq 1 ]
expect "over-long texts are counted once" [ "$(grep -c 'odd.tsv: 1 text.*cut' "$scratch/err")" -eq 1 ]

# The same for the other commands.
run predict --model "$tiny" --adapter "$scratch/nowhere"
expect "predict without a module: not success" [ "$status" -ne 0 ]
expect_stderr "nowhere" "predict without a module"
run inspect "$scratch/nowhere"
expect "inspect nothing: not success" [ "$status" -ne 0 ]
run encode --model "$scratch/nowhere"
expect "encode without a tokenizer: not success" [ "$status" -ne 0 ]

done_testing
