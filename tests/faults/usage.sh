#!/usr/bin/env bash
# Faults themselves: their table, and what is refused.
. "$(dirname "$0")/lib.sh"

run --faults
expect_exit 0 "--faults"
expect_stdout "^file_sync	Input/output error	" "--faults"
for bad in nothing alloc alloc: alloc:0 alloc:-1 alloc:x alloc:1x alloc:1@ alloc:1@x :1 counts; do
  ADAMIX_FAULT=$bad run encode --model "$tiny"
  expect_exit 2 "ADAMIX_FAULT=$bad"
  expect_stderr "ADAMIX_FAULT=$bad is not" "ADAMIX_FAULT=$bad"
  expect_one_message "ADAMIX_FAULT=$bad"
done
echo "the cat" > "$scratch/line"
ADAMIX_FAULT=alloc:1@1 run encode --model "$tiny" < "$scratch/line"
expect_exit 0 "a fault of another rank"
ADAMIX_FAULT=file_open:1@0 run encode --model "$tiny" < "$scratch/line"
expect_exit 1 "a fault of this rank"
ADAMIX_FAULT=count run encode --model "$tiny" < "$scratch/line"
expect_stderr "^fault: rank 0 passed file_open [1-9][0-9]* times" "counts"
done_testing
