"""AdaMix training written out in fp64, to compare every step of a run of adamix with.

The encoder is transformers' BertModel or RobertaModel, plain LoRA is peft's; everything that AdaMix adds is here: the bank
and its places in the layer, routing, losses, clipping, the optimizer and its schedule. Nothing draws a random number: initial values, order and
routes are given (docs/parity.md), and there is no dropout.

`Rules` holds what an implementation may get wrong. Its defaults are what adamix does; the test asks that each other choice
leads elsewhere, so that agreement means something.
"""
import dataclasses
import itertools
import json
import math
import pathlib
import re
import subprocess

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file

transformers.logging.disable_progress_bar()


ALPHA = 12  # of LoRA

# What a method trains inside the encoder: places of its modules and their activation, or its tensors (a pattern).
METHODS = {
    "adamix": dict(places=["ffn"], activation=F.gelu, many=True),
    "adamix-lora": dict(places=["query", "value"], many=True),
    "adapter": dict(places=["ffn"], activation=F.gelu),
    "houlsby": dict(places=["attention", "ffn"], activation=F.silu),
    "pfeiffer": dict(places=["ffn"], activation=F.relu),
    "lora": dict(peft=["query", "value"]),
    "bitfit": dict(tensors=r"bias$"),
    "full": dict(tensors=""),
    "head": {},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options of a run, named as adamix names them."""
    steps: int
    lr: float
    method: str = "adamix"
    rank: int = 8
    share: str = "none"
    route: str = "prescribed"  # or "switch", "soft"
    router_balance: float = 0.5
    capacity_factor: float = 1.25
    pool: str = "pooler"  # of BERT: pooler or mean
    regression: bool = False
    consistency: float = 1.0
    consistency_gradient: str = "stop"
    consistency_loss: str = "kl"
    consistency_warmup: float = 0.0
    task_loss: str = "first"
    most_passes: int = 2
    weight_decay: float = 0.1
    warmup: float = 0.06
    clip: float = 1.0

    @property
    def passes(self):
        if not METHODS[self.method].get("many"):
            return 1
        compared = self.consistency > 0 and (not self.regression or self.consistency_loss == "mse")
        return self.most_passes if compared or self.task_loss == "all" else 1


@dataclasses.dataclass(frozen=True)
class Rules:
    """How the numbers come about; another value than the default is a mistake to be told from it."""
    t_counts: str = "from first gradient"  # "from step 0", "in the layer", "steps with a gradient"
    undrawn: str = "moves and decays"  # "stands still", "moves", "decays"
    decay: str = "after the step"  # "before the step"
    decays: str = "weights"  # "all"
    first_lr: int = 0  # numerator of the first learning rate of the warm-up
    clip_counts: str = "all"  # "each tensor"
    task_on: str = "pass 1"  # "both passes"
    activation: str = "none"  # of GELU: "none" is erf, "tanh" its approximation
    place: str = "before the residual"  # "after the layer"
    scale: str = "alpha / R"  # of LoRA: "alpha / sqrt R", "1"
    swish: str = "swish"  # of Houlsby's adapters: "tanh"
    gate: str = "its probability"  # of switch's expert: "1"
    balance_counts: str = "all"  # rows of the router's own loss: "served"


# ---- model ---------------------------------------------------------------------------------------------------------------


class Modules:
    """The bank inside an encoder: what the experts that `route` names add, layer by layer."""

    def __init__(self, encoder, values, settings, rules):
        method = METHODS[settings.method]
        self.values, self.settings, self.rules, self.route, self.mask, self.balance = values, settings, rules, None, None, []
        self.activation = method.get("activation")
        self.scale = {"alpha / R": ALPHA / settings.rank, "alpha / sqrt R": ALPHA / math.sqrt(settings.rank), "1": 1}[rules.scale]
        if self.activation is F.gelu:
            self.activation = lambda u: F.gelu(u, approximate=rules.activation)
        elif rules.swish == "tanh":
            self.activation = torch.tanh
        for i, layer in enumerate(encoder.encoder.layer):
            of = {"attention": layer.attention.output.dense, "query": layer.attention.self.query,
                  "value": layer.attention.self.value,
                  "ffn": layer.output if rules.place == "after the layer" else layer.output.dense}
            for place in method.get("places", []):
                serve = self.lora if place in ("query", "value") else self.bottleneck
                of[place].register_forward_hook(
                    lambda module, inputs, h, i=i, place=place, serve=serve: self.routed(serve, f"layers.{i}.{place}.experts", i,
                                                                                         inputs[0], h))

    def routed(self, serve, stem, layer, x, h):
        if self.settings.route == "prescribed":
            return serve(stem, *self.route[layer], x, h)
        return self.gated(serve, stem, x, h)

    def gated(self, serve, stem, x, h):
        """By a learned router, which reads what the module reads.  An expert without a token has no gradient."""
        routers = [name for name in self.values if name.startswith(stem) and name.endswith("router.weight")]
        p = F.softmax((h if serve == self.bottleneck else x) @ torch.cat([self.values[name] for name in routers]).T, -1)
        gates = p if self.settings.route == "soft" else self.switched(p)
        shared = self.settings.share
        number = lambda j, share: 0 if shared in (share, "both") else j
        return h + sum(gates[..., j:j + 1] * (serve(stem, number(j, "down"), number(j, "up"), x, h) - h)
                       for j in range(len(routers)) if gates[..., j].any())

    def switched(self, p):
        """The largest p of each token, others 0; tokens beyond an expert's places have none.  Padding is no token."""
        rows, experts = p[self.mask], p.shape[-1]
        best = rows.argmax(-1)
        places = math.ceil(self.settings.capacity_factor * len(rows) / experts)
        place = F.one_hot(best, experts).cumsum(0)[range(len(rows)), best]
        served = place <= places
        counted = best[served] if self.rules.balance_counts == "served" else best
        frequency = torch.bincount(counted, minlength=experts) / len(rows)
        self.balance.append(self.settings.router_balance * experts * (frequency * rows.mean(0)).sum())
        gate = rows.gather(1, best[:, None])[:, 0] if self.rules.gate == "its probability" else torch.ones(len(rows))
        chosen = torch.zeros_like(rows)
        chosen[range(len(rows)), best] = gate.to(rows) * served
        gates = torch.zeros_like(p)
        gates[self.mask] = chosen
        return gates

    def bottleneck(self, stem, j, k, x, h):
        part = lambda what: [self.values[f"{stem}.{what}.{kind}"] for kind in ("weight", "bias")]
        return h + F.linear(self.activation(F.linear(h, *part(f"{j}.down"))), *part(f"{k}.up"))

    def lora(self, stem, j, k, x, h):
        return h + self.scale * F.linear(F.linear(x, self.values[f"{stem}.{j}.lora_A"]), self.values[f"{stem}.{k}.lora_B"])


def with_peft(encoder, initial, targets, rank):
    """(The encoder with peft's LoRA, its parameters under the names of adamix)."""
    import peft

    encoder = peft.get_peft_model(encoder, peft.LoraConfig(r=rank, lora_alpha=ALPHA, lora_dropout=0, target_modules=targets))
    encoder = encoder.double()
    named = {}
    for i, layer in enumerate(encoder.encoder.layer):
        for target in targets:
            module = getattr(layer.attention.self, target)
            for kind, of in (("lora_A", module.lora_A), ("lora_B", module.lora_B)):
                name, p = f"layers.{i}.{target}.experts.0.{kind}", of["default"].weight
                with torch.no_grad():
                    p.copy_(initial[name])
                named[name] = p
    return encoder, named


def trained(encoder, initial, settings):
    """(the encoder as the method changes it, all that trains by its name in a file of adamix)"""
    method = METHODS[settings.method]
    named = {name: p.double().requires_grad_() for name, p in initial.items() if not name.startswith("backbone.")}
    if "tensors" in method:
        own = {f"backbone.{name}": p for name, p in encoder.named_parameters() if re.search(method["tensors"], name)}
        # transformers gives RoBERTa a pooler that its head does not read.
        unread = {name for name in own if name.startswith("backbone.pooler.")} - initial.keys()
        assert own.keys() - unread == {name for name in initial if name.startswith("backbone.")}, "other tensors train"
        named |= {name: p.requires_grad_() for name, p in own.items() if name not in unread}
    if "peft" in method:
        encoder, own = with_peft(encoder, initial, method["peft"], settings.rank)
        named |= own
    return encoder, named


def pad(sequences, pad_id):
    longest = max(len(ids) for ids in sequences)
    ids = torch.full((len(sequences), longest), pad_id)
    mask = torch.zeros((len(sequences), longest), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, :len(sequence)] = torch.tensor(sequence)
        mask[row, :len(sequence)] = 1
    return ids, mask


def token_types(ids, separator, types):
    """1 behind the first [SEP] of a pair, where the encoder knows two types."""
    if types < 2:
        return torch.zeros_like(ids)
    before = (ids == separator).long().cumsum(1) - (ids == separator).long()
    return (before == 1).long()


def head_of(kind, pool, encoded, mask, values):
    """Logits [B,K] from the encoder's output."""
    hidden = encoded.last_hidden_state
    if kind == "roberta" and pool != "mean":
        x = torch.tanh(F.linear(hidden[:, 0], values["head.dense.weight"], values["head.dense.bias"]))
        return F.linear(x, values["head.out_proj.weight"], values["head.out_proj.bias"])
    if pool == "mean":
        x = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    else:
        x = encoded.pooler_output
    return F.linear(x, values["head.weight"], values["head.bias"])


# ---- losses --------------------------------------------------------------------------------------------------------------


def task_loss(z, target, settings):
    return F.mse_loss(z[:, 0], target) if settings.regression else F.cross_entropy(z, target)


def kl(target, prediction):
    t, p = F.log_softmax(target, -1), F.log_softmax(prediction, -1)
    return (t.exp() * (t - p)).sum(-1).mean()


def js(target, prediction):
    t, p = F.log_softmax(target, -1), F.log_softmax(prediction, -1)
    m = torch.logaddexp(t, p) - math.log(2)
    return ((t.exp() * (t - m)).sum(-1).mean() + (p.exp() * (p - m)).sum(-1).mean()) / 2


# (distance of a target from a prediction, weight where the earlier pass is the target, and where the later one is)
DISTANCES = {"kl": (kl, 0.5, 0.5), "kl-forward": (kl, 1, 0), "kl-reverse": (kl, 0, 1), "js": (js, 0.5, 0.5),
             "mse": (lambda t, p: F.mse_loss(p, t), 0.5, 0.5)}


def rise(settings, step):
    steps = math.ceil(settings.consistency_warmup * settings.steps)
    return step / steps if step < steps else 1.0


def consistency_loss(z, settings, step):
    """The mean over the batch and over pairs of passes; with "stop" every target is fixed."""
    fixed = (lambda t: t.detach()) if settings.consistency_gradient == "stop" else (lambda t: t)
    distance, forth, back = DISTANCES[settings.consistency_loss]
    pairs = list(itertools.combinations(z, 2))
    apart = sum(forth * distance(fixed(a), b) + back * distance(fixed(b), a) for a, b in pairs)
    return settings.consistency * rise(settings, step) * apart / len(pairs)


# ---- optimizer -------------------------------------------------------------------------------------------------------------


def learning_rate(settings, step, rules):
    rise = math.ceil(settings.warmup * settings.steps)
    if step < rise:
        return settings.lr * (step + rules.first_lr) / rise
    return settings.lr * (settings.steps - step) / (settings.steps - rise)


def clip(named, settings, rules):
    """The global norm before clipping; gradients are scaled in place."""
    norms = {name: p.grad.norm() for name, p in named.items() if p.grad is not None}
    norm = torch.stack(list(norms.values())).norm()
    for name, own in norms.items():
        counted = norm if rules.clip_counts == "all" else own
        if settings.clip > 0:
            named[name].grad.mul_(min(1.0, settings.clip / (float(counted) + 1e-6)))
    return float(norm)


class AdamW:
    """p -= lr sqrt (1 - b2^t) / (1 - b1^t) m / (sqrt v + eps), then p -= lr wd p on weights."""
    b1, b2, eps = 0.9, 0.999, 1e-8

    def __init__(self, named, settings, rules):
        self.named, self.settings, self.rules = named, settings, rules
        self.m = {name: torch.zeros_like(p) for name, p in named.items()}
        self.v = {name: torch.zeros_like(p) for name, p in named.items()}
        self.t = dict.fromkeys(named, 0)
        self.of_layer = {}

    def count(self, name, step):
        rule, drawn = self.rules.t_counts, self.named[name].grad is not None
        layer = re.match(r"layers\.\d+|head|backbone", name)[0]
        if drawn:
            self.of_layer.setdefault(layer, step)
        if rule == "from step 0":
            self.t[name] = step + 1
        elif rule == "in the layer":
            if drawn or self.t[name]:
                self.t[name] = step + 1 - self.of_layer[layer]
        elif drawn or (self.t[name] and rule == "from first gradient"):
            self.t[name] += 1
        return self.t[name]

    @torch.no_grad()
    def update(self, step, lr):
        for name, p in self.named.items():
            t, drawn = self.count(name, step), p.grad is not None
            if t == 0:
                continue
            decay = lr * self.settings.weight_decay if p.dim() == 2 or self.rules.decays == "all" else 0.0
            if self.rules.decay == "before the step":
                p.sub_(decay * p)
            g = p.grad if drawn else torch.zeros_like(p)
            if drawn or self.rules.undrawn != "stands still":
                self.m[name].mul_(self.b1).add_((1 - self.b1) * g)
                self.v[name].mul_(self.b2).add_((1 - self.b2) * g * g)
            if drawn or self.rules.undrawn in ("moves and decays", "moves"):
                size = lr * math.sqrt(1 - self.b2**t) / (1 - self.b1**t)
                p.sub_(size * self.m[name] / (self.v[name].sqrt() + self.eps))
            if self.rules.decay == "after the step" and (drawn or self.rules.undrawn in ("moves and decays", "decays")):
                p.sub_(decay * p)


# ---- the run ---------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Data:
    sequences: list  # token ids of each record, special tokens included
    target: torch.Tensor  # classes or numbers
    order: list  # [steps][records]
    routes: list  # [steps][passes][layers][down, up]
    separator: int  # token between the texts of a pair


def train(make_encoder, initial, data, settings, rules=Rules()):
    """The metrics of every step. `make_encoder` gives a fresh fp64 encoder; `initial` the values to start from."""
    encoder = make_encoder().eval()
    kind = encoder.config.model_type
    for p in encoder.parameters():
        p.requires_grad = False
    encoder, named = trained(encoder, initial, settings)
    modules = Modules(encoder, named, settings, rules)
    optimizer = AdamW(named, settings, rules)
    lines = []
    for step in range(settings.steps):
        for p in named.values():
            p.grad = None
        records = data.order[step]
        ids, mask = pad([data.sequences[r] for r in records], encoder.config.pad_token_id)
        types = token_types(ids, data.separator, encoder.config.type_vocab_size)
        z = []
        for route in data.routes[step]:
            modules.route, modules.mask = route, mask.bool()
            encoded = encoder(input_ids=ids, attention_mask=mask, token_type_ids=types)
            z.append(head_of(kind, settings.pool, encoded, mask, named))
        on_all = settings.task_loss == "all" or rules.task_on == "both passes"
        task = sum(task_loss(logits, data.target[records], settings) for logits in z) / len(z) if on_all else (
            task_loss(z[0], data.target[records], settings))
        consistency = consistency_loss(z, settings, step) if settings.passes > 1 else torch.zeros(())
        balance = sum(modules.balance, torch.zeros(())) / len(z)
        modules.balance.clear()
        (task + consistency + balance).backward()
        norm = clip(named, settings, rules)
        lr = learning_rate(settings, step, rules)
        optimizer.update(step, lr)
        lines.append({"loss": (task + consistency + balance).item(), "loss_task": task.item(), "loss_consistency": consistency.item(),
                      "grad_norm": norm, "lr": lr})
    return lines


# ---- adamix ----------------------------------------------------------------------------------------------------------------


def adamix(*arguments, ranks=1, launcher="mpirun", binary="adamix", text=None):
    """Standard output of the binary; a failure shows what it said."""
    command = [binary, *map(str, arguments)]
    if ranks > 1:
        command = [launcher, "-n", str(ranks), *command]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def encode(model, texts, max_length, **how):
    """Token ids of each text (pairs by tab), cut as a run cuts them."""
    out = adamix("encode", "--model", model, "--max-length", max_length, text="".join(t + "\n" for t in texts), **how)
    return [[int(token) for token in line.split()] for line in out.splitlines()]


def options_of(settings):
    options = {"max-steps": settings.steps, "lr": settings.lr, "method": settings.method, "rank": settings.rank,
               "weight-decay": settings.weight_decay, "warmup": settings.warmup, "clip": settings.clip, "pool": settings.pool,
               "dropout": 0, "lora-alpha": ALPHA, "lora-dropout": 0,
               "task-type": "regression" if settings.regression else "classification", "eval-every": "never",
               "save-every": "never"}
    if METHODS[settings.method].get("many"):
        options |= {"share": settings.share, "consistency": settings.consistency,
                    "consistency-gradient": settings.consistency_gradient, "consistency-loss": settings.consistency_loss,
                    "consistency-warmup": settings.consistency_warmup, "task-loss": settings.task_loss,
                    "passes": settings.most_passes}
    if settings.route != "prescribed":
        options["route"] = settings.route
    if settings.route == "switch":
        options |= {"router-balance": settings.router_balance, "capacity-factor": settings.capacity_factor}
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def initial_values(folder, arguments, **how):
    """What a run starts from: the first update of a run with warm-up has a learning rate of 0."""
    arguments = list(arguments)
    arguments[arguments.index("--max-steps") + 1] = 1
    adamix("train", *arguments, "--output", folder, **how)
    return load_file(pathlib.Path(folder) / "experts" / "experts.safetensors")


def metrics_of(run):
    return [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()]


def store_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def draw_order(generator, steps, records, batch):
    """Steps of 1 to `batch` records, most of them full."""
    order = []
    for step in range(steps):
        n = batch if step % 4 else 1 + int(torch.randint(batch, (), generator=generator))
        order.append(torch.randperm(records, generator=generator)[:n].tolist())
    return order


def draw_routes(generator, settings, layers, experts):
    """Uniform routes, 0 for shared projections. Expert 3 is drawn late, so that its t starts late too."""
    experts = experts if METHODS[settings.method].get("many") else 1
    most = {"down": 1 if settings.share in ("down", "both") else experts, "up": 1 if settings.share in ("up", "both") else experts}
    late = lambda step, n: n - 1 if n > 1 and step < settings.steps // 4 else n
    draw = lambda n: int(torch.randint(n, (), generator=generator))
    return [[[[draw(late(step, most["down"])), draw(late(step, most["up"]))] for _ in range(layers)]
             for _ in range(settings.passes)] for step in range(settings.steps)]
