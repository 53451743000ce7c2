#!/usr/bin/env python3
"""Write src/text/unicode_exceptions.c: where Hugging Face's tokenizers reads a code point otherwise than utf8proc does.

Needs the Python package `tokenizers` and the shared library of utf8proc.  Usage:
    make_unicode_exceptions.py [path of libutf8proc.so] > src/text/unicode_exceptions.c
"""
import ctypes
import sys

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

utf8proc = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libutf8proc.so.2")
utf8proc.utf8proc_category_string.restype = ctypes.c_char_p
utf8proc.utf8proc_version.restype = ctypes.c_char_p
utf8proc.utf8proc_unicode_version.restype = ctypes.c_char_p


def bert(**on):
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**flags, **on})


CLEAN, STRIP, LOWER = bert(clean_text=True), bert(strip_accents=True), bert(lowercase=True)
SPLIT = pre_tokenizers.BertPreTokenizer()
WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False)
ALONE = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
ALONE.add_tokens([AddedToken("<w>", single_word=True)])
SPACES = {*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
ALWAYS_DROPPED = {0, 0xFFFD}  # whatever their category


def expected(point):
    category = utf8proc.utf8proc_category_string(point).decode()
    if category == "Mn":
        return "MARK"
    if category in ("Cc", "Cf", "Co"):
        return "CONTROL"
    return "PUNCTUATION" if category[0] == "P" else "OTHER"


def observed(point):
    text = "a" + chr(point) + "b"
    if CLEAN.normalize_str(text) == "ab":
        return "CONTROL"
    if len(SPLIT.pre_tokenize_str(text)) == 3:
        return "PUNCTUATION"
    return "MARK" if STRIP.normalize_str(text) == "ab" else "OTHER"


def expected_letter(point):
    return {"L": "", "N": "_NUMBER"}.get(utf8proc.utf8proc_category_string(point).decode()[0], "_NONE")


def observed_letter(point):
    """The end of the name of its adamix_letter_class."""
    for neighbour, name in {"a": "", "1": "_NUMBER", "!": "_NONE"}.items():
        if len(WORDS.pre_tokenize_str(neighbour + chr(point) + neighbour)) == 1:
            return name
    return "_SPACE"


WORD_EXTRAS = {0x200C, 0x200D, *range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)}


def expected_word(point):
    category = utf8proc.utf8proc_category_string(point).decode()
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or point in WORD_EXTRAS


def observed_word(point):
    """A token that stands alone is not found beside a character of a word."""
    return ALONE.token_to_id("<w>") not in ALONE.encode(chr(point) + "<w>").ids


def rows_of(observed, expected, left_out):
    rows = []
    for point in range(0x80, 0x110000):
        if 0xD800 <= point < 0xE000 or point in left_out:
            continue
        # A mark that decomposes into marks vanishes as well, so that `observed` holds for it too.
        is_, should = observed(point), expected(point)
        if is_ == should:
            continue
        if rows and rows[-1][1] == point - 1 and rows[-1][2] == is_:
            rows[-1][1] = point
        else:
            rows.append([point, point, is_])
    return rows


def lower_rows():
    rows = []
    for point in range(0x80, 0x110000):
        if 0xD800 <= point < 0xE000 or point == 0x130:
            continue
        lower = LOWER.normalize_str(chr(point))
        assert len(lower) == 1, hex(point)
        shift = ord(lower) - point
        if ord(lower) == utf8proc.utf8proc_tolower(point):
            continue
        if rows and rows[-1][1] == point - 1 and rows[-1][2] == shift:
            rows[-1][1] = point
        else:
            rows.append([point, point, shift])
    return rows


def table(kind, rows, cell):
    print(f"\nconst adamix_{kind}_exception adamix_{kind}_exceptions[] = {{")
    for first, last, value in rows:
        print(f"  {{ 0x{first:x}, 0x{last:x}, {cell(value)} }},")
    print("};")
    print(f"const int adamix_{kind}_exception_count = (int) (sizeof adamix_{kind}_exceptions / sizeof adamix_{kind}_exceptions[0]);")


print("/* Made by tests/peer/make_unicode_exceptions.py from utf8proc %s (Unicode %s): code points that the tokenizers library\n"
      " * reads otherwise, because the tables of its normalizer are older, its case table and its regular expressions newer. */"
      % (utf8proc.utf8proc_version().decode(), utf8proc.utf8proc_unicode_version().decode()))
print('#include "text/unicode.h"')
table("class", rows_of(observed, expected, SPACES | ALWAYS_DROPPED), lambda is_: f"ADAMIX_CHAR_{is_}")
table("letter", rows_of(observed_letter, expected_letter, SPACES), lambda is_: f"ADAMIX_LETTER{is_}")
table("word", rows_of(observed_word, expected_word, set()), lambda is_: str(is_).lower())
table("lower", lower_rows(), str)
