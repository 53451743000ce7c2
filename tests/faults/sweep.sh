#!/usr/bin/env bash
# A fault while a sweep is read, its runs are looked at and told of.  The runs are finished, so that it meets the sweep alone.
. "$(dirname "$0")/lib.sh"
brief="alloc json_alloc file_open file_create file_write file_rename directory_make stream_open stream_read stream_write"
must="alloc json_alloc file_open file_create file_write file_rename"

cat > "$scratch/common.ini" <<END
model = $tiny
train-file = $scratch/train.tsv
dev-file = $scratch/dev.tsv
END
cat > "$scratch/sweep.ini" <<END
include = common.ini
output = runs
rank = 8
max-steps = 2
batch = 8
max-length = 32
pool = mean
threads = 1
[run adapter]
method = adapter
[grid adapter]
lr = 1e-3, 1e-2
[brief: run adamix]
END
mkdir "$scratch/made"
(cd "$scratch/made" && ADAMIX_FAULT='' ASAN_OPTIONS=detect_leaks=0 "$ADAMIX" sweep "$scratch/sweep.ini" --profile brief > /dev/null 2>&1)
expect "the runs" [ -s "$scratch/made/runs/adamix,seed=0/all_results.json" ]

prepare () { cp -r "$scratch/made" "$1"; }
attempt () { cd "$1" && launch sweep "$scratch/sweep.ini" --profile brief; cd "$scratch" || exit; }
follow () { attempt "$1"; }
compare () { cmp -s "$1/runs/sweep.json" "$2/runs/sweep.json"; }
walk "sweep"
must="alloc json_alloc file_open"
attempt () { cd "$1" && launch sweep "$scratch/sweep.ini" --profile brief --dry-run; cd "$scratch" || exit; }
walk "sweep --dry-run"
done_testing
