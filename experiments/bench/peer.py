#!/usr/bin/env python3
"""Training speed and memory of adamix beside the PyTorch peer, and what docs/performance.md shows of them.

    peer.py run --adamix PATH --encoder DIR --data DIR --peer torch_adamix.py --work DIR [--repetitions 3] [what]
    peer.py memory --adamix PATH --encoder DIR --data DIR --peer torch_adamix.py --work DIR [what]
    peer.py write [--note TEXT]

`run` makes those measurements that peer/speed.jsonl does not hold yet and appends a line for each; it can be stopped at
any time. adamix (`bench step`) and the peer take turns; the number of a repetition is the seed of both sides. A turn in
which other processes took more than --disturbed cores is thrown away; run again. `memory` makes 100 steps on each side.
`what` narrows them: --models, --tasks, --precisions, and for `run` --cores and --who, each a list with commas. `write`
puts tables and plot into docs/; --note begins them with a remark on how it was measured.

--encoder is MiniLM's folder; BERT-base and RoBERTa-large are drawn once by transformers into --work, with the vocabularies
of --data. Needs Linux, mpirun, gnuplot, an idle machine of two cores, and torch, transformers, scikit-learn in this Python.
"""
import argparse
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import runs  # noqa: E402

RESULTS = HERE / "peer"
DOCS = HERE.parent.parent / "docs"
KEY = ["who", "model", "task", "precision", "cores", "repetition"]
MEMORY_STEPS, MEMORY_TARGET = 100, 0.35


@dataclass(frozen=True)
class Model:
    title: str
    batch: int
    pool: str
    target: float  # adamix over the tuned peer, bf16 on 2 cores
    warmup: int  # steps of the tuned peer before those timed; adamix and the reference style take one
    steps: dict  # task: timed on 2 cores by (adamix, tuned, reference); tuned: lengths differ from step to step


MODELS = {
    "minilm": Model("MiniLM", 32, "mean", 2.5, 3, {"rte": (8, 24, 2), "banking77": (40, 40, 2)}),
    "bert-base": Model("BERT-base", 16, "pooler", 1.5, 1, {"rte": (4, 12, 1), "banking77": (10, 16, 1)}),
    "roberta-large": Model("RoBERTa-large", 8, "pooler", 1.5, 1, {"rte": (2, 8, 1), "banking77": (5, 8, 1)}),
}
TASKS = ["rte", "banking77"]
PRECISIONS = ["fp32", "bf16"]
CORES = [2, 1]
RANK = "48"


# ---- models --------------------------------------------------------------------------------------------------------------


def draw(name, folder, vocabulary):
    """An encoder of transformers' own initial values, and its tokenizer."""
    from transformers import AutoModel, BertConfig, BertTokenizer, RobertaConfig, RobertaTokenizer

    if name == "bert-base":
        config, tokenizer = BertConfig(), BertTokenizer(vocab=str(vocabulary / "bert-base-uncased" / "vocab.txt"))
    else:
        config = RobertaConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
                               vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)
        files = vocabulary / "roberta-base"
        tokenizer = RobertaTokenizer(vocab=str(files / "vocab.json"), merges=str(files / "merges.txt"))
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def folder_of(args, name):
    if name == "minilm":
        return args.encoder
    folder = pathlib.Path(args.work) / name
    if not folder.exists():
        print(f"drawing {folder}", flush=True)
        unfinished = folder.with_suffix(".unfinished")
        draw(name, unfinished, pathlib.Path(args.data) / "vocab")
        unfinished.rename(folder)
    return str(folder)


# ---- one measurement -----------------------------------------------------------------------------------------------------


