"""Running the binary: training runs and evaluations in folders of their own."""
import json
import os
import subprocess

ADAMIX = os.environ.get("ADAMIX", "adamix")
MODEL = os.environ.get("ADAMIX_MODEL")


class Failed(RuntimeError):
    """The binary ended with an error; the text is what it said."""


def adamix(*arguments, stdin=None):
    """(standard output, standard error) of `adamix ARGUMENT...`."""
    run = subprocess.run([ADAMIX, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if run.returncode != 0:
        raise Failed(f"adamix {' '.join(map(str, arguments))}\nstatus {run.returncode}\n{run.stderr.decode()}")
    return run.stdout.decode(), run.stderr.decode()


def load(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def train(task, data, output, *options):
    """What a short run said on standard error; its files are in `output`."""
    return adamix("train", "--model", MODEL, "--task", task, "--data", data, "--output", output, *options)[1]


def evaluate(task, data, adapter, output, *options):
    """The results of `adamix eval` as it stored them."""
    adamix("eval", "--model", MODEL, "--adapter", adapter, "--task", task, "--data", data, "--output", output, *options)
    return load(output)
