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

# Byte-level BPE: as RoBERTa's from its files, as GPT-2's where config.json says so.  The lines end as on Windows.
mkdir "$scratch/bpe"
printf '%s' '{"<s>": 0, "</s>": 1, "a": 2, "b": 3, "\u0120": 4, "\u0120a": 5, "ab": 6, "\u010d": 7}' > "$scratch/bpe/vocab.json"
printf '#version: 0.2\n\304\240 a\na b\n' > "$scratch/bpe/merges.txt"
expect_bpe () {
  status=0
  printf 'ab a\tba\r\n' | "$ADAMIX" encode --model "$scratch/bpe" > "$scratch/out" 2> "$scratch/err" || status=$?
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
cp -r "$scratch/run" "$scratch/twins"
sed -i 's/"cat"/"none"/' "$scratch/twins/merged/adamix_config.json"
run predict --model "$tiny" --adapter "$scratch/twins" --input "$scratch/broken"
expect_exit 1 "two labels of one name"
expect_stderr "adamix_config.json: label 'none' stands twice" "two labels of one name"
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/broken"
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
# A device is not replaced: a pipe that is read here stands for /dev/null.
mkfifo "$scratch/fifo"
timeout 20 cat "$scratch/fifo" > "$scratch/through" &
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/one-line" --output "$scratch/fifo"
expect_exit 0 "predict into a named pipe"
[ -p "$scratch/fifo" ] || kill $!
wait $!
expect "predict into a named pipe: the answer comes through" cmp -s "$scratch/kept" "$scratch/through"
expect "predict into a named pipe: it is still one" [ -p "$scratch/fifo" ]
run predict --model "$tiny" --adapter "$scratch/run" --input "$scratch/one-line" --output "$scratch"
expect_exit 1 "predict into a folder"
expect_stderr "cannot write $scratch: Is a directory" "predict into a folder"

# A pipe that stays open: each answer has to come before the next line.  What comes out is the reference of all that follows:
# alone in its batch, in an order that cannot be wrong.
make_data "$scratch/queries.tsv" 80 500
sed 1d "$scratch/queries.tsv" | cut -f 1 > "$scratch/queries"
mkfifo "$scratch/in" "$scratch/answers"
"$ADAMIX" predict --model "$tiny" --adapter "$scratch/run" < "$scratch/in" > "$scratch/answers" 2> "$scratch/err" &
child=$!
exec 3> "$scratch/in" 4< "$scratch/answers"
while read -r query && echo "$query" >&3 && read -r -t 20 answer <&4; do echo "$answer"; done \
  < "$scratch/queries" > "$scratch/alone"
expect "predict does not wait for more input" [ "$(wc -l < "$scratch/alone")" -eq 80 ]
exec 3>&-
status=0
wait "$child" || status=$?
expect_exit 0 "predict at the end of its input"

# numbers FILE - all numbers of its answers, one line an answer.
numbers () { grep -o '[{,].*' "$1" | sed 's/"[^"]*"/ /g; s/[^0-9.e+ -]/ /g'; }

# near A B - as many answers, and every number within 1e-5: single precision, summed in another order, printed to 6 digits.
near () {
  paste -d '|' <(numbers "$1") <(numbers "$2") | awk -F '|' '{
    n = split ($1, a, " ")
    if (!n || n != split ($2, b, " ")) exit bad = 1
    for (i = 1; i <= n; i++) if ((a[i] - b[i]) ^ 2 > 1e-10) exit bad = 1
  } END { exit bad || !NR }'
}
# Otherwise a wrong order could not be seen.
expect "neighbouring answers differ" awk -F '"score": ' '
  { split ($2, part, ","); if (NR > 1 && (part[1] - last) ^ 2 < 1e-9) same++; last = part[1] } END { exit same > 4 }' \
  "$scratch/alone"

# in_pieces BYTES - the queries, in pieces that a reader cannot but see.
in_pieces () {
  local size at=0
  size=$(wc -c < "$scratch/queries")
  while [ "$at" -lt "$size" ]; do
    tail -c "+$((at + 1))" "$scratch/queries" | head -c "$1"
    at=$((at + $1))
    sleep 0.02
  done
}

# expect_answers NAME OPTION... - what standard input gives, piece by piece, is what each line alone gave.
expect_answers () {
  local name=$1
  shift
  "$ADAMIX" predict --model "$tiny" --adapter "$scratch/run" "$@" > "$scratch/out" 2> "$scratch/err"
  expect "$name: the same answers in the same order" near "$scratch/out" "$scratch/alone"
}
expect_answers "all lines at once" --threads 1 < "$scratch/queries"
# Often enough that threads which write answers would meet in each other's.
repeat () { for _ in {1..25}; do cat "$1"; done; }
repeat "$scratch/queries" | "$ADAMIX" predict --model "$tiny" --adapter "$scratch/run" --threads 2 > "$scratch/out" \
  2> "$scratch/err"
expect "two threads: the same answers in the same order" near "$scratch/out" <(repeat "$scratch/alone")
# Whoever answers a piece, it is the same work.
repeat "$scratch/queries" > "$scratch/many"
for threads in 1 2 3; do
  run predict --model "$tiny" --adapter "$scratch/run" --threads "$threads" --input "$scratch/many" \
    --output "$scratch/by-$threads"
  expect "$threads threads: the same bytes" cmp "$scratch/by-1" "$scratch/by-$threads"
done
# Among the lines of a thread of its own: all before it are answered, none behind it.
LC_ALL=C sed $'1000s/^/\xff/' "$scratch/many" > "$scratch/bad-1000"
run predict --model "$tiny" --adapter "$scratch/run" --threads 2 --input "$scratch/bad-1000"
expect_exit 1 "a bad line among many"
expect_stderr "line 1000: not valid UTF-8 at byte 1" "a bad line among many"
expect "a bad line among many: what comes before it is answered" cmp "$scratch/out" <(head -n 999 "$scratch/by-1")
# Long texts share a batch with few others.
awk '{ printf "%s", $0; for (i = 0; i < 300; i++) printf " dog"; print "" }' "$scratch/queries" > "$scratch/wide"
run predict --model "$tiny" --adapter "$scratch/run" --threads 2 --input "$scratch/wide" --output "$scratch/wide-answers"
expect "80 long texts: as many answers" [ "$(wc -l < "$scratch/wide-answers")" -eq 80 ]
for i in 1 16 17 32 33 64 65 80; do
  run predict --model "$tiny" --adapter "$scratch/run" --threads 1 --input <(sed -n "${i}p" "$scratch/wide")
  expect "80 long texts: answer $i is that of its line alone" near "$scratch/out" <(sed -n "${i}p" "$scratch/wide-answers")
done
expect_answers "pieces that end within lines" --threads 1 < <(in_pieces 333)
expect_answers "no end of the last line" --threads 1 < <(head -c -1 "$scratch/queries")

# A line longer than what is read at a time, between two others.
{
  head -n 1 "$scratch/queries"
  printf 'cat %.0s' {1..50000}
  echo
  sed -n 2p "$scratch/queries"
} > "$scratch/long"
run predict --model "$tiny" --adapter "$scratch/run" --threads 1 < "$scratch/long"
expect "a long line: three answers" [ "$(wc -l < "$scratch/out")" -eq 3 ]
expect "a long line: its neighbours' answers" near <(sed 2d "$scratch/out") <(head -n 2 "$scratch/alone")

done_testing
