#!/usr/bin/env python3
"""Accuracy of adamix and of the PyTorch peer on real data: a grid of runs, their numbers, a table.

    quality.py run --adamix PATH --model DIR --data DIR --peer torch_adamix.py --work DIR [--jobs 1] [--threads 1]
    quality.py table
    quality.py write

`run` makes those runs of grid.tsv that results.jsonl does not hold yet, cell by cell, and appends a line for each; it can be
stopped at any time. A cell is (who trains, task, method, precision, order of the batches); its seeds are 0 .. n - 1.
`table` prints the tables of docs/results.md, adamix beside the peer and bf16 beside fp32: n runs, mean, standard
deviation over seeds, 95 % confidence interval of the mean (Student's t), in points. Where both sides have two seeds or more,
the difference of means stands beside its limit, 3 sqrt (s1^2 / n1 + s2^2 / n2); the exit status is 1 if one is above.
`write` puts the tables into that page.
The peer needs torch and transformers, the table SciPy.
"""
import argparse
import concurrent.futures
import json
import math
import pathlib
import shutil
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import runs  # noqa: E402

RESULTS = HERE / "results.jsonl"
CELL = ["who", "task", "method", "precision", "order"]
KEY = CELL + ["seed"]
# task: (title, key in all_results.json, key of the peer)
METRICS = {
    "banking77": [("accuracy", "test_accuracy", "acc")],
    "mrpc": [("accuracy", "eval_accuracy", "acc"), ("F1", "eval_f1", "f1")],
    "stsb": [("Pearson", "eval_pearson", "pearson"), ("Spearman", "eval_spearmanr", "spearman")],
    "sst2": [("accuracy", "eval_accuracy", "acc")],
    "qnli": [("accuracy", "eval_accuracy", "acc")],
}
METHODS = ["adamix", "adapter", "head", "full"]


def grid():
    """All runs of the grid, in its order."""
    for line in (HERE / "grid.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            *cell, seeds, epochs, lr, share = line.split("\t")
            for seed in range(int(seeds)):
                yield dict(zip(CELL, cell)) | {"seed": seed, "epochs": epochs, "lr": lr, "share": share}


def call(command, log):
    with open(log, "w", encoding="utf-8") as errors:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=errors, text=True).stdout


def train(args, run):
    """The run's line for results.jsonl."""
    name = "-".join(str(run[key]) for key in KEY)
    log = pathlib.Path(args.work) / f"{name}.log"
    command = ["--model", args.model, "--data", args.data, "--batch", "32", "--pool", "mean", "--experts", "4",
               "--threads", str(args.threads)]
    for option in ("task", "method", "seed", "epochs", "lr", "share"):
        command += [f"--{option}", str(run[option])]
    line = {key: run[key] for key in KEY}
    if run["who"] == "adamix":
        folder = pathlib.Path(args.work) / name
        command += ["--precision", run["precision"], "--rank", "48"]
        call([args.adamix, "train", *command, "--save-every", "never", "--force", "--output", str(folder)], log)
        found, record = json.loads((folder / "all_results.json").read_text()), json.loads((folder / "run.json").read_text())
        line["revision"] = record["revision"]
        line |= {key: found[key] for _, key, _ in METRICS[run["task"]]}
        line |= {key: found[key] for key in ("eval_majority", "test_majority") if found.get(key)}
        shutil.rmtree(folder)
    else:
        options = ["--r", "48", "--style", "tuned", "--order", run["order"], "--dtype", run["precision"]]
        line |= json.loads(call([sys.executable, args.peer, *command, *options], log))["final"]
    return line


