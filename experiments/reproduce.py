#!/usr/bin/env python3
"""The experiments of this folder, made again.

    reproduce.py run --adamix PATH --model DIR --data DIR --work DIR [--jobs 2] [--precision fp32] [--experiments LIST] [--profiles LIST]
    reproduce.py quick --adamix PATH --model DIR --data DIR --work DIR [--jobs 2] [--precision fp32]
    reproduce.py write

`run` makes the sweep of each experiment below --work (runs that are there already are not made again), asks finished runs
in the ways that the experiment is about, and then replaces NAME/results/PROFILE by its tables and plots.  It can be stopped
and started again at any time.
`quick` makes a few of the runs in a folder of its own, by a seed that no committed run has, and says of each whether it lies
where those let one expect it; its exit status is 1 where one does not.
`write` puts what the committed results say of each claim into README.md here.
--precision is for a processor without bf16 products; the committed runs have them.
Needs SciPy, and `run` gnuplot.
"""
import argparse
import importlib.util
import json
import math
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import runs  # noqa: E402

BASELINE = "adamix"
# What of a report is kept; the rest is drawn from it, large, or of the moment.
KEPT = ["results*.md", "results*.csv", "metrics*.md", "routes*.md", "settings*.md", "environment.md", "runs.md", "runs.csv",
        "results*.svg", "routes*.svg", "dev*.svg", "loss*.svg"]
APART = 4  # adapters that are averaged or asked together: as many as AdaMix has experts
DRAWS = 20  # random routes of a run, each the same for all texts
QUICK, QUICK_SETTINGS, QUICK_SEED = "main-result", "adamix,adapter,wide", "9"  # what `quick` makes again
CERTAIN = 0.99  # of all its comparisons together
# Of each experiment, named before it was made: what is compared with what, by the names of ways_of.
CLAIMS = [
    ("main-result", "AdaMix beats an adapter at its steps", "adamix", "adapter"),
    ("main-result", "and at its FLOPs", "adamix", "twice"),
    ("main-result", "and one of rank M R at its FLOPs", "adamix", "wide-twice"),
    ("main-result", "AdaMix beats an adapter at its steps, 4 times as many", "adamix-long", "adapter-long"),
    ("main-result", "AdaMix beats full fine-tuning", "adamix", "full"),
    ("main-result", "AdaMix on LoRA beats LoRA", "adamix-lora", "lora"),
    ("inference", "merging beats random routes", "adamix", "adamix, mean of random routes"),
    ("inference", "and the first expert", "adamix", "adamix, first expert"),
    ("inference", "and is as good as the best of 20 random routes", "adamix", "adamix, best random route"),
    ("consistency", "consistency helps, at equal FLOPs", "adamix", "no-consistency-two-passes"),
    ("consistency", "and at equal steps", "adamix", "no-consistency"),
    ("sharing", "sharing Up helps", "adamix", "share-none"),
    ("experts", "4 experts beat 1", "adamix", "two-passes"),
    ("experts", "16 experts beat 4", "experts-16", "adamix"),
    ("bottleneck", "R = 64 beats R = 8", "rank-64", "rank-8"),
    ("switch", "random routing beats a learned router", "adamix", "switch"),
    ("ensemble", "merging is as good as the ensemble of routes", "adamix", "adamix, ensemble:4"),
    ("ensemble", "and as that of adapters trained apart", "adamix", "4 x adapter, ensemble"),
    ("ensemble", "and beats their average", "adamix", "4 x adapter, averaged"),
    ("few-shot", "AdaMix beats an adapter at its steps", "adamix", "adapter"),
    ("few-shot", "and at its FLOPs", "adamix", "twice"),
]


@dataclass(frozen=True)
class Experiment:
    profiles: list = field(default_factory=lambda: ["mrpc", "banking77"])
    routes: bool = False  # ask AdaMix's runs in all modes of inference
    draws: bool = False  # and by random routes


