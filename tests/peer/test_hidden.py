"""Hidden states beside transformers in fp64: a real encoder on real text, and random encoders of every shape.

fp32 rounds to 6e-8; a few hundred roundings a layer of values near each other stay below 2e-5 of a tensor's norm, while
any mistake in the formulas is larger by orders.
"""
import os
import random

import encoders
import tap
import tasks
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, ElectraConfig, RobertaConfig, XLMRobertaConfig

MODEL = os.environ.get("ADAMIX_MODEL")
TOLERANCE = 2e-5
# bf16 keeps 8 bits: a product of two rounded factors is off by up to 2^-8 of itself, a sum of many by less, and each of the
# layers adds its own.
TOLERANCE_BF16 = 2e-2
LENGTHS = [1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 128, 255, 511, 512]


def report(name, ours, theirs, sequences, tolerance=TOLERANCE):
    """One case: hidden states of all sequences, the worst error told."""
    errors = [encoders.error(a, b) for a, b in zip(ours, theirs)]
    worst = max(range(len(errors)), key=errors.__getitem__)
    tap.ok(len(ours) == len(theirs) and errors[worst] <= tolerance, name)
    tap.note(f"error {errors[worst]:.1e} (length {len(sequences[worst][0])}), allowed {tolerance:g}")


def compare(name, folder, sequences, model=None, *options):
    """The last layer's states of a folder, beside those of `model` (the folder's own where it is None)."""
    try:
        ours = encoders.dump_hidden(folder, sequences, *options)
    except RuntimeError as failure:
        tap.ok(False, name, failure)
        return
    report(name, ours, encoders.hidden_states(model or encoders.reference(folder), sequences)[-1], sequences)


def in_bf16(name, folder, sequences, theirs):
    """The same with the frozen layers in bf16, where this CPU has it; else that it says so."""
    try:
        ours = encoders.dump_hidden(folder, sequences, "--precision", "bf16")
    except RuntimeError as failure:
        tap.ok("use --precision fp32" in str(failure), f"{name}: refused where there is none", failure)
        return
    report(name, ours, theirs, sequences, TOLERANCE_BF16)
    worst = max(encoders.error(a, b) for a, b in zip(ours, theirs))
    tap.ok(worst > TOLERANCE, f"{name}: is not fp32")


# ---- the real encoder on real text -------------------------------------------------------------------------------------


def real_texts(count, seed):
    """`count` examples of each task: a text, or a pair of them."""
    rng = random.Random(seed)
    for task in tasks.TASKS:
        first, second, _ = tasks.read(task, tasks.file_of(tasks.folder(task), "dev"))
        for i in rng.sample(range(len(first)), count):
            yield (first[i], second[i]) if second else first[i]


def of_length(tokenizer, texts, length):
    """A pair of real texts, each as long as it takes, cut to `length` tokens."""
    tokenizer.no_truncation()
    if length < 3:
        encoding = tokenizer.encode("")
        return encoding.ids[:length], encoding.type_ids[:length]
    half = [" ".join(" ".join(t) if isinstance(t, tuple) else t for t in texts[part::2]) for part in (0, 1)]
    tokenizer.enable_truncation(length, strategy="longest_first")
    encoding = tokenizer.encode(*half) if length > 3 else tokenizer.encode(half[0])
    assert len(encoding.ids) == length
    return encoding.ids, encoding.type_ids


def real_encoder():
    if not MODEL or not os.path.isdir(tasks.DATA):
        tap.skip("the real encoder", "needs ADAMIX_MODEL and ADAMIX_DATA")
        return
    tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
    tokenizer.no_padding()
    model = encoders.reference(MODEL)
    texts = list(real_texts(8, 1))
    sequences = [of_length(tokenizer, texts[i:] + texts[:i], length) for i, length in enumerate(LENGTHS)]
    theirs = encoders.hidden_states(model, sequences)
    with encoders.scratch() as folder:
        for layer, states in enumerate(theirs, 1):
            short = encoders.shortened(MODEL, layer, os.path.join(folder, str(layer)))
            report(f"real encoder, lengths 1 to 512 in one batch, layer {layer}",
                   encoders.dump_hidden(short, sequences), states, sequences)
    order = random.Random(2).sample(range(len(sequences)), len(sequences))
    report("real encoder, the same in another order", encoders.dump_hidden(MODEL, [sequences[i] for i in order]),
           [theirs[-1][i] for i in order], [sequences[i] for i in order])
    for i, length in enumerate(LENGTHS):
        report(f"real encoder, length {length} alone", encoders.dump_hidden(MODEL, sequences[i:i + 1]),
               [theirs[-1][i]], sequences[i:i + 1])
    in_bf16("real encoder, lengths 1 to 512 in one batch, bf16", MODEL, sequences, theirs[-1])
    tokenizer.enable_truncation(128)
    encodings = [tokenizer.encode(*text) if isinstance(text, tuple) else tokenizer.encode(text) for text in real_texts(16, 3)]
    compare("real encoder, glue and banking77", MODEL, [(e.ids, e.type_ids) for e in encodings], model)


