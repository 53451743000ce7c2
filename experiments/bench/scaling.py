#!/usr/bin/env python3
"""Scale on paper: measures steps and links of this machine, predicts 1 to 4,096 ranks, and writes what docs/parallel.md shows.

    scaling.py [--adamix adamix] [--ranks 2] [--models minilm,bert-base,roberta-large] [--draw] [--note TEXT]

Runs `adamix bench scaling` on --ranks ranks (2, or 4 where there are as many cores) for each model and keeps its JSON in
scaling/ beside this file; then puts the tables between the marks in docs/parallel.md and the plot into docs/scaling.svg.
--draw does only that, from the JSON that is there; --note begins it with a remark on how it was measured. Needs mpirun, gnuplot, an idle machine, and on two cores that reach
100 GFLOP/s each about 6 minutes.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import runs  # noqa: E402

RESULTS = HERE / "scaling"
DOCS = HERE.parent.parent / "docs"

# Modules as the recipes have them. The check makes steps of 512 examples, which takes minutes for a large model.
MODELS = {
    "minilm": ("MiniLM", ["--rank", "48", "--share", "down", "--steps", "3", "--check"]),
    "bert-base": ("BERT-base", ["--rank", "48", "--share", "up", "--steps", "3"]),
    "roberta-large": ("RoBERTa-large", ["--rank", "16", "--share", "up", "--steps", "2"]),
}
NETWORKS = {"infiniband": "InfiniBand", "ethernet": "Ethernet"}
SHOWN = [1, 2, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096]


def measure(args):
    RESULTS.mkdir(exist_ok=True)
    for model in args.models.split(","):
        title, options = MODELS[model]
        print(f"{title} ...", flush=True)
        command = ["mpirun", "-n", str(args.ranks), args.adamix, "bench", "scaling", "--shape", model, "--threads", "1", "--json"]
        done = subprocess.run(command + options, check=True, stdout=subprocess.PIPE, text=True, env=runs.environment())
        (RESULTS / f"{model}.json").write_text(json.dumps(json.loads(done.stdout)) + "\n")


def load():
    """{model: results}, with the points of a series by its network, kind and ranks."""
    studies = {}
    for model in MODELS:
        study = json.loads((RESULTS / f"{model}.json").read_text())
        study["point"] = {(s["network"], s["kind"], p["ranks"]): p for s in study["series"] for p in s["points"]}
        studies[model] = study
    return studies


def percent(value):
    return f"{100 * value:.1f}"


def efficiencies(studies, kind):
    """One row a number of ranks: flat and two-level all-reduce, on each network, for each model."""
    first = studies["minilm"]["point"]
    head = ["ranks", "batch", "ranks without an example", "imbalance"]
    head += [f"{MODELS[m][0]}, {n}" for m in studies for n in NETWORKS.values()]
    rows = []
    for ranks in SHOWN:
        base = first["infiniband", kind, ranks]
        row = [f"{ranks:,}", f"{base['batch']:,}", f"{base['idle_ranks']:,}", f"{base['imbalance']:.3f}"]
        for study in studies.values():
            for network in NETWORKS:
                point = study["point"][network, kind, ranks]
                row.append(" / ".join(percent(point[a]["efficiency"]) for a in ("flat", "hierarchical")))
        rows.append(row)
    return runs.table(head, rows)


def parts(studies, kind, ranks):
    """What a step is made of, in milliseconds."""
    head = ["model", "network", "compute", "cut", "exchange", "rotation, a step's share"]
    rows = []
    for model, study in studies.items():
        for network, name in NETWORKS.items():
            point = study["point"][network, kind, ranks]
            both = [[1e3 * point[a][part] for a in ("flat", "hierarchical")] for part in ("exchange", "rotation")]
            rows.append([MODELS[model][0], name, f"{1e3 * point['compute']:,.1f}", f"{1e3 * point['cut']:.1f}"]
                        + [" / ".join(f"{ms:.3g}" for ms in pair) for pair in both])
    return runs.table(head, rows)


def measured(studies):
    head = ["model", "tokens: seconds of a rank's step", "bytes summed over all ranks", "over a group",
            "moved by a rotation"]
    rows = []
    for model, study in studies.items():
        size = study["bytes"]
        curve = ", ".join(f"{c['tokens']:.0f}: {c['seconds']:.3g}" for c in study["curve"])
        rows.append([MODELS[model][0], curve, *(f"{size[key]:,.0f}" for key in ("shared", "experts", "rotation"))])
    return runs.table(head, rows)


def check(studies):
    head = ["scaling", "ranks", "batch", "tokens/s, measured", "predicted", "predicted / measured", "waiting, ms",
            "exchange, ms", "predicted"]
    rows = [[c["kind"], str(c["ranks"]), str(c["batch"]), f"{c['measured_tokens_per_second']:,.0f}",
             f"{c['predicted_tokens_per_second']:,.0f}", f"{c['predicted_over_measured']:.2f}",
             *(f"{1e3 * c[key]:.3g}" for key in ("measured_wait", "measured_exchange", "predicted_exchange"))]
            for study in studies.values() for c in study["check"]]
    return runs.table(head, rows)


def write_tables(studies, note):
    study = studies["minilm"]
    link = study["node_link"]
    text = (f"{note}\n\n" if note else "") + (
            f"Measured on {study['ranks']} ranks of one machine ({study['gemm']}, {study['isa']} kernels), one thread each. "
            f"Between two of its ranks: {1e6 * link['latency_seconds']:.2f} us, "
            f"{link['bandwidth_bytes_per_second'] / 1e9:.1f} GB/s.\n\n" + measured(studies)
            + f"Weak scaling, {study['examples_per_rank']} examples a rank: efficiency in percent, flat / two-level all-reduce.\n\n"
            + efficiencies(studies, "weak")
            + f"Strong scaling, {study['batch']} examples a step.\n\n" + efficiencies(studies, "strong")
            + "A step of weak scaling on 4,096 ranks, milliseconds (exchange and rotation: flat / two-level).\n\n"
            + parts(studies, "weak", 4096)
            + "Steps that were made (MiniLM), rotation's share included, beside their prediction.\n\n" + check(studies))
    runs.put(DOCS / "parallel.md", "scaling.py", text)


def plot(studies):
    """Two panels, efficiency over ranks; data in gnuplot's own blocks."""
    lines = []
    for model, study in studies.items():
        for network in NETWORKS:
            for kind in ("weak", "strong"):
                lines.append(f"${model.replace('-', '_')}_{network}_{kind} << EOD")
                lines += [f"{ranks} {p['flat']['efficiency']} {p['hierarchical']['efficiency']}"
                          for (n, k, ranks), p in study["point"].items() if (n, k) == (network, kind)]
                lines.append("EOD")
    lines += ["set logscale x 2", "set xrange [0.9:4500]", "set yrange [0:1.1]", "set format x '%.0f'",
              "set xtics (1, 4, 16, 64, 256, 1024, 4096)", "set xlabel 'ranks'", "set ylabel 'efficiency'",
              "set key bottom left", "set multiplot layout 1,2"]
    for kind, title in (("weak", f"{study['examples_per_rank']} examples a rank"),
                        ("strong", f"{study['batch']} examples a step")):
        curves = [f"${model.replace('-', '_')}_{network}_{kind} using 1:2 with linespoints lc {c + 1} pt {6 + n} "
                  f"dt {n + 1} title '{MODELS[model][0]}, {NETWORKS[network]}'"
                  for c, model in enumerate(studies) for n, network in enumerate(NETWORKS)]
        lines += [f"set title '{title}'", "plot " + ", ".join(curves), "unset key"]
    runs.gnuplot(DOCS / "scaling.svg", "960,400", lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adamix", default="adamix")
    parser.add_argument("--ranks", type=int, default=4 if len(os.sched_getaffinity(0)) >= 4 else 2)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    if not args.draw:
        measure(args)
    studies = load()
    write_tables(studies, args.note)
    plot(studies)


if __name__ == "__main__":
    main()
