"""Every gradient of AdaMix beside PyTorch in fp64: experts in all share settings, heads, the whole backbone.

A gradient has gone through the encoder twice in fp32, some hundreds of roundings of 6e-8 that random weights amplify:
1e-4 of a tensor's norm is far below any real mistake.
"""
import os
import random

import encoders
import numpy as np
import tap
import tasks
from tokenizers import Tokenizer
from transformers import BertConfig, ElectraConfig, RobertaConfig

MODEL = os.environ.get("ADAMIX_MODEL")
TOLERANCE = {"hidden": 2e-5, "z": 2e-5, "loss": 1e-4, "grad": 1e-4}
SHARES = ("none", "down", "up", "both")


# ---- cases -------------------------------------------------------------------------------------------------------------


class Case:
    """What is computed: sizes of modules and head, the passes with their routes, what trains."""

    def __init__(self, **changes):
        self.pool, self.outputs, self.passes, self.consistency, self.gradient = "mean", 5, 2, 1.0, "stop"
        self.experts, self.bottleneck, self.share, self.trainable, self.regression = 4, 6, "none", "none", False
        self.__dict__.update(changes)

    def copies(self, projection):
        return 1 if self.share in (projection, "both") else self.experts

    def values(self, config, rng):
        """A value for every tensor of head and modules."""
        H, R = config.hidden_size, self.bottleneck
        shapes = dict(head_shapes(config, self.pool, self.outputs))
        for layer in range(config.num_hidden_layers if self.experts else 0):
            for projection, rows, cols in (("down", R, H), ("up", H, R)):
                for j in range(self.copies(projection)):
                    name = f"layers.{layer}.ffn.experts.{j}.{projection}."
                    shapes |= {name + "weight": (rows, cols), name + "bias": (rows,)}
        return {name: (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32) for name, shape in shapes.items()}

    def routes(self, config, rng):
        """[pass][layer] = (expert of Down, expert of Up); None without modules."""
        if not self.experts:
            return [None] * self.passes
        return [[tuple(int(rng.integers(self.copies(p))) for p in ("down", "up")) for _ in range(config.num_hidden_layers)]
                for _ in range(self.passes)]

    def options(self):
        options = ["--backward", "--pool", self.pool, "--outputs", self.outputs, "--passes", self.passes, "--experts",
                   self.experts, "--bottleneck", self.bottleneck, "--consistency", self.consistency,
                   "--consistency-gradient", self.gradient, "--trainable", self.trainable]
        # With one expert nothing is shared.
        return options + (["--share", self.share] if self.experts > 1 else [])


def head_shapes(config, pool, outputs):
    H = config.hidden_size
    if pool == "mean" or config.model_type == "bert":
        return {"head.weight": (outputs, H), "head.bias": (outputs,)}
    return {"head.dense.weight": (H, H), "head.dense.bias": (H,), "head.out_proj.weight": (outputs, H), "head.out_proj.bias": (outputs,)}


# ---- comparison --------------------------------------------------------------------------------------------------------


def is_trainable(case, name):
    if not name.startswith("grad.backbone."):
        return True
    return {"none": False, "biases": name.endswith("bias"), "all": True}[case.trainable]


def errors_of(ours, theirs):
    """Error of each tensor.  Softmax does not see what all keys have in common, so the gradient of a key's bias is zero in
    exact arithmetic: what rounding leaves of it is measured against the query's."""
    errors = {}
    for name, value in theirs.items():
        if name not in ours:
            errors[name] = np.inf
        elif "key.bias" in name or "k_lin.bias" in name:
            scale = np.linalg.norm(theirs[name.replace("key.", "query.").replace("k_lin.", "q_lin.")])
            errors[name] = np.linalg.norm(ours[name]) / scale if scale else encoders.error(ours[name], np.zeros_like(value))
        else:
            errors[name] = encoders.error(ours[name], value)
    return errors


def compare(name, folder, sequences, case, seed=0):
    rng = np.random.default_rng(seed)
    config = encoders.AutoConfig.from_pretrained(folder)
    values, routes = case.values(config, rng), case.routes(config, rng)
    answers = (rng.uniform(0, 5, len(sequences)).astype(np.float32) if case.regression
               else rng.integers(case.outputs, size=len(sequences)).astype(np.int32))
    batch = encoders.batch_of(sequences) | values | {"target" if case.regression else "label": answers}
    if case.experts:
        batch["route"] = np.array(routes, np.int32)
    ours = encoders.dump(folder, batch, *case.options())
    whole = encoders.Whole(folder, case.pool, case.outputs, values)
    theirs = whole.run(sequences, answers, routes, case.consistency, case.gradient == "stop")
    # A pooler that no head reads is not among the encoder's tensors everywhere.
    theirs = {key: value for key, value in theirs.items()
              if is_trainable(case, key) and (key in ours or value.any() or ".pooler." not in key)}
    unknown = [key for key in ours if key not in theirs]
    errors = errors_of(ours, theirs)
    wrong = [key for key in errors if not errors[key] <= TOLERANCE[key.split(".")[0]]]
    zero = sum(not value.any() for value in theirs.values())
    worst = max(errors, key=lambda key: errors[key] / TOLERANCE[key.split(".")[0]])
    tap.ok(not wrong and not unknown, name, "\n".join([f"{key}: error {errors[key]:.1e}" for key in wrong]
                                                      + [f"{key} is not known to the peer" for key in unknown]))
    tap.note(f"{len(errors)} tensors, {zero} of them zero; error at most {errors[worst]:.1e} ({worst})")
    return zero


