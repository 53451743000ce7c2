#!/usr/bin/env python3
"""The experiments of this folder, made again.

    reproduce.py run --adamix PATH --model DIR --data DIR --work DIR [--jobs 2] [--experiments LIST] [--profiles LIST]
    reproduce.py quick --adamix PATH --model DIR --data DIR --work DIR [--jobs 2]

`run` makes the sweep of each experiment below --work (runs that are there already are not made again), asks finished runs
in the ways that the experiment is about, and puts tables and plots into NAME/results/PROFILE.  It can be stopped at any time.
`quick` makes a few of the runs in a folder of its own and says of each whether it lies where the committed ones let one expect
it; its exit status is 1 where one does not.
Needs SciPy; plots need gnuplot.
"""
import argparse
import csv
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
QUICK = "inference"  # the experiment that `quick` makes again: AdaMix and the controls, of one seed
CERTAIN = 0.999  # of all its comparisons together


@dataclass(frozen=True)
class Experiment:
    profiles: list = field(default_factory=lambda: ["mrpc", "banking77"])
    routes: bool = False  # ask AdaMix's runs in all modes of inference


# The first one has the most adapters, which the tables of all others tell of too.
EXPERIMENTS = {
    "ensemble": Experiment(routes=True),
    "inference": Experiment(routes=True),
    "consistency": Experiment(),
    "sharing": Experiment(),
    "experts": Experiment(),
    "bottleneck": Experiment(),
    "switch": Experiment(),
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


def folder_of(name, profile):
    return f"runs/few-shot/{profile}" if name == "few-shot" else f"runs/{profile}"


def sweep(args, name, profile, output, *more):
    """Make the runs; their folders, in the order of the file."""
    data = [] if name == "few-shot" else ["--data", "data"]
    call(args, "sweep", str(HERE / name / "sweep.ini"), "--profile", profile, "--model", str(pathlib.Path(args.model).resolve()),
         *data, "--output", output, "--jobs", str(args.jobs), *more)
    found = json.loads((pathlib.Path(args.work) / output / "sweep.json").read_text())
    return [f"{output}/{run['name']}" for run in found["runs"]]


def ask(args, adapter, output, profile, inference):
    """Evaluate once, in one or all modes of inference."""
    if not (pathlib.Path(args.work) / output).exists():
        split = ["--split", "test"] if profile == "banking77" else []
        call(args, "eval", "--model", str(pathlib.Path(args.model).resolve()), "--adapter", adapter, "--data", "data", *split,
             "--inference", inference, "--output", output, stdout=subprocess.DEVNULL)


def seed_of(folder):
    return int(folder.rsplit("=", 1)[1])


def average_apart(args, output, profile):
    """Groups of runs that were trained apart: averaged, and asked together.  {way: [(the group, its evaluation)]}"""
    work, out = pathlib.Path(args.work), {}
    for kind in ("adapter", "brief"):
        own = sorted((str(path.relative_to(work)) for path in (work / output).glob(f"{kind},seed=*/") if path.is_dir()), key=seed_of)
        for i in range(0, len(own) - APART + 1, APART):
            group, place = own[i:i + APART], f"{output}/apart/{kind}-{i // APART}"
            if not (work / place / "adamix_config.json").exists():
                call(args, "merge", "--run", ",".join(group), "--model", str(pathlib.Path(args.model).resolve()), "--data", "data",
                     "--output", place, stdout=subprocess.DEVNULL)
            ask(args, place, f"{place}/averaged.json", profile, "merged")
            ask(args, ",".join(group), f"{place}/together.json", profile, "all")
            averaged, together = (json.loads((work / place / f"{file}.json").read_text()) for file in ("averaged", "together"))
            out.setdefault(f"{APART} x {kind}, averaged", []).append((group, averaged))
            out.setdefault(f"{APART} x {kind}, ensemble", []).append(
                (group, next(row for row in together if row["inference"].startswith("ensemble"))))
    return out


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
            output = folder_of(name, profile)
            folders = sweep(args, name, profile, output)
            for folder in folders:
                if experiment.routes and pathlib.Path(folder).name.startswith(f"{BASELINE},"):
                    ask(args, folder, f"{folder}/inference.json", profile, "all")
            report(args, name, profile, folders)
            # Few-shot runs differ in their data too: together they would know more than each.
            apart = {} if name == "few-shot" else average_apart(args, output, profile)
            write_ways(args, name, profile, folders, apart)
            print(name, profile, "done", flush=True)


# ---- all ways to a prediction, with what they cost -------------------------------------------------------------------------

METRICS = ["test_accuracy", "eval_pearson", "eval_accuracy"]


def number(results):
    """The main metric in points, of what a run or an evaluation tells."""
    return 100 * next(results[key] for key in METRICS if key in results)


def ways_of(args, folders, apart):
    """{way of training and asking modules: [(its number, FLOP of training, forward passes of a prediction)]}"""
    work, out = pathlib.Path(args.work), {}

    def results_of(folder):
        return json.loads((work / folder / "all_results.json").read_text())

    for folder in folders:
        setting, results = pathlib.Path(folder).name.split(",")[0], results_of(folder)
        out.setdefault(setting, []).append((number(results), results["train_flops"], 1))
        if (work / folder / "inference.json").exists():
            for row in json.loads((work / folder / "inference.json").read_text()):
                if row["inference"].startswith("ensemble"):
                    out.setdefault(f"{setting}, {row['inference']}", []).append(
                        (number(row), results["train_flops"], row["forward_passes"]))
    for way, groups in apart.items():
        for group, row in groups:
            flops = sum(results_of(folder)["train_flops"] for folder in group)
            out.setdefault(way, []).append((number(row), flops, row["forward_passes"]))
    return out


def write_ways(args, name, profile, folders, apart):
    from scipy.stats import ttest_ind

    found = ways_of(args, folders, apart)
    ours = [value for value, *_ in found[BASELINE]]
    rows = []
    for way, cells in found.items():
        values = [value for value, *_ in cells]
        mean, deviation, half = runs.interval(values)
        spread = [f"{deviation:.2f}", f"± {half:.2f}"] if len(values) > 1 else ["", ""]
        p = f"{ttest_ind(values, ours, equal_var=False).pvalue:.3f}" if way != BASELINE and len(values) > 1 else ""
        less = "" if way == BASELINE else f"{mean - statistics.fmean(ours):+.2f}"
        flops = statistics.fmean(flops for _, flops, _ in cells)
        rows.append([way, str(len(values)), f"{mean:.2f}", *spread, less, p, f"{flops / 1e12:.1f}", str(cells[0][2])])
    head = ["way", "n", "mean", "sd", "95 %", f"less {BASELINE}", "p (Welch)", "training, TFLOP", "passes"]
    (HERE / name / "results" / profile / "ways.md").write_text(runs.table(head, rows))


# ---- some of it again ------------------------------------------------------------------------------------------------------


def committed(name, profile):
    """{setting: the main metric of each run, in points}"""
    out = {}
    with open(HERE / name / "results" / profile / "runs.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            out.setdefault(row["setting"], []).append(number({key: float(row[key]) for key in METRICS if row.get(key)}))
    return out


def run_quick(args):
    from scipy.stats import t

    prepare(args)
    checks, bad = [], 0
    for profile in EXPERIMENTS[QUICK].profiles:
        kept = committed(QUICK, profile)
        for folder in sweep(args, QUICK, profile, f"runs/quick/{profile}", "--seeds", "0"):
            setting = pathlib.Path(folder).name.split(",")[0]
            found = json.loads((pathlib.Path(args.work) / folder / "all_results.json").read_text())
            checks.append((profile, setting, number(found), kept[setting]))
    for profile, setting, value, others in checks:
        (mean, deviation, _), n = runs.interval(others), len(others)
        # of one more value of the same normal distribution, Bonferroni-corrected
        limit = t.ppf(1 - (1 - CERTAIN) / len(checks) / 2, n - 1) * deviation * (1 + 1 / n) ** 0.5
        good = abs(value - mean) <= limit
        bad += not good
        print(f"{'ok ' if good else 'BAD'} {profile} {setting}: {value:.2f}, expected {mean:.2f} ± {limit:.2f}")
    print(f"{len(checks) - bad} of {len(checks)} runs lie where the committed ones let one expect them")
    sys.exit(bad > 0)


# ---- command line ----------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run, quick = commands.add_parser("run"), commands.add_parser("quick")
    for command, do in (run, run_experiments), (quick, run_quick):
        for option in ("adamix", "model", "data", "work"):
            command.add_argument(f"--{option}", required=True)
        command.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
        command.set_defaults(do=do)
    run.add_argument("--experiments", type=runs.some(list(EXPERIMENTS)), default=list(EXPERIMENTS))
    run.add_argument("--profiles", type=lambda text: text.split(","))
    args = parser.parse_args()
    args.adamix = str(pathlib.Path(args.adamix).resolve())
    args.do(args)


main()
