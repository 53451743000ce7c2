"""The tasks' data files, read in Python without looking at how adamix reads them."""
import csv
import os

DATA = os.environ.get("ADAMIX_DATA", "")

# task: folder, text column, column of the pair's second text, label column, class names in the order of class numbers.
# Columns are names of the header line, or numbers where there is none.
GLUE = {
    "cola": ("CoLA", 3, None, 1, ["0", "1"]),
    "mnli": ("MNLI", "sentence1", "sentence2", "gold_label", ["entailment", "neutral", "contradiction"]),
    "mrpc": ("MRPC", "#1 String", "#2 String", "Quality", ["0", "1"]),
    "qnli": ("QNLI", "question", "sentence", "label", ["entailment", "not_entailment"]),
    "qqp": ("QQP", "question1", "question2", "is_duplicate", ["0", "1"]),
    "rte": ("RTE", "sentence1", "sentence2", "label", ["entailment", "not_entailment"]),
    "sst2": ("SST-2", "sentence", None, "label", ["0", "1"]),
    "stsb": ("STS-B", "sentence1", "sentence2", "score", None),
}
TASKS = [*GLUE, "banking77"]
KSHOT_SEEDS = (13, 21, 42, 87, 100)


def folder(task, kshot_seed=None):
    """Where the files of a task are; with a seed, those of its 16-shot split."""
    if task == "banking77":
        return os.path.join(DATA, "banking77")
    if kshot_seed is None:
        return os.path.join(DATA, "glue", GLUE[task][0])
    return os.path.join(DATA, "glue_kshot", GLUE[task][0], f"16-{kshot_seed}")


def file_of(where, split):
    """The file of the split train or dev in a task's folder."""
    names = {"train": ["train.tsv", "train_subset.tsv", "train.csv"],
             "dev": ["dev.tsv", "dev_matched.tsv", "dev_holdout.tsv", "test.csv"]}[split]
    return next(os.path.join(where, name) for name in names if os.path.exists(os.path.join(where, name)))


def lines_of(path):
    """Lines of a tab-separated file, without the line feeds and a leading byte-order mark."""
    with open(path, "rb") as file:
        content = file.read()
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8").removesuffix("\n").split("\n")


def read(task, path):
    """(first texts, second texts or None, labels as they stand in the file, one list each."""
    if task == "banking77":
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        return [row[0] for row in rows], None, [row[1] for row in rows]
    _, text, pair, label, _ = GLUE[task]
    rows = [line.split("\t") for line in lines_of(path)]
    header = rows.pop(0) if isinstance(text, str) else list(range(len(rows[0])))
    column = {name: header.index(name) for name in (text, pair, label) if name is not None}
    return ([row[column[text]] for row in rows], [row[column[pair]] for row in rows] if pair else None,
            [row[column[label]] for row in rows])


def classes(task):
    """Class names in the order of class numbers, None for a regression."""
    if task == "banking77":
        return sorted(set(read(task, file_of(folder(task), "train"))[2]), key=str.encode)
    return GLUE[task][4]