# The first one has the most adapters, which the tables of all others tell of too.
EXPERIMENTS = {
    "ensemble": Experiment(routes=True),
    "inference": Experiment(routes=True, draws=True),
    "main-result": Experiment(["mrpc", "stsb", "banking77"]),
    "consistency": Experiment(),
    "sharing": Experiment(),
    "experts": Experiment(),
    "bottleneck": Experiment(),
    "switch": Experiment(),
    "few-shot": Experiment(["mrpc", "sst2", "qnli"]),
}
PROFILES = sorted({profile for experiment in EXPERIMENTS.values() for profile in experiment.profiles})


# ---- making ---------------------------------------------------------------------------------------------------------------


def call(args, *command, **options):
    """adamix in the folder of all runs; where it fails it has said why, and what ends this ends it."""
    with subprocess.Popen([args.adamix, *command], cwd=args.work, env=runs.environment(), **options) as child:
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        status = child.wait()
    if status != 0:
        sys.exit(status)


def prepare(args):
    """The folder in which all runs are; `data` in it is the root of the data."""
    args.work.mkdir(parents=True, exist_ok=True)
    link = args.work / "data"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(args.data)


def folder_of(name, profile):
    return f"runs/few-shot/{profile}" if name == "few-shot" else f"runs/{profile}"


def sweep(args, name, profile, output, *more):
    """Make the runs; their folders, in the order of the file."""
    given = [] if name == "few-shot" else ["--data", "data"]
    given += ["--precision", args.precision] if args.precision else []
    call(args, "sweep", str(HERE / name / "sweep.ini"), "--profile", profile, "--model", str(args.model),
         *given, "--output", output, "--jobs", str(args.jobs), *more)
    found = json.loads((args.work / output / "sweep.json").read_text())
    return [f"{output}/{run['name']}" for run in found["runs"]]


def ask(args, adapter, output, profile, inference, seed=0):
    """Evaluate once, in one or all modes of inference: the rows."""
    path = args.work / output
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        split = ["--split", "test"] if profile == "banking77" else []
        call(args, "eval", "--model", str(args.model), "--adapter", adapter, "--data", "data", *split, "--inference", inference,
             "--seed", str(seed), "--output", output, stdout=subprocess.DEVNULL)
    return json.loads(path.read_text())


def seed_of(folder):
    return int(folder.rsplit("=", 1)[1])


def finished(args, output, kind):
    """Folders of a setting's finished runs, by seed."""
    found = (path.parent for path in (args.work / output).glob(f"{kind},seed=*/all_results.json"))
    return sorted((str(path.relative_to(args.work)) for path in found), key=seed_of)


def average_apart(args, output, profile):
    """Groups of runs that were trained apart: averaged, and asked together.  {way: [(the group, its evaluation)]}"""
    out = {}
    for kind in ("adapter", "brief"):
        own = finished(args, output, kind)
        for i in range(0, len(own) - APART + 1, APART):
            group = own[i:i + APART]
            place = f"{output}/apart/{kind}-{seed_of(group[0])}-{seed_of(group[-1])}"
            if not (args.work / place / "adamix_config.json").exists():
                call(args, "merge", "--run", ",".join(group), "--model", str(args.model), "--data", "data", "--output", place,
                     stdout=subprocess.DEVNULL)
            together = ask(args, ",".join(group), f"{place}/together.json", profile, "all")
            out.setdefault(f"{APART} x {kind}, averaged", []).append(
                (group, ask(args, place, f"{place}/averaged.json", profile, "merged")))
            out.setdefault(f"{APART} x {kind}, ensemble", []).append(
                (group, next(row for row in together if row["inference"].startswith("ensemble"))))
    return out


