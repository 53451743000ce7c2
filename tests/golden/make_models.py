#!/usr/bin/env python3
"""Record golden values of tiny models beside BERT: python3 tests/golden/make_models.py [FOLDER [NAME...]]

Needs torch, transformers and safetensors; the tests read only the files, which are committed. As in make_bert.py, weights
are random fp32 numbers of a fixed seed, everything is computed in fp64 and stored as fp32. Nothing here computes a layer:
the model is transformers' own ...ForSequenceClassification, modules act through hooks. Each folder FOLDER/NAME-tiny
(default: beside this script) gets

  config.json, model.safetensors   a Hugging Face folder; tensor names with the architecture's prefix, and a classifier
  golden.safetensors               what follows; T tokens, S sequences, L layers, M experts, K labels

Batch (packed, no padding; an architecture that counts positions from its pad token meets this token inside a text)
  batch.id, batch.type  [T] I32     batch.offset  [S + 1] I64     batch.label  [S] I32
The plain encoder and the architecture's own head on the first token, no dropout
  hidden.{i}  [T,H]   i = 0: what enters the layers; i > 0: after layer i - 1
  head.dense.{weight,bias}, head.out_proj.{weight,bias}     logits  [S,K]     loss  [1] mean cross entropy
Experts: bottleneck modules after the FFN (R = 6, erf GELU, own residual), values of all cases
  layers.{i}.ffn.experts.{j}.{down,up}.{weight,bias}      a shared projection uses j = 0 alone
Cases none.pooler and up.pooler: two passes without dropout, consistency weight 0.7
  {case}.route          [2,L,2] I32  pass, layer, (Down j, Up k); a shared projection's is 0
  {case}.z, {case}.dz   [2S,K]       logits and the gradient of the loss in them, pass after pass
  {case}.loss           [3]          task, weighted consistency, total; means over the S examples
  {case}.hidden         [2T,H]       the last layer's states, pass after pass
  {case}.grad.{name}                 gradient of the total loss in the head and every expert tensor that the case has
                                     (zeros where no route leads), and in none.pooler of backbone.{name} as well
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import (DistilBertConfig, DistilBertForSequenceClassification, ElectraConfig, ElectraForSequenceClassification,
                          RobertaConfig, RobertaForSequenceClassification)

LABELS, LAYERS, EXPERTS, BOTTLENECK, CONSISTENCY = 5, 2, 3, 6, 0.7
LENGTHS, PAIR_FROM = [7, 2, 19, 12, 33], [4, None, 9, None, 20]  # where token type 1 begins
ROUTES = {
    "none.pooler": [[(0, 2), (1, 1)], [(1, 0), (1, 2)]],
    "up.pooler": [[(2, 0), (0, 0)], [(0, 0), (1, 0)]],
}
EAGER = {"attn_implementation": "eager", "num_labels": LABELS}
HEAD = {"head.dense": "classifier.dense", "head.out_proj": "classifier.out_proj"}

# What differs: the model; the linear layer that modules follow; the head's two layers; whether the model takes token types
# and which type the second half of a pair has (one that the model does not take must not matter); padding inside texts.
MODELS = {
    "roberta": dict(
        make=lambda: RobertaForSequenceClassification(RobertaConfig(
            vocab_size=60, hidden_size=28, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=40,
            max_position_embeddings=36, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, **EAGER)),
        after="roberta.encoder.layer.{}.output.dense", head=HEAD, takes_types=False, pair_type=0, pads_inside=True),
    "distilbert": dict(
        make=lambda: DistilBertForSequenceClassification(DistilBertConfig(
            vocab_size=60, dim=24, n_layers=LAYERS, n_heads=1, hidden_dim=52, max_position_embeddings=33, activation="relu", **EAGER)),
        after="distilbert.transformer.layer.{}.ffn.lin2",
        head={"head.dense": "pre_classifier", "head.out_proj": "classifier"}, takes_types=False, pair_type=1, pads_inside=False),
    "electra": dict(
        make=lambda: ElectraForSequenceClassification(ElectraConfig(
            vocab_size=60, embedding_size=20, hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=40,
            max_position_embeddings=40, type_vocab_size=2, hidden_act="gelu_new", **EAGER)),
        after="electra.encoder.layer.{}.output.dense", head=HEAD, takes_types=True, pair_type=1, pads_inside=False),
}


def make_model(kind):
    model = kind["make"]().eval()
    generator = torch.Generator().manual_seed(20220524)
    with torch.no_grad():  # wide enough that attention, activations and LayerNorm are far from linear
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            norm = "norm" in name.lower() and name.endswith("weight")
            p.copy_(1 + 0.2 * noise if norm else 0.2 * noise)
    return model


def make_batch(kind, vocabulary):
    generator = torch.Generator().manual_seed(7)
    sequences = []
    for n, pair in zip(LENGTHS, PAIR_FROM):
        ids = torch.randint(5, vocabulary, (n,), generator=generator)
        types = torch.zeros(n, dtype=torch.long)
        if pair is not None:
            types[pair:] = kind["pair_type"]
        sequences.append((ids, types))
    if kind["pads_inside"]:
        for s, t in ((0, 0), (2, 5), (2, 6), (4, 31)):
            sequences[s][0][t] = 1
    return sequences, torch.tensor([1, 4, 0, 2, 1])


class Modules:
    """The experts, inserted behind the second linear layer of each FFN; route None: nothing is inserted."""

    def __init__(self, model, kind, experts):
        self.route, self.experts = None, experts
        for i in range(LAYERS):
            model.get_submodule(kind["after"].format(i)).register_forward_hook(lambda m, x, h, i=i: self.insert(i, h))

    def insert(self, i, h):
        if self.route is None:
            return h
        (j, k), e = self.route[i], lambda j, what: self.experts[f"layers.{i}.ffn.experts.{j}.{what}"]
        down = F.gelu(F.linear(h, e(j, "down.weight"), e(j, "down.bias")))
        return h + F.linear(down, e(k, "up.weight"), e(k, "up.bias"))


def run(model, kind, sequences):
    """States of every layer and logits; each sequence goes alone, so nothing is padded or masked."""
    outputs = []
    for ids, types in sequences:
        known = {"token_type_ids": types[None]} if kind["takes_types"] else {}
        outputs.append(model(input_ids=ids[None], output_hidden_states=True, **known))
    states = [torch.cat([o.hidden_states[i][0] for o in outputs]) for i in range(LAYERS + 1)]
    return states, torch.cat([o.logits for o in outputs])


def make_case(model, kind, sequences, labels, case, modules, trained):
    passes = []
    for modules.route in ROUTES[case]:
        passes.append(run(model, kind, sequences))
    modules.route = None
    z = [logits for _, logits in passes]
    for t in z:
        t.retain_grad()
    task = F.cross_entropy(z[0], labels)
    log_p = [F.log_softmax(t, -1) for t in z]
    kl = sum(F.kl_div(log_p[i], log_p[1 - i].exp().detach(), reduction="batchmean") for i in (0, 1))
    total = task + CONSISTENCY * 0.5 * kl
    total.backward()
    out = {"route": torch.tensor(ROUTES[case], dtype=torch.int32), "z": torch.cat(z), "dz": torch.cat([t.grad for t in z]),
           "loss": torch.stack([task, total - task, total]), "hidden": torch.cat([states[-1] for states, _ in passes])}
    for name, p in trained.items():
        expert = ".experts." in name
        absent = (name.startswith("backbone.") and case != "none.pooler") or (expert and case == "up.pooler" and ".up." in name
                                                                             and ".experts.0." not in name)
        if not absent:
            out["grad." + name] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
        p.grad = None
    return {f"{case}.{name}": value for name, value in out.items()}


def make_experts(hidden):
    generator = torch.Generator().manual_seed(11)
    shapes = {"down.weight": (BOTTLENECK, hidden), "down.bias": (BOTTLENECK,), "up.weight": (hidden, BOTTLENECK), "up.bias": (hidden,)}
    return {f"layers.{i}.ffn.experts.{j}.{name}": (0.4 * torch.randn(shape, generator=generator)).double().requires_grad_()
            for i in range(LAYERS) for j in range(EXPERTS) for name, shape in shapes.items()}


def record(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    kind = MODELS[name]
    model = make_model(kind)
    weights = {k: p.detach().clone().contiguous() for k, p in model.state_dict().items()}
    weights["embeddings.position_ids"] = torch.arange(model.config.max_position_embeddings)[None]  # as older files have it
    model.double()
    sequences, labels = make_batch(kind, model.config.vocab_size)
    experts = make_experts(model.config.hidden_size)
    modules = Modules(model, kind, experts)

    parameters = dict(model.named_parameters())
    head = {f"{ours}.{part}": parameters.pop(f"{theirs}.{part}") for ours, theirs in kind["head"].items() for part in ("weight", "bias")}
    backbone = {"backbone." + k.removeprefix(name + "."): p for k, p in parameters.items()}
    states, z = run(model, kind, sequences)
    golden = {"batch.id": torch.cat([s[0] for s in sequences]).int(), "batch.type": torch.cat([s[1] for s in sequences]).int(),
              "batch.offset": torch.tensor([0] + torch.tensor(LENGTHS).cumsum(0).tolist()), "batch.label": labels.int(),
              "logits": z, "loss": F.cross_entropy(z, labels)[None], **head, **experts,
              **{f"hidden.{i}": h for i, h in enumerate(states)}}
    for case in ROUTES:
        golden |= make_case(model, kind, sequences, labels, case, modules, {**head, **experts, **backbone})

    narrow = lambda t: (t.float() if t.is_floating_point() else t).detach().contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    save_file({k: narrow(t) for k, t in golden.items()}, folder / "golden.safetensors")
    settings = {"architectures": [type(model).__name__], **model.config.to_diff_dict()}
    settings = {k: v for k, v in settings.items() if v is not None and k not in ("transformers_version", "dtype", "id2label", "label2id")}
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    print(f"{folder}: " + ", ".join(f"{f.name} {f.stat().st_size}" for f in sorted(folder.iterdir())))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    for name in sys.argv[2:] or MODELS:
        record(name, root / f"{name}-tiny")


main()
