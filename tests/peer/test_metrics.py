"""The metrics of every task and mode of inference: a short run, `adamix eval`, and scikit-learn and scipy on answers found apart from it.

Texts and labels are read by tasks.py, ids come from tokenizers, logits from dump_model with the run's merged module: in
the same batches these are the same fp32 numbers, so the metrics have to agree to 1e-9.
"""
import os
import random
import shutil
import warnings

import encoders
import numpy as np
import runs
import tap
import tasks
from safetensors.numpy import load_file, save_file
from scipy.spatial.distance import cosine
from scipy.special import log_softmax, logsumexp
from scipy.stats import ConstantInputWarning, entropy, pearsonr, spearmanr
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score, matthews_corrcoef, roc_auc_score
from tokenizers import Tokenizer

TOLERANCE = 1e-9
BATCH = 32  # examples that adamix evaluates at once: its GEMMs see these rows together
METRICS = {"cola": ["matthews_correlation"], "mrpc": ["accuracy", "f1"], "qqp": ["accuracy", "f1"],
           "stsb": ["pearson", "spearmanr"]}
PEERS = {"accuracy": accuracy_score, "f1": f1_score, "matthews_correlation": matthews_corrcoef,
         "pearson": lambda truth, score: pearsonr(truth, score).statistic,
         "spearmanr": lambda truth, score: spearmanr(truth, score).statistic}
TRAINING = ("--experts", 2, "--rank", 8, "--batch", 16, "--max-steps", 3, "--limit-train", 64, "--warmup", 0, "--lr", 0.002)


# ---- small data folders ------------------------------------------------------------------------------------------------


def records(task, path):
    """(header, records) of a file as bytes, to be cut without another look at their fields."""
    with open(path, "rb") as file:
        content = file.read()
    if task == "banking77":  # a record may span lines: those with an open quote are joined
        lines = content.splitlines(keepends=True)
        rows = [b""]
        for line in lines:
            rows[-1] += line
            if rows[-1].count(b'"') % 2 == 0:
                rows.append(b"")
        return rows[0], rows[1:-1]
    lines = [line + b"\n" for line in content.removesuffix(b"\n").split(b"\n")]
    return (b"", lines) if task == "cola" else (lines[0], lines[1:])


def odd(task, row):
    """Records that a reader may stumble over: blank fields, a field that begins with a quote, line breaks within one."""
    if task == "banking77":
        return row.count(b"\n") > 1
    return b'\t"' in row or task == "qqp" and (row.startswith(b"\t") or b"\t\t" in row[3:])


# The full QQP has questions without a word.
EMPTY = {"qqp": [b"\t\t\tIs this one?\t\t0\n", b"1\t2\t3\t\tIs this one?\t1\n"]}