def run_grid(args):
    pathlib.Path(args.work).mkdir(parents=True, exist_ok=True)
    have = {tuple(line[key] for key in KEY) for line in runs.read(RESULTS)}
    wanted = [run for run in grid() if tuple(run[key] for key in KEY) not in have]
    lock = threading.Lock()

    def one(run):
        line = train(args, run)
        with lock:
            runs.keep(RESULTS, line)
        print(*(line[key] for key in KEY), flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for future in [pool.submit(one, run) for run in wanted]:
            future.result()


def number(value, form="{:.2f}"):
    return "" if math.isnan(value) else form.format(value)


def cells(lines, who, task, method, metric):
    """[(name, values in points)] of all cells of a side, in the order of their names."""
    _, key, peer_key = metric
    found = {}
    for line in lines:
        if (line["who"], line["task"], line["method"]) == (who, task, method):
            name = line["precision"] + (", sorted" if line["order"] == "sorted" else "")
            found.setdefault(name, []).append(100 * line[peer_key if who == "peer" else key])
    return sorted(found.items())


def summary(cell):
    if not cell:
        return ""
    name, values = cell
    mean, deviation, half = runs.interval(values)
    return f"{name}: {len(values)}, {mean:.2f}" + number(deviation, ", {:.2f}") + number(half, ", ± {:.2f}")


def between(left, right):
    """(the difference of means beside its limit, whether it is above)"""
    if not left or not right or min(len(left[1]), len(right[1])) < 2:
        return "", False
    (mean, deviation, _), (other, spread, _) = runs.interval(left[1]), runs.interval(right[1])
    limit = 3 * math.sqrt(deviation**2 / len(left[1]) + spread**2 / len(right[1]))
    return f"{mean - other:+.2f} ({limit:.2f})", abs(mean - other) > limit


def majority(lines, task, metric):
    values = [line.get("test_majority") or line.get("eval_majority") for line in lines if line["task"] == task]
    known = [value for value in values if value]
    return f"{100 * known[0]:.1f}" if metric[0] == "accuracy" and known else ""


def pairs(lines, task, method, metric):
    """(cells of adamix beside cells of the peer, cells of adamix in bf16 beside those in fp32)"""
    ours, theirs = (cells(lines, who, task, method, metric) for who in ("adamix", "peer"))
    beside = [(left, right) for left in ours or [None] for right in theirs or [None] if left or right]
    low, full = ([cell for cell in ours if cell[0] == precision] for precision in ("bf16", "fp32"))
    return beside, [(left, right) for left in low for right in full]


def rows_of(lines, which):
    """(the rows of a table, whether a difference is above its limit)"""
    rows, failed = [], False
    for task, metrics in METRICS.items():
        for metric in metrics:
            for method in METHODS:
                for left, right in pairs(lines, task, method, metric)[which]:
                    text, above = between(left, right)
                    failed |= above
                    rows.append([f"{task}, {metric[0]}", majority(lines, task, metric), method, summary(left), summary(right),
                                 text])
    return rows, failed


def tables():
    """(both tables as text, whether a difference is above its limit); a table without rows is left out"""
    lines, text, failed = runs.read(RESULTS), "", False
    for which, sides in enumerate([("adamix", "PyTorch"), ("bf16", "fp32")]):
        rows, above = rows_of(lines, which)
        head = ["task, metric", "majority", "method", *(f"{side}: n, mean, sd, 95 %" for side in sides), "difference (limit)"]
        text += runs.table(head, rows) if rows else ""
        failed |= above
    return text, failed


def print_tables(_):
    text, failed = tables()
    print(text, end="")
    sys.exit(1 if failed else 0)


def write_tables(_):
    runs.put(HERE.parent.parent / "docs" / "results.md", "quality.py", tables()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    for option in ("adamix", "model", "data", "peer", "work"):
        run.add_argument(f"--{option}", required=True)
    run.add_argument("--jobs", type=int, default=1)
    run.add_argument("--threads", type=int, default=1)
    run.set_defaults(do=run_grid)
    commands.add_parser("table").set_defaults(do=print_tables)
    commands.add_parser("write").set_defaults(do=write_tables)
    args = parser.parse_args()
    args.do(args)


main()
