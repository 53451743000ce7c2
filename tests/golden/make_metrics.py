#!/usr/bin/env python3
"""Write tests/unit/metrics/golden_metrics.h: metrics of small data by scikit-learn and scipy.

Needs the Python packages numpy, scikit-learn and scipy.  Usage: make_metrics.py > tests/unit/metrics/golden_metrics.h
"""
import numpy as np
from scipy import stats
from sklearn import metrics

rng = np.random.default_rng(5)


def array(kind, values):
    return f"(const {kind}[]){{ {', '.join(repr(v) for v in values.tolist())} }}"


def classes(name, truth, guess, k):
    truth, guess = np.array(truth, np.int32), np.array(guess, np.int32)
    f1 = metrics.f1_score(truth, guess, pos_label=1, zero_division=0) if k == 2 else float("nan")
    values = [metrics.accuracy_score(truth, guess), f1, metrics.matthews_corrcoef(truth, guess)]
    return f'  {{ "{name}", {len(truth)}, {k}, {array("int32_t", truth)}, {array("int32_t", guess)}, {", ".join("NAN" if np.isnan(v) else repr(float(v)) for v in values)} }},'


def numbers(name, x, y):
    x, y = np.array(x, float), np.array(y, float)
    values = [stats.pearsonr(x, y).statistic, stats.spearmanr(x, y).statistic]
    return f'  {{ "{name}", {len(x)}, {array("double", x)}, {array("double", y)}, {", ".join(repr(float(v)) for v in values)} }},'


def noisy(n, k, share):
    truth = rng.integers(0, k, n)
    return truth, np.where(rng.random(n) < share, truth, rng.integers(0, k, n))


print("/* Made by tests/golden/make_metrics.py with scikit-learn and scipy. */")
print("static const golden_classes classes[] = {")
for row in [classes("two classes", *noisy(30, 2, 0.6), 2), classes("three classes", *noisy(40, 3, 0.5), 3), classes("seven classes", *noisy(60, 7, 0.7), 7),
            classes("all right", [0, 1, 1, 0], [0, 1, 1, 0], 2), classes("all wrong", [0, 1, 1, 0], [1, 0, 0, 1], 2), classes("constant guess", [0, 1, 1, 0], [0, 0, 0, 0], 2),
            classes("constant truth", [1, 1, 1], [0, 1, 1], 2), classes("one example", [1], [1], 2), classes("an absent class", [0, 2, 2, 0, 2], [0, 2, 0, 0, 2], 3),
            classes("no positive", [0, 0, 0], [0, 0, 0], 2)]:
    print(row)
print("};\n\nstatic const golden_numbers numbers[] = {")
x = rng.normal(size=25).round(3)
for row in [numbers("noisy", x, (x + rng.normal(size=25)).round(3)), numbers("ties", rng.integers(0, 5, 30), rng.integers(0, 4, 30)), numbers("two", [1, 2], [5, 3]),
            numbers("far from zero", 1e6 + x, 1e6 + x * 0.5 + rng.normal(size=25).round(3)), numbers("tiny", 1e-9 * x, x[::-1]), numbers("exact", x, 3 * x - 1)]:
    print(row)
print("};")
