"""Every text of the GLUE and banking77 files as token ids: `adamix encode` beside Hugging Face's tokenizers."""
import os
import subprocess

import tap
import tasks
from tokenizers import Tokenizer

MODEL = os.environ.get("ADAMIX_MODEL")
LONG = 100000  # more tokens than any text has


def encode(lines):
    run = subprocess.run([os.environ["ADAMIX"], "encode", "--model", MODEL, "--max-length", str(LONG)],
                         input="".join(line + "\n" for line in lines).encode(), stdout=subprocess.PIPE, check=True)
    return [[int(i) for i in line.split()] for line in run.stdout.decode().split("\n")[:-1]]


def compare(task, split, tokenizer):
    path = tasks.file_of(tasks.folder(task), split)
    first, second, _ = tasks.read(task, path)
    # A text is a line here: the line feeds within banking77's texts become blanks, which is all the same to BERT.
    first = [text.replace("\n", " ") for text in first]
    pairs = list(zip(first, second)) if second else first
    theirs = [encoding.ids for encoding in tokenizer.encode_batch(pairs)]
    ours = encode([f"{a}\t{b}" for a, b in pairs] if second else pairs)
    wrong = [i for i in range(len(pairs)) if i >= len(ours) or ours[i] != theirs[i]]
    detail = "".join(f"{pairs[i]!r}\n  adamix     {ours[i]}\n  tokenizers {theirs[i]}\n" for i in wrong[:3] if i < len(ours))
    tap.ok(len(ours) == len(theirs) and not wrong, f"{task}: token ids of {len(pairs)} examples of {os.path.basename(path)}",
           f"{len(ours)} lines, {len(wrong)} differ\n{detail}")


def main():
    if not MODEL or not os.path.isdir(tasks.DATA):
        tap.skip("token ids of the tasks", "needs ADAMIX_MODEL and ADAMIX_DATA")
        tap.done()
    tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for task in tasks.TASKS:
        for split in ("train", "dev"):
            compare(task, split, tokenizer)
    tap.done()


main()
