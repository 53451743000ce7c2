#!/usr/bin/env python3
"""Record 20 steps of training of the tiny BERT: ADAMIX=build/adamix python3 tests/golden/make_trajectory.py

Needs torch, transformers and safetensors; the test (tests/cli/trajectory.sh) reads only the files, which are committed.
adamix gives token ids and initial values, all else is tests/peer/trajectory.py in fp64. In tests/golden/trajectory:

  texts.tsv                    records: text, label, score
  CASE.ini                     options of the run, for --config
  order.jsonl                  records of each step (docs/parity.md)
  CASE.routes.jsonl            routes of each step
  CASE.golden.jsonl            loss_task, loss_consistency and grad_norm of each step
"""
import os
import pathlib
import sys
import tempfile

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "peer"))
import trajectory  # noqa: E402
from trajectory import Data, Settings  # noqa: E402
from transformers import BertModel  # noqa: E402

STEPS, RECORDS, BATCH, EXPERTS, LAYERS, LENGTH = 20, 24, 6, 3, 3, 40
CASES = {
    "none": Settings(STEPS, 1.5e-2, rank=12, share="none", pool="mean", weight_decay=0.3),
    "up": Settings(STEPS, 2e-2, rank=12, share="up", pool="pooler", consistency=0.5, consistency_gradient="both"),
    "regression": Settings(STEPS, 1e-2, rank=12, share="down", pool="mean", regression=True),
    "lora": Settings(STEPS, 2e-2, method="adamix-lora", rank=6, share="up", pool="mean"),
    "houlsby": Settings(STEPS, 1e-2, method="houlsby", pool="pooler"),
    "full": Settings(STEPS, 2e-3, method="full", pool="pooler"),
}
WORDS = "the a cat dog sat ran on under mat table not very happy sad card bank money transfer top up my is where".split()


def make_records(generator):
    draw = lambda n: int(torch.randint(n, (), generator=generator))
    texts = [" ".join(WORDS[draw(len(WORDS))] for _ in range(2 + draw(18))) for _ in range(RECORDS)]
    return texts, [draw(3) for _ in texts], [round(draw(500) / 100, 2) for _ in texts]


def record(folder, name, settings, texts, target, order, generator):
    model, how = HERE / "bert-tiny", {"binary": os.environ["ADAMIX"]}
    words = trajectory.options_of(settings) + ["--experts", EXPERTS, "--batch", BATCH, "--max-length", LENGTH,
                                               "--label-column", "score" if settings.regression else "label"]
    (folder / f"{name}.ini").write_text("".join(f"{o[2:]} = {v}\n" for o, v in zip(words[::2], words[1::2])))
    data = Data(trajectory.encode(model, texts, LENGTH, **how), target, order,
                trajectory.draw_routes(generator, settings, LAYERS, EXPERTS), separator=3)
    if trajectory.METHODS[settings.method].get("many"):
        trajectory.store_lines(folder / f"{name}.routes.jsonl", data.routes)
    with tempfile.TemporaryDirectory() as scratch:
        initial = trajectory.initial_values(f"{scratch}/run", ["--model", model, "--train-file", folder / "texts.tsv", *words], **how)
    make = lambda: BertModel.from_pretrained(model, dtype=torch.float64, attn_implementation="eager")
    lines = trajectory.train(make, initial, data, settings)
    kept = ("loss_task", "loss_consistency", "grad_norm")
    trajectory.store_lines(folder / f"{name}.golden.jsonl", [{key: line[key] for key in kept} for line in lines])


def main():
    folder = HERE / "trajectory"
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(20220524)
    texts, labels, scores = make_records(generator)
    rows = "".join(f"{t}\t{y}\t{s}\n" for t, y, s in zip(texts, labels, scores))
    (folder / "texts.tsv").write_text("text\tlabel\tscore\n" + rows)
    order = trajectory.draw_order(generator, STEPS, RECORDS, BATCH)
    trajectory.store_lines(folder / "order.jsonl", order)
    for name, settings in CASES.items():
        target = torch.tensor(scores, dtype=torch.float64) if settings.regression else torch.tensor(labels)
        record(folder, name, settings, texts, target, order, generator)


main()
