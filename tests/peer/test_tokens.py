"""Token ids beside Hugging Face's tokenizers and transformers: all data files, every code point in many places, odd strings,
settings of all kinds; and how much faster."""
import csv
import glob
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile

import numpy
import tap
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.normalizers import BertNormalizer
from transformers import GPT2Tokenizer, RobertaTokenizer

DATA, MODEL = os.environ.get("ADAMIX_DATA", ""), os.environ.get("ADAMIX_MODEL", "")
PROGRAM = os.path.join(os.environ["ADAMIX_BUILD"], "tests", "peer", "encode_records")
ROBERTA, GPT2 = os.path.join(DATA, "vocab", "roberta-base"), os.path.join(DATA, "vocab", "gpt2")
FASTER = 10  # times, at least


# ---- both sides -----------------------------------------------------------------------------------------------------


def pack(texts):
    out = []
    for text in texts:
        a, b = text if isinstance(text, tuple) else (text, None)
        a, b = a.encode(), None if b is None else b.encode()
        out += [struct.pack("=qq", len(a), -1 if b is None else len(b)), a, b or b""]
    return b"".join(out)


def encode_here(model, packed, length=0):
    """Ids of all texts in one array, each text's number of ids before them; seconds."""
    run = subprocess.run([PROGRAM, model, str(length)], input=packed, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if run.returncode:
        return numpy.zeros(0, numpy.int32), run.stderr.decode()
    return numpy.frombuffer(run.stdout, numpy.int32), float(run.stderr)


def encode_there(tokenizer, texts, batch=4096):
    """The same of the library; in parts, since its encodings hold much more than ids."""
    parts = [numpy.zeros(0, numpy.int32)]
    for i in range(0, len(texts), batch):
        out = []
        for encoding in tokenizer.encode_batch_fast(texts[i:i + batch]):
            out.append(len(encoding))
            out += encoding.ids
        parts.append(numpy.array(out, numpy.int32))
    return numpy.concatenate(parts)


def differences(texts, ours, theirs):
    i = j = 0
    for text in texts:
        n, m = (int(ours[i]) if i < len(ours) else 0), int(theirs[j])
        a, b = ours[i + 1:i + 1 + n].tolist(), theirs[j + 1:j + 1 + m].tolist()
        i, j = i + 1 + n, j + 1 + m
        if a != b:
            yield f"{text!r:.200}\n  adamix     {str(a):.200}\n  tokenizers {str(b):.200}"


def compare(name, model, tokenizer, texts, length=0):
    texts = list(texts)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if length:
        tokenizer.enable_truncation(length, strategy="longest_first")
    ours, message = encode_here(model, pack(texts), length)
    theirs = encode_there(tokenizer, texts)
    same = numpy.array_equal(ours, theirs)
    bad = [] if same else list(differences(texts, ours, theirs))
    tap.ok(same and len(texts) > 0, f"{name}: {len(texts)} texts, {len(theirs) - len(texts)} ids",
           f"{len(bad)} differ; {message}\n" + "\n".join(bad[:3]))


# ---- texts ----------------------------------------------------------------------------------------------------------


def strings_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings_in(part)


def fields_of(path, text):
    if path.endswith(".json"):
        yield from strings_in(json.loads(text))
    elif path.endswith(".csv"):
        for row in csv.reader(text.splitlines(keepends=True)):
            yield from row
    elif path.endswith(".tsv"):
        for line in text.split("\n"):
            yield from line.split("\t")


def data_texts(*folders):
    """Every line of every file and every field in it, each text once."""
    seen = {}
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(DATA, folder, "**", "*.*"), recursive=True)):
            with open(path, encoding="utf-8", newline="") as file:
                text = file.read()
            seen.update(dict.fromkeys(text.split("\n")))
            seen.update(dict.fromkeys(fields_of(path, text)))
    return list(seen)


