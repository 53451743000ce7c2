"""Every file of the tasks as adamix reads it: token ids beside Hugging Face's tokenizers, and what a run counts.

The counts are those that run.json has of the training and dev files: examples, tokens, texts that were cut or empty.
"""
import os

import encoders
import runs
import tap
import tasks
from tokenizers import Tokenizer

MAX_LENGTH = 128
LONG = 100000  # more tokens than any text has


def encode(lines):
    out, _ = runs.adamix("encode", "--model", runs.MODEL, "--max-length", LONG,
                         stdin="".join(line + "\n" for line in lines).encode())
    return [[int(i) for i in line.split()] for line in out.split("\n")[:-1]]


def read(task, path, tokenizer):
    """(texts or pairs, their ids by tokenizers)."""
    first, second, _ = tasks.read(task, path)
    pairs = list(zip(first, second)) if second else first
    return pairs, [encoding.ids for encoding in tokenizer.encode_batch(pairs)]


def compare_ids(task, path, pairs, theirs):
    # A text is a line here: the line breaks within banking77's texts become blanks, which is all the same to BERT.
    lines = ["\t".join(pair) if isinstance(pair, tuple) else " ".join(pair.splitlines()) for pair in pairs]
    ours = encode(lines)
    wrong = [i for i in range(len(pairs)) if i >= len(ours) or ours[i] != theirs[i]]
    detail = "".join(f"{pairs[i]!r}\n  adamix     {ours[i]}\n  tokenizers {theirs[i]}\n" for i in wrong[:3] if i < len(ours))
    tap.ok(len(ours) == len(theirs) and not wrong, f"{task}: token ids of {len(pairs)} examples of {os.path.basename(path)}",
           f"{len(ours)} lines, {len(wrong)} differ\n{detail}")


def counts_of(pairs, ids):
    return {"examples": len(ids), "tokens": sum(min(len(row), MAX_LENGTH) for row in ids),
            "truncated": sum(len(row) > MAX_LENGTH for row in ids),
            "empty": sum(not all(text.strip() for text in ([pair] if isinstance(pair, str) else pair)) for pair in pairs)}


def expect_counts(name, counted, expected):
    """`counted` is a file's entry in run.json."""
    ours = {key: counted[key] for key in expected}
    tap.ok(ours == expected, name, f"adamix {ours}\npeer   {expected}")


def run_of(task, data, where):
    """run.json's section on the data after the shortest of runs."""
    runs.train(task, data, where, "--method", "head", "--batch", 8, "--max-steps", 1)
    return runs.load(where, "run.json")["data"]


def check_file(task, split, tokenizer):
    """A whole file: its ids, and its counts as a training file beside a small one for the evaluation."""
    path = tasks.file_of(tasks.folder(task), split)
    pairs, ids = read(task, path, tokenizer)
    compare_ids(task, path, pairs, ids)
    with encoders.scratch() as where:
        data, small = os.path.join(where, "data"), os.path.join(where, "data", os.path.basename(tasks.file_of(tasks.folder(task), "dev")))
        os.makedirs(data)
        os.symlink(path, os.path.join(data, os.path.basename(tasks.file_of(tasks.folder(task), "train"))))
        with open(path, "rb") as file, open(small, "wb") as out:
            out.writelines(line for line, _ in zip(file, range(9)))
        expect_counts(f"{task}: a run's counts of {os.path.basename(path)}", run_of(task, data, os.path.join(where, "run"))["train"],
                      counts_of(pairs, ids))


def check_splits(task, tokenizer):
    """The 16-shot splits: 16 examples a class (32 of STS-B), in train and dev."""
    expected = 16 * len(tasks.classes(task) or [0, 1])
    for seed in tasks.KSHOT_SEEDS:
        data = tasks.folder(task, seed)
        with encoders.scratch() as where:
            counted = run_of(task, data, os.path.join(where, "run"))
        for split in ("train", "dev"):
            counts = counts_of(*read(task, tasks.file_of(data, split), tokenizer))
            tap.ok(counts["examples"] == expected, f"{task}, 16-{seed}, {split}: {expected} examples", counts)
            expect_counts(f"{task}, 16-{seed}, {split}: a run's counts", counted[split], counts)


def main():
    if not runs.MODEL or not os.path.isdir(tasks.DATA):
        tap.skip("the tasks' files", "needs ADAMIX_MODEL and ADAMIX_DATA")
        tap.done()
    tokenizer = Tokenizer.from_file(os.path.join(runs.MODEL, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for task in tasks.TASKS:
        for split in ("train", "dev"):
            check_file(task, split, tokenizer)
    for task in tasks.GLUE:
        check_splits(task, tokenizer)
    tap.done()


main()
