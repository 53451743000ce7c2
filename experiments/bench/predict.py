#!/usr/bin/env python3
"""Inference of adamix beside transformers, and what docs/performance.md shows of it.

    predict.py run --adamix PATH --encoder DIR --data DIR --work DIR [--repetitions 3] [what]
    predict.py write [--note TEXT]

`run` makes those measurements that predict/speed.jsonl does not hold yet and appends a line for each; it can be stopped at
any time. Both sides run already and take turns. `what` narrows the measurements: --parts, --threads and --precisions, each
a list with commas. Parts are

stream    the test queries of banking77 through `adamix predict`, from pipe to pipe, against transformers that sorts them by
          length, in batches of 32, 64 and 128, whichever is the fastest: queries a second
latency   one short query, its answer awaited, 200 times: milliseconds
merged    stream with the merged module of an adamix run, and with the module of an adapter run of the same size

transformers has no module, only mean pooling and a head of the same size, and need not write its answers down. Two runs of
a few steps are trained in --work unless they are there. `write` puts the tables into docs/; --note begins them with a remark
on how it was measured. Needs Linux, idle cores, and torch and transformers in this Python.
"""
import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import runs  # noqa: E402

RESULTS = HERE / "predict"
DOCS = HERE.parent.parent / "docs"
KEY = ["part", "threads", "precision", "repetition"]
THREADS = [1, 2]
PRECISIONS = ["fp32", "bf16"]
BATCHES = [32, 64, 128]
LABELS, LATENCIES, WARM_UP = 77, 200, 64
SHORT = "How do I locate my card?"
STREAM_TARGET, LATENCY_TARGET = 1.6, 0.5  # of bf16


# ---- both sides ----------------------------------------------------------------------------------------------------------


class Adamix:
    """A running `adamix predict`."""

    def __init__(self, args, method, threads, precision):
        command = [args.adamix, "predict", "--model", args.encoder, "--adapter", str(pathlib.Path(args.work) / method),
                   "--threads", str(threads), "--precision", precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def write(self, text):
        """All of it: a pipe without a buffer takes as much as fits."""
        rest = memoryview(text)
        while rest:
            rest = rest[self.process.stdin.write(rest):]

    def await_lines(self, count):
        while count > 0:
            text = self.process.stdout.read(1 << 20)
            if not text:
                sys.exit("adamix predict ended before its input did")
            count -= text.count(b"\n")

    def answer(self, queries):
        """Write while answers are read, as a shell's pipeline does."""
        writer = threading.Thread(target=self.write, args=("".join(f"{query}\n" for query in queries).encode(),))
        writer.start()
        self.await_lines(len(queries))
        writer.join()

    def answer_one(self, query):
        self.write(f"{query}\n".encode())
        self.await_lines(1)


class Transformers:
    """The encoder, mean pooling and a head, in this process."""

    def __init__(self, args, threads, precision):
        os.environ["RAYON_NUM_THREADS"] = str(threads)  # of the tokenizer
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        torch.set_num_threads(threads)
        self.torch = torch
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(args.encoder)
        self.encoder = transformers.AutoModel.from_pretrained(args.encoder, dtype=dtype, add_pooling_layer=False).eval()
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, LABELS, dtype=dtype)

    def classify(self, encoded):
        """Class of each text; states are averaged over the tokens that are no padding."""
        hidden = self.encoder(**encoded).last_hidden_state
        mask = encoded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        return self.head((hidden * mask).sum(1) / mask.sum(1)).argmax(1).tolist()

    def answer(self, queries, batch):
        """Classes in the order of the queries."""
        classes = [None] * len(queries)
        with self.torch.inference_mode():
            ids = self.tokenizer(queries, return_attention_mask=False, return_token_type_ids=False)["input_ids"]
            order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
            for first in range(0, len(order), batch):
                chosen = order[first:first + batch]
                encoded = self.tokenizer.pad({"input_ids": [ids[i] for i in chosen]}, return_tensors="pt")
                for i, label in zip(chosen, self.classify(encoded)):
                    classes[i] = label
        return classes

    def answer_one(self, query):
        with self.torch.inference_mode():
            return self.classify(self.tokenizer(query, return_tensors="pt"))


# ---- measurements --------------------------------------------------------------------------------------------------------


def test_queries(args):
    path = pathlib.Path(args.data) / "banking77" / "test.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return [" ".join(row["text"].split()) for row in csv.DictReader(file)]


