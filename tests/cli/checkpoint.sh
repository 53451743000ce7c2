#!/usr/bin/env bash
# Checkpoints are whole or refused by name: whatever is damaged in the newest one, the run goes on from the one before, to
# the bits of the uninterrupted run.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

common=("${base[@]}" --max-steps 12 --save-every 4 --keep 9 --select best --eval-every 4 --ema 0.9)
run train "${common[@]}" --output "$scratch/whole"
expect_exit 0 "train"

# interrupt FOLDER - a copy of the run as it was when it died after step 8.
interrupt () {
  cp -r "$scratch/whole" "$1"
  rm -r "$1/all_results.json" "$1/merged" "$1/experts" "$1/checkpoints/step-12"
}

# flip FILE OFFSET - change one bit.
flip () {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# goes_on NAME WHAT - the damaged copy of the run resumes from step 4 and tells of WHAT.
goes_on () {
  run train "${common[@]}" --output "$scratch/cut" --resume
  expect_exit 0 "$1"
  expect_stderr "warning.*step 8.*$2" "$1"
  expect_stderr "resuming from the checkpoint of step 4" "$1"
  expect "$1: the same module" cmp "$scratch/whole/merged/adapter.safetensors" "$scratch/cut/merged/adapter.safetensors"
  for ema in experts/ema checkpoints/step-12/ema; do
    expect "$1: the same $ema" cmp "$scratch/whole/$ema.safetensors" "$scratch/cut/$ema.safetensors"
  done
  expect "$1: the same metrics" cmp <(without_times "$scratch/whole/metrics.jsonl") <(without_times "$scratch/cut/metrics.jsonl")
  expect "$1: the damaged checkpoint is written again" \
    cmp "$scratch/whole/checkpoints/step-8/optimizer.safetensors" "$scratch/cut/checkpoints/step-8/optimizer.safetensors"
  rm -r "$scratch/cut"
}

for file in experts optimizer best ema best_ema; do
  interrupt "$scratch/cut"
  damaged=$scratch/cut/checkpoints/step-8/$file.safetensors
  flip "$damaged" $(($(wc -c < "$damaged") - 5))
  goes_on "a flipped bit in $file.safetensors" "$file.safetensors is damaged"
done
interrupt "$scratch/cut"
truncate -s 2000 "$scratch/cut/checkpoints/step-8/experts.safetensors"
run inspect "$scratch/cut"
expect_exit 0 "inspect passes over a torn checkpoint"
expect_stdout "^checkpoint  *$scratch/cut/checkpoints/step-4\$" "inspect passes over a torn checkpoint"
expect_stderr "step-8/experts.safetensors" "inspect passes over a torn checkpoint"
goes_on "a torn file" "experts.safetensors"
interrupt "$scratch/cut"
rm "$scratch/cut/checkpoints/step-8/optimizer.safetensors"
goes_on "a missing file" "optimizer.safetensors"
interrupt "$scratch/cut"
sed -i 's/"loss_steps": 8/"loss_steps": 9/' "$scratch/cut/checkpoints/step-8/state.json"
goes_on "a changed state" "state.json is damaged"
interrupt "$scratch/cut"
truncate -s 100 "$scratch/cut/checkpoints/step-8/state.json"
goes_on "a torn state" "state.json"
interrupt "$scratch/cut"
mv "$scratch/cut/checkpoints/step-8" "$scratch/cut/checkpoints/step-8.tmp"
run train "${common[@]}" --output "$scratch/cut" --resume
expect_exit 0 "killed while a checkpoint was written"
expect "killed while a checkpoint was written: the same module" \
  cmp "$scratch/whole/merged/adapter.safetensors" "$scratch/cut/merged/adapter.safetensors"
expect_no_file "$scratch/cut/checkpoints/step-8.tmp"
rm "$scratch/cut/all_results.json"
left=(run.json.17.tmp merged/adapter.safetensors.17.tmp experts/adamix_config.json.9.tmp checkpoints/step-10.tmp)
others=(eval.json.17.tmp run.json.tmp merged/17.tmp merged/adapter.tmp)
for file in "${left[@]}" "${others[@]}"; do touch "$scratch/cut/$file"; done
run train "${common[@]}" --output "$scratch/cut" --resume
expect_exit 0 "killed while files were written"
for file in "${left[@]}"; do expect_no_file "$scratch/cut/$file"; done
for file in "${others[@]}"; do expect_file "$scratch/cut/$file"; done
rm -r "$scratch/cut"

# A run that goes on ahead of a damaged checkpoint leaves that behind it: what it writes now is what there is.
interrupt "$scratch/cut"
flip "$scratch/cut/checkpoints/step-8/experts.safetensors" 3000
run train "${common[@]}" --output "$scratch/cut" --resume --save-every 2 --keep 1
expect_exit 0 "one checkpoint is kept"
expect "one checkpoint is kept" [ "$(ls "$scratch/cut/checkpoints")" = step-12 ]
interrupt "$scratch/left"
mv "$scratch/left/checkpoints/step-8" "$scratch/left/checkpoints/step-50"
flip "$scratch/left/checkpoints/step-50/experts.safetensors" 3000
run train "${common[@]}" --output "$scratch/left" --resume --keep 1
expect_exit 0 "a checkpoint of another time"
expect "a checkpoint of another time is not kept in the place of the run's own" [ "$(ls "$scratch/left/checkpoints")" = step-12 ]
rm -r "$scratch/cut" "$scratch/left"

# The best step is chosen by the same texts.
interrupt "$scratch/cut"
head -n 30 "$scratch/dev.tsv" > "$scratch/shorter.tsv"
for file in "" "$scratch/shorter.tsv"; do
  run train "${common[@]}" --output "$scratch/cut" --resume --dev-file "$file"
  expect_exit 2 "--select best by another dev file: '$file'"
  expect_stderr "\-\-resume: --dev-file is not what" "--select best by another dev file: '$file'"
done
rm -r "$scratch/cut"

# --force removes the record last: where it does not come to its end, the next one begins anew.
interrupt "$scratch/cut"
mkdir "$scratch/cut/tensorboard"
touch "$scratch/cut/merged"
run train "${common[@]}" --output "$scratch/cut" --force --max-steps 2 --save-every never
expect_exit 1 "--force meets what it cannot remove"
expect_no_file "$scratch/cut/checkpoints"
expect_file "$scratch/cut/run.json"
rm "$scratch/cut/merged"
cp -r "$scratch/whole/checkpoints" "$scratch/cut"
run train "${common[@]}" --output "$scratch/cut" --force --max-steps 2 --save-every never
expect_exit 0 "--force"
expect_no_file "$scratch/cut/checkpoints/step-8"
expect_no_file "$scratch/cut/tensorboard"
rm -r "$scratch/cut"

interrupt "$scratch/cut"
for step in 4 8; do flip "$scratch/cut/checkpoints/step-$step/experts.safetensors" 3000; done
run inspect "$scratch/cut" --json
expect_exit 0 "inspect where no checkpoint is whole"
expect_stdout '"checkpoint": null' "inspect where no checkpoint is whole"
expect_stderr "step-4/experts.safetensors.*damaged" "inspect where no checkpoint is whole"
run train "${common[@]}" --output "$scratch/cut" --resume
expect_exit 1 "no checkpoint is whole"
expect_stderr "no checkpoint.*step-4/experts.safetensors.*damaged" "no checkpoint is whole"
run train "${common[@]}" --output "$scratch/cut" --resume --lr 3e-3
expect_exit 2 "another learning rate"
expect_stderr "lr" "another learning rate"

rm -r "$scratch/cut/checkpoints"
touch "$scratch/cut/checkpoints"
run train "${common[@]}" --output "$scratch/cut" --resume
expect_exit 1 "checkpoints cannot be listed"
expect_stderr "cannot list .*/checkpoints" "checkpoints cannot be listed"

done_testing