# ---- random encoders ---------------------------------------------------------------------------------------------------

SMALL = dict(vocab_size=300, hidden_size=40, num_hidden_layers=3, num_attention_heads=5, intermediate_size=72,
             max_position_embeddings=64)
CASES = {
    **{f"share {share}, {pool}, consistency {weight}": Case(share=share, pool=pool, consistency=weight)
       for share, pool, weight in zip(SHARES * 2, ("mean", "pooler", "pooler", "mean", "pooler", "mean", "mean", "pooler"),
                                      (1.0, 1.0, 0.7, 0.7, 0.7, 0.7, 1.0, 1.0))},
    "whole gradient of the consistency term": Case(gradient="both", consistency=0.7),
    "one expert": Case(experts=1, consistency=0.7),
    "one pass": Case(passes=1),
    "regression, mean": Case(regression=True, outputs=1),
    "regression, pooler, one pass": Case(regression=True, outputs=1, pool="pooler", passes=1, share="down"),
    "head alone, mean": Case(experts=0, passes=1),
    "head alone, pooler, two passes": Case(experts=0, pool="pooler"),
    "biases of the backbone, pooler": Case(experts=0, trainable="biases", pool="pooler", passes=1),
    "whole backbone, mean": Case(experts=0, trainable="all", passes=1),
    "whole backbone, pooler": Case(experts=0, trainable="all", pool="pooler", passes=1),
    "whole backbone, regression": Case(experts=0, trainable="all", regression=True, outputs=1, passes=1),
    "whole backbone with experts, pooler, consistency 0.7": Case(trainable="all", pool="pooler", share="up", consistency=0.7),
    "whole backbone with experts, mean": Case(trainable="all", share="down"),
}


def random_sequences(config, seed=0, lengths=(5, 1, 17, 2, 31, 64, 9)):
    """Texts of ordinary ids with every token type, the padding id within one of them (its embedding never trains)."""
    rng = random.Random(seed)
    types = max(getattr(config, "type_vocab_size", 1), 1)
    sequences = [([rng.randrange(5, config.vocab_size) for _ in range(length)],
                  sorted(rng.randrange(types) for _ in range(length))) for length in lengths]
    sequences[2][0][8] = config.pad_token_id
    return sequences


def random_encoders(family, kind, cases, **changes):
    with encoders.scratch() as folder:
        config = kind(**(SMALL | changes))
        encoders.save_random(config, folder, seed=3)
        zero = [compare(f"{family}, {name}", folder, random_sequences(config), case, seed)
                for seed, (name, case) in enumerate(cases.items())]
        tap.ok(sum(zero) > 0, f"{family}: routes left experts without a gradient")


# ---- the real encoder --------------------------------------------------------------------------------------------------


def real_encoder():
    if not MODEL or not os.path.isdir(tasks.DATA):
        tap.skip("the real encoder", "needs ADAMIX_MODEL and ADAMIX_DATA")
        return
    tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    first, second, _ = tasks.read("mrpc", tasks.file_of(tasks.folder("mrpc"), "dev"))
    encodings = [tokenizer.encode(*pair) for pair in zip(first[:12], second)]
    sequences = [(e.ids, e.type_ids) for e in encodings]
    compare("real encoder, MRPC, share up, R 48", MODEL, sequences, Case(outputs=2, bottleneck=48, share="up"))
    compare("real encoder, MRPC, whole backbone, pooler", MODEL, sequences,
            Case(outputs=2, experts=0, passes=1, pool="pooler", trainable="all"))


# The architectures differ in what is below the first layer and in the head, so fewer cases do.
KIN = {name: CASES[name] for name in (
    "share down, pooler, consistency 1.0", "share up, pooler, consistency 0.7", "share both, mean, consistency 0.7",
    "share none, pooler, consistency 0.7", "regression, pooler, one pass", "head alone, pooler, two passes",
    "biases of the backbone, pooler", "whole backbone, mean", "whole backbone, pooler",
    "whole backbone with experts, pooler, consistency 0.7")}


def main():
    random_encoders("BERT", BertConfig, CASES)
    random_encoders("RoBERTa", RobertaConfig, KIN, max_position_embeddings=66, type_vocab_size=1, pad_token_id=1)
    random_encoders("DistilBERT", encoders.distilbert_config, KIN)
    random_encoders("ELECTRA", ElectraConfig, KIN, embedding_size=24)
    real_encoder()
    tap.done()


main()
