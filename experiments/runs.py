"""What the grids and the benches have in common: JSON lines kept run by run, what their spread says, tables, plots."""
import argparse
import importlib.metadata
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys


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


def machine(adamix):
    """What the figures of one folder have in common."""
    fields = dict(line.split(":", 1) for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    caches = sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    version = subprocess.run([adamix, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {"cpu": fields["model name"], "family": f"{fields['cpu family']}, model {fields['model']}",
            "cores": len(os.sched_getaffinity(0)),
            "flags": [flag for flag in wanted if flag in fields["flags"].split()],
            "caches": [f"L{(c / 'level').read_text().strip()} {(c / 'size').read_text().strip()}" for c in caches
                       if (c / "type").read_text().strip() != "Instruction"],
            "adamix": version, "torch": importlib.metadata.version("torch"),
            "transformers": importlib.metadata.version("transformers")}


def check_machine(folder, adamix):
    """Figures of another machine or revision do not go into the same folder."""
    path, now = folder / "machine.json", machine(adamix)
    if not path.exists():
        folder.mkdir(exist_ok=True)
        path.write_text(json.dumps(now, indent=2) + "\n")
    kept = json.loads(path.read_text())
    for key, value in now.items():
        if kept[key] != value:
            sys.exit(f"{folder} holds figures of {key} {kept[key]}, here it is {value}: move the folder away to begin anew")


def machine_of(folder):
    """A sentence of it."""
    here = json.loads((folder / "machine.json").read_text())
    return (f"Machine: {here['cores']} cores of {here['cpu']} (family {here['family']}; {', '.join(here['flags'])}; "
            f"{', '.join(here['caches'])}); {here['adamix']}, PyTorch {here['torch']}, transformers {here['transformers']}.")


def some(of, kind=str):
    """Type of an option that takes a list with commas, of those there are."""
    def parse(text):
        chosen = [kind(part) for part in text.split(",")]
        for item in chosen:
            if item not in of:
                raise argparse.ArgumentTypeError(f"{item} is not one of {', '.join(map(str, of))}")
        return chosen
    return parse


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
