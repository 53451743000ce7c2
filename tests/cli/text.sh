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
status=0
"$ADAMIX" encode --model "$tiny" < "$scratch" > "$scratch/out" 2> "$scratch/err" || status=$?
expect_exit 1 "encode of what cannot be read"
expect_stderr "cannot read standard input" "encode of what cannot be read"

# Byte-level BPE: as RoBERTa's from its files, as GPT-2's where config.json says so.
mkdir "$scratch/bpe"
printf '%s' '{"<s>": 0, "</s>": 1, "a": 2, "b": 3, "\u0120": 4, "\u0120a": 5, "ab": 6}' > "$scratch/bpe/vocab.json"
printf '#version: 0.2\n\304\240 a\na b\n' > "$scratch/bpe/merges.txt"
expect_bpe () {
  status=0
  printf 'ab a\tba\n' | "$ADAMIX" encode --model "$scratch/bpe" > "$scratch/out" 2> "$scratch/err" || status=$?
  expect_exit 0 "$1"
  expect "$1" cmp "$scratch/out" <(echo "$2")
}
expect_bpe "BPE of RoBERTa" "0 6 5 1 1 3 2 1"
echo '{"model_type": "gpt2"}' > "$scratch/bpe/config.json"
expect_bpe "BPE of GPT-2" "6 5 3 2"

# expect_refused NAME FILE CONTENT MESSAGE - a model folder with nothing but this file is refused.
expect_refused () {
  rm -rf "$scratch/foreign"
  mkdir "$scratch/foreign"
  printf '%s' "$3" > "$scratch/foreign/$2"
  run encode --model "$scratch/foreign"
  expect_exit 1 "$1"
  expect_one_message "$1"
  expect_stderr "$4" "$1"
}
expect_refused "Unigram" tokenizer.json '{"model": {"type": "Unigram"}}' "tokenizer.json: .* is Unigram"
expect_refused "WordLevel" tokenizer.json '{"model": {"type": "WordLevel"}}' "is WordLevel"
expect_refused "a SentencePiece file" sentencepiece.bpe.model 'x' "is Unigram"
expect_refused "BPE with dropout" tokenizer.json '{"model": {"type": "BPE", "dropout": 0.1}}' '"dropout"'
expect_refused "BPE with other words" tokenizer.json '{"model": {"type": "BPE"}, "pre_tokenizer": {"type": "Split"}}' \
  "is Split"
expect_refused "a vocabulary without merges" vocab.json '{"a": 0}' "merges.txt"
expect_refused "a tokenizer.json that is cut off" tokenizer.json '{"model": {"type": "BP' "not valid JSON"

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