def cut(task, sources, to, count, seed, known=None):
    """Write a sample of files of one layout, a quarter of it odd where there are as many; `known` restricts the classes."""
    rng = random.Random(seed)
    parts = [records(task, path) for path in sources]
    rows = [row for _, part in parts for row in part
            if known is None or row.decode().rstrip().rsplit(",", 1)[1].strip('"') in known]
    strange = [row for row in rows if odd(task, row)]
    chosen = rng.sample(strange, min(len(strange), count // 4))
    chosen += EMPTY.get(task, [])
    chosen += rng.sample(rows, count - len(chosen))
    rng.shuffle(chosen)
    with open(to, "wb") as file:
        file.write(parts[0][0] + b"".join(chosen))


def make_folder(task, where):
    """A data folder of the task with a few records, under the names of the real files."""
    os.makedirs(where)
    train, dev = (tasks.file_of(tasks.folder(task), split) for split in ("train", "dev"))
    small = os.path.join(where, os.path.basename(train))
    cut(task, [train], small, 64, 1)
    # A test record whose class is not in the training file would be refused.
    known = set(tasks.read(task, small)[2]) if task == "banking77" else None
    same_layout = [dev] if task in ("mnli", "banking77") else [dev, train]
    cut(task, same_layout, os.path.join(where, os.path.basename(dev)), 120, 2, known)
    if task == "mnli":
        cut(task, [dev], os.path.join(where, "dev_mismatched.tsv"), 70, 3)
    return where


# ---- answers apart from eval -------------------------------------------------------------------------------------------


def encode(texts, pairs):
    tokenizer = Tokenizer.from_file(os.path.join(runs.MODEL, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128, strategy="longest_first")
    return [(e.ids, e.type_ids) for e in tokenizer.encode_batch(list(zip(texts, pairs)) if pairs else texts)]


def logits(adapter, sequences):
    """The merged module's logits in fp32."""
    tensors = {name.replace(".ffn.", ".ffn.experts.0."): value
               for name, value in load_file(os.path.join(adapter, "adapter.safetensors")).items()}
    return logits_of(runs.load(adapter, "adamix_config.json"), tensors, sequences)


def logits_of(config, values, sequences):
    """Those of a bank of one expert, in batches of adamix's size."""
    layers = config["base_model"]["num_hidden_layers"]
    values = values | {"route": np.zeros((1, layers, 2), np.int32)}
    rank = values["layers.0.ffn.experts.0.down.weight"].shape[0]
    options = ("--pool", config["head"]["pool"], "--outputs", config["head"]["outputs"], "--experts", 1, "--bottleneck", rank)
    return np.concatenate([encoders.dump(runs.MODEL, encoders.batch_of(sequences[i:i + BATCH]) | values, *options)["z"]
                           for i in range(0, len(sequences), BATCH)])


def calibration_error(p, truth):
    """15 bins of equal width, closed on the right."""
    confidence, right = p.max(1), p.argmax(1) == truth
    which = np.digitize(confidence, np.linspace(0, 1, 16), right=True)
    return sum((which == b).mean() * abs(right[which == b].mean() - confidence[which == b].mean()) for b in set(which))


def peer_results(task, names, labels, *draws):
    """What eval has to store, and the predictions, of the logits of each draw."""
    draws = np.stack(draws).astype(np.float64)
    if names is None:
        truth, predicted = np.array(labels, np.float32).astype(np.float64), draws.mean(0)[:, 0]  # fp32 in adamix
        results = {"loss": np.mean((predicted - truth) ** 2), "ece": None, "brier": None, "majority": None}
    else:
        truth = np.array([names.index(label) for label in labels])
        log_p = logsumexp(log_softmax(draws, axis=2), axis=0) - np.log(len(draws))
        p, predicted = np.exp(log_p), log_p.argmax(1)
        brier = brier_score_loss(truth, p / p.sum(1, keepdims=True), labels=range(len(names)), scale_by_half=False)
        results = {"loss": -log_p[np.arange(len(truth)), truth].mean(), "ece": calibration_error(p, truth), "brier": brier,
                   "majority": np.bincount(truth).max() / len(truth)}
    results["samples"] = len(truth)
    for metric in METRICS.get(task, ["accuracy"]):
        results[metric] = PEERS[metric](truth, predicted)
    return results, predicted


def classes_of(task, where):
    if task == "banking77":
        return sorted(set(tasks.read(task, tasks.file_of(where, "train"))[2]), key=str.encode)
    return tasks.classes(task)


def same(ours, theirs, tolerance=TOLERANCE):
    if ours is None or theirs is None or np.isnan(theirs):
        return ours is None and (theirs is None or np.isnan(theirs))
    return abs(ours - theirs) <= tolerance * max(1, abs(theirs))


def expect_results(name, ours, theirs, suffix=""):
    """Every number that eval stored, and no other; what it cost is no metric."""
    ours = {key: value for key, value in ours.items() if key.startswith("eval_") and key != f"eval_flops_per_sample{suffix}"}
    theirs = {f"eval_{key}{suffix}": value for key, value in theirs.items()}
    wrong = [f"{key}: {ours.get(key)}, expected {theirs.get(key)}" for key in sorted(set(ours) | set(theirs))
             if key not in ours or key not in theirs or not same(ours[key], theirs[key])]
    tap.ok(not wrong, name, "\n".join(wrong))


# ---- cases -------------------------------------------------------------------------------------------------------------


def edited(adapter, to, change):
    """A copy of a merged module whose head `change` was applied to."""
    shutil.copytree(adapter, to)
    path = os.path.join(to, "adapter.safetensors")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return to


def balance(adapter, to, sequences):
    """Three steps hardly learn to tell classes apart: shift the head's bias so that each is predicted at times."""
    z = logits(adapter, sequences)

    def shift(tensors):
        tensors["head.bias"] = tensors["head.bias"] - np.median(z, axis=0)
    return edited(adapter, to, shift)


def expect_predictions(task, adapter, texts, pairs, names, predicted):
    lines = [f"{a}\t{b}" for a, b in zip(texts, pairs)] if pairs else texts
    text = "".join(line.replace("\n", " ") + "\n" for line in lines)
    out, _ = runs.adamix("predict", "--model", runs.MODEL, "--adapter", adapter, stdin=text.encode())
    answers = [runs.json.loads(line) for line in out.splitlines()]
    if names is None:
        right = [abs(a["score"] - b) <= 1e-5 * max(1, abs(b)) for a, b in zip(answers, predicted)]
    else:
        right = [a["label"] == names[b] for a, b in zip(answers, predicted)]
    tap.ok(len(answers) == len(predicted) and all(right), f"{task}: predict gives the same answers",
           f"{len(answers)} answers, {right.count(False)} differ")


def compare_split(task, data, adapter, split, where):
    """eval of one split beside its peer, after the head was balanced for it."""
    path = os.path.join(data, "dev_mismatched.tsv") if split == "dev_mismatched" else tasks.file_of(data, "dev")
    texts, pairs, labels = tasks.read(task, path)
    sequences, names = encode(texts, pairs), classes_of(task, data)
    if names:
        adapter = balance(adapter, os.path.join(where, f"balanced-{split}"), sequences)
    results = runs.evaluate(task, data, adapter, os.path.join(where, f"{split}.json"), "--split", split)
    theirs, predicted = peer_results(task, names, labels, logits(adapter, sequences))
    tap.ok(len(set(predicted)) > 1, f"{task}, {split}: more than one answer is given")
    expect_results(f"{task}, {split}: eval of {len(texts)} examples", results, theirs, "_mm" if split == "dev_mismatched" else "")
    expect_predictions(f"{task}, {split}", adapter, texts, pairs, names, predicted)


def check_task(task):
    with encoders.scratch() as where:
        data, output = make_folder(task, os.path.join(where, "data")), os.path.join(where, "run")
        runs.train(task, data, output, *TRAINING)
        split = "test" if task == "banking77" else "dev"
        stored = runs.load(output, "all_results.json")
        ours = runs.evaluate(task, data, output, os.path.join(where, "eval.json"), "--split", split)
        prefix = "test_" if task == "banking77" else "eval_"
        differ = [key for key in ours if key.startswith("eval_") and stored.get(key.replace("eval_", prefix)) != ours[key]]
        tap.ok(len(ours) > 3 and not differ, f"{task}: the run's own results are those of eval", f"{differ} {stored} {ours}")
        adapter = os.path.join(output, "merged")
        for name in [split] + (["dev_mismatched"] if task == "mnli" else []):
            compare_split(task, data, adapter, name, where)
        if task in CONSTANT:
            check_constant(task, data, adapter, where)
        if task in MODES:
            check_modes(task, data, output, where)


# Task: the tensor of the head that makes all answers equal, and what it is set to.
CONSTANT = {"cola": ("head.bias", [0, 1e6]), "mrpc": ("head.bias", [1e6, 0]), "stsb": ("head.weight", [0])}


def check_constant(task, data, adapter, where):
    """Equal answers: scikit-learn's 0 where it has one, null where the correlation is undefined."""
    name, value = CONSTANT[task]

    def flatten(tensors):
        tensors[name][:] = np.array(value, np.float32)
    flat = edited(adapter, os.path.join(where, "constant"), flatten)
    texts, pairs, labels = tasks.read(task, tasks.file_of(data, "dev"))
    theirs, predicted = peer_results(task, classes_of(task, data), labels, logits(flat, encode(texts, pairs)))
    tap.ok(len(set(predicted)) == 1, f"{task}: one answer for all")
    expect_results(f"{task}: eval of equal answers", runs.evaluate(task, data, flat, os.path.join(where, "constant.json")), theirs)


# ---- modes of inference ------------------------------------------------------------------------------------------------

MODES = ("rte", "stsb", "banking77")  # two classes, none, many
SEED = 5
ROUTE, BATCH_DRAW = 2, 0  # what numbers are drawn for


def philox(counter, key):
    """Philox 4x32 with 10 rounds (Salmon et al. 2011)."""
    counter, key = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & 0xFFFFFFFF, a >> 32 ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def drawn(draw, layer, projection, choices):
    """The expert of a draw: keyed by seed, draw, layer and projection."""
    key = philox([ROUTE, 0, 0, 0], [SEED, 0])[:2]
    bits = philox([draw, 0, layer << 8 | projection, BATCH_DRAW], key)
    return (bits[1] << 32 | bits[0]) * choices >> 64


def routed(tensors, layers, choose):
    """A bank of one expert: the one that `choose` (layer, projection, copies) names."""
    bank = {name: value for name, value in tensors.items() if name.startswith("head.")}
    for layer in range(layers):
        for projection, kind in enumerate(("down", "up")):
            stem = f"layers.{layer}.ffn.experts."
            copies = sum(name.startswith(stem) and name.endswith(f".{kind}.weight") for name in tensors)
            for part in ("weight", "bias"):
                bank[f"{stem}0.{kind}.{part}"] = tensors[f"{stem}{choose(layer, projection, copies)}.{kind}.{part}"]
    return bank


def check_modes(task, data, output, where):
    """One expert, one draw, and an ensemble of three, seeds and draws apart."""
    experts = os.path.join(output, "experts")
    config, tensors = runs.load(experts, "adamix_config.json"), load_file(os.path.join(experts, "experts.safetensors"))
    layers, split = config["base_model"]["num_hidden_layers"], "test" if task == "banking77" else "dev"
    texts, pairs, labels = tasks.read(task, tasks.file_of(data, "dev"))
    sequences, names = encode(texts, pairs), classes_of(task, data)

    def z(choose, of=sequences):
        return logits_of(config, routed(tensors, layers, choose), of)

    def three(of):
        return [z(lambda *where, s=s: drawn(s, *where), of) for s in range(3)]
    draws = three(sequences)
    modes = {"fixed:1": [z(lambda layer, projection, copies: 1 % copies)], "ensemble:1": draws[:1], "ensemble:3": draws}
    for mode, parts in modes.items():
        results = runs.evaluate(task, data, output, os.path.join(where, f"{mode}.json"), "--split", split, "--inference", mode,
                                "--seed", SEED)
        expect_results(f"{task}: {mode}", results, peer_results(task, names, labels, *parts)[0])
        tap.ok(results["forward_passes"] == len(parts), f"{task}: {mode} costs {len(parts)} passes", results)
    if names:
        merged, foreign = os.path.join(output, "merged"), foreign_texts(os.path.join(where, "foreign.tsv"))
        known = scores(logits(merged, sequences), draws)
        report = stored_report(task, data, output, where, "--split", split, "--uncertainty", 3, "--seed", SEED,
                               "--ood-file", os.path.join(where, "foreign.tsv"))
        truth = np.array([names.index(label) for label in labels])
        check_uncertainty(task, report["uncertainty"], known, scores(logits(merged, foreign), three(foreign)), truth)
        check_diversity(task, report["diversity"], config, tensors, sequences, truth)


def foreign_texts(path):
    """Sentences of SST-2 in a file of their own; their ids."""
    texts = tasks.read("sst2", tasks.file_of(tasks.folder("sst2"), "dev"))[0][:40]
    with open(path, "w", encoding="utf-8") as file:
        file.write("text\n" + "".join(text + "\n" for text in texts))
    return encode(texts, None)


def stored_report(task, data, adapter, where, *options):
    folder = os.path.join(where, "report")
    runs.adamix("eval", "--model", runs.MODEL, "--adapter", adapter, "--task", task, "--data", data, "--diversity", "--report", folder,
                *options)
    return {name: runs.load(folder, f"{name}.json") for name in ("uncertainty", "diversity")}


def scores(merged, draws):
    """Per example: the answers and uncertainties of the merged module and of the draws' mean."""
    each = log_softmax(np.stack(draws).astype(np.float64), axis=2)
    p, merged = np.exp(each).mean(0), np.exp(log_softmax(merged.astype(np.float64), axis=1))
    whole = entropy(p, axis=1)
    return {"merged_entropy": (merged.argmax(1), entropy(merged, axis=1)), "predictive_entropy": (p.argmax(1), whole),
            "mutual_information": (p.argmax(1), whole - entropy(np.exp(each), axis=2).mean(0))}


def check_uncertainty(task, ours, known, foreign, truth):
    for name, (predicted, score) in known.items():
        wrong = predicted != truth
        risk = np.cumsum(wrong[np.argsort(score, kind="stable")]) / np.arange(1, len(wrong) + 1)
        outside = foreign[name][1]
        theirs = {"mean": score.mean(), "aurc": risk.mean(), "errors_auroc": roc_auc_score(wrong, score), "ood_mean": outside.mean(),
                  "ood_auroc": roc_auc_score([0] * len(score) + [1] * len(outside), np.concatenate([score, outside]))}
        wrong = [f"{key}: {ours['scores'][name][key]}, expected {value}" for key, value in theirs.items()
                 if not same(ours["scores"][name][key], value)]
        tap.ok(not wrong, f"{task}: {name} over {len(score)} texts and {len(outside)} from elsewhere", "\n".join(wrong))


def check_diversity(task, ours, config, tensors, sequences, truth):
    """Of two experts: cosines by scipy; on the line between them, weights added up in fp32 as adamix does."""
    layers = config["base_model"]["num_hidden_layers"]
    fixed = [routed(tensors, layers, lambda layer, projection, copies, j=j: j % copies) for j in range(2)]
    cosines = {(m["layer"], m["of"]): m["values"] for m in ours["measures"] if m["measure"] == "weights_cosine"}
    wrong = []
    for (layer, of), values in cosines.items():
        a, b = (bank[f"layers.{layer}." + of.replace("ffn.", "ffn.experts.0.")].ravel().astype(np.float64) for bank in fixed)
        if not same(values[0], 1 - cosine(a, b)):
            wrong.append(f"layer {layer}, {of}: {values}, expected {1 - cosine(a, b)}")
    tap.ok(cosines and not wrong, f"{task}: cosines of {len(cosines)} pairs of weights", "\n".join(wrong))
    answers = [logits_of(config, bank, sequences).argmax(1) for bank in fixed]
    tap.ok(same(ours["disagreement"][0], np.mean(answers[0] != answers[1])), f"{task}: disagreement of two experts", ours["disagreement"])
    for point in ours["line"]["points"][::5]:
        t = point["t"]
        bank = {name: value if np.array_equal(value, fixed[1][name]) else
                (((1 - t) * value.astype(np.float64)).astype(np.float32) + t * fixed[1][name].astype(np.float64)).astype(np.float32)
                for name, value in fixed[0].items()}
        loss = -log_softmax(logits_of(config, bank, sequences).astype(np.float64), axis=1)[np.arange(len(truth)), truth].mean()
        tap.ok(same(point["loss"], loss), f"{task}: the loss at {t} between two experts", f"{point}, expected {loss}")


def check_undefined():
    """A dev file with one score: the run warns, and stores null."""
    with encoders.scratch() as where:
        data, output = make_folder("stsb", os.path.join(where, "data")), os.path.join(where, "run")
        dev = os.path.join(data, "dev.tsv")
        rows = [line.split("\t") for line in tasks.lines_of(dev)]
        with open(dev, "w", encoding="utf-8") as file:
            file.writelines("\t".join(row if i == 0 else row[:-1] + ["2.5"]) + "\n" for i, row in enumerate(rows[:9]))
        said = runs.train("stsb", data, output, "--method", "head", "--max-steps", 1)
        stored = runs.load(output, "all_results.json")
        for metric in METRICS["stsb"]:
            tap.ok(stored[f"eval_{metric}"] is None and f"{metric} is undefined" in said,
                   f"stsb: {metric} of equal scores is null, with a warning", said)


def main():
    if not runs.MODEL or not os.path.isdir(tasks.DATA):
        tap.skip("metrics of the tasks", "needs ADAMIX_MODEL and ADAMIX_DATA")
        tap.done()
    warnings.simplefilter("ignore", ConstantInputWarning)  # asked for here
    for task in tasks.TASKS:
        try:
            check_task(task)
        except runs.Failed as failure:
            tap.ok(False, f"{task}: adamix runs", failure)
    check_undefined()
    tap.done()


main()
