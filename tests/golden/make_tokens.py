#!/usr/bin/env python3
"""Write tests/unit/text/golden_tokens.h: ids that Hugging Face's tokenizers library gives for a small vocabulary.

Needs the Python package `tokenizers`.  Usage: make_tokens.py > tests/unit/text/golden_tokens.h
"""
import json
import random

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

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


print("/* Made by tests/golden/make_tokens.py with Hugging Face's tokenizers library. */")
print("static const char *const golden_json[][2] = {")
for flags in FLAGS:
    print(f'  {{ "{flags}", {c_string(json.dumps(json.loads(tokenizer(flags).to_str()), separators=(",", ":")))} }},')
print("};\n\nstatic const golden_encoding golden[] = {")
for line in rows():
    print(line)
print("};")