def train(args):
    """Speed does not depend on how well a module answers."""
    for method in ("adamix", "adapter"):
        output = pathlib.Path(args.work) / method
        if not (output / "merged").is_dir():
            subprocess.run([args.adamix, "train", "--recipe", "support", "--method", method, "--model", args.encoder,
                            "--data", args.data, "--limit-train", "640", "--max-steps", "10", "--eval-every", "never",
                            "--save-every", "never", "--output", str(output), "--force"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seconds(call, *arguments):
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def stream(args, threads, precision):
    """{figure: value} of a repetition, again and again; both sides are warm."""
    queries, peer = test_queries(args), Transformers(args, threads, precision)
    with Adamix(args, "adamix", threads, precision) as adamix:
        adamix.answer(queries[:WARM_UP])
        peer.answer(queries[:WARM_UP], WARM_UP)
        while True:
            ours = len(queries) / seconds(adamix.answer, queries)
            yield {"adamix": ours} | {f"transformers_{b}": len(queries) / seconds(peer.answer, queries, b) for b in BATCHES}


def latency(args, threads, precision):
    peer = Transformers(args, threads, precision)
    with Adamix(args, "adamix", threads, precision) as adamix:
        while True:
            found = {}
            for name, side in (("adamix", adamix), ("transformers", peer)):
                for _ in range(WARM_UP):
                    side.answer_one(SHORT)
                times = sorted(1e3 * seconds(side.answer_one, SHORT) for _ in range(LATENCIES))
                found |= {f"{name}_median": statistics.median(times), f"{name}_p99": times[round(0.99 * LATENCIES) - 1]}
            yield found


def merged(args, threads, precision):
    queries = test_queries(args)
    with Adamix(args, "adamix", threads, precision) as one, Adamix(args, "adapter", threads, precision) as other:
        for side in (one, other):
            side.answer(queries[:WARM_UP])
        while True:
            yield {name: len(queries) / seconds(side.answer, queries) for name, side in (("merged", one), ("adapter", other))}


PARTS = {"stream": stream, "latency": latency, "merged": merged}


def run_all(args):
    for variable in [name for name in os.environ if name.startswith(("OMP_", "GOMP_", "KMP_"))]:
        del os.environ[variable]  # OpenMP as it is by default on both sides
    runs.check_machine(RESULTS, args.adamix)
    train(args)
    path = RESULTS / "speed.jsonl"
    have = {tuple(line[key] for key in KEY) for line in runs.read(path)}
    for part in args.parts:
        for threads in args.threads:
            for precision in args.precisions:
                missing = [i for i in range(args.repetitions) if (part, threads, precision, i) not in have]
                for repetition, found in zip(missing, PARTS[part](args, threads, precision) if missing else []):
                    line = dict(zip(KEY, (part, threads, precision, repetition))) | found
                    print(*(f"{v:.4g}" if isinstance(v, float) else v for v in line.values()), flush=True)
                    runs.keep(path, line)


# ---- tables --------------------------------------------------------------------------------------------------------------


def settings(lines, part):
    """(threads, precision, its lines), those that were measured."""
    for threads in THREADS:
        for precision in PRECISIONS:
            found = [line for line in lines if [line[key] for key in KEY[:3]] == [part, threads, precision]]
            if found:
                yield threads, precision, found


def ratio(above, below):
    """Median over the repetitions, with the least and the most."""
    found = [a / b for a, b in zip(above, below)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def stream_table(lines):
    head = ["threads", "precision", "adamix, queries/s", "transformers", "in batches of", "adamix / transformers", "target"]
    rows = []
    for threads, precision, found in settings(lines, "stream"):
        medians = {batch: statistics.median(line[f"transformers_{batch}"] for line in found) for batch in BATCHES}
        batch = max(medians, key=medians.get)
        ours, theirs = ([line[key] for line in found] for key in ("adamix", f"transformers_{batch}"))
        rows.append([str(threads), precision, f"{statistics.median(ours):,.0f}", f"{medians[batch]:,.0f}", str(batch),
                     ratio(ours, theirs), f"{STREAM_TARGET}" if precision == "bf16" else ""])
    return runs.table(head, rows)


def latency_table(lines):
    head = ["threads", "precision", "adamix, ms: median, 99th percentile", "transformers", "medians, adamix / transformers",
            "target"]
    rows = []
    for threads, precision, found in settings(lines, "latency"):
        shown = [", ".join(f"{statistics.median(line[f'{side}_{key}'] for line in found):.2f}" for key in ("median", "p99"))
                 for side in ("adamix", "transformers")]
        medians = ([line[f"{side}_median"] for line in found] for side in ("adamix", "transformers"))
        rows.append([str(threads), precision, *shown, ratio(*medians), f"{LATENCY_TARGET}" if precision == "bf16" else ""])
    return runs.table(head, rows)


def merged_table(lines):
    head = ["threads", "precision", "merged module, queries/s", "single adapter", "merged / single"]
    rows = []
    for threads, precision, found in settings(lines, "merged"):
        one, other = ([line[key] for line in found] for key in ("merged", "adapter"))
        rows.append([str(threads), precision, *(f"{statistics.median(v):,.0f}" for v in (one, other)), ratio(one, other)])
    return runs.table(head, rows)


def write(args):
    lines = runs.read(RESULTS / "speed.jsonl")
    if not lines:
        sys.exit(f"{RESULTS / 'speed.jsonl'} holds no figures yet: measure with `run` first")
    text = f"{args.note}\n\n" if args.note else ""
    text += f"{runs.machine_of(RESULTS)}\n\n"
    text += f"All test queries in a stream:\n\n{stream_table(lines)}One short query:\n\n{latency_table(lines)}"
    text += f"A merged module beside a single adapter of its size:\n\n{merged_table(lines)}"
    runs.put(DOCS / "performance.md", "predict.py", text)


# ---- command line --------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    for option in ("adamix", "encoder", "data", "work"):
        run.add_argument(f"--{option}", required=True)
    run.add_argument("--parts", type=runs.some(list(PARTS)), default=list(PARTS))
    run.add_argument("--threads", type=runs.some(THREADS, int), default=THREADS)
    run.add_argument("--precisions", type=runs.some(PRECISIONS), default=PRECISIONS)
    run.add_argument("--repetitions", type=int, default=3)
    run.set_defaults(do=run_all)
    tables = commands.add_parser("write")
    tables.add_argument("--note", default="")
    tables.set_defaults(do=write)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
