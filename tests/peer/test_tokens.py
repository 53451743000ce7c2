#!/usr/bin/env python3
"""Compare `adamix encode` with Hugging Face's tokenizers library, token for token.

Texts: all of glue (dev files) and banking77 below the data root, odd strings made from a seed, every code point alone and
between letters.  Tokenizers: the model folder's own, and variations of it (cased, accents kept, added tokens with
flags, vocab.txt instead of tokenizer.json).  Needs the Python package `tokenizers`.

    test_tokens.py --adamix PATH --model DIR --data DIR

The exit status is 0 if every line is equal.
"""
import argparse
import csv
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from tokenizers import AddedToken, Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.normalizers import BertNormalizer

LONG = 1000000  # more tokens than any text has
PAIRS = {"MNLI": (8, 9), "MRPC": (3, 4), "QNLI": (1, 2), "QQP": (3, 4), "RTE": (1, 2), "STS-B": (7, 8)}
SINGLES = {"CoLA": 3, "SST-2": 0}


def glue(root):
    for path in sorted(glob.glob(os.path.join(root, "glue", "*", "dev*.tsv"))):
        task = os.path.basename(os.path.dirname(path))
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        for row in rows:
            if task in PAIRS:
                first, second = PAIRS[task]
                yield row[first] + "\t" + row[second]
            else:
                yield row[SINGLES[task]]


def banking77(root):
    for name in ("train.csv", "test.csv"):
        with open(os.path.join(root, "banking77", name), encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                yield row[0].replace("\n", " ")  # a text is a line here; white space is all the same to the tokenizer


def code_points():
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000 or chr(point) in "\t\n":
            continue
        yield chr(point)
        yield "ab" + chr(point) + "ab c"


ODD = ["a", "the", "Ünïcödé", "ÀÉÎõü", " ", "  ", "\u00a0", "\u3000", "中文", "日本", "ｶﾀｶﾅ", "한국어", "\u0301", "\u0323", "e\u0301", "\u200b", "\u200d",
       "\ufeff", "\x00", "\x7f", "\x85", "\r", "\x1c", "👩‍👩‍👧", "🇩🇪", "שלום", "مرحبا", "हिन्दी", "ไทย", "İstanbul", "ΣΊΣΥΦΟΣ", "ß", "ﬁ", "½", "—", "…",
       "don't", "[MASK]", "[SEP]", "[CLS]", "[UNK]", "[PAD]", "[mask]", "##ing", "[", "]", "<extra>", "<Wide>", "new york", "$1,000.00", "x" * 99,
       "y" * 101, "é" * 100, "\U0001d15e", "\U0010ffff", "\ufffd", "Ǆ", "ŉ", "ǰ", "ẞ", "K", "Å", "\u037e", "\u1fef", "\u0f77", "\u1100\u1161\u11a8"]


def odd_strings(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        parts = [rng.choice(ODD) if rng.random() < 0.8 else chr(rng.choice([rng.randrange(32, 0x300), rng.randrange(0x300, 0xD800)]))
                 for _ in range(rng.randrange(0, 12))]
        text = rng.choice(["", " "]).join(parts)
        yield text.replace("\n", " ").replace("\t", " ") + ("\t" + rng.choice(ODD) if rng.random() < 0.2 else "")


def lengths(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        yield "a " * rng.randrange(0, 30) + "\t" + "b " * rng.randrange(0, 30)


def encode_here(tokenizer, line):
    first, tab, second = line.partition("\t")
    return tokenizer.encode(first, second).ids if tab else tokenizer.encode(first).ids


def compare(name, adamix, model, tokenizer, texts, length):
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if length < LONG:
        tokenizer.enable_truncation(length, strategy="longest_first")
    run = subprocess.run([adamix, "encode", "--model", model, "--max-length", str(length)], check=True, stdout=subprocess.PIPE,
                         input=("\n".join(texts) + "\n").encode())
    theirs = run.stdout.decode().split("\n")[:-1]
    bad = 0 if len(theirs) == len(texts) else 1
    if bad:
        print(f"  {len(texts)} texts gave {len(theirs)} lines")
    for text, line in zip(texts, theirs):
        ours = encode_here(tokenizer, text)
        if ours != [int(i) for i in line.split()]:
            bad += 1
            if bad <= 3:
                print(f"  {text!r}\n    adamix     {line}\n    tokenizers {' '.join(map(str, ours))}")
    print(f"{'ok' if bad == 0 else 'not ok'} {name}: {len(texts)} texts, {bad} differ", flush=True)
    return bad


def variations(model, folder):
    """(name, folder of a tokenizer, the library's reading of it)."""
    for name, flags in {"cased": (True, True, False, False), "accents kept": (True, True, False, True),
                        "cased, accents stripped": (True, True, True, False), "raw": (False, False, False, False)}.items():
        tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
        tokenizer.normalizer = BertNormalizer(*flags)
        yield save(name, folder, tokenizer)
    tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("<extra>", lstrip=True, normalized=False), AddedToken("New York", normalized=True),
                          AddedToken("don", single_word=True, normalized=True), AddedToken("<Wide>", rstrip=True, lstrip=True)])
    yield save("added tokens", folder, tokenizer)
    for lowercase in (True, False):
        where = os.path.join(folder, f"vocabulary-{lowercase}")
        os.makedirs(where)
        shutil.copy(os.path.join(model, "vocab.txt"), where)
        with open(os.path.join(where, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump({"do_lower_case": lowercase}, file)
        tokenizer = BertWordPieceTokenizer(os.path.join(where, "vocab.txt"), lowercase=lowercase)
        tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        yield f"vocab.txt, lowercase {lowercase}", where, tokenizer


def save(name, folder, tokenizer):
    where = os.path.join(folder, name.replace(" ", "-"))
    os.makedirs(where)
    tokenizer.save(os.path.join(where, "tokenizer.json"))
    return name, where, tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--adamix", "--model", "--data"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    own = Tokenizer.from_file(os.path.join(args.model, "tokenizer.json"))
    real = list(glue(args.data)) + list(banking77(args.data))
    odd = list(odd_strings(5000, 1))
    bad = compare("glue and banking77", args.adamix, args.model, own, real, LONG)
    bad += compare("glue and banking77, 128 tokens", args.adamix, args.model, own, real, 128)
    bad += compare("odd strings", args.adamix, args.model, own, odd, LONG)
    bad += compare("every code point", args.adamix, args.model, own, list(code_points()), LONG)
    for length in (3, 4, 5, 8, 17, 32):
        bad += compare(f"pairs, {length} tokens", args.adamix, args.model, own, list(lengths(400, length)), length)
    with tempfile.TemporaryDirectory() as folder:
        for name, where, tokenizer in variations(args.model, folder):
            bad += compare(f"odd strings, {name}", args.adamix, where, tokenizer, odd, LONG)
            bad += compare(f"every code point, {name}", args.adamix, where, tokenizer, list(code_points()), LONG)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
