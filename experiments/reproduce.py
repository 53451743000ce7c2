#!/usr/bin/env python3
"""The experiments of this folder, made again.

    reproduce.py run --adamix PATH --model DIR --data DIR --work DIR [--jobs 2] [--experiments LIST] [--profiles LIST]

`run` makes the sweep of each experiment below --work (runs that are there already are not made again), asks finished runs
in the ways that the experiment is about, and puts tables and plots into NAME/results/PROFILE.  It can be stopped at any time.
Needs SciPy; plots need gnuplot.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import runs  # noqa: E402

BASELINE = "adamix"
# What of a report is kept; the rest is drawn from it or is large.
KEPT = ["results", "metrics", "routes", "settings", "speed", "environment", "runs"]
PLOTS = ["results", "routes", "dev", "loss"]
APART = 4  # adapters that are averaged or asked together: as many as AdaMix has experts


@dataclass(frozen=True)
class Experiment:
    profiles: list = field(default_factory=lambda: ["mrpc", "banking77"])
    routes: bool = False  # ask AdaMix's runs in all modes of inference
    apart: bool = False  # average adapters of different seeds, and ask them together


EXPERIMENTS = {
    "inference": Experiment(routes=True),
    "consistency": Experiment(),
    "sharing": Experiment(),
    "experts": Experiment(),
    "bottleneck": Experiment(),
    "switch": Experiment(),
    "ensemble": Experiment(routes=True, apart=True),
    "few-shot": Experiment(["mrpc", "sst2", "qnli"]),
}


# ---- making ---------------------------------------------------------------------------------------------------------------


def call(args, *command, **options):
    """adamix in the folder of all runs; where it fails it has said why."""
    done = subprocess.run([args.adamix, *command], cwd=args.work, check=False, env=runs.environment(), **options)
    if done.returncode != 0:
        sys.exit(done.returncode)


def prepare(args):
    """The folder in which all runs are; `data` in it is the root of the data."""
    work = pathlib.Path(args.work)
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "data").exists():
        (work / "data").symlink_to(pathlib.Path(args.data).resolve())


def sweep(args, name, profile):
    """Make the runs; their folders, in the order of the file."""
    data = [] if name == "few-shot" else ["--data", "data"]
    call(args, "sweep", str(HERE / name / "sweep.ini"), "--profile", profile, "--model", str(pathlib.Path(args.model).resolve()),
         *data, "--jobs", str(args.jobs))
    output = f"runs/few-shot/{profile}" if name == "few-shot" else f"runs/{profile}"
    found = json.loads((pathlib.Path(args.work) / output / "sweep.json").read_text())
    return [f"{output}/{run['name']}" for run in found["runs"]]


def ask(args, adapter, output, profile, inference):
    """Evaluate once, in one or all modes of inference."""
    if not (pathlib.Path(args.work) / output).exists():
        split = ["--split", "test"] if profile == "banking77" else []
        call(args, "eval", "--model", str(pathlib.Path(args.model).resolve()), "--adapter", adapter, "--data", "data", *split,
             "--inference", inference, "--output", output, stdout=subprocess.DEVNULL)


def average_apart(args, folders, profile):
    """Groups of runs that were trained apart: averaged, and asked together."""
    for kind in ("adapter", "brief"):
        own = [folder for folder in folders if pathlib.Path(folder).name.startswith(f"{kind},")]
        for i in range(0, len(own), APART):
            group, place = ",".join(own[i:i + APART]), f"runs/{profile}/apart/{kind}-{i // APART}"
            if not (pathlib.Path(args.work) / place / "adamix_config.json").exists():
                call(args, "merge", "--run", group, "--model", str(pathlib.Path(args.model).resolve()), "--data", "data",
                     "--output", place, stdout=subprocess.DEVNULL)
            ask(args, place, f"{place}/averaged.json", profile, "merged")
            ask(args, group, f"{place}/together.json", profile, "all")


def report(args, name, profile, folders):
    made = pathlib.Path(args.work) / "reports" / f"{name}-{profile}"
    call(args, "report", "--baseline", BASELINE, "--output", str(made), *folders, stdout=subprocess.DEVNULL)
    results = HERE / name / "results" / profile
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    for table in KEPT:
        for path in made.glob(f"{table}*.md"):
            shutil.copy(path, results)
    for path in [*made.glob("runs.csv"), *made.glob("results*.csv"), *(p for plot in PLOTS for p in made.glob(f"{plot}*.svg"))]:
        shutil.copy(path, results)


def run_experiments(args):
    prepare(args)
    for name in args.experiments:
        experiment = EXPERIMENTS[name]
        for profile in experiment.profiles:
            if args.profiles and profile not in args.profiles:
                continue
            folders = sweep(args, name, profile)
            for folder in folders:
                if experiment.routes and pathlib.Path(folder).name.startswith(f"{BASELINE},"):
                    ask(args, folder, f"{folder}/inference.json", profile, "all")
            if experiment.apart:
                average_apart(args, folders, profile)
            report(args, name, profile, folders)
            if experiment.apart:
                write_apart(args, name, profile, folders)
            print(name, profile, "done", flush=True)


# ---- runs that were trained apart ------------------------------------------------------------------------------------------


def number(profile, results):
    """The main metric in points, of what a run or an evaluation tells."""
    keys = {"stsb": "eval_pearson", "banking77": "test_accuracy"}
    key = keys.get(profile, "eval_accuracy")
    return 100 * results.get(key, results.get("eval_accuracy"))


def ways(args, profile, folders):
    """{way of having several modules: its number in each repetition}"""
    work, out = pathlib.Path(args.work), {}

    def add(way, results):
        out.setdefault(way, []).append(number(profile, results))

    for folder in folders:
        setting = pathlib.Path(folder).name.split(",")[0]
        add(setting, json.loads((work / folder / "all_results.json").read_text()))
        if (work / folder / "inference.json").exists():
            for row in json.loads((work / folder / "inference.json").read_text()):
                if row["inference"].startswith("ensemble"):
                    add(f"{setting}, {row['inference']}", row)
    for kind in ("adapter", "brief"):
        for place in sorted((work / f"runs/{profile}/apart").glob(f"{kind}-*")):
            add(f"{APART} x {kind}, averaged", json.loads((place / "averaged.json").read_text()))
            rows = json.loads((place / "together.json").read_text())
            add(f"{APART} x {kind}, ensemble", next(row for row in rows if row["inference"].startswith("ensemble")))
    return out


def write_apart(args, name, profile, folders):
    from scipy.stats import ttest_ind

    found = ways(args, profile, folders)
    rows = []
    for way, values in found.items():
        mean, deviation, half = runs.interval(values)
        p = ttest_ind(values, found[BASELINE], equal_var=False).pvalue if way != BASELINE else None
        rows.append([way, str(len(values)), f"{mean:.2f}", f"{deviation:.2f}", f"± {half:.2f}",
                     "" if p is None else f"{mean - statistics.fmean(found[BASELINE]):+.2f}", "" if p is None else f"{p:.3f}"])
    head = ["way", "n", "mean", "sd", "95 %", f"less {BASELINE}", "p (Welch)"]
    (HERE / name / "results" / profile / "apart.md").write_text(runs.table(head, rows))


# ---- command line ----------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    for option in ("adamix", "model", "data", "work"):
        run.add_argument(f"--{option}", required=True)
    run.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    run.add_argument("--experiments", type=runs.some(list(EXPERIMENTS)), default=list(EXPERIMENTS))
    run.add_argument("--profiles", type=lambda text: text.split(","))
    args = parser.parse_args()
    args.adamix = str(pathlib.Path(args.adamix).resolve())
    run_experiments(args)


main()
