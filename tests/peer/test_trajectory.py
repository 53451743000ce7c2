"""Every step of a run of adamix beside the same training in fp64 (trajectory.py).

Random encoders of transformers' classes, and the real one on banking77. Order and routes are prescribed, dropout is 0. An
implementation of the same algorithm in fp32 stays within 1e-5 of the losses; one with a mistake does not, which is asked
of the fp64 side by making each mistake there.
"""
import dataclasses
import os
import pathlib
import tempfile

import tap
import tasks
import torch
import trajectory
from trajectory import METHODS, Rules, Settings
from transformers import AutoModel, BertConfig, BertModel, RobertaConfig, RobertaModel

torch.set_num_threads(1)  # the random encoders are too small for more

TOLERANCE = 1e-5
HOW = {"binary": os.environ["ADAMIX"], "launcher": os.environ.get("MPIRUN", "mpirun")}
WORDS = ("the a cat dog sat ran on under mat table and or not very happy sad card bank money transfer top up my is was "
         "where how do i blue green old new warm cold open shut").split()
RECORDS, BATCH, EXPERTS, RANK, LENGTH, LABELS, STEPS = 48, 12, 4, 8, 40, 3, 50

# Mistakes that the losses of STEPS steps have to show.
# Other consistency terms.
DISTANCES = {
    "KL of the later pass from the earlier": dict(consistency_loss="kl-forward"),
    "KL of the earlier pass from the later, not fixed": dict(consistency_loss="kl-reverse", consistency_gradient="both"),
    "Jensen-Shannon of three passes": dict(consistency_loss="js", most_passes=3),
    "squared logits, task loss of three passes": dict(consistency_loss="mse", most_passes=3, task_loss="all"),
    "a weight that rises": dict(consistency_warmup=0.5),
    "squared distance of regressions": dict(regression=True, consistency_loss="mse"),
}
MISTAKES = {
    "t from step 0 in all experts": Rules(t_counts="from step 0"),
    "t counted in a layer": Rules(t_counts="in the layer"),
    "t counts steps with a gradient": Rules(t_counts="steps with a gradient"),
    "undrawn experts stand still": Rules(t_counts="steps with a gradient", undrawn="stands still"),
    "undrawn experts move without decay": Rules(undrawn="moves"),
    "undrawn experts decay without moving": Rules(undrawn="decays"),
    "decay before the step": Rules(decay="before the step"),
    "biases decay": Rules(decays="all"),
    "warm-up starts above 0": Rules(first_lr=1),
    "clipping by tensor": Rules(clip_counts="each tensor"),
    "task loss on both passes": Rules(task_on="both passes"),
    "GELU by tanh": Rules(activation="tanh"),
    "module behind LayerNorm": Rules(place="after the layer"),
}


# ---- encoders --------------------------------------------------------------------------------------------------------------


def randomise(model, seed):
    """Wide enough that attention, GELU and LayerNorm are far from linear."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.2 * noise if name.endswith("LayerNorm.weight") else 0.2 * noise)
    return model


def make_bert():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=48, num_hidden_layers=3, num_attention_heads=3,
                        intermediate_size=80, max_position_embeddings=LENGTH, type_vocab_size=2)
    return BertModel(config), vocabulary


def make_roberta():
    """RoBERTa's positions and its own trained head. Its ids come from WordPiece here, which the encoder does not see."""
    vocabulary = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", *WORDS]
    config = RobertaConfig(vocab_size=len(vocabulary), hidden_size=40, num_hidden_layers=2, num_attention_heads=5,
                           intermediate_size=72, max_position_embeddings=LENGTH + 2, type_vocab_size=1)
    return RobertaModel(config), vocabulary


def store_encoder(folder, model, vocabulary):
    randomise(model, 1).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")


def encoder_maker(folder):
    return lambda: AutoModel.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")


# ---- data ------------------------------------------------------------------------------------------------------------------


def make_texts(seed, pairs):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: int(torch.randint(n, (), generator=generator))
    text = lambda most: " ".join(WORDS[draw(len(WORDS))] for _ in range(1 + draw(most)))
    texts = [text(12) + "\t" + text(20) if pairs else text(34) for _ in range(RECORDS)]
    return texts, [draw(LABELS) for _ in texts], [round(draw(500) / 100, 2) for _ in texts]


def store_table(path, texts, labels):
    columns = ["text", "pair"][:1 + texts[0].count("\t")]
    path.write_text("\t".join([*columns, "label"]) + "\n" + "".join(f"{t}\t{y}\n" for t, y in zip(texts, labels)))
    return ["--train-file", path, *(["--text-pair-column", "pair"] if len(columns) == 2 else [])]


# ---- comparison ------------------------------------------------------------------------------------------------------------


