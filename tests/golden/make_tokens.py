#!/usr/bin/env python3
"""Write tests/unit/text/golden_tokens.h and golden_bpe.h: ids that Hugging Face's tokenizers library gives for small
vocabularies, a WordPiece one and a byte-level BPE.

Needs the Python package `tokenizers`.  Usage:
    make_tokens.py wordpiece > tests/unit/text/golden_tokens.h
    make_tokens.py bpe > tests/unit/text/golden_bpe.h
"""
import json
import random
import sys

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "##c", "ab", "##bc", "the", "cat", "##s", "s", "un", "##believ",
          "##able", "believ", "e", "##e", "É", "é", "##é", "cafe", "café", "i", "##i", "ı", "中", "文", "##文", "한", "##\u1161", "\u1112", "##\u11ab", ",", ".",
          "!", "-", "'", "don", "t", "[", "]", "—", "。", "1", "##2", "σ", "##ς", "##σ", "x", "##x", "new", "york", "mask", "##\u0307", "\u0c3c", "##\u0c3c", "\u1c8a", "\U00010d70"]
ADDED = [dict(content="<l>", lstrip=True, normalized=False), dict(content="<r>", rstrip=True, normalized=False), dict(content="<r>a", normalized=False),
         dict(content="<w>", single_word=True, normalized=False), dict(content="New York", normalized=True)]
FLAGS = {"uncased": (True, True, None, True), "cased": (True, True, None, False), "accents": (True, True, False, True), "strip": (True, True, True, False),
         "raw": (False, False, False, False)}
TEXTS = ["", " ", "the cats", "The CATS!", "unbelievable", "unbelievablex", "café CAFÉ cafe\u0301", "İ i\u0307 ı", "中文 a中b", "한 한글", "don't, — the. 。", "a\tb\nc\rab\u3000abc",
         "a\u200bb\u00adc", "a\x00b\x01c", "a\ufffdb", "a\x85b\x0bc", "[MASK] [mask] a[SEP]b", "[UNK][PAD][CLS]", "Σ σς ΣΑΣ", "x" * 100, "x" * 101, "é" * 100, "é" * 101,
         "a  <l>  b", "ab<l>c<r>ab", "a <r>  b", "<r>ab", "<w> a<w> <w>b (<w>)", "new york NEW YORK New\u00a0York", "a\u0c3cb \u0898a", "\u1c89 \U00010d50", "\u037e\u1fef\u2e43", "\U0010ffff a \U000e0001b",
         "12", "##a", "a##b", "\u0301\u0301", "e\u0301\u0323", "\ufeffthe"]


def tokenizer(flags):
    clean, cjk, strip, lower = FLAGS[flags]
    out = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]", max_input_chars_per_word=100))
    out.normalizer = normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=cjk, strip_accents=strip, lowercase=lower)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    out.add_special_tokens(PIECES[:5])
    out.add_tokens([AddedToken(**token) for token in ADDED])
    return out


def c_string(text):
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode()) + '"'


def row(flags, a, b, length, encoding):
    pair = f"{c_string(b)}, {len(b.encode())}" if b is not None else "NULL, 0"
    ids, types = ", ".join(map(str, encoding.ids)), ", ".join(map(str, encoding.type_ids))
    return f'  {{ "{flags}", {c_string(a)}, {len(a.encode())}, {pair}, {length}, {len(encoding.ids)}, (const int32_t[]){{ {ids} }}, (const int32_t[]){{ {types} }} }},'


def rows():
    for flags in FLAGS:
        for text in TEXTS:
            yield row(flags, text, None, 0, tokenizer(flags).encode(text))
    rng = random.Random(7)
    for _ in range(60):
        a, b = "a " * rng.randrange(0, 14), rng.choice([None, "b " * rng.randrange(0, 14)])
        length = rng.randrange(3, 16)
        cut = tokenizer("uncased")
        cut.enable_truncation(length)
        yield row("uncased", a, b, length, cut.encode(a, b))


HEAD = "/* Made by tests/golden/make_tokens.py with Hugging Face's tokenizers library. */"


def print_wordpiece():
    print(HEAD)
    print("static const char *const golden_json[][2] = {")
    for flags in FLAGS:
        print(f'  {{ "{flags}", {c_string(json.dumps(json.loads(tokenizer(flags).to_str()), separators=(",", ":")))} }},')
    print("};\n\nstatic const golden_encoding golden[] = {")
    for line in rows():
        print(line)
    print("};")


# ---- byte-level BPE ---------------------------------------------------------------------------------------------------

CORPUS = ["the cat sat on the mat and the cats sat there", "I don't think that they're here, we've been there; you'll see: I'm sure he'd say it's so",
          "unbelievable believers believe unbelievable things in 1999, 2000 and 2024", "aaaa aaaaaaaa abababab abcabcabc", "café naïve über größe 中文 中文字 日本",
          "  two  blanks   three    four\n\nlines\n\ttab", "x\u1c89x 7\U00010d417 x\u1c89x 7\U00010d417"]  # a letter and a digit that are new in Unicode
