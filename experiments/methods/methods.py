#!/usr/bin/env python3
"""All methods beside each other on mrpc and banking77: 3,000 training examples, the learning rate of each chosen on one grid.

    methods.py run --adamix PATH --model DIR --data DIR --work DIR [--jobs 1] [--threads 1] [--precision bf16]
    methods.py table
    methods.py write

For each task and method (methods.tsv) `run` trains once with every learning rate and takes the one that is best on examples
of the training file that neither train nor report; with that one it trains 3 seeds, which report on mrpc's dev file or
banking77's test file.  It makes those runs that results.jsonl does not hold yet, and can be stopped at any time.
mrpc trains on the first 3,000 records and chooses by the last 668.  banking77 is stored intent by intent: it trains on 3,000
evenly spaced records and chooses by 1,000 of the others.  `write` puts the table into docs/results.md, for which SciPy is needed.
"""
import argparse
import concurrent.futures
import csv
import json
import pathlib
import shutil
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import runs  # noqa: E402

RESULTS = HERE / "results.jsonl"
EXAMPLES, CHOOSING, SEEDS = 3000, 1000, 3
RATES = ["1e-4", "5e-4", "2e-3", "5e-3", "1e-2"]
KEY = ["task", "method", "lr", "seed", "stage"]
COMMON = ["--rank", "48", "--experts", "4", "--pool", "mean", "--batch", "32", "--save-every", "never", "--eval-every", "never",
          "--force"]
# task: (folder in the data, epochs, metrics that are reported: title and key)
TASKS = {
    "banking77": ("banking77", 6, [("accuracy", "test_accuracy")]),
    "mrpc": ("glue/MRPC", 4, [("accuracy", "eval_accuracy"), ("F1", "eval_f1")]),
}


def methods():
    """[(name, its options)]"""
    lines = (HERE / "methods.tsv").read_text().splitlines()
    return [(name, options.split()) for name, options in (line.split("\t") for line in lines if not line.startswith("#"))]


def read_banking77(source):
    """(head, records to train on, records to choose by), as text"""
    with open(source / "train.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    train = {i * len(rows) // EXAMPLES for i in range(EXAMPLES)}
    others = [row for i, row in enumerate(rows) if i not in train]
    return head, [rows[i] for i in sorted(train)], [others[i * len(others) // CHOOSING] for i in range(CHOOSING)]


def prepare_banking77(source, folder):
    head, train, choosing = read_banking77(source)
    for name, rows in ("train.csv", train), ("choosing.csv", choosing):
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head] + rows)
    shutil.copy(source / "test.csv", folder / "test.csv")
    return folder / "choosing.csv"


def prepare_mrpc(source, folder):
    head, *rows = (source / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in ("train.tsv", rows[:EXAMPLES]), ("choosing.tsv", rows[EXAMPLES:]):
        (folder / name).write_text(head + "".join(part), encoding="utf-8")
    shutil.copy(source / "dev.tsv", folder / "dev.tsv")
    return folder / "choosing.tsv"


def prepare(args):
    """{task: (folder, file to choose by)}"""
    out = {}
    for task, (path, *_) in TASKS.items():
        folder = pathlib.Path(args.work) / task
        folder.mkdir(parents=True, exist_ok=True)
        out[task] = folder, {"banking77": prepare_banking77, "mrpc": prepare_mrpc}[task](pathlib.Path(args.data) / path, folder)
    return out


def train(args, files, run, options):
    """The run's line for results.jsonl."""
    folder, choosing = files[run["task"]]
    name = "-".join(str(run[key]) for key in KEY)
    output = pathlib.Path(args.work) / name
    command = [args.adamix, "train", "--task", run["task"], "--model", args.model, "--data", str(folder), *COMMON, *options,
               "--epochs", str(TASKS[run["task"]][1]), "--lr", run["lr"], "--seed", str(run["seed"]), "--precision",
               args.precision, "--threads", str(args.threads), "--output", str(output)]
    if run["stage"] == "choose":
        command += ["--dev-file", str(choosing)]
    with open(f"{output}.log", "w", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=log)
    found, record = (json.loads((output / file).read_text()) for file in ("all_results.json", "run.json"))
    shutil.rmtree(output)
    kept = ("eval_accuracy", "eval_f1", "test_accuracy", "trainable_parameters", "merged_parameters", "train_flops")
    return run | {"precision": args.precision, "revision": record["revision"]} | {key: found[key] for key in kept if key in found}


def chosen(lines, task, method):
    """The learning rate that is best where it is chosen, the smaller one of two; None: not all were tried."""
    tried = {line["lr"]: line["eval_accuracy"] for line in lines
             if (line["task"], line["method"], line["stage"]) == (task, method, "choose")}
    return max(RATES, key=lambda rate: tried[rate]) if len(tried) == len(RATES) else None


def wanted(lines):
    """Runs that are to be made next: all learning rates, then the seeds of what was chosen."""
    have = {tuple(line[key] for key in KEY) for line in lines}
    for task in TASKS:
        for method, options in methods():
            rate = chosen(lines, task, method)
            cells = [(lr, 0, "choose") for lr in RATES] if rate is None else [(rate, seed, "report") for seed in range(SEEDS)]
            for lr, seed, stage in cells:
                run = dict(zip(KEY, (task, method, lr, seed, stage)))
                if tuple(run.values()) not in have:
                    yield run, options


def run_grid(args):
    files, lock = prepare(args), threading.Lock()

    def one(run, options):
        line = train(args, files, run, options)
        with lock:
            runs.keep(RESULTS, line)
        print(*(line[key] for key in KEY), flush=True)

    while todo := list(wanted(runs.read(RESULTS))):
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for future in [pool.submit(one, *run) for run in todo]:
                future.result()


def row_of(lines, task, method):
    """None: there is nothing to tell yet."""
    rate = chosen(lines, task, method)
    own = [line for line in lines if tuple(line[key] for key in ("task", "method", "lr", "stage")) == (task, method, rate, "report")]
    if not own:
        return None
    cells = []
    for _, key in TASKS[task][2]:
        mean, deviation, half = runs.interval([100 * line[key] for line in own])
        cells.append(f"{mean:.2f}, {deviation:.2f}, ± {half:.2f}" if len(own) > 1 else f"{mean:.2f}")
    flops = own[0].get("train_flops")
    return [task, method, rate, f"{own[0]['merged_parameters']:,}", str(len(own)), *(cells + [""])[:2],
            f"{flops / 1e12:.1f}" if flops else ""]


def text():
    lines = runs.read(RESULTS)
    rows = [row for task in TASKS for method, _ in methods() if (row := row_of(lines, task, method))]
    head = ["task", "method", "lr", "parameters", "n", "accuracy: mean, sd, 95 %", "F1: mean, sd, 95 %", "train TFLOP"]
    return runs.table(head, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    for option in ("adamix", "model", "data", "work"):
        run.add_argument(f"--{option}", required=True)
    run.add_argument("--jobs", type=int, default=1)
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--precision", default="bf16")
    run.set_defaults(do=run_grid)
    commands.add_parser("table").set_defaults(do=lambda _: print(text(), end=""))
    commands.add_parser("write").set_defaults(
        do=lambda _: runs.put(HERE.parent.parent / "docs" / "results.md", "methods.py", text()))
    args = parser.parse_args()
    args.do(args)


main()