def relative(ours, theirs, key):
    return [abs(a[key] - b[key]) / max(abs(b[key]), 1e-300) for a, b in zip(ours, theirs)]


def consistency_error(ours, theirs):
    """Of the square root, against that of the loss: the term is a square of differences between the passes, so that the
    rounding of the logits weighs the more the smaller it is."""
    root = lambda line: max(line["loss_consistency"], 0)**0.5
    return [abs(root(a) - root(b)) / b["loss"]**0.5 for a, b in zip(ours, theirs)]


def norm_error(ours, theirs):
    """Below 1, where it is not clipped, a norm is what is left of examples whose gradients cancel: 1 is its scale."""
    return [abs(a["grad_norm"] - b["grad_norm"]) / max(b["grad_norm"], 1) for a, b in zip(ours, theirs)]


def compare(name, ours, theirs):
    errors = {key: max(relative(ours, theirs, key)) for key in ("loss", "loss_task")}
    errors["loss_consistency"] = max(consistency_error(ours, theirs))
    errors["grad_norm"] = max(norm_error(ours, theirs))
    steps = len(ours) == len(theirs)
    fine = steps and all(e <= TOLERANCE for e in errors.values())
    fine = fine and all(abs(a["lr"] - b["lr"]) <= 1e-15 for a, b in zip(ours, theirs))
    shown = ", ".join(f"{key} {e:.1e}" for key, e in errors.items())
    tap.ok(fine, f"{name}: {len(theirs)} steps ({shown})", f"{len(ours)} steps of adamix, {len(theirs)} of the peer\n" + "\n".join(
        f"step {a['step']}: adamix {a['loss_task']:.9f} {a['loss_consistency']:.9f} {a['grad_norm']:.7f}, "
        f"peer {b['loss_task']:.9f} {b['loss_consistency']:.9f} {b['grad_norm']:.7f}" for a, b in list(zip(ours, theirs))))


class Case:
    """One run of adamix and what the peer needs for the same."""

    def __init__(self, scratch, name, model, arguments, settings, data, ranks=1):
        self.name, self.settings, self.data = name, settings, data
        self.make = encoder_maker(model)
        folder = scratch / name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        common = ["--model", model, *arguments, "--threads", 1, *trajectory.options_of(settings)]
        self.initial = trajectory.initial_values(folder / "initial", common, **HOW)
        trajectory.store_lines(folder / "order.jsonl", data.order)
        trajectory.store_lines(folder / "routes.jsonl", data.routes)
        prescribed = ["--placement", "replicated", "--order-file", folder / "order.jsonl"]
        if METHODS[settings.method].get("many") and settings.route == "prescribed":
            prescribed += ["--routes-file", folder / "routes.jsonl"]
        trajectory.adamix("train", *common, *prescribed, "--output", folder / "run", ranks=ranks, **HOW)
        self.metrics = trajectory.metrics_of(folder / "run")

    def peer(self, rules=Rules(), **changed):
        settings = dataclasses.replace(self.settings, **changed)
        return trajectory.train(self.make, self.initial, self.data, settings, rules)

    def compare(self):
        compare(self.name, self.metrics, self.peer())

    def tell_from(self, mistake, *rules, **changed):
        off = max(relative(self.metrics, self.peer(*rules, **changed), "loss"))
        tap.ok(off > TOLERANCE, f"{self.name}: {mistake} would show ({off:.1e})")


def make_case(scratch, model, kind, name, ranks=1, pairs=False, **changed):
    """A run of STEPS steps of a random encoder on random texts."""
    settings = Settings(**{"steps": STEPS, "lr": 5e-3, "rank": RANK} | changed)
    texts, classes, scores = make_texts(3, pairs)
    labels = scores if settings.regression else classes
    layers = AutoModel.from_pretrained(model).config.num_hidden_layers
    generator = torch.Generator().manual_seed(5)
    file = scratch / "texts.tsv"
    arguments = [*store_table(file, texts, labels), "--experts", EXPERTS, "--batch", BATCH, "--max-length", LENGTH]
    data = trajectory.Data(sequences=trajectory.encode(model, texts, LENGTH, **HOW),
                           target=torch.tensor(labels, dtype=torch.float64 if settings.regression else torch.long),
                           order=trajectory.draw_order(generator, STEPS, RECORDS, BATCH),
                           routes=trajectory.draw_routes(generator, settings, layers, EXPERTS), separator=3)
    return Case(scratch, f"{kind}, {name}", model, arguments, settings, data, ranks)


