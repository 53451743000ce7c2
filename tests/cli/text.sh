#!/usr/bin/env bash
# Text in, numbers out: encode gives exact ids, predict answers at once and refuses what is not text.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/data.sh"

# id PIECE - its number in the vocabulary.
id () { echo $(($(grep -n -x -e "$1" "$tiny/vocab.txt" | cut -d : -f 1) - 1)); }
cls=$(id '\[CLS\]') sep=$(id '\[SEP\]') unk=$(id '\[UNK\]') the=$(id the) cat=$(id cat) plural=$(id '##s')

# expect_ids NAME TEXT IDS OPTION... - encode of TEXT (with escapes) prints IDS, lines parted by ";".
expect_ids () {
  local name=$1 text=$2 ids=$3
  shift 3
  status=0
  printf '%b' "$text" | "$ADAMIX" encode --model "$tiny" "$@" > "$scratch/out" 2> "$scratch/err" || status=$?
  expect_exit 0 "$name"
  expect "$name" cmp "$scratch/out" <(tr ';' '\n' <<< "$ids")
}
expect_ids "a text" 'The cat\n' "$cls $the $cat $sep"
expect_ids "a text without an end of line" 'the cat' "$cls $the $cat $sep"
expect_ids "an empty line" '\nthe\n' "$cls $sep;$cls $the $sep"
expect_ids "a pair" 'the\tcats\n' "$cls $the $sep $cat $plural $sep"
expect_ids "an unknown word" 'the \xe2\x98\x83\n' "$cls $the $unk $sep"
expect_ids "a text that is cut" 'the cat the cat\n' "$cls $the $sep" --max-length 3
expect_ids "a pair that is cut, longest text first" 'the\tcat cat cat\n' "$cls $the $sep $cat $sep" --max-length 5

printf 'the cat\nthe \377\n' > "$scratch/broken"
status=0
"$ADAMIX" encode --model "$tiny" < "$scratch/broken" > "$scratch/out" 2> "$scratch/err" || status=$?
expect_exit 1 "encode of invalid UTF-8"
expect_stderr "line 2" "encode of invalid UTF-8"

run train "${base[@]}" --max-steps 2 --output "$scratch/run"
expect_exit 0 "train"
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/broken"
expect_exit 1 "predict of invalid UTF-8"
expect_stderr "broken.*line 2" "predict of invalid UTF-8"
expect "predict of invalid UTF-8: the line before is answered" [ "$(wc -l < "$scratch/out")" -eq 1 ]
echo kept > "$scratch/kept"
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/broken" --output "$scratch/kept"
expect "a prediction that fails leaves the old file" grep -q kept "$scratch/kept"
expect_no_file "$scratch/kept.tmp"
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/broken" --output "$scratch/broken"
expect_exit 2 "predict into its own input"
expect "the input is still there" [ -s "$scratch/broken" ]
echo "the cat" > "$scratch/one-line"
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/one-line" --output "$scratch/kept"
expect_exit 0 "predict into a file"
expect "predict replaces the file" grep -q '"label"' "$scratch/kept"

# A pipe that stays open: the answer has to come before its end.
mkfifo "$scratch/in" "$scratch/answers"
"$ADAMIX" predict --model "$tiny" --adapter "$scratch/run" < "$scratch/in" > "$scratch/answers" 2> "$scratch/err" &
child=$!
exec 3> "$scratch/in" 4< "$scratch/answers"
answer=
echo "the cat" >&3
read -r -t 20 answer <&4
expect "predict does not wait for more input" [ -n "$answer" ]
exec 3>&-
status=0
wait "$child" || status=$?
expect_exit 0 "predict at the end of its input"

done_testing