def report(args, name, profile, folders):
    """The tables and plots of a report that are kept, in a new folder."""
    made, results = args.work / "reports" / f"{name}-{profile}", args.work / "results" / name / profile
    for folder in (made, results):
        shutil.rmtree(folder, ignore_errors=True)
    results.mkdir(parents=True)
    call(args, "report", "--baseline", BASELINE, "--output", str(made), *folders, stdout=subprocess.DEVNULL)
    for pattern in KEPT:
        for path in made.glob(pattern):
            shutil.copy(path, results)
    return results


def run_experiment(args, name, profile):
    experiment, output = EXPERIMENTS[name], folder_of(name, profile)
    folders = sweep(args, name, profile, output)
    ours = [folder for folder in folders if pathlib.Path(folder).name.startswith(f"{BASELINE},")]
    draws = {}
    for folder in ours:
        if experiment.routes:
            ask(args, folder, f"{folder}/inference.json", profile, "all")
        if experiment.draws:
            draws[folder] = [ask(args, folder, f"{folder}/draws/{seed}.json", profile, "ensemble:1", seed)
                             for seed in range(1, DRAWS + 1)]
    # Few-shot runs differ in their data too: together they would know more than each.
    apart = {} if name == "few-shot" else average_apart(args, output, profile)
    results = report(args, name, profile, folders)
    ways = ways_of(args, folders, apart, draws)
    (results / "ways.json").write_text(json.dumps(ways, indent=1) + "\n")
    (results / "ways.md").write_text(ways_table(ways))
    if draws:
        (results / "draws.md").write_text(draws_table(args, draws))
    committed = HERE / name / "results" / profile
    shutil.rmtree(committed, ignore_errors=True)
    shutil.copytree(results, committed)
    print(name, profile, "done", flush=True)


def run_experiments(args):
    prepare(args)
    for name in args.experiments:
        for profile in EXPERIMENTS[name].profiles:
            if profile in args.profiles:
                run_experiment(args, name, profile)


# ---- all ways to a prediction, with what they cost -------------------------------------------------------------------------

METRICS = ["test_accuracy", "eval_pearson", "eval_accuracy"]


def number(results):
    """The main metric in points, of what a run or an evaluation tells."""
    return 100 * next(results[key] for key in METRICS if key in results)


def results_of(args, folder):
    return json.loads((args.work / folder / "all_results.json").read_text())


def ways_of(args, folders, apart, draws):
    """{way of training and asking modules: [(seed or None, its number, FLOP of training, passes of a prediction)]}"""
    out = {}

    def add(way, *cell):
        out.setdefault(way, []).append(cell)

    for folder in folders:
        setting, results, seed = pathlib.Path(folder).name.split(",")[0], results_of(args, folder), seed_of(folder)
        flops = results["train_flops"]
        add(setting, seed, number(results), flops, 1)
        modes = args.work / folder / "inference.json"
        for row in json.loads(modes.read_text()) if modes.exists() else []:
            if row["inference"].startswith("ensemble"):
                add(f"{setting}, {row['inference']}", seed, number(row), flops, row["forward_passes"])
            if row["inference"] == "fixed:0":
                add(f"{setting}, first expert", seed, number(row), flops, 1)
        if folder in draws:
            values = list(map(number, draws[folder]))
            add(f"{setting}, mean of random routes", seed, statistics.fmean(values), flops, 1)
            add(f"{setting}, best random route", seed, max(values), flops, 1)
    for way, groups in apart.items():
        for group, row in groups:
            add(way, None, number(row), sum(results_of(args, folder)["train_flops"] for folder in group), row["forward_passes"])
    return out


def paired(pairs):
    """(mean difference, half of its 95 % interval, p)"""
    from scipy.stats import ttest_rel

    mean, _, half = runs.interval([a - b for a, b in pairs])
    return mean, half, ttest_rel(*zip(*pairs)).pvalue if len(pairs) > 1 else math.nan


