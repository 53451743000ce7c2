#!/usr/bin/env python3
"""Write tests/unit/metrics/golden_statistics.h: Student's distribution, intervals, paired tests by scipy, Holm's correction by its
definition on sorted p values.

Needs the Python packages numpy and scipy.  Usage: make_statistics.py > tests/unit/metrics/golden_statistics.h
"""
import numpy as np
from scipy.stats import t as student
from scipy.stats import ttest_rel

rng = np.random.default_rng(7)


def array(values):
    return f"(const double[]){{ {', '.join('NAN' if v != v else repr(float(v)) for v in values)} }}"


def paired(name, a, b, confidence):
    test, d = ttest_rel(a, b), np.subtract(a, b)
    interval = test.confidence_interval(confidence)
    values = [d.mean(), d.std(ddof=1), (interval.high - interval.low) / 2, test.statistic, test.pvalue]
    return f'  {{ "{name}", {len(a)}, {array(a)}, {array(b)}, {confidence}, {", ".join(repr(float(v)) for v in values)} }},'


def holm(p):
    """Step down over the sorted ones; NaN is no test."""
    family = sorted(v for v in p if v == v)
    least, adjusted = 0.0, {}
    for i, v in enumerate(family):
        least = max(least, min(1.0, (len(family) - i) * v))
        adjusted.setdefault(v, least)
    return f"  {{ {len(p)}, {array(p)}, {array(adjusted.get(v, v) for v in p)} }},"


print("/* Made by tests/golden/make_statistics.py with scipy. */")
print("static const golden_student students[] = {")
for df in (1, 2, 3, 4, 5, 7, 8, 9, 20, 29, 30, 101, 1000):
    for p in (0.1, 0.5, 0.9, 0.95, 0.99, 0.999):
        print(f"  {{ {df}, {p}, {float(student.ppf((1 + p) / 2, df))!r} }},")
print("};\n\nstatic const golden_paired pairs[] = {")
x = rng.normal(0.9, 0.01, 5).round(4)
for row in [paired("five seeds", x, (x + rng.normal(0.004, 0.003, 5)).round(4), 0.95), paired("two seeds", [0.91, 0.92], [0.90, 0.925], 0.95),
            paired("far apart", [1.0, 2.0, 3.0], [11.0, 12.5, 12.0], 0.99), paired("large beside their spread", 1e6 + x, np.full(5, 1e6), 0.9),
            paired("thirty", rng.normal(size=30).round(3), rng.normal(size=30).round(3), 0.95)]:
    print(row)
print("};\n\nstatic const golden_holm families[] = {")
nan = float("nan")
for row in [[0.01, 0.04, 0.03, 0.005], [0.04, 0.04, 0.01], [0.2], [nan, 0.03, 0.02], [0.9, 0.6, 0.8], [nan, nan], [0.01, 0.011, 0.5, 0.5, 0.0]]:
    print(holm(row))
print("};")
