"""The C++ configs of golden files of language models, for tests/check/lm.hpp."""
import json
import pathlib

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
               "quick_gelu": "quick_gelu", "silu": "silu", "swish": "silu", "relu": "relu", "relu2": "squared_relu"}


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind. Sizes that the file's own config leaves out are those of transformers' classes."""
    if meta.get("case", "").split("_")[0] != "lm":
        return None
    c = json.loads(meta["config"])
    return {"header": "check/lm.hpp", "function": "flamingo::test::check_lm",
            "arguments": decoder(c["k"], {**c.get("cfg", {}), **saved(file)})}


def saved(file):
    """config.json of the folder beside a file that has its parameters there."""
    beside = pathlib.Path(file).with_name(pathlib.Path(file).stem.removesuffix("_io")) / "config.json"
    return json.loads(beside.read_text()) if beside.is_file() else {}


def decoder(kind, c, added=0):
    """A decoder of this kind from its Hugging Face config; the last `added` entries of the vocabulary are rows of
    their own."""
    return {"mpt": mpt, "neox": gpt_neox, "gpt_neox": gpt_neox, "llama": llama}[kind](c, added)


def mpt(c, added=0):
    attention = c.get("attn_config") or {}
    refuse("mpt", attention, softmax_scale=None)
    dim = c.get("d_model", 2048)
    # transformers' MptForCausalLM ignores most other fields: hidden layers are 4 D wide and slopes end at 2^-8, whatever
    # expansion_ratio and alibi_bias_max say.
    return value("Mpt", dim=dim, layers=c.get("n_layers", 24), heads=c.get("n_heads", 16),
                 hidden=4 * dim, vocabulary=c.get("vocab_size", 50368) - added, added=added,
                 context=c.get("max_seq_len", 2048), alibi=real(8), clamp=real(attention.get("clip_qkv") or 0),
                 qk_norm=truth(attention.get("qk_ln") or attention.get("attn_qk_ln") or c.get("attn_qk_ln")),
                 epsilon=real(c.get("layer_norm_epsilon", 1e-5)), tied=truth(c.get("tie_word_embeddings", True)))


def gpt_neox(c, added=0):
    refuse("gpt_neox", c, rope_scaling=None, attention_bias=True)
    return value("GptNeox", dim=c.get("hidden_size", 6144), layers=c.get("num_hidden_layers", 44),
                 heads=c.get("num_attention_heads", 64), hidden=c.get("intermediate_size", 24576),
                 vocabulary=c.get("vocab_size", 50432) - added, added=added,
                 context=c.get("max_position_embeddings", 2048), rotary_share=real(c.get("rotary_pct", 0.25)),
                 rotary_base=float(c.get("rotary_emb_base", c.get("rope_theta", 10000))),
                 parallel=truth(c.get("use_parallel_residual", True)),
                 activation=activation(c.get("hidden_act", "gelu")), epsilon=real(c.get("layer_norm_eps", 1e-5)),
                 tied=truth(c.get("tie_word_embeddings", False)))


def llama(c, added=0):
    refuse("llama", c, attention_bias=False, mlp_bias=False, hidden_act="silu")
    heads = c.get("num_attention_heads", 32)
    fields = dict(dim=c.get("hidden_size", 4096), layers=c.get("num_hidden_layers", 32), heads=heads,
                  kv_heads=c.get("num_key_value_heads") or heads, head_dim=c.get("head_dim") or 0,
                  hidden=c.get("intermediate_size", 11008), vocabulary=c.get("vocab_size", 32000) - added, added=added,
                  context=c.get("max_position_embeddings", 2048), rotary_base=float(c.get("rope_theta", 10000)))
    scaling = c.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in ("default", "llama3"):
        raise ValueError(f"llama: rope_scaling is of type {kind}, expected llama3 or default")
    if kind == "llama3":
        fields["rotary_scaling"] = "{" + ", ".join(
            f".{name} = {v}" for name, v in (("factor", real(scaling["factor"])),
                                             ("low", real(scaling["low_freq_factor"])),
                                             ("high", real(scaling["high_freq_factor"])),
                                             ("context", scaling["original_max_position_embeddings"]))) + "}"
    return value("Llama", **fields, epsilon=real(c.get("rms_norm_eps", 1e-6)),
                 tied=truth(c.get("tie_word_embeddings", False)))


def refuse(kind, c, **expected):
    """Fields that a decoder knows in one value alone."""
    for name, only in expected.items():
        if c.get(name, only) != only:
            raise ValueError(f"{kind}: {name} is {c[name]!r}, only {only!r} is known")


def value(kind, **fields):
    return f"flamingo::{kind}{{" + ", ".join(f".{name} = {v}" for name, v in fields.items()) + "}"


def real(x):
    return f"{float(x)!r}f"


def truth(x):
    return "true" if x else "false"


def activation(name):
    return f"flamingo::Activation::{ACTIVATIONS[name]}"
