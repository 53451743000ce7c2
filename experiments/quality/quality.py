#!/usr/bin/env python3
"""Accuracy of adamix and of the PyTorch peer on real data: a grid of runs, their numbers, a table.

    quality.py run --adamix PATH --model DIR --data DIR --peer torch_adamix.py --work DIR [--jobs 1] [--threads 1]
    quality.py table

`run` makes those runs of grid.tsv that results.jsonl does not hold yet, cell by cell, and appends a line for each; it can be
stopped at any time. A cell is (who trains, task, method); its seeds are 0 .. n - 1. `table` prints the table of
docs/results.md: n runs, mean, standard deviation over seeds, 95 % confidence interval of the mean (Student's t), in
points. Where both sides have two seeds or more, the difference of means stands beside its limit,
3 sqrt (s1^2 / n1 + s2^2 / n2); the exit status is 1 if one is above. The peer needs torch and transformers, the table SciPy.
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
KEY = ["who", "task", "method", "seed"]
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
            who, task, method, seeds, epochs, lr, share = line.split("\t")
            for seed in range(int(seeds)):
                yield {"who": who, "task": task, "method": method, "seed": seed, "epochs": epochs, "lr": lr, "share": share}


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
        call([args.adamix, "train", *command, "--rank", "48", "--save-every", "never", "--force", "--output", str(folder)], log)
        found, record = json.loads((folder / "all_results.json").read_text()), json.loads((folder / "run.json").read_text())
        line["revision"] = record["revision"]
        line |= {key: found[key] for _, key, _ in METRICS[run["task"]]}
        line |= {key: found[key] for key in ("eval_majority", "test_majority") if found.get(key)}
        shutil.rmtree(folder)
    else:
        options = ["--r", "48", "--style", "tuned", "--order", "sorted", "--dtype", "bf16"]
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


def row(lines, task, title, key, peer_key, method):
    """(a row of the table or None, is its difference above the limit)"""
    cell = [line for line in lines if line["task"] == task and line["method"] == method]
    ours = [100 * line[key] for line in cell if line["who"] == "adamix"]
    theirs = [100 * line[peer_key] for line in cell if line["who"] == "peer"]
    left = right = between = ""
    above = False
    if not cell:
        return None, above
    if ours:
        mean, deviation, half = runs.interval(ours)
        left = f"{len(ours)}, {mean:.2f}, {number(deviation)}, {number(half, '± {:.2f}')}"
    if theirs:
        peer_mean, peer_deviation, _ = runs.interval(theirs)
        right = f"{len(theirs)}, {peer_mean:.2f}, {number(peer_deviation)}"
    if len(ours) > 1 and len(theirs) > 1:
        limit = 3 * math.sqrt(deviation**2 / len(ours) + peer_deviation**2 / len(theirs))
        between = f"{mean - peer_mean:+.2f} ({limit:.2f})"
        above = abs(mean - peer_mean) > limit
    majority = next((100 * (line.get("test_majority") or line["eval_majority"]) for line in lines
                     if line["task"] == task and ("test_majority" in line or "eval_majority" in line)), math.nan)
    shown = number(majority, "{:.1f}") if title == "accuracy" else ""
    return f"| {task}, {title} | {shown} | {method} | {left} | {right} | {between} |", above


def print_table(_):
    lines, failed = runs.read(RESULTS), False
    print("| task, metric | majority | method | adamix: n, mean, sd, 95 % | PyTorch: n, mean, sd | difference (limit) |")
    print("|---|---|---|---|---|---|")
    for task, metrics in METRICS.items():
        for title, key, peer_key in metrics:
            for method in METHODS:
                text, above = row(lines, task, title, key, peer_key, method)
                failed |= above
                if text:
                    print(text)
    sys.exit(1 if failed else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    for option in ("adamix", "model", "data", "peer", "work"):
        run.add_argument(f"--{option}", required=True)
    run.add_argument("--jobs", type=int, default=1)
    run.add_argument("--threads", type=int, default=1)
    run.set_defaults(do=run_grid)
    commands.add_parser("table").set_defaults(do=print_table)
    args = parser.parse_args()
    args.do(args)


main()