POINTS = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
PLACES = {"between letters": "a{0}b", "after a blank": "a {0} {0}b", "among digits": "1{0}2 {0}3{0}", "doubled": "{0}{0}x !{0}{0}!", "after a mark": "e\u0301{0}a",
          "before marks": "{0}\u0301\u0323b", "in an emoji sequence": "\U0001f469\u200d{0}\u200d\U0001f469 {0}\ufe0f{0}\u20e3", "among flags": "\U0001f1e9{0}\U0001f1ea",
          "right to left": "\u05e9{0}\u0645 {0}\u0644", "among controls": "\x01{0}\x00{0}\x7f", "at ends of lines": "{0}\r\n{0}\n\n{0}\t{0} \n", "at an apostrophe": "a'{0}'s {0}'ll {0}"}


def points_in(place, together=48):
    """Texts of some code points each, since a text alone takes the library longer than what is in it."""
    for i in range(0, len(POINTS), together):
        yield " .".join(place.format(point) for point in POINTS[i:i + together])


ODD = ["a", "the", "Ünïcödé", "ÀÉÎõü", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "中文", "日本", "ｶﾀｶﾅ", "한국어", "\u0301", "\u0323", "e\u0301", "\u200b", "\u200d", "\ufeff", "\x00",
       "\x7f", "\x85", "\r", "\x1c", "👩‍👩‍👧", "🇩🇪", "❤️", "1️⃣", "שלום", "مرحبا", "हिन्दी", "ไทย", "İstanbul", "ΣΊΣΥΦΟΣ", "ß", "ﬁ", "½", "—", "…", "don't", "they're", "I'M", "we'll've", "''d",
       "[MASK]", "[SEP]", "[CLS]", "[UNK]", "[PAD]", "[mask]", "##ing", "[", "]", "<s>", "</s>", "<mask>", "<pad>", "<unk>", "<|endoftext|>", "<extra>", "<Wide>", "<alone>", "new york", "New York", "$1,000.00",
       "x" * 99, "y" * 101, "é" * 100, "\U0001d15e", "\U0010ffff", "\ufffd", "Ǆ", "ŉ", "ǰ", "ẞ", "K", "Å", "\u037e", "\u1fef", "\u0f77", "\u1100\u1161\u11a8", "\u1c89", "\U00010d41"]