def busy():
    """Seconds that all processors of this machine were busy, or lent to other machines."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def call(command, cores):
    """(its standard output, {seconds it took, cores that others used meanwhile}); OpenMP as it is by default on both sides."""
    environment = {k: v for k, v in runs.environment().items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    before, start = busy() - own(), time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, check=False,
                          preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]))
    seconds = time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}status {done.returncode}")
    return done.stdout, {"wall": round(seconds, 1), "others": round((busy() - own() - before) / seconds, 3)}


def common(args, run):
    """Options that both sides know."""
    return ["--model", folder_of(args, run["model"]), "--task", run["task"], "--data", args.data, "--experts", "4",
            "--share", "down", "--pool", MODELS[run["model"]].pool, "--seed", str(run["repetition"])]


def adamix(args, run, ranks, command):
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return [*launcher, args.adamix, *command, *common(args, run), "--rank", RANK, "--precision", run["precision"],
            "--threads", str(run["cores"] // ranks)]


def torch(args, run, style, warmup, steps):
    return [sys.executable, args.peer, *common(args, run), "--r", RANK, "--dtype", run["precision"],
            "--threads", str(run["cores"]), "--batch", str(MODELS[run["model"]].batch), "--style", style,
            "--order", "sorted" if style == "tuned" else "random", "--no-eval",
            "--warmup-steps", str(warmup), "--max-steps", str(warmup + steps)]


def steps_of(run, side):
    """Half on one core: measurements take about as long."""
    return max(1, MODELS[run["model"]].steps[run["task"]][side] * run["cores"] // 2)


def measure_adamix(args, run, ranks):
    examples, steps = MODELS[run["model"]].batch // ranks, steps_of(run, 0)
    command = ["bench", "step", "--examples", str(examples), "--steps", str(steps), "--json"]
    out, use = call(adamix(args, run, ranks, command), run["cores"])
    found = json.loads(out)
    kept = ("tokens_per_second", "gemm_flops_per_second", "nominal_share", "executed_share")
    counted = {"tokens_per_example": found["tokens_per_step"] / found["examples_per_step"], "steps": steps}
    return {key: found[key] for key in kept} | counted | use


def measure_peer(args, run, style, side, warmup):
    steps = steps_of(run, side)
    out, use = call(torch(args, run, style, warmup, steps), run["cores"])
    found = json.loads(out)
    counted = {"tokens_per_example": found["tokens_per_s"] / found["examples_per_s"], "steps": steps}
    return {"tokens_per_second": found["tokens_per_s"]} | counted | use


# Who is measured: (in which precisions, on which cores, how).
WHO = {
    "adamix": (PRECISIONS, CORES, lambda args, run: measure_adamix(args, run, run["cores"])),
    "threads": (PRECISIONS, [2], lambda args, run: measure_adamix(args, run, 1)),
    "tuned": (PRECISIONS, CORES, lambda args, run: measure_peer(args, run, "tuned", 1, MODELS[run["model"]].warmup)),
    "reference": (["fp32"], CORES, lambda args, run: measure_peer(args, run, "reference", 2, 1)),
}


# ---- grids ---------------------------------------------------------------------------------------------------------------


def grid(args):
    """All measurements that the options ask for, in their order."""
    for repetition in range(args.repetitions):
        for model in args.models:
            for task in args.tasks:
                for cores in args.cores:
                    for precision in args.precisions:
                        for who in args.who:
                            if precision in WHO[who][0] and cores in WHO[who][1]:
                                yield dict(zip(KEY, (who, model, task, precision, cores, repetition)))


def run_grid(args):
    """Turn by turn: what a turn holds is measured one right after the other, and kept together or not at all."""
    runs.check_machine(RESULTS, args.adamix)
    path = RESULTS / "speed.jsonl"
    have = {tuple(line[key] for key in KEY) for line in runs.read(path)}
    for _, turn in itertools.groupby(grid(args), key=lambda run: [run[key] for key in KEY[1:]]):
        lines = []
        for run in turn:
            if tuple(run.values()) not in have:
                found = WHO[run["who"]][2](args, run)
                print(*run.values(), f"{found['tokens_per_second']:.0f} tokens/s, {found['wall']:.0f} s,",
                      f"others {found['others']:.2f} cores", flush=True)
                lines.append(run | found)
        disturbed = any(line["others"] > args.disturbed for line in lines)
        if disturbed:
            print("others were at work: these are thrown away", flush=True)
        for line in [] if disturbed else lines:
            runs.keep(path, line)


def measure_memory(args, run):
    """Bytes of adamix (sum of PSS over ranks) and of the peer (its peak), after as many steps."""
    output = pathlib.Path(args.work) / "memory"
    command = ["train", "--batch", str(MODELS[run["model"]].batch), "--max-steps", str(MEMORY_STEPS), "--eval-every", "never",
               "--save-every", "never", "--force", "--output", str(output)]
    call(adamix(args, run, run["cores"], command), run["cores"])
    ours = json.loads((output / "all_results.json").read_text())["memory_bytes"]
    out, _ = call(torch(args, run, "tuned", 0, MEMORY_STEPS), run["cores"])
    return {"adamix": ours, "torch": json.loads(out)["peak_rss_mb"] * 2**20}


def run_memory(args):
    runs.check_machine(RESULTS, args.adamix)
    path, keys = RESULTS / "memory.jsonl", ("model", "task", "precision", "cores")
    have = {tuple(line[key] for key in keys) for line in runs.read(path)}
    for model in args.models:
        for task in args.tasks:
            for precision in args.precisions:
                run = dict(zip(keys, (model, task, precision, 2)))
                if tuple(run.values()) not in have:
                    found = measure_memory(args, run | {"repetition": 0})
                    print(*run.values(), f"{found['adamix'] / 1e6:.0f} and {found['torch'] / 1e6:.0f} MB", flush=True)
                    runs.keep(path, run | found)


# ---- tables and plot -----------------------------------------------------------------------------------------------------


class Speeds:
    """Lines of speed.jsonl by what they measured."""

    def __init__(self, lines):
        self.lines = {tuple(line[key] for key in KEY): line for line in lines}

    def values(self, key, *cell):
        """A figure of all repetitions of (who, model, task, precision, cores), by repetition."""
        return {line[-1]: found[key] for line, found in self.lines.items() if line[:-1] == cell}

    def median(self, *cell):
        found = self.values("tokens_per_second", *cell)
        return f"{statistics.median(found.values()):,.0f}" if found else ""

    def ratios(self, cell, other):
        """Of each repetition that has both."""
        above, below = (self.values("tokens_per_second", *c) for c in (cell, other))
        return [above[i] / below[i] for i in sorted(above.keys() & below.keys())]

    def ratio(self, cell, other, spread=True):
        found = self.ratios(cell, other)
        if not found:
            return ""
        span = f" ({min(found):.2f} to {max(found):.2f})" if spread and len(found) > 1 else ""
        return f"{statistics.median(found):.2f}{span}"


def plural(cores):
    return f"{cores} core{'s' if cores > 1 else ''}"


def places():
    return [(model, task) for model in MODELS for task in TASKS]


def speed_table(speeds, cores):
    """Tokens a second of each, then the ratios; rows without a measurement are left out."""
    head = ["model, task", "adamix fp32", "bf16", "tuned fp32", "bf16", "reference fp32", "fp32 / tuned fp32",
            "bf16 / tuned bf16", "target", "fp32 / reference", "bf16 / reference"]
    rows = []
    for model, task in places():
        def cell(who, precision):
            return who, model, task, precision, cores
        medians = [speeds.median(*cell(who, precision)) for who, precision in
                   (("adamix", "fp32"), ("adamix", "bf16"), ("tuned", "fp32"), ("tuned", "bf16"), ("reference", "fp32"))]
        if any(medians):
            tuned = [speeds.ratio(cell("adamix", p), cell("tuned", p)) for p in PRECISIONS]
            reference = [speeds.ratio(cell("adamix", p), cell("reference", "fp32")) for p in PRECISIONS]
            target = f"{MODELS[model].target}" if cores == 2 else ""
            rows.append([f"{MODELS[model].title}, {task}", *medians, *tuned, target, *reference])
    return runs.table(head, rows) if rows else ""


def scaling_table(speeds):
    """What the second core gives, as a rank and as a thread."""
    head = ["model, task, precision", "2 ranks / 1 rank", "1 rank of 2 threads / 1 rank", "2 ranks / 1 rank of 2 threads"]
    rows = []
    for model, task in places():
        for precision in PRECISIONS:
            sides = (("adamix", 1), ("adamix", 2), ("threads", 2))
            one, two, threads = ((who, model, task, precision, cores) for who, cores in sides)
            ratios = [speeds.ratio(*pair, spread=False) for pair in ((two, one), (threads, one), (two, threads))]
            if any(ratios):
                rows.append([f"{MODELS[model].title}, {task}, {precision}", *ratios])
    return runs.table(head, rows) if rows else ""


def gemm_table(speeds):
    """GEMM alone, and the share of it that steps reach."""
    figures = (("GEMM alone, GFLOP/s", "gemm_flops_per_second", lambda value: f"{value / 1e9:.0f}"),
               ("nominal share", "nominal_share", "{:.2f}".format), ("executed share", "executed_share", "{:.2f}".format))
    head = ["model, task, cores"] + [f"{precision}: {title}" for precision in PRECISIONS for title, _, _ in figures]
    rows = []
    for model, task in places():
        for cores in CORES:
            row = []
            for precision in PRECISIONS:
                for _, key, form in figures:
                    found = speeds.values(key, "adamix", model, task, precision, cores)
                    row.append(form(statistics.median(found.values())) if found else "")
            if any(row):
                rows.append([f"{MODELS[model].title}, {task}, {cores}", *row])
    return runs.table(head, rows) if rows else ""


def workload_table(lines):
    """What a step is made of and how many were timed on 2 cores; real tokens an example as both sides counted them."""
    head = ["model, task", "batch", "tokens an example, adamix", "tuned", "reference", "steps timed, adamix", "tuned",
            "reference"]
    rows = []
    for model, task in places():
        def mean(*who):
            found = [(line["tokens_per_example"], line["steps"]) for line in lines
                     if (line["model"], line["task"]) == (model, task) and line["who"] in who]
            return f"{sum(t * n for t, n in found) / sum(n for _, n in found):.1f}" if found else ""
        counted = [mean("adamix", "threads"), mean("tuned"), mean("reference")]
        if any(counted):
            rows.append([f"{MODELS[model].title}, {task}", str(MODELS[model].batch), *counted,
                         *(str(steps) for steps in MODELS[model].steps[task])])
    return runs.table(head, rows)


def memory_table(lines):
    head = ["model, task, precision", "adamix, MB", "PyTorch, MB", "adamix / PyTorch", "target"]
    rows = [[f"{MODELS[line['model']].title}, {line['task']}, {line['precision']}", f"{line['adamix'] / 1e6:.0f}",
             f"{line['torch'] / 1e6:.0f}", f"{line['adamix'] / line['torch']:.2f}", str(MEMORY_TARGET)] for line in lines]
    return runs.table(head, rows)


def plot(speeds):
    """Ratios to the tuned peer: a panel a number of cores, a cluster a model and task, bars from least to most."""
    ticks = ", ".join(f'"{MODELS[model].title}\\n{task}" {i}' for i, (model, task) in enumerate(places()))
    target = [f"{i} {MODELS[model].target}" for i, (model, _) in enumerate(places())]
    lines, panels = ["$target << EOD", *target, "EOD"], []
    top = max(model.target for model in MODELS.values())
    for cores in CORES:
        curves = ["1 lc 'black' dt 2 notitle"]
        for side, precision in enumerate(PRECISIONS):
            cells = [[(who, *place, precision, cores) for who in ("adamix", "tuned")] for place in places()]
            ratios = [speeds.ratios(*pair) for pair in cells]
            points = [f"{i + 0.4 * side - 0.2:.1f} {statistics.median(r)} {min(r)} {max(r)}" for i, r in enumerate(ratios) if r]
            if points:
                top = max([top, *(max(r) for r in ratios if r)])
                block = f"${precision}_{cores}"
                lines += [f"{block} << EOD", *points, "EOD"]
                curves += [f"{block} using 1:2 with boxes lc {side + 1} title '{precision}'",
                           f"{block} using 1:3:(0):($4 - $3) with vectors nohead lc 'black' lw 2 notitle"]
        if cores == 2:
            curves.append("$target using 1:2:(0.4):(0) with vectors nohead lc 'red' lw 3 title 'target, bf16'")
        panels += [f"set title '{plural(cores)}'", "plot " + ", ".join(curves), "unset key"]
    lines += [f"set xrange [-0.6:{len(places()) - 0.4}]", f"set yrange [0:{1.05 * top}]", f"set xtics ({ticks}) scale 0",
              "set ylabel 'tokens/s, adamix / tuned'", "set style fill solid 0.7", "set boxwidth 0.36", "set bmargin 4",
              "set key above right", "set multiplot layout 2,1"]
    runs.gnuplot(DOCS / "performance.svg", "960,640", lines + panels)


def write(args):
    lines, memory = runs.read(RESULTS / "speed.jsonl"), runs.read(RESULTS / "memory.jsonl")
    if not lines:
        sys.exit(f"{RESULTS / 'speed.jsonl'} holds no figures yet: measure with `run` first")
    speeds = Speeds(lines)
    repetitions = [len(speeds.values("steps", *cell)) for cell in {key[:-1] for key in speeds.lines}]
    counts = f"{min(repetitions)} to {max(repetitions)}" if min(repetitions) < max(repetitions) else f"{max(repetitions)}"
    text = f"{args.note}\n\n" if args.note else ""
    text += (f"{runs.machine_of(RESULTS)} "
             f"Repetitions: {counts}.\n\n" + workload_table(lines))
    for cores in CORES:
        if found := speed_table(speeds, cores):
            text += f"{plural(cores)}, tokens/s and ratios:\n\n{found}"
    if found := scaling_table(speeds):
        text += f"Ranks and threads of adamix, ratios of tokens/s:\n\n{found}"
    text += ("GEMM of adamix, as `adamix bench gemm` measures it too, and the share of it that a step reaches:\n\n"
             + gemm_table(speeds))
    if memory:
        text += f"Memory after {MEMORY_STEPS} steps on 2 cores:\n\n{memory_table(memory)}"
    runs.put(DOCS / "performance.md", "peer.py", text)
    plot(speeds)


# ---- command line --------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run, memory = commands.add_parser("run"), commands.add_parser("memory")
    for command, do, models, tasks in ((run, run_grid, list(MODELS), TASKS), (memory, run_memory, ["minilm"], ["banking77"])):
        for option in ("adamix", "encoder", "data", "peer", "work"):
            command.add_argument(f"--{option}", required=True)
        command.add_argument("--models", type=runs.some(list(MODELS)), default=models)
        command.add_argument("--tasks", type=runs.some(TASKS), default=tasks)
        command.add_argument("--precisions", type=runs.some(PRECISIONS), default=PRECISIONS)
        command.set_defaults(do=do)
    run.add_argument("--cores", type=runs.some(CORES, int), default=CORES)
    run.add_argument("--who", type=runs.some(list(WHO)), default=["adamix", "tuned", "reference"])
    run.add_argument("--repetitions", type=int, default=3)
    run.add_argument("--disturbed", type=float, default=0.1)
    tables = commands.add_parser("write")
    tables.add_argument("--note", default="")
    tables.set_defaults(do=write)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
