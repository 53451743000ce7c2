#!/usr/bin/env bash
# A fault in the commands that read and write text.
. "$(dirname "$0")/lib.sh"
brief="alloc json_alloc gemm file_open file_create file_rename stream_open stream_read stream_write"

prepare () { mkdir -p "$1"; }
follow () { attempt "$1"; }
compare () { cmp -s "$1/answers" "$2/answers"; }

launch "${training[@]}" --output "$scratch/run"
expect "train" [ "$status" = 0 ]
printf 'the cat sat\nmy card\tis happy\nthe dog sat' > "$scratch/lines"

attempt () {
  launch predict --model "$tiny" --adapter "$scratch/run" --threads 1 --input "$scratch/lines" --output "$1/answers"
}
walk "predict into a file"
# A piece for each thread: what fails in one is met again in the calling one, or has passed.
for _ in {1..70}; do printf 'the cat sat\nthe dog sat\n'; done > "$scratch/many"
attempt () {
  launch predict --model "$tiny" --adapter "$scratch/run" --threads 2 --input "$scratch/many" --output "$1/answers"
}
walk "predict with two threads"
input=$scratch/lines
attempt () {
  launch predict --model "$tiny" --adapter "$scratch/run" --threads 1
  cp "$scratch/out" "$1/answers"
}
walk "predict from standard input to standard output"
attempt () {
  launch encode --model "$tiny"
  cp "$scratch/out" "$1/answers"
}
walk "encode"
attempt () {
  launch inspect --json "$scratch/run"
  cp "$scratch/out" "$1/answers"
}
# A checkpoint that cannot be read is warned of and passed over; all else is told as it is.
compare () {
  cmp -s "$1/answers" "$2/answers" && return
  grep -q "warning: .*checkpoint.*cannot be used" "$scratch/err" &&
    cmp -s <(grep -v '"checkpoint' "$1/answers") <(grep -v '"checkpoint' "$2/answers")
}
walk "inspect"
attempt () {
  launch inspect --json --memory "$tiny" --ranks 2 --train-file "$scratch/train.tsv" --max-length 32 --threads 1
  cp "$scratch/out" "$1/answers"
}
# What this process has differs from one to the next, and is left out where /proc cannot be read; what is planned is the same.
planned () { grep -v -e process_bytes -e library_bytes -e memory_bytes "$1/answers"; }
compare () { cmp -s <(planned "$1") <(planned "$2"); }
walk "inspect --memory"
done_testing
