"""RUN/tensorboard read by TensorBoard: the numbers of metrics.jsonl, of a resumed run too."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np
import tap
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

MODEL = pathlib.Path(os.environ["ADAMIX_SOURCE"]) / "tests" / "golden" / "bert-tiny"
STEPS, EVERY = 9, 3


def train(folder, data, *more):
    command = [os.environ["ADAMIX"], "train", "--model", MODEL, "--train-file", data, "--dev-file", data, "--experts", 3,
               "--rank", 8, "--batch", 8, "--max-length", 32, "--pool", "mean", "--threads", 1, "--max-steps", STEPS, "--eval-every",
               EVERY, "--save-every", EVERY, "--keep", 9, "--output", folder, *more]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def expected(lines):
    """{tag: [(step, value)]}"""
    found = {}
    for line in lines:
        for key, value in line.items():
            if key == "step" or value is None:
                continue
            tag = f"eval/{key[5:]}" if key.startswith("eval_") else f"train/{key}"
            parts = [(f"{tag}/{i}", v) for i, v in enumerate(value)] if isinstance(value, list) else [(tag, value)]
            for name, number in parts:
                found.setdefault(name, []).append((line["step"], np.float32(number)))
    return found


def compare(name, folder):
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    lines = lines_of(folder)
    found = {tag: [(e.step, np.float32(e.value)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    tap.ok(len(lines) == STEPS and found == expected(lines), f"{name}: {len(found)} scalars of {len(lines)} steps",
           f"{found}\n{expected(lines)}")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        data, whole, cut = scratch / "data.tsv", scratch / "whole", scratch / "cut"
        data.write_text("text\tlabel\n" + "".join(f"the {'cat' if i % 3 else 'dog'} sat {i}\t{i % 3 > 0}\n" for i in range(24)))
        train(whole, data, "--tensorboard")
        compare("a run", whole)
        tags = expected(lines_of(whole))
        tap.ok(len(tags["eval/accuracy"]) == STEPS // EVERY and "train/expert_load/2" in tags, "evaluations and loads are there")
        # The lines behind the second checkpoint are made once more.
        shutil.copytree(whole, cut)
        (cut / "all_results.json").unlink()
        for folder in (cut / "merged", cut / "experts", cut / "checkpoints" / f"step-{STEPS}"):
            shutil.rmtree(folder)
        train(cut, data, "--tensorboard", "--resume")
        compare("a resumed run", cut)
        # What a run did before it was asked for is there as well.
        shutil.rmtree(cut / "tensorboard")
        (cut / "all_results.json").unlink()
        shutil.rmtree(cut / "checkpoints" / f"step-{STEPS}")
        train(cut, data, "--tensorboard", "--resume")
        compare("asked for late", cut)
    tap.done()


main()