def odd_strings(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        parts = [rng.choice(ODD) if rng.random() < 0.8 else rng.choice(POINTS[:0x3000] if rng.random() < 0.7 else POINTS) for _ in range(rng.randrange(0, 14))]
        text = rng.choice(["", " "]).join(parts)
        yield (text, rng.choice(ODD)) if rng.random() < 0.2 else text


def long_words(seed):
    rng = random.Random(seed)
    for letters in ("ab", "aeinorst", "=-", "é中", "".join(POINTS[32:127])):
        for length in (40, 47, 48, 49, 50, 200, 5000, 100000):
            yield "".join(rng.choice(letters) for _ in range(length))


def lengths(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        yield "a " * rng.randrange(0, 30), "b " * rng.randrange(0, 30)


# ---- tokenizers -----------------------------------------------------------------------------------------------------


def bpe(vocabulary, merges, specials, **settings):
    tokenizer = Tokenizer(models.BPE.from_file(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **settings})
    tokenizer.add_special_tokens(specials)
    return tokenizer


def roberta(**settings):
    tokenizer = bpe(os.path.join(ROBERTA, "vocab.json"), os.path.join(ROBERTA, "merges.txt"), ["<s>", "<pad>", "</s>", "<unk>"], **settings)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def gpt2():
    return bpe(os.path.join(GPT2, "encoder.json"), os.path.join(GPT2, "vocab.bpe"), ["<|endoftext|>"])


def save(name, folder, tokenizer):
    where = os.path.join(folder, name.replace(" ", "-"))
    os.makedirs(where)
    tokenizer.save(os.path.join(where, "tokenizer.json"))
    return name, where, tokenizer


def wordpiece_variations(folder):
    """(name, folder, the library's tokenizer)"""
    own = os.path.join(MODEL, "tokenizer.json")
    for name, flags in {"cased": (True, True, False, False), "accents kept": (True, True, False, True), "cased, accents stripped": (True, True, True, False),
                        "raw": (False, False, False, False)}.items():
        tokenizer = Tokenizer.from_file(own)
        tokenizer.normalizer = BertNormalizer(*flags)
        yield save(name, folder, tokenizer)
    tokenizer = Tokenizer.from_file(own)
    tokenizer.add_tokens([AddedToken("<extra>", lstrip=True, normalized=False), AddedToken("New York", normalized=True), AddedToken("<alone>", single_word=True, normalized=True),
                          AddedToken("<Wide>", rstrip=True, lstrip=True)])
    yield save("added tokens", folder, tokenizer)
    for lowercase in (True, False):
        where = os.path.join(folder, f"vocabulary-{lowercase}")
        os.makedirs(where)
        shutil.copy(os.path.join(MODEL, "vocab.txt"), where)
        with open(os.path.join(where, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump({"do_lower_case": lowercase}, file)
        tokenizer = BertWordPieceTokenizer(os.path.join(where, "vocab.txt"), lowercase=lowercase)
        tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        yield f"vocab.txt, lowercase {lowercase}", where, tokenizer._tokenizer


def bpe_variations(folder):
    yield save("roberta", folder, roberta())
    yield save("roberta, prefix space", folder, roberta(add_prefix_space=True))
    yield save("roberta, unsplit", folder, roberta(use_regex=False))
    tokenizer = roberta()
    tokenizer.add_tokens([AddedToken("<extra>", lstrip=True, normalized=False), AddedToken("New York", normalized=True), AddedToken("<alone>", single_word=True), AddedToken("<Wide>", rstrip=True)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single="<s> $A", pair="<s> $A </s> $B:1", special_tokens=[("<s>", 0), ("</s>", 2)])])
    yield save("roberta, added tokens", folder, tokenizer)
    tokenizer = gpt2()
    tokenizer.model = models.BPE.from_file(os.path.join(GPT2, "encoder.json"), os.path.join(GPT2, "vocab.bpe"), ignore_merges=True)
    yield save("gpt2, merges ignored", folder, tokenizer)


SETTINGS = {
    "bare": {},
    "configured": {"tokenizer_config.json": {"add_prefix_space": True, "mask_token": {"content": "<mask>", "lstrip": True, "single_word": False, "rstrip": False, "normalized": True,
                                                                                      "__type": "AddedToken"}, "additional_special_tokens": ["<extra>"]}},
    "mapped": {"special_tokens_map.json": {"mask_token": {"content": "<mask>", "lstrip": True, "single_word": False, "rstrip": False, "normalized": False}, "sep_token": "</s>"}},
    "added": {"added_tokens.json": {"<Wide>": 50266, "<extra>": 50265}},
    "listed": {"tokenizer_config.json": {"added_tokens_decoder": {"50264": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False, "special": True},
                                                                  "50265": {"content": "<extra>", "lstrip": False, "rstrip": True, "single_word": True, "normalized": True, "special": False}}}},
}


def fill_holes(path):
    """The shared vocabulary of RoBERTa lacks its fillers, and into such holes the library numbers new tokens in an order of its own."""
    with open(path, encoding="utf-8") as file:
        vocabulary = json.load(file)
    missing = set(range(max(vocabulary.values()))) - set(vocabulary.values())
    vocabulary.update({f"madeupword{i:04}": number for i, number in enumerate(sorted(missing))})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(vocabulary, file)


def transformers_variations(folder):
    """Folders as transformers reads them."""
    for source, names, kind in ((ROBERTA, ("vocab.json", "merges.txt"), RobertaTokenizer), (GPT2, ("encoder.json", "vocab.bpe"), GPT2Tokenizer)):
        for name, files in SETTINGS.items():
            where = os.path.join(folder, f"{kind.__name__}-{name}")
            os.makedirs(where)
            for old, new in zip(names, ("vocab.json", "merges.txt")):
                shutil.copy(os.path.join(source, old), os.path.join(where, new))
            fill_holes(os.path.join(where, "vocab.json"))
            files = {**files, "config.json": {"model_type": os.path.basename(source).split("-")[0]}}
            for file_name, content in files.items():
                with open(os.path.join(where, file_name), "w", encoding="utf-8") as file:
                    json.dump(content, file)
            yield f"{kind.__name__}, {name}", where, kind.from_pretrained(where).backend_tokenizer


# ---- speed ----------------------------------------------------------------------------------------------------------


SPEED = """
import json, os, sys, time
os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.no_padding()
tokenizer.no_truncation()
texts = json.load(sys.stdin)
def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
print(min(seconds(lambda: tokenizer.encode_batch(texts)), seconds(lambda: tokenizer.encode_batch_fast(texts)), seconds(lambda: [tokenizer.encode(text) for text in texts])))
"""


def speed(name, model, file, texts, rounds=5):
    """Time of the calls that encode, one thread each: the fastest of the library's ways against ours, side by side."""
    ratios, packed, theirs_input = [], pack(texts), json.dumps(texts).encode()
    for _ in range(rounds):
        _, ours = encode_here(model, packed)
        theirs = float(subprocess.run([sys.executable, "-c", SPEED, file], input=theirs_input, stdout=subprocess.PIPE, check=True).stdout)
        ratios.append(theirs / ours)
    ratio = statistics.median(ratios)
    size = sum(len(text.encode()) for text in texts) / 1e6
    tap.ok(ratio >= FASTER, f"{name}: {ratio:.1f} times as fast as tokenizers on {size:.1f} MB (at least {FASTER} wanted)", f"ratios {ratios}")


# ---- the whole ------------------------------------------------------------------------------------------------------


def test_wordpiece(folder, texts, odd):
    own = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
    compare("WordPiece, all data files", MODEL, own, texts)
    compare("WordPiece, 128 tokens", MODEL, own, texts[::20], 128)
    compare("WordPiece, odd strings", MODEL, own, odd)
    compare("WordPiece, every code point alone", MODEL, own, POINTS)
    for name, place in PLACES.items():
        compare(f"WordPiece, every code point {name}", MODEL, own, points_in(place))
    for length in (3, 4, 5, 8, 17, 32):
        compare(f"WordPiece, pairs of {length} tokens", MODEL, own, lengths(400, length), length)
    for name, where, tokenizer in wordpiece_variations(folder):
        compare(f"WordPiece {name}, odd strings", where, tokenizer, odd)
        compare(f"WordPiece {name}, every code point between letters", where, tokenizer, points_in("a{0}b"))
        if name == "added tokens":
            compare(f"WordPiece {name}, every code point beside them", where, tokenizer, points_in("a{0}<alone>{0} {0}<Wide>{0} {0}<extra>"))


def test_bpe(folder, texts, odd):
    own = roberta()
    own.add_special_tokens(["<mask>"])
    own = save("own", folder, own)
    compare("BPE, all data files", own[1], own[2], texts)
    compare("BPE of GPT-2, data files", GPT2, gpt2(), texts[::10])
    compare("BPE, long words", own[1], own[2], long_words(3))
    compare("BPE, every code point alone", own[1], own[2], POINTS)
    for name, place in PLACES.items():
        compare(f"BPE, every code point {name}", own[1], own[2], points_in(place))
    for length in (4, 5, 8, 17):
        compare(f"BPE, pairs of {length} tokens", own[1], own[2], lengths(400, length), length)
    for name, where, tokenizer in [*bpe_variations(folder), *transformers_variations(folder)]:
        compare(f"BPE {name}, odd strings", where, tokenizer, odd)


def main():
    if not os.path.isdir(MODEL) or not os.path.isdir(ROBERTA):
        tap.skip("token ids and speed", "needs ADAMIX_MODEL and ADAMIX_DATA")
        tap.done()
    odd = list(odd_strings(5000, 1))
    texts = data_texts("glue", "glue_kshot", "banking77", "nlg")
    with tempfile.TemporaryDirectory() as folder:
        test_wordpiece(folder, texts, odd)
        test_bpe(folder, texts, odd)
        sample = data_texts("glue", "nlg")[::60]
        speed("WordPiece", MODEL, os.path.join(MODEL, "tokenizer.json"), sample)
        speed("BPE", os.path.join(folder, "own"), os.path.join(folder, "own", "tokenizer.json"), sample)
    tap.done()


main()
