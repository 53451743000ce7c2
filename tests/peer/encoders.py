"""Encoders side by side: transformers in fp64 on one side, adamix (through dump_model) on the other.

A sequence is a pair (ids, types) of lists; transformers sees each alone, adamix all of them packed into one batch.
"""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, DistilBertConfig

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
DUMP_MODEL = os.path.join(os.environ.get("ADAMIX_BUILD", "."), "tests", "peer", "dump_model")


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="adamix-peer-") as folder:
        yield folder


def error(ours, theirs):
    """||ours - theirs|| / ||theirs||; where theirs is zero, ours has to be exactly zero."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return np.inf
    norm = np.linalg.norm(theirs)
    if norm == 0:
        return np.inf if ours.any() else 0.0
    return np.linalg.norm(ours - theirs) / norm


# ---- models ------------------------------------------------------------------------------------------------------------


def randomise(model, seed):
    """Weights wide enough that attention, activation and LayerNorm are far from linear; biases that are not zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "LayerNorm.weight" in name or "layer_norm.weight" in name:
                p.copy_(1 + 0.2 * noise)
            elif p.dim() == 2 and "embeddings." not in name:
                p.copy_(noise * 1.1 / p.shape[1] ** 0.5)
            else:
                p.copy_(0.2 * noise)
    return model


def distilbert_config(**sizes):
    """DistilBERT under BERT's names of the sizes."""
    names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
             "intermediate_size": "hidden_dim", "hidden_act": "activation"}
    return DistilBertConfig(**{names.get(name, name): value for name, value in sizes.items()})


def save_random(config, folder, seed=0, head=False, **options):
    """A model with random weights, saved by transformers; with a head its tensors' names have a prefix."""
    kind = AutoModelForSequenceClassification if head else AutoModel
    randomise(kind.from_config(config), seed).save_pretrained(folder, **options)
    return folder


def shortened(folder, layers, out):
    """The same model without its upper layers, so that the last hidden state is that of a layer inside."""
    os.makedirs(out)
    for name in os.listdir(folder):
        if name != "config.json":
            os.symlink(os.path.join(os.path.abspath(folder), name), os.path.join(out, name))
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    config["n_layers" if "n_layers" in config else "num_hidden_layers"] = layers
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    return out


def copy_with(folder, out, change):
    """A copy of a folder with the tensors that `change` makes of a dictionary of them."""
    os.makedirs(out)
    shutil.copy(os.path.join(folder, "config.json"), out)
    save_file(change(load_file(os.path.join(folder, "model.safetensors"))), os.path.join(out, "model.safetensors"))
    return out


# ---- transformers ------------------------------------------------------------------------------------------------------


def reference(folder):
    """The encoder with fp64 arithmetic on the file's values."""
    return AutoModel.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()


def inputs(config, sequence):
    ids, types = sequence
    row = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if getattr(config, "type_vocab_size", 0) > 1:
        row["token_type_ids"] = torch.tensor([types])
    return row


def hidden_states(model, sequences):
    """Per layer (from 1) a list of [n,H], one a sequence."""
    with torch.no_grad():
        runs = [model(**inputs(model.config, sequence), output_hidden_states=True).hidden_states for sequence in sequences]
    return [[run[layer][0].numpy() for run in runs] for layer in range(1, len(runs[0]))]


# ---- the whole of AdaMix in PyTorch -------------------------------------------------------------------------------------

# Where a layer's module acts, and what adamix calls the tensors of transformers' own classification head.
FFN_OUTPUT = {"distilbert": "transformer.layer.{i}.ffn.lin2"}
DENSE_HEAD = {f"head.{layer}.{kind}": f"classifier.{layer}.{kind}" for layer in ("dense", "out_proj") for kind in ("weight", "bias")}
OWN_HEADS = {
    "bert": {"head.weight": "classifier.weight", "head.bias": "classifier.bias"},
    "roberta": DENSE_HEAD,
    "electra": DENSE_HEAD,
    "distilbert": {"head.dense.weight": "pre_classifier.weight", "head.dense.bias": "pre_classifier.bias",
                   "head.out_proj.weight": "classifier.weight", "head.out_proj.bias": "classifier.bias"},
}