def welch(a, b):
    """The same of runs that have no seed in common."""
    from scipy.stats import t, ttest_ind

    difference = statistics.fmean(a) - statistics.fmean(b)
    if min(len(a), len(b)) < 2:
        return difference, math.nan, math.nan
    errors = [statistics.variance(values) / len(values) for values in (a, b)]
    if sum(errors) == 0:
        return difference, 0, math.nan
    freedom = sum(errors) ** 2 / sum(error ** 2 / (len(values) - 1) for error, values in zip(errors, (a, b)))
    return difference, t.ppf(0.975, freedom) * sum(errors) ** 0.5, ttest_ind(a, b, equal_var=False).pvalue


def compare(cells, ours):
    """The difference as above, and which test it is."""
    by_seed = {seed: value for seed, value, *_ in cells if seed is not None}
    theirs = {seed: value for seed, value, *_ in ours}
    common = sorted(by_seed.keys() & theirs.keys())
    if common:
        return *paired([(by_seed[seed], theirs[seed]) for seed in common]), "paired"
    return *welch([value for _, value, *_ in cells], list(theirs.values())), "Welch"


def holm(p_of):
    """{name: its p, corrected for all of them}; a p that is NaN is none."""
    out, last = {}, 0
    told = sorted((p, name) for name, p in p_of.items() if not math.isnan(p))
    for i, (p, name) in enumerate(told):
        out[name] = last = max(last, min(1, p * (len(told) - i)))
    return out


def ways_table(found):
    """All ways beside AdaMix, with what they cost; p is corrected by Holm over the table."""
    ours, tests = found[BASELINE], {way: compare(cells, found[BASELINE]) for way, cells in found.items() if way != BASELINE}
    corrected = holm({way: test[2] for way, test in tests.items()})
    rows = []
    for way, cells in found.items():
        mean, deviation, half = runs.interval([value for _, value, *_ in cells])
        spread = [f"{deviation:.2f}", f"± {half:.2f}"] if len(cells) > 1 else ["", ""]
        beside = [""] * 5
        if way in tests:
            difference, width, p, name = tests[way]
            beside = [f"{difference:+.2f}"] + ([""] * 4 if math.isnan(p) else [f"± {width:.2f}", name, f"{p:.3f}", f"{corrected[way]:.3f}"])
        flops = statistics.fmean(flops for *_, flops, _ in cells)
        rows.append([way, str(len(cells)), f"{mean:.2f}", *spread, *beside, f"{flops / statistics.fmean(f for *_, f, _ in ours):.2f}",
                     str(cells[0][3])])
    head = ["way", "n", "mean", "sd", "95 %", f"less {BASELINE}", "95 %", "test", "p", "p (Holm)", "FLOP of training", "passes"]
    return runs.table(head, rows)


def draws_table(args, draws):
    """The merged module among random routes, run by run."""
    rows = []
    for folder, drawn in draws.items():
        merged, values = number(results_of(args, folder)), sorted(map(number, drawn))
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
        rows.append([str(seed_of(folder)), f"{merged:.2f}", f"{statistics.fmean(values):.2f}",
                     *(f"{value:.2f}" for value in (values[0], *quartiles, values[-1])),
                     f"{sum(value < merged for value in values)} of {len(values)}"])
    head = ["seed", "merged", "routes: mean", "worst", "lower quartile", "median", "upper quartile", "best", "merged is better than"]
    return runs.table(head, rows)


# ---- what it says of the claims ----------------------------------------------------------------------------------------------


def write_verdict(_):
    """The differences of CLAIMS, in points; p is corrected by Holm over all of them."""
    tests = {}
    for name, _, first, second in CLAIMS:
        for profile in EXPERIMENTS[name].profiles:
            path = HERE / name / "results" / profile / "ways.json"
            ways = json.loads(path.read_text()) if path.exists() else {}
            if first in ways and second in ways:
                tests[name, first, second, profile] = compare(ways[first], ways[second])
    corrected = holm({key: test[2] for key, test in tests.items()})
    rows = []
    for name, claim, first, second in CLAIMS:
        cells = []
        for profile in PROFILES:
            key = name, first, second, profile
            if key not in tests:
                cells.append("")
                continue
            difference, half, _, _ = tests[key]
            told = [f"{difference:+.2f}"] + [f"± {half:.2f}"] * (not math.isnan(half)) + [f"(p {corrected[key]:.3f})"] * (key in corrected)
            cells.append(" ".join(told))
        rows.append([f"[{name}]({name}/README.md)", claim, f"{first} less {second}", *cells])
    runs.put(HERE / "README.md", "reproduce.py", runs.table(["experiment", "claim", "difference", *PROFILES], rows))