# ---- random encoders ---------------------------------------------------------------------------------------------------


def random_sequences(config, seed=0, lengths=(1, 2, 3, 7, 16, 33, 64)):
    """Ids over the whole vocabulary, its ends and the padding id among them, with every token type."""
    rng = random.Random(seed)
    types = max(getattr(config, "type_vocab_size", 1), 1)
    sequences = []
    for length in lengths:
        ids = [rng.randrange(config.vocab_size) for _ in range(length)]
        ids[-1] = config.vocab_size - 1
        if length > 6:
            ids[length // 2] = ids[length // 3] = config.pad_token_id
        sequences.append((ids, sorted(rng.randrange(types) for _ in range(length))))
    return sequences


SMALL = dict(vocab_size=1000, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
             max_position_embeddings=64)
ACTIVATIONS = ["gelu", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh", "gelu_pytorch_tanh",
               "relu", "silu", "swish"]
BERTS = {
    "1 head": dict(num_attention_heads=1),
    "3 heads of 64": dict(hidden_size=192, num_attention_heads=3, intermediate_size=384),
    "5 heads of 7": dict(hidden_size=35, num_attention_heads=5, intermediate_size=70),
    "12 heads of 5": dict(hidden_size=60, num_attention_heads=12, intermediate_size=50),
    "13 heads of 1": dict(hidden_size=13, num_attention_heads=13, intermediate_size=17),
    "2 heads of 100": dict(hidden_size=200, num_attention_heads=2),
    "1 layer": dict(num_hidden_layers=1),
    "8 layers": dict(num_hidden_layers=8),
    "1 token type": dict(type_vocab_size=1),
    "5 token types": dict(type_vocab_size=5),
    "250,000 words": dict(vocab_size=250000, hidden_size=24),
    "padding id 5": dict(pad_token_id=5),
    **{f"eps {eps:g}": dict(layer_norm_eps=eps) for eps in (1e-12, 1e-7, 1e-5, 1e-2)},
    **{f"activation {name}": dict(hidden_act=name) for name in ACTIVATIONS},
}

BACKENDS = [("--threads", "1"), ("--threads", "3"), ("--gemm", "blas"), ("--gemm", "onednn"), ("--kernels", "reference"),
            ("--kernels", "avx2"), ("--kernels", "avx512"), ("--kernels", "avx512_bf16")]
ROBERTA = dict(max_position_embeddings=66, type_vocab_size=1, pad_token_id=1)  # positions start behind the padding id
ROBERTAS = {
    "small": {},
    "5 heads of 7, relu": dict(hidden_size=35, num_attention_heads=5, hidden_act="relu"),
    "eps 1e-5, 2 token types": dict(layer_norm_eps=1e-5, type_vocab_size=2),
    "padding id 0": dict(pad_token_id=0),
    "padding id 7": dict(pad_token_id=7, max_position_embeddings=72),
    "50,265 words": dict(vocab_size=50265),
}
DISTILBERTS = {"small": {}, "5 heads of 7, relu": dict(hidden_size=35, num_attention_heads=5, hidden_act="relu"),
               "padding id 5": dict(pad_token_id=5)}
ELECTRAS = {"small": dict(embedding_size=48), "narrow embeddings": dict(embedding_size=20),
            "wide embeddings, 5 heads of 7": dict(embedding_size=64, hidden_size=35, num_attention_heads=5),
            "5 token types, eps 1e-5": dict(embedding_size=16, type_vocab_size=5, layer_norm_eps=1e-5)}


def random_encoders(family, kind, variations, base=SMALL):
    for name, changes in variations.items():
        with encoders.scratch() as folder:
            config = kind(**(base | changes))
            encoders.save_random(config, folder, seed=len(name))
            compare(f"{family}, {name}", folder, random_sequences(config))


def long_sequences(family, config, backends):
    """As many tokens as there are positions, with each of the kernels and GEMM backends that this machine has."""
    with encoders.scratch() as folder:
        encoders.save_random(config, folder)
        model = encoders.reference(folder)
        sequences = random_sequences(config, lengths=(512, 1, 511, 128, 127, 255))
        theirs = encoders.hidden_states(model, sequences)[-1]
        for options in backends:
            name = f"{family}, 512 positions, {' '.join(options)}"
            try:
                report(name, encoders.dump_hidden(folder, sequences, *options), theirs, sequences)
            except encoders.NotHere as failure:
                tap.skip(name, failure)


# ---- files as they are found -------------------------------------------------------------------------------------------


def former_names(tensors):
    return {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in tensors.items()}


def unaligned(folder, out):
    """The same file with a header that ends at an odd byte: no tensor is aligned."""
    os.makedirs(out)
    os.symlink(os.path.join(folder, "config.json"), os.path.join(out, "config.json"))
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        content = file.read()
    header = int.from_bytes(content[:8], "little")
    text = content[8:8 + header].rstrip(b" ")
    text += b" " * (1 - len(text) % 2)
    with open(os.path.join(out, "model.safetensors"), "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + content[8 + header:])
    assert len(text) % 2
    return out


def stored_files():
    config = BertConfig(**SMALL)
    sequences = random_sequences(config)
    with encoders.scratch() as folder:
        plain = encoders.save_random(config, os.path.join(folder, "plain"))
        model = encoders.reference(plain)
        where = lambda name: os.path.join(folder, name)
        compare("stored with LayerNorm.gamma and beta", encoders.copy_with(plain, where("gamma"), former_names), sequences, model)
        compare("stored with the prefix bert.", encoders.copy_with(
            plain, where("prefix"), lambda t: {f"bert.{name}": value for name, value in t.items()}), sequences, model)
        sharded = encoders.save_random(config, where("sharded"), max_shard_size="60KB")
        tap.ok(not os.path.exists(os.path.join(sharded, "model.safetensors")) and len(os.listdir(sharded)) > 5,
               "stored in several shards", os.listdir(sharded))
        compare("stored in shards", sharded, sequences)
        compare("stored in shards with a head", encoders.save_random(config, where("sharded-head"), head=True,
                                                                     max_shard_size="60KB"), sequences)
        compare("stored unaligned", unaligned(plain, where("unaligned")), sequences, model)
        for family, kind in (("BERT", BertConfig), ("RoBERTa", RobertaConfig), ("DistilBERT", encoders.distilbert_config),
                             ("ELECTRA", ElectraConfig)):
            headed = encoders.save_random(kind(**(SMALL | dict(max_position_embeddings=66))), where(family), head=True)
            compare(f"{family} stored with a head", headed, sequences)
        for name, dtype in (("F16", torch.float16), ("BF16", torch.bfloat16)):
            half = encoders.randomise(model.__class__(config), 7).to(dtype)
            half.save_pretrained(where(name))
            compare(f"stored as {name}", where(name), sequences)
            compare(f"stored as {name}, unaligned", unaligned(where(name), where(name + "-odd")), sequences,
                    encoders.reference(where(name)))


def main():
    real_encoder()
    random_encoders("BERT", BertConfig, BERTS)
    long_sequences("BERT", BertConfig(**(SMALL | dict(max_position_embeddings=512))), BACKENDS)
    random_encoders("RoBERTa", RobertaConfig, ROBERTAS, SMALL | ROBERTA)
    random_encoders("XLM-RoBERTa", XLMRobertaConfig, {"small": {}}, SMALL | ROBERTA)
    random_encoders("DistilBERT", encoders.distilbert_config, DISTILBERTS)
    random_encoders("ELECTRA", ElectraConfig, ELECTRAS)
    long_sequences("RoBERTa", RobertaConfig(**(SMALL | ROBERTA | dict(max_position_embeddings=514))), BACKENDS[:1])
    stored_files()
    tap.done()


main()
