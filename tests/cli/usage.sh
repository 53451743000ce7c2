#!/usr/bin/env bash
# Wrong use ends with status 2 and one message that names the culprit and what is allowed; help and version succeed.
. "$(dirname "$0")/lib.sh"

run
expect_exit 2 "no command"
expect_no_stdout "no command"
expect_stderr "train" "no command lists the commands"

run trian
expect_exit 2 "unknown command"
expect_stderr "trian" "unknown command is named"
expect_stderr "train" "unknown command: the nearest is suggested"

run --help
expect_exit 0 "--help"
for command in train eval predict merge inspect report encode sweep bench; do
  expect_stdout "^ *$command" "--help"
done

run --faults
if [ "$status" = 0 ]; then
  skip "a build without faults has no table of them" "this build has faults"
else
  expect_exit 2 "a build without faults has no table of them"
  ADAMIX_FAULT=nothing run --version
  expect_exit 0 "a build without faults has no use for ADAMIX_FAULT"
fi

run --version
expect_exit 0 "--version"
expect_stdout "^adamix [0-9]*\.[0-9]*\.[0-9]*" "--version"

for command in train eval predict merge inspect report encode sweep bench; do
  run "$command" --help
  expect_exit 0 "$command --help"
  expect_stdout "adamix $command" "$command --help"
done
for command in train eval predict encode; do
  run "$command" --modle somewhere
  expect_exit 2 "$command with an unknown option"
  expect_stderr "modle" "$command names the unknown option"
  expect_stderr "model" "$command suggests the nearest option"
  expect_one_message "$command with an unknown option"

  run "$command"
  expect_exit 2 "$command without options"
  expect_stderr "model" "$command names what is missing"
done

run train --epochs many
expect_exit 2 "a value that is no number"
expect_stderr "epochs.*many" "a value that is no number"

run train --share sideways
expect_exit 2 "a choice that there is not"
expect_stderr "none|down|up|both" "a choice that there is not: the allowed ones are listed"

done_testing