# ---- some of it again ------------------------------------------------------------------------------------------------------


def expected(ways, comparisons):
    """{setting: (its mean, how far from it one more run may lie)} of some ways, when that many runs are compared"""
    from scipy.stats import t

    values = {setting: [value for _, value, *_ in cells] for setting, cells in ways.items()}
    # A task's settings have one deviation, so that there are seeds enough to know it.
    freedom = sum(len(own) - 1 for own in values.values())
    deviation = (sum(statistics.variance(own) * (len(own) - 1) for own in values.values()) / freedom) ** 0.5
    quantile = t.ppf(1 - (1 - CERTAIN) / comparisons / 2, freedom)  # Bonferroni
    return {setting: (statistics.fmean(own), quantile * deviation * (1 + 1 / len(own)) ** 0.5) for setting, own in values.items()}


def run_quick(args):
    prepare(args)
    shutil.rmtree(args.work / "runs" / "quick", ignore_errors=True)  # another adamix may have made them
    settings, profiles = QUICK_SETTINGS.split(","), EXPERIMENTS[QUICK].profiles
    total, good = len(settings) * len(profiles), 0
    for profile in profiles:
        ways = json.loads((HERE / QUICK / "results" / profile / "ways.json").read_text())
        allowed = expected({setting: ways[setting] for setting in settings}, total)
        for folder in sweep(args, QUICK, profile, f"runs/quick/{profile}", "--settings", QUICK_SETTINGS, "--seeds", QUICK_SEED):
            setting = pathlib.Path(folder).name.split(",")[0]
            value, (mean, limit) = number(results_of(args, folder)), allowed[setting]
            lies = abs(value - mean) <= limit
            good += lies
            print(f"{'ok ' if lies else 'BAD'} {profile} {setting}: {value:.2f}, expected {mean:.2f} ± {limit:.2f}", flush=True)
    print(f"{good} of {total} runs lie where the committed ones let one expect them")
    sys.exit(good < total)


# ---- command line ----------------------------------------------------------------------------------------------------------


def executable(text):
    found = shutil.which(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is no program")
    return str(pathlib.Path(found).resolve())


def path(text):
    return pathlib.Path(text).resolve()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run, quick = commands.add_parser("run"), commands.add_parser("quick")
    for command, do in (run, run_experiments), (quick, run_quick):
        command.add_argument("--adamix", type=executable, required=True)
        for option in ("model", "data", "work"):
            command.add_argument(f"--{option}", type=path, required=True)
        command.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
        command.add_argument("--precision")
        command.set_defaults(do=do)
    commands.add_parser("write").set_defaults(do=write_verdict)
    run.add_argument("--experiments", type=runs.some(list(EXPERIMENTS)), default=list(EXPERIMENTS))
    run.add_argument("--profiles", type=runs.some(PROFILES), default=PROFILES)
    args = parser.parse_args()
    if not importlib.util.find_spec("scipy"):
        sys.exit("SciPy is needed: install python3-scipy")
    if args.do is run_experiments and not shutil.which("gnuplot"):
        sys.exit("gnuplot is needed for the plots of reports: install gnuplot-nox")
    # A key that interrupts reaches adamix as well, which ends its runs so that they can go on; its status ends this.
    signal.signal(signal.SIGINT, lambda *_: None)
    args.do(args)


main()
