"""What the grids and the benches have in common: JSON lines kept run by run, what their spread says, tables, plots."""
import json
import math
import os
import statistics
import subprocess


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


def environment():
    """This process's, for children under mpirun: Open MPI wants to be told that root is meant."""
    if os.geteuid() != 0:
        return dict(os.environ)
    return os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n"


def put(page, script, text):
    """Write the text between the script's two marks in a page."""
    begin, end = (f"<!-- {script}: {mark} -->\n" for mark in ("begin", "end"))
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + text + end + rest.split(end)[1])


def gnuplot(path, size, lines):
    """An SVG in the style of all plots; lines are what follows that."""
    style = [f"set terminal svg size {size} font 'sans,12' background 'white'", f"set output '{path}'", "set grid"]
    subprocess.run(["gnuplot"], input="\n".join(style + lines) + "\n", text=True, check=True)
