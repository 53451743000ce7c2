#!/usr/bin/env python3
"""Make the table of docs/results.md out of the runs of run.sh: table.py DIR

A cell is (task, method): n runs, mean, standard deviation over seeds, 95 % confidence interval of the mean (Student's t),
in points. Where the peer has two runs or more beside it, the difference of means stands beside its limit,
3 sqrt (s1^2 / n1 + s2^2 / n2). Needs SciPy. The exit status is 1 if a difference is above its limit.
"""
import json
import math
import pathlib
import statistics
import sys

from scipy.stats import t

# task: (title, key in all_results.json, key of the peer)
METRICS = {
    "banking77": [("accuracy", "test_accuracy", "acc")],
    "mrpc": [("accuracy", "eval_accuracy", "acc"), ("F1", "eval_f1", "f1")],
    "stsb": [("Pearson", "eval_pearson", "pearson"), ("Spearman", "eval_spearmanr", "spearman")],
    "sst2": [("accuracy", "eval_accuracy", "acc")],
    "qnli": [("accuracy", "eval_accuracy", "acc")],
}
METHODS = ["adamix", "adapter", "head", "full"]


def runs(root, who, task, method):
    name = f"{who}-{task}-{method}-[0-9]*"
    if who == "adamix":
        return [json.loads(path.read_text()) for path in sorted(root.glob(name + "/all_results.json"))]
    return [json.loads(path.read_text())["final"] for path in sorted(root.glob(name + ".json"))]


def spread(values):
    """(mean, standard deviation, half of the interval); NaN where one value says nothing"""
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return mean, math.nan, math.nan
    deviation = statistics.stdev(values)
    return mean, deviation, t.ppf(0.975, n - 1) * deviation / math.sqrt(n)


def number(value):
    return "" if math.isnan(value) else f"{value:.2f}"


def majority(root, task):
    found = runs(root, "adamix", task, "adamix")
    value = found and (found[0].get("test_majority") or found[0].get("eval_majority"))
    return f"{100 * value:.1f}" if value else ""


def main():
    root, above = pathlib.Path(sys.argv[1]), 0
    print("| task, metric | majority | method | adamix: n, mean, sd, 95 % | PyTorch: n, mean, sd | difference (limit) |")
    print("|---|---|---|---|---|---|")
    for task, metrics in METRICS.items():
        for title, key, peer_key in metrics:
            for method in METHODS:
                ours = [100 * run[key] for run in runs(root, "adamix", task, method)]
                theirs = [100 * run[peer_key] for run in runs(root, "peer", task, method)]
                if not ours and not theirs:
                    continue
                left = right = between = ""
                if ours:
                    mean, deviation, half = spread(ours)
                    left = f"{len(ours)}, {mean:.2f}, {number(deviation)}, ± {number(half)}"
                if theirs:
                    peer_mean, peer_deviation, _ = spread(theirs)
                    right = f"{len(theirs)}, {peer_mean:.2f}, {number(peer_deviation)}"
                if len(ours) > 1 and len(theirs) > 1:
                    limit = 3 * math.sqrt(deviation**2 / len(ours) + peer_deviation**2 / len(theirs))
                    between = f"{mean - peer_mean:+.2f} ({limit:.2f})"
                    above += abs(mean - peer_mean) > limit
                print(f"| {task}, {title} | {majority(root, task) if title != 'F1' else ''} | {method} | {left} | {right} | {between} |")
    sys.exit(1 if above else 0)


main()
