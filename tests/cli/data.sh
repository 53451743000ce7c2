# shellcheck shell=bash
# Sourced by tests that train: a tiny encoder and a small task that it can learn (is there a cat in the text?).
tiny=$ADAMIX_SOURCE/tests/golden/bert-tiny

# make_data FILE RECORDS FIRST - TSV with the columns text and label.
make_data () {
  awk -v records="$2" -v first="$3" 'BEGIN {
    n = split ("the a dog sat ran on under mat table and not very happy sad card bank money transfer top up my is", word, " ")
    print "text\tlabel"
    for (r = first; r < first + records; r++) {
      length_of = 3 + (r * 7) % 11
      text = ""
      for (i = 0; i < length_of; i++) text = text (i ? " " : "") word[1 + (r * r * 31 + i * 17 + int (r / 3)) % n]
      cat = r % 5 < 2
      if (cat) text = text " cat"
      print text "\t" (cat ? "cat" : "none")
    }
  }' > "$1"
}

make_data "$scratch/train.tsv" 90 0
make_data "$scratch/dev.tsv" 40 1000

# What every training of these tests has in common.  The pooler of a random encoder hardly tells texts apart, their mean
# does; one thread a rank, as many tests run at once.
base=(--model "$tiny" --train-file "$scratch/train.tsv" --dev-file "$scratch/dev.tsv" --rank 8 --lr 1e-2 --batch 16
  --max-length 32 --pool mean --dropout 0.02 --threads 1)
# Long enough to learn the task: 360 steps.
full=("${base[@]}" --epochs 60 --save-every 90 --keep 100)

# field FILE KEY - a number of a JSON file.
field () { sed -n "s/.*\"$2\": *\([-0-9.e+]*\),*\$/\1/p" "$1" | head -n 1; }

# close A B TOLERANCE - |A - B| <= TOLERANCE |B|
close () { awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; if (b < 0) b = -b; exit !(d <= t * b) }'; }

# without_times FILE - metrics.jsonl less what depends on the clock.
without_times () { sed 's/, "seconds".*//' "$1"; }

# Is this build one with ScaLAPACK?
has_scalapack () { grep -q "^#define HAVE_SCALAPACK 1" "$ADAMIX_BUILD/config.h"; }
