"""What the grids of experiments share: lines of JSON that are kept run by run, and what their spread says."""
import json
import math
import statistics


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def interval(values):
    """(mean, standard deviation, half of the 95 % interval of the mean, Student's t); NaN where one value says nothing"""
    from scipy.stats import t

    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return mean, math.nan, math.nan
    deviation = statistics.stdev(values)
    return mean, deviation, t.ppf(0.975, n - 1) * deviation / math.sqrt(n)
