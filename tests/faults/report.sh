#!/usr/bin/env bash
# A fault while a report is made.
. "$(dirname "$0")/lib.sh"
brief="alloc json_alloc file_open file_create file_write file_rename directory_make directory_read stream_open"
must="$brief stream_read"

prepare () { mkdir -p "$1"; }
attempt () { launch report "$scratch/sweep" --output "$1/report"; }
follow () { attempt "$1"; }
# Where a file of a run cannot be opened or read, the page tells it, and is another one.
compare () {
  grep -q '^adamix: warning: ' "$scratch/err" ||
    cmp -s "$1/report/report.html" "$2/report/report.html"
}

for method in adamix adapter; do
  launch "${training[@]}" --method $method --output "$scratch/sweep/$method"
  expect "train $method" [ "$status" = 0 ]
done
launch eval --model "$tiny" --adapter "$scratch/sweep/adamix" --file "$scratch/dev.tsv" --threads 1 --inference all \
  --output "$scratch/sweep/adamix/inference.json"
expect "eval" [ "$status" = 0 ]
walk "report"
done_testing
