#!/usr/bin/env python3
"""What rotation of ownership, and one or two experts a rank, do to accuracy: banking77, 3,000 training examples, 4 ranks.

    rotation.py run --adamix PATH --model DIR --data DIR --work DIR [--launcher "mpirun -n 4"] [--precision fp32]
    rotation.py table

banking77 is stored intent by intent, so its first 3,000 records would hold 24 of the 77: the examples are every third or
fourth record of the file instead, the same for all runs.  10 epochs are 940 steps, so that a period of 500 ends once.
`run` makes those runs that results.jsonl does not hold yet, 5 seeds for each line of cells.tsv, and can be stopped at any
time; `table` prints mean, standard deviation and 95 % confidence interval over seeds, and paired differences to the
default (50 steps, 2 experts).  The table needs SciPy.
"""
import argparse
import csv
import json
import pathlib
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import runs  # noqa: E402

RESULTS = HERE / "results.jsonl"
EXAMPLES, SEEDS, DEFAULT = 3000, 5, (50, 2)
OPTIONS = ["--task", "banking77", "--rank", "48", "--pool", "mean", "--lr", "2e-3", "--epochs", "10", "--batch", "32",
           "--share", "down", "--threads", "1", "--eval-every", "never", "--save-every", "never", "--force"]


def cells():
    lines = (HERE / "cells.tsv").read_text().splitlines()
    return [tuple(map(int, line.split("\t"))) for line in lines if not line.startswith("#")]


def thin_out(data, folder):
    """A data folder with EXAMPLES training records, evenly spaced, and the whole test file."""
    folder.mkdir(parents=True, exist_ok=True)
    source = pathlib.Path(data) / "banking77"
    with open(source / "train.csv", encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    with open(folder / "train.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head] + [rows[i * len(rows) // EXAMPLES] for i in range(EXAMPLES)])
    (folder / "test.csv").write_bytes((source / "test.csv").read_bytes())


def run(args):
    work = pathlib.Path(args.work)
    data, output = work / "data", work / "run"
    thin_out(args.data, data)
    have = {(line["rotate_every"], line["experts_per_rank"], line["seed"]) for line in runs.read(RESULTS)}
    for seed in range(SEEDS):
        for rotate, experts in cells():
            if (rotate, experts, seed) in have:
                continue
            command = [*shlex.split(args.launcher), args.adamix, "train", "--model", args.model, "--data", str(data), *OPTIONS,
                       "--rotate-every", str(rotate), "--experts-per-rank", str(experts), "--seed", str(seed),
                       "--precision", args.precision, "--output", str(output)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found, record = (json.loads((output / name).read_text()) for name in ("all_results.json", "run.json"))
            line = {"rotate_every": rotate, "experts_per_rank": experts, "seed": seed, "ranks": record["ranks"],
                    "groups": record["groups"], "precision": args.precision, "revision": record["revision"],
                    "steps": found["steps"],
                    "test_accuracy": found["test_accuracy"]}
            runs.keep(RESULTS, line)
            print(line, flush=True)


def table(_):
    accuracy = {}
    for line in runs.read(RESULTS):
        accuracy.setdefault((line["rotate_every"], line["experts_per_rank"]), {})[line["seed"]] = 100 * line["test_accuracy"]
    print("| --rotate-every | --experts-per-rank | n | mean | sd | 95 % | minus the default, paired |")
    print("|---|---|---|---|---|---|---|")
    for cell in cells():
        values = accuracy.get(cell, {})
        if len(values) < 2:
            continue
        mean, deviation, half = runs.interval(list(values.values()))
        differences = [values[seed] - accuracy[DEFAULT][seed] for seed in values if seed in accuracy.get(DEFAULT, {})]
        paired = ""
        if cell != DEFAULT and len(differences) > 1:
            difference, _, slack = runs.interval(differences)
            paired = f"{difference:+.2f} ± {slack:.2f}"
        print(f"| {cell[0]} | {cell[1]} | {len(values)} | {mean:.2f} | {deviation:.2f} | ± {half:.2f} | {paired} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("run")
    for option in ("adamix", "model", "data", "work"):
        train.add_argument(f"--{option}", required=True)
    train.add_argument("--launcher", default="mpirun -n 4")
    train.add_argument("--precision", default="fp32")
    train.set_defaults(do=run)
    commands.add_parser("table").set_defaults(do=table)
    args = parser.parse_args()
    args.do(args)


main()