BPE_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
BPE_TEXTS = ["", " ", "  ", "\n", " \n ", "the cats", " the  cats ", "the\tcats\n\nsat", "I don't, you'll; they're we've I'm he'd it's", "IT'S 's 't're'VE ''s '", "1999 and20 x2024y ½³", "café naïve",
             "cafe\u0301 \u0301\u0301", "中文中 文字", "a\u00a0b \u00a0 c\u3000\u3000d", "a\u0085b\u200bc\ufeff", "\U0001f469\u200d\U0001f469 \U0001f1e9\U0001f1ea", "\u1c89 \U00010d40 \U0002ebf0",
             "\x00\x01 \x7f", "\r\n\r\n x", "aaaaaaaaaaaaaaa", "abababababc", "unbelievable" * 9, "a" * 131, "<s>a</s>", "a <mask> b<mask>  <mask>c", "the<new>cat <new> x", "sat'll<mask>'s", "!!! ... ,.;: (the)",
             "\u0645\u0631\u062d\u0628\u0627 \u05e9", "\U0010ffff\ud7ff", "!?" * 40, " " * 70 + "the", "x\u1c89x7\U00010d417", "thecats thecats"]


def trained():
    """The tokens and merges of a small vocabulary; some bytes have no token, so that the unknown token shows."""
    out = Tokenizer(models.BPE())
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    missing = {"\u0122", "~"}  # bytes 0x80 and 0x7e
    out.train_from_iterator(CORPUS * 4, trainers.BpeTrainer(vocab_size=440, min_frequency=2, special_tokens=BPE_SPECIALS, show_progress=False,
                                                            initial_alphabet=[letter for letter in alphabet if letter not in missing]))
    model = json.loads(out.to_str())["model"]
    vocabulary = {**model["vocab"], "<mask>": len(model["vocab"]) + 3}  # ids may have holes
    return vocabulary, [tuple(merge) for merge in model["merges"]]


def bpe(variant, vocabulary, merges):
    ignore = variant == "ignore merges"
    known = {**vocabulary, "the ca": len(vocabulary) + 50, "\u0120thecats": len(vocabulary) + 51} if ignore else vocabulary
    out = Tokenizer(models.BPE(vocab=known, merges=merges, unk_token="<unk>" if variant == "unknown" else None, ignore_merges=ignore))
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=variant == "prefix", use_regex=variant != "unsplit")
    roberta = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    single = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)])
    out.post_processor = {"roberta": roberta, "prefix": roberta, "unknown": processors.Sequence([processors.ByteLevel(), single])}.get(variant, processors.ByteLevel())
    out.add_special_tokens(BPE_SPECIALS)
    out.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    out.add_tokens([AddedToken("<new>", rstrip=True)])
    return out


def bpe_rows(variant, own):
    for text in BPE_TEXTS:
        text = text.encode("utf-8", "ignore").decode()
        yield row(variant, text, None, 0, own.encode(text))
    yield row(variant, "the cat", "don't", 0, own.encode("the cat", "don't"))
    own.enable_truncation(9)
    yield row(variant, "the mat and the cats", "sat there I", 9, own.encode("the mat and the cats", "sat there I"))
    own.no_truncation()


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def macro(name, value):
    """JSON text without its brackets as a macro, ASCII only, in lines of a bearable length."""
    parts = json.dumps(value, separators=(",", ":"))[1:-1].split(",")
    lines = [",".join(parts[i:i + 12]) for i in range(0, len(parts), 12)]
    return f"#define {name} \\\n" + " \\\n".join("  " + quoted(line + ("," if i + 1 < len(lines) else "")) for i, line in enumerate(lines))


def json_text(own, vocabulary, merges):
    """tokenizer.json as a C string, vocabulary and merges left to the macros; tokens of this variation alone come first."""
    whole = json.loads(own.to_str())
    more = {token: i for token, i in whole["model"]["vocab"].items() if token not in vocabulary}
    assert len(whole["model"]["vocab"]) == len(more) + len(vocabulary) and [tuple(merge) for merge in whole["model"]["merges"]] == merges
    whole["model"]["vocab"], whole["model"]["merges"] = {**more, "VOCABULARY": 0}, ["MERGES"]
    text = quoted(json.dumps(whole, separators=(",", ":")))
    return text.replace('\\"VOCABULARY\\":0', '" GOLDEN_VOCABULARY "').replace('\\"MERGES\\"', '" GOLDEN_MERGES "')


def print_bpe():
    vocabulary, merges = trained()
    print(HEAD)
    print(macro("GOLDEN_VOCABULARY", vocabulary))
    print(macro("GOLDEN_MERGES", [" ".join(merge) for merge in merges]))
    print(f"static const char golden_merges_file[] = {c_string(chr(10).join(['#version: 0.2'] + [' '.join(merge) for merge in merges]) + chr(10))};")
    variants = {variant: bpe(variant, vocabulary, merges) for variant in ["roberta", "gpt2", "prefix", "unknown", "unsplit", "ignore merges"]}
    print("static const char *const golden_json[][2] = {")
    for variant, own in variants.items():
        print(f'  {{ "{variant}", {json_text(own, vocabulary, merges)} }},')
    print("};\n\nstatic const golden_encoding golden[] = {")
    for variant, own in variants.items():
        for line in bpe_rows(variant, own):
            print(line)
    print("};")


{"wordpiece": print_wordpiece, "bpe": print_bpe}[sys.argv[1]]()
