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
`write` makes the tables of ways again, and puts what the committed results say of each claim, and what they took, into
README.md here.
--precision is for a processor without bf16 products; the committed runs have them.
Needs SciPy, and `run` gnuplot.
"""
import argparse
import csv
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
QUICK, QUICK_SETTINGS, QUICK_SEED = "main-result", "adamix,adapter,wide", "20"  # what `quick` makes again
CERTAIN = 0.99  # of all its comparisons together


@dataclass(frozen=True)
class Claim:
    """One way is better than another, by the names of ways_of, or with `equal` as good: no test of a difference shows that."""
    experiment: str
    text: str
    first: str
    second: str
    equal: bool = False


# Named before the runs of their experiment were made, but where the text says otherwise.
CLAIMS = [
    Claim("main-result", "AdaMix beats an adapter at its steps", "adamix", "adapter"),
    Claim("main-result", "and at its FLOPs", "adamix", "twice"),
    Claim("main-result", "and one of rank M R at its FLOPs", "adamix", "wide-twice"),
    Claim("main-result", "AdaMix beats an adapter at its steps, 4 times as many (named when those of 4 epochs were known)",
          "adamix-long", "adapter-long"),
    Claim("main-result", "AdaMix beats full fine-tuning", "adamix", "full"),
    Claim("main-result", "AdaMix on LoRA beats LoRA", "adamix-lora", "lora"),
    Claim("inference", "merging beats random routes", "adamix", "adamix, mean of random routes"),
    Claim("inference", "and the first expert", "adamix", "adamix, first expert"),
    Claim("inference", "and is as good as the best of 20 random routes (best on the same texts)",
          "adamix", "adamix, best random route", equal=True),
    Claim("consistency", "consistency helps, at equal FLOPs", "adamix", "no-consistency-two-passes"),
    Claim("consistency", "and at equal steps", "adamix", "no-consistency"),
    Claim("sharing", "sharing Up helps", "adamix", "share-none"),
    Claim("experts", "4 experts beat 1", "adamix", "two-passes"),
    Claim("experts", "16 experts beat 4", "experts-16", "adamix"),
    Claim("bottleneck", "R = 64 beats R = 8", "rank-64", "rank-8"),
    Claim("switch", "random routing beats a learned router", "adamix", "switch"),
    Claim("ensemble", "merging is as good as the ensemble of routes", "adamix", "adamix, ensemble:4", equal=True),
    Claim("ensemble", "and as that of adapters trained apart", "adamix", "4 x adapter, ensemble", equal=True),
    Claim("ensemble", "and beats their average", "adamix", "4 x adapter, averaged"),
    Claim("few-shot", "AdaMix beats an adapter at its steps", "adamix", "adapter"),
    Claim("few-shot", "and at its FLOPs", "adamix", "twice"),
]


@dataclass(frozen=True)
class Experiment:
    profiles: list = field(default_factory=lambda: ["mrpc", "banking77"])
    routes: bool = False  # ask AdaMix's runs in all modes of inference
    draws: bool = False  # and by random routes
    losses: tuple = ()  # settings whose training loss is a plot of its own


# The first one has the most adapters, which the tables of all others tell of too.
EXPERIMENTS = {
    "ensemble": Experiment(routes=True),
    "inference": Experiment(routes=True, draws=True),
    "main-result": Experiment(["mrpc", "stsb", "banking77"]),
    "consistency": Experiment(),
    "sharing": Experiment(losses=(BASELINE, "share-none", "share-down", "share-both")),
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


def ask(args, adapter, output, profile, inference, precision, seed=0):
    """Evaluate once, in one or all modes of inference: the rows."""
    path = args.work / output
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        split = ["--split", "test"] if profile == "banking77" else []
        call(args, "eval", "--model", str(args.model), "--adapter", adapter, "--data", "data", *split, "--inference", inference,
             "--precision", precision, "--seed", str(seed), "--output", output, stdout=subprocess.DEVNULL)
    return json.loads(path.read_text())


def precision_of(args, folder):
    """A run's, in which its results are what they are."""
    return json.loads((args.work / folder / "run.json").read_text())["config"]["precision"]


