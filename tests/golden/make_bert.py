#!/usr/bin/env python3
"""Record golden values of a tiny BERT: python3 tests/golden/make_bert.py [FOLDER]

Needs torch, transformers and safetensors; the tests read only the files, which are committed. Weights are random fp32
numbers of a fixed seed; everything is then computed in fp64 and stored as fp32, so the tests' tolerance is about
adamix's rounding alone. FOLDER (default: bert-tiny beside this script) gets

  config.json, vocab.txt, model.safetensors   a Hugging Face folder, tensor names without the "bert." prefix
  golden.safetensors                          what follows; T tokens, S sequences, L layers, M experts, K labels

Batch (packed, no padding)
  batch.id, batch.type, batch.position  [T] I32     batch.offset  [S + 1] I64     batch.label  [S] I32
The plain encoder, no dropout
  hidden.{i}  [T,H]   i = 0: after the embeddings; i > 0: after layer i - 1
  head.weight [K,H], head.bias [K]      the head of all cases, after tanh (pooler ([CLS])) or the mean over tokens
  logits.pooler, logits.mean  [S,K]     loss.pooler, loss.mean  [1] mean cross entropy
Experts: bottleneck modules after the FFN (R = 6, erf GELU, own residual), values of all cases
  layers.{i}.ffn.experts.{j}.{down,up}.{weight,bias}      a shared projection uses j = 0 alone
Cases "{share}.{pool}" = none.mean, down.mean, up.pooler, both.pooler: two passes without dropout, consistency weight 0.7
  {case}.route          [2,L,2] I32  pass, layer, (Down j, Up k); a shared projection's is 0
  {case}.z, {case}.dz   [2S,K]       logits and the gradient of the loss in them, pass after pass
  {case}.loss           [3]          task, weighted consistency, total; means over the S examples
  {case}.hidden         [2T,H]       the last layer's states, pass after pass
  {case}.grad.{name}                 gradient of the total loss in head.weight, head.bias and every expert tensor that the
                                     case has (zeros where no route leads)
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

WORDS = "the a cat dog sat ran on under mat table and or not very happy sad card bank money transfer top up my is was where how do i".split()
HIDDEN, FFN, HEADS, LAYERS, LABELS, EXPERTS, BOTTLENECK, CONSISTENCY = 32, 64, 4, 3, 5, 3, 6, 0.7
LENGTHS, PAIR_FROM = [7, 2, 19, 12, 33], [4, None, 9, None, 20]  # where token type 1 begins
ROUTES = {
    "none.mean": [[(0, 2), (1, 1), (2, 0)], [(1, 0), (1, 2), (0, 0)]],
    "down.mean": [[(0, 1), (0, 0), (0, 2)], [(0, 2), (0, 0), (0, 1)]],
    "up.pooler": [[(2, 0), (0, 0), (1, 0)], [(0, 0), (2, 0), (1, 0)]],
    "both.pooler": [[(0, 0)] * 3, [(0, 0)] * 3],
}


def make_vocabulary():
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    marks = list(".,!?'-") + [str(d) for d in range(10)]
    pieces = ["##" + c for c in letters + ["s", "ed", "ing", "er", "ly"]]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys(special + letters + marks + WORDS + pieces))


def make_model(vocabulary):
    config = BertConfig(vocab_size=vocabulary, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                        intermediate_size=FFN, max_position_embeddings=40, type_vocab_size=2, hidden_act="gelu",
                        attn_implementation="eager")
    model = BertModel(config).eval()
    generator = torch.Generator().manual_seed(20220524)
    with torch.no_grad():  # wide enough that attention, GELU and LayerNorm are far from linear
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(1 + 0.2 * noise if name.endswith("LayerNorm.weight") else 0.2 * noise)
    return config, model


def make_batch(vocabulary):
    generator = torch.Generator().manual_seed(7)
    sequences = []
    for n, pair in zip(LENGTHS, PAIR_FROM):
        ids = torch.randint(5, vocabulary, (n,), generator=generator)
        ids[0], ids[-1] = 2, 3
        types = torch.zeros(n, dtype=torch.long)
        if pair is not None:
            ids[pair - 1], types[pair:] = 3, 1
        sequences.append((ids, types))
    return sequences, torch.tensor([1, 4, 0, 2, 1])


def run(model, sequences, route, experts):
    """States of every layer, sequences side by side; each sequence goes alone, so nothing is padded or masked."""
    states = [[] for _ in range(LAYERS + 1)]
    for ids, types in sequences:
        x = model.embeddings(input_ids=ids[None], token_type_ids=types[None])
        states[0].append(x[0])
        for i, layer in enumerate(model.encoder.layer):
            a = layer.attention.self(x)[0]
            a = layer.attention.output(a, x)
            h = layer.output.dense(layer.intermediate(a))
            if route is not None:
                j, k = route[i]
                name = f"layers.{i}.ffn.experts."
                down = F.linear(h, experts[f"{name}{j}.down.weight"], experts[f"{name}{j}.down.bias"])
                h = h + F.linear(F.gelu(down), experts[f"{name}{k}.up.weight"], experts[f"{name}{k}.up.bias"])
            x = layer.output.LayerNorm(h + a)
            states[i + 1].append(x[0])
    return [torch.cat(s) for s in states]


def check_against_transformers(model, sequences, hidden):
    for s, (ids, types) in enumerate(sequences):
        first = sum(LENGTHS[:s])
        with torch.no_grad():
            whole = model(input_ids=ids[None], token_type_ids=types[None], output_hidden_states=True)
        for ours, theirs in zip(hidden, whole.hidden_states):
            assert (ours[first:first + len(ids)] - theirs[0]).abs().max() < 1e-12


def logits(model, states, pool, head):
    rows = []
    for block in states.split(LENGTHS):
        rows.append(block.mean(0) if pool == "mean" else model.pooler(block[None])[0])
    return F.linear(torch.stack(rows), *head)


def make_case(model, sequences, labels, case, head, experts):
    share, pool = case.split(".")
    passes = [run(model, sequences, route, experts)[-1] for route in ROUTES[case]]
    z = [logits(model, states, pool, head) for states in passes]
    for t in z:
        t.retain_grad()
    task = F.cross_entropy(z[0], labels)
    log_p = [F.log_softmax(t, -1) for t in z]
    kl = sum(F.kl_div(log_p[i], log_p[1 - i].exp().detach(), reduction="batchmean") for i in (0, 1))
    total = task + CONSISTENCY * 0.5 * kl
    total.backward()
    out = {"route": torch.tensor(ROUTES[case], dtype=torch.int32), "z": torch.cat(z), "dz": torch.cat([t.grad for t in z]),
           "loss": torch.stack([task, total - task, total]), "hidden": torch.cat(passes)}
    named = {"head.weight": head[0], "head.bias": head[1], **experts}
    for name, p in named.items():
        shared = (share in ("down", "both") and ".down." in name) or (share in ("up", "both") and ".up." in name)
        if ".experts." in name and shared and ".experts.0." not in name:
            continue
        out["grad." + name] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
    for p in named.values():
        p.grad = None
    return {f"{case}.{name}": value for name, value in out.items()}


def make_experts(generator):
    shapes = {"down.weight": (BOTTLENECK, HIDDEN), "down.bias": (BOTTLENECK,), "up.weight": (HIDDEN, BOTTLENECK), "up.bias": (HIDDEN,)}
    return {f"layers.{i}.ffn.experts.{j}.{name}": 0.2 * torch.randn(shape, generator=generator)
            for i in range(LAYERS) for j in range(EXPERTS) for name, shape in shapes.items()}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "bert-tiny")
    folder.mkdir(parents=True, exist_ok=True)
    words = make_vocabulary()
    config, model = make_model(len(words))
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.double()
    for p in model.parameters():
        p.requires_grad = False
    sequences, labels = make_batch(len(words))
    generator = torch.Generator().manual_seed(11)
    head = [0.3 * torch.randn(LABELS, HIDDEN, generator=generator), 0.3 * torch.randn(LABELS, generator=generator)]
    experts = make_experts(generator)
    golden = {"head.weight": head[0], "head.bias": head[1], **experts}
    head = [p.double().requires_grad_() for p in head]
    experts = {name: p.double().requires_grad_() for name, p in experts.items()}

    offset = [0] + torch.tensor(LENGTHS).cumsum(0).tolist()
    golden |= {"batch.id": torch.cat([s[0] for s in sequences]).int(), "batch.type": torch.cat([s[1] for s in sequences]).int(),
               "batch.position": torch.cat([torch.arange(n) for n in LENGTHS]).int(), "batch.offset": torch.tensor(offset),
               "batch.label": labels.int()}
    hidden = run(model, sequences, None, None)
    check_against_transformers(model, sequences, hidden)
    golden |= {f"hidden.{i}": h for i, h in enumerate(hidden)}
    for pool in ("pooler", "mean"):
        z = logits(model, hidden[-1], pool, head).detach()
        golden |= {f"logits.{pool}": z, f"loss.{pool}": F.cross_entropy(z, labels)[None]}
    for case in ROUTES:
        golden |= make_case(model, sequences, labels, case, head, experts)

    narrow = lambda t: (t.float() if t.is_floating_point() else t).detach().contiguous()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    save_file({name: narrow(t) for name, t in golden.items()}, folder / "golden.safetensors")
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    keys = ("model_type hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings type_vocab_size "
            "vocab_size hidden_act hidden_dropout_prob attention_probs_dropout_prob layer_norm_eps initializer_range pad_token_id").split()
    settings = config.to_dict()
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"], **{k: settings[k] for k in keys},
                                                    "position_embedding_type": "absolute"}, indent=2) + "\n")
    print(f"{folder}: {sum(f.stat().st_size for f in folder.iterdir())} bytes")


main()