class Whole:
    """Encoder, modules and head in fp64; values [name as adamix has it] of head and modules are given as arrays.

    The bottleneck modules, the two passes and the loss are written here from the paper, apart from adamix's code.
    """

    def __init__(self, folder, pool, outputs, values):
        self.values = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in values.items()}
        self.pool = pool
        options = dict(dtype=torch.float64, attn_implementation="eager")
        if pool == "mean":
            self.base = self.model = AutoModel.from_pretrained(folder, **options).eval()
        else:
            self.model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=outputs, **options).eval()
            self.base = self.model.base_model
            self._put_head()
        pattern = FFN_OUTPUT.get(self.base.config.model_type, "encoder.layer.{i}.output.dense")
        for i in range(self.base.config.num_hidden_layers):
            self.base.get_submodule(pattern.format(i=i)).register_forward_hook(self._module_of(i))
        self.route = None

    def _put_head(self):
        for name, theirs in OWN_HEADS[self.base.config.model_type].items():
            owner, attribute = theirs.rsplit(".", 1)
            value = torch.nn.Parameter(self.values[name].detach())
            setattr(self.model.get_submodule(owner), attribute, value)
            self.values[name] = value

    def _module_of(self, layer):
        def hook(_module, _inputs, h):
            if self.route is None:
                return h
            down, up = (f"layers.{layer}.ffn.experts.{j}.{p}." for j, p in zip(self.route[layer], ("down", "up")))
            v = self.values
            a = F.gelu(F.linear(h, v[down + "weight"], v[down + "bias"]))
            return h + F.linear(a, v[up + "weight"], v[up + "bias"])
        return hook

    def forward(self, sequences, route=None):
        """One pass: (states [T,H], logits [S,K])."""
        self.route = route
        states, logits = [], []
        for sequence in sequences:
            out = self.model(**inputs(self.base.config, sequence), output_hidden_states=True)
            states.append(out.hidden_states[-1][0])
            if self.pool == "mean":
                logits.append(F.linear(states[-1].mean(0), self.values["head.weight"], self.values["head.bias"]))
            else:
                logits.append(out.logits[0])
        return torch.cat(states), torch.stack(logits)

    def run(self, sequences, answers, routes, consistency, stop_gradient=True):
        """Forward and backward of len(routes) passes: what dump_model writes, as fp64 arrays."""
        passes = [self.forward(sequences, route) for route in routes]
        z = [logits for _, logits in passes]
        regression = answers.dtype == np.float32
        truth = torch.tensor(answers, dtype=torch.float64 if regression else torch.long)
        task = F.mse_loss(z[0][:, 0], truth) if regression else F.cross_entropy(z[0], truth)
        apart = torch.zeros((), dtype=torch.float64)
        if len(z) == 2 and not regression:
            logp = [F.log_softmax(logits, 1) for logits in z]
            for a, b in ((0, 1), (1, 0)):  # KL (p_b || p_a)
                target = logp[b].detach() if stop_gradient else logp[b]
                apart = apart + consistency / 2 * (target.exp() * (target - logp[a])).sum(1).mean()
        (task + apart).backward()
        result = {"hidden": torch.cat([states for states, _ in passes]), "z": torch.cat(z), "loss": torch.stack([task, apart])}
        leaves = self.values | {f"backbone.{name}": p for name, p in self.base.named_parameters()}
        for name, leaf in leaves.items():
            result[f"grad.{name}"] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        return {name: tensor.detach().numpy() for name, tensor in result.items()}


# ---- adamix ------------------------------------------------------------------------------------------------------------


def batch_of(sequences):
    lengths = [len(ids) for ids, _ in sequences]
    return {"offset": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            "id": np.concatenate([ids for ids, _ in sequences]).astype(np.int32),
            "type": np.concatenate([types for _, types in sequences]).astype(np.int32)}


class NotHere(RuntimeError):
    """A kernel or backend that this CPU or build lacks."""


def dump(model, batch, *options):
    """Run dump_model on a batch (a dictionary of arrays); what it wrote, or the message of its failure as RuntimeError."""
    with scratch() as folder:
        given, got = os.path.join(folder, "batch.safetensors"), os.path.join(folder, "output.safetensors")
        save_file(batch, given)
        run = subprocess.run([DUMP_MODEL, "--model", model, "--batch", given, "--output", got, *map(str, options)],
                             stderr=subprocess.PIPE, check=False)
        if run.returncode != 0:
            message = run.stderr.decode().strip()
            lacking = "this CPU lacks" in message or "is not in this build" in message
            raise (NotHere if lacking else RuntimeError)(f"status {run.returncode}: {message}")
        return load_file(got)


def dump_hidden(model, sequences, *options):
    """The last layer's states, one [n,H] a sequence; the head (mean over tokens, one output) is not looked at."""
    width = AutoConfig.from_pretrained(model).hidden_size
    head = {"head.weight": np.ones((1, width), np.float32), "head.bias": np.zeros(1, np.float32)}
    hidden = dump(model, batch_of(sequences) | head, "--outputs", 1, *options)["hidden"]
    return np.split(hidden, np.cumsum([len(ids) for ids, _ in sequences])[:-1])