def setting_of(folder):
    return pathlib.Path(folder).name.split(",")[0]


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
            made, precision = args.work / place / "adamix_config.json", precision_of(args, group[0])
            newest = max((args.work / folder / "all_results.json").stat().st_mtime for folder in group)
            if not made.exists() or made.stat().st_mtime < newest:  # runs may have been made again
                shutil.rmtree(args.work / place, ignore_errors=True)
                call(args, "merge", "--run", ",".join(group), "--model", str(args.model), "--data", "data", "--output", place,
                     stdout=subprocess.DEVNULL)
            together = ask(args, ",".join(group), f"{place}/together.json", profile, "all", precision)
            out.setdefault(f"{APART} x {kind}, averaged", []).append(
                (group, ask(args, place, f"{place}/averaged.json", profile, "merged", precision)))
            out.setdefault(f"{APART} x {kind}, ensemble", []).append(
                (group, next(row for row in together if row["inference"].startswith("ensemble"))))
    return out


def report(args, name, folders):
    made = args.work / "reports" / name
    shutil.rmtree(made, ignore_errors=True)
    call(args, "report", "--baseline", BASELINE, "--output", str(made), *folders, stdout=subprocess.DEVNULL)
    return made


def keep_reports(args, name, profile, folders):
    """The tables and plots of reports that are kept, in a new folder."""
    results, losses = args.work / "results" / name / profile, EXPERIMENTS[name].losses
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    made = report(args, f"{name}-{profile}", folders)
    for pattern in KEPT:
        for path in made.glob(pattern):
            shutil.copy(path, results)
    if losses:
        chosen = [folder for folder in folders if setting_of(folder) in losses]
        shutil.copy(report(args, f"{name}-{profile}-loss", chosen) / "loss.svg", results / "training-loss.svg")
    return results


def run_experiment(args, name, profile):
    experiment, output = EXPERIMENTS[name], folder_of(name, profile)
    folders = sweep(args, name, profile, output)
    ours = [folder for folder in folders if setting_of(folder) == BASELINE]
    draws = {}
    for folder in ours:
        precision = precision_of(args, folder)
        if experiment.routes:
            ask(args, folder, f"{folder}/inference.json", profile, "all", precision)
        if experiment.draws:
            draws[folder] = [ask(args, folder, f"{folder}/draws/{seed}.json", profile, "ensemble:1", precision, seed)
                             for seed in range(1, DRAWS + 1)]
    # Few-shot runs differ in their data too: together they would know more than each.
    apart = {} if name == "few-shot" else average_apart(args, output, profile)
    results = keep_reports(args, name, profile, folders)
    ways = ways_of(args, folders, apart, draws)
    (results / "ways.json").write_text(json.dumps(ways, indent=1) + "\n")
    write_ways(results)
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
        setting, results, seed = setting_of(folder), results_of(args, folder), seed_of(folder)
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
    """(mean difference, half of its 95 % interval, p); p is NaN where all differences are one, but for rounding"""
    from scipy.stats import ttest_rel

    mean, deviation, half = runs.interval([a - b for a, b in pairs])
    return mean, half, ttest_rel(*zip(*pairs)).pvalue if deviation > 1e-9 * max(map(abs, sum(pairs, ()))) else math.nan


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


def compare(first, second):
    """The difference as above, and which test it is."""
    one, other = ({seed: value for seed, value, *_ in cells if seed is not None} for cells in (first, second))
    common = sorted(one.keys() & other.keys())
    if common:
        return *paired([(one[seed], other[seed]) for seed in common]), "paired"
    return *welch(*([value for _, value, *_ in cells] for cells in (first, second))), "Welch"


def holm(p_of):
    """{name: its p, corrected for all of them}; a p that is NaN is none."""
    out, last = {}, 0
    told = sorted((p, name) for name, p in p_of.items() if not math.isnan(p))
    for i, (p, name) in enumerate(told):
        out[name] = last = max(last, min(1, p * (len(told) - i)))
    return out


def signed(difference):
    return f"{round(difference, 2) + 0.0:+.2f}"  # no -0.00


def p_text(p):
    return "" if math.isnan(p) else "< 0.001" if p < 0.0005 else f"{p:.3f}"