def tiny(scratch, model, kind):
    for share in ("none", "down", "up", "both"):
        make_case(scratch, model, kind, f"classification, share {share}", share=share).compare()
        make_case(scratch, model, kind, f"regression, share {share}", share=share, regression=True).compare()
    make_case(scratch, model, kind, "whole gradient of the consistency", share="up", consistency=2.0,
              consistency_gradient="both").compare()
    for distance, changed in DISTANCES.items():
        make_case(scratch, model, kind, distance, share="none", **changed).compare()
    for share in ("none", "up"):
        make_case(scratch, model, kind, f"adamix-lora, share {share}", method="adamix-lora", share=share).compare()
    for method in ("adapter", "houlsby", "pfeiffer", "lora", "bitfit", "head"):
        make_case(scratch, model, kind, f"method {method}", method=method).compare()
    for route in ("switch", "soft"):
        make_case(scratch, model, kind, f"{route}, share down", route=route, share="down").compare()
        make_case(scratch, model, kind, f"adamix-lora, {route}", route=route, method="adamix-lora", share="up").compare()
    make_case(scratch, model, kind, "soft, 2 ranks", route="soft", ranks=2).compare()
    make_case(scratch, model, kind, "method full", method="full", lr=5e-4).compare()
    make_case(scratch, model, kind, "method full, mean, 2 ranks", method="full", lr=5e-4, pool="mean", ranks=2).compare()
    # A WordPiece tokenizer gives the second text of a pair a type of its own, which RoBERTa has not.
    make_case(scratch, model, kind, "mean, no clipping", share="down", pool="mean", pairs=kind == "BERT", clip=0.0).compare()
    make_case(scratch, model, kind, "2 ranks", share="none", ranks=2).compare()


def banking77(scratch, model):
    """The real encoder on real queries, as the recipe `support` trains it: 12 steps."""
    path = tasks.file_of(tasks.folder("banking77"), "train")
    texts, _, labels = tasks.read("banking77", path)
    generator = torch.Generator().manual_seed(7)
    chosen = torch.randperm(len(texts), generator=generator)[:400].tolist()
    texts, labels = [texts[r].replace("\n", " ") for r in chosen], [labels[r] for r in chosen]
    classes = sorted(set(labels), key=str.encode)
    settings = Settings(steps=12, lr=2e-3, rank=48, share="down", pool="mean")
    encoder = AutoModel.from_pretrained(model)
    arguments = [*store_table(scratch / "banking77.tsv", texts, labels), "--experts", EXPERTS, "--batch", 16, "--max-length", 128]
    data = trajectory.Data(sequences=trajectory.encode(model, texts, 128, **HOW),
                           target=torch.tensor([classes.index(label) for label in labels]),
                           order=trajectory.draw_order(generator, settings.steps, len(texts), 16),
                           routes=trajectory.draw_routes(generator, settings, encoder.config.num_hidden_layers, EXPERTS),
                           separator=102)
    torch.set_num_threads(2)
    Case(scratch, "MiniLM, banking77", model, arguments, settings, data).compare()


def sensitivity(scratch, model, kind):
    case = make_case(scratch, model, kind, "mistakes", share="none", weight_decay=0.3)
    case.compare()
    for mistake, rules in MISTAKES.items():
        case.tell_from(mistake, rules)
    case.tell_from("the other gradient of the consistency", consistency_gradient="both")
    case.tell_from("half the consistency", consistency=0.5)
    for distance, changed in DISTANCES.items():
        if not changed.get("regression"):
            case.tell_from(distance, **changed)


def sensitivity_of_methods(scratch, model, kind):
    lora = make_case(scratch, model, kind, "mistakes of LoRA", method="adamix-lora")
    for scale in ("alpha / sqrt R", "1"):
        lora.tell_from(f"LoRA scaled by {scale}", Rules(scale=scale))
    make_case(scratch, model, kind, "mistakes of houlsby", method="houlsby").tell_from("tanh", Rules(swish="tanh"))
    switch = make_case(scratch, model, kind, "mistakes of switch", route="switch")
    switch.tell_from("an expert not scaled by its probability", Rules(gate="1"))
    switch.tell_from("a balance of what was served", Rules(balance_counts="served"))
    switch.tell_from("no capacity", capacity_factor=100)
    full = make_case(scratch, model, kind, "mistakes of full", method="full", lr=5e-4)
    full.tell_from("LayerNorms and biases decay", Rules(decays="all"))
    full.tell_from("clipping by tensor", Rules(clip_counts="each tensor"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for kind, make in (("BERT", make_bert), ("RoBERTa", make_roberta)):
            store_encoder(scratch / kind, *make())
            tiny(scratch, scratch / kind, kind)
        sensitivity(scratch, scratch / "BERT", "BERT")
        sensitivity_of_methods(scratch, scratch / "BERT", "BERT")
        model = os.environ.get("ADAMIX_MODEL")
        if model and os.path.isdir(tasks.DATA):
            banking77(scratch, model)
        else:
            tap.skip("MiniLM, banking77", "needs ADAMIX_MODEL and ADAMIX_DATA")
    tap.done()


main()