def ways_table(found):
    """All ways beside AdaMix, with what they cost."""
    ours, tests = found[BASELINE], {way: compare(cells, found[BASELINE]) for way, cells in found.items() if way != BASELINE}
    corrected = holm({way: test[2] for way, test in tests.items()})
    rows = []
    for way, cells in found.items():
        mean, deviation, half = runs.interval([value for _, value, *_ in cells])
        spread = [f"{deviation:.2f}", f"± {half:.2f}"] if len(cells) > 1 else ["", ""]
        beside = [""] * 5
        if way in tests:
            difference, width, p, name = tests[way]
            beside = [f"{signed(difference)}", "" if math.isnan(width) else f"± {width:.2f}", "" if math.isnan(p) else name, p_text(p),
                      p_text(corrected.get(way, math.nan))]
        flops = statistics.fmean(flops for *_, flops, _ in cells)
        rows.append([way, str(len(cells)), f"{mean:.2f}", *spread, *beside, f"{flops / statistics.fmean(f for *_, f, _ in ours):.2f}",
                     str(cells[0][3])])
    head = ["way", "n", "mean", "sd", "95 %", f"less {BASELINE}", "95 %", "test", "p", "p (Holm)", "FLOP of training", "passes"]
    return runs.table(head, rows) + (
        f"Points. A paired difference is over the seeds that a way has in common with {BASELINE}, which may be fewer than n; Welch's test "
        f"compares groups of {APART} runs. p (Holm) is corrected over this table. FLOP of training: {BASELINE}'s are 1.\n")


def write_ways(results):
    (results / "ways.md").write_text(ways_table(json.loads((results / "ways.json").read_text())))


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


def write_verdict():
    """The differences of CLAIMS, in points; p is corrected by Holm over all that are tested."""
    tests = {}
    for claim in CLAIMS:
        for profile in EXPERIMENTS[claim.experiment].profiles:
            path = HERE / claim.experiment / "results" / profile / "ways.json"
            ways = json.loads(path.read_text()) if path.exists() else {}
            if claim.first in ways and claim.second in ways:
                tests[claim, profile] = compare(ways[claim.first], ways[claim.second])
    corrected = holm({(claim, profile): test[2] for (claim, profile), test in tests.items() if not claim.equal})
    rows = []
    for claim in CLAIMS:
        cells = []
        for profile in PROFILES:
            difference, half, *_ = tests.get((claim, profile), (math.nan, math.nan))
            p = p_text(corrected.get((claim, profile), math.nan))
            told = [f"{signed(difference)}"] * (not math.isnan(difference)) + [f"± {half:.2f}"] * (not math.isnan(half)) + [f"(p {p})"] * (p != "")
            cells.append(" ".join(told))
        rows.append([f"[{claim.experiment}]({claim.experiment}/README.md)", claim.text, f"{claim.first} less {claim.second}", *cells])
    runs.put(HERE / "README.md", "reproduce.py", runs.table(["experiment", "claim", "difference", *PROFILES], rows))


def write_costs():
    """What the runs of each experiment took, by the committed tables."""
    rows, made, total = [], set(), 0.0
    for name, experiment in EXPERIMENTS.items():
        for profile in experiment.profiles:
            path = HERE / name / "results" / profile / "runs.csv"
            if not path.exists():
                continue
            with open(path, encoding="utf-8", newline="") as file:
                seconds = {(folder_of(name, profile), row["run"]): float(row["training, s"]) for row in csv.DictReader(file)}
            new = {run: took for run, took in seconds.items() if run not in made}
            made |= seconds.keys()
            total += sum(new.values())
            rows.append([name, profile, str(len(seconds)), f"{sum(seconds.values()) / 120:.0f} min", str(len(new)),
                         f"{sum(new.values()) / 120:.0f} min"])
    head = ["experiment", "task", "runs", "on 2 cores", "that no other made before", "on 2 cores"]
    runs.put(HERE / "README.md", "reproduce.py costs", runs.table(head, rows) +
             f"Training, with its evaluations, one run on each of two cores: {total / 7200:.1f} hours of 2 cores in all.\n")


def write(_):
    for path in HERE.glob("*/results/*/ways.json"):
        write_ways(path.parent)
    write_verdict()
    write_costs()


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
    missing = [profile for profile in profiles if not (HERE / QUICK / "results" / profile).exists()]
    if missing:
        sys.exit(f"there are no results of {QUICK} on {', '.join(missing)} to compare with: reproduce.py run makes them")
    for profile in profiles:
        ways = json.loads((HERE / QUICK / "results" / profile / "ways.json").read_text())
        allowed = expected({setting: ways[setting] for setting in settings}, total)
        for folder in sweep(args, QUICK, profile, f"runs/quick/{profile}", "--settings", QUICK_SETTINGS, "--seeds", QUICK_SEED):
            setting = setting_of(folder)
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
    commands.add_parser("write").set_defaults(do=write)
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
