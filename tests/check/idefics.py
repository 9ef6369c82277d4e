"""The compiled configs of golden files made by transformers' Idefics."""
import json
import pathlib

# transformers leaves out of config.json what is at its default.
DEFAULTS = {"vocab_size": 32000, "additional_vocab_size": 0, "hidden_size": 4096, "intermediate_size": 11008,
            "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu", "alpha_type": "float",
            "rms_norm_eps": 1e-6, "eos_token_id": 2, "tie_word_embeddings": False, "cross_layer_interval": 1,
            "qk_layer_norms": False, "use_resampler": False}
VISION = {"embed_dim": 768, "image_size": 224, "intermediate_size": 5120, "patch_size": 14, "num_hidden_layers": 32,
          "num_attention_heads": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-5}
PERCEIVER = {"resampler_n_latents": 64, "resampler_depth": 6, "resampler_n_heads": 16, "resampler_head_dim": 96,
             "qk_layer_norms_perceiver": False}
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
               "quick_gelu": "quick_gelu", "silu": "silu", "swish": "silu", "relu": "relu"}


def config(meta: dict, file: pathlib.Path) -> dict | None:
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0].split(" ")[0] != "idefics":
        return None
    said = json.loads(meta.get("config", "{}"))
    if "cfg" not in said:  # a prompt of the processor: no model
        return None
    c = dict(DEFAULTS)
    c.update(said["cfg"])
    folder = file.with_name(file.stem.removesuffix("_io"))
    if (folder / "config.json").exists():
        c.update(json.loads((folder / "config.json").read_text()))
    return {"header": "check/idefics.hpp", "function": "flamingo::test::check_idefics", "arguments": expression(c, bool(said.get("hires")))}


def expression(c: dict, larger: bool = False) -> str:
    """The FlamingoConfig of an IdeficsConfig whose defaults are filled in; for larger pictures too, if asked."""
    v, p = dict(VISION), dict(PERCEIVER)
    v.update(c.get("vision_config") or {})
    p.update(c.get("perceiver_config") or {})
    heads, interval = c["num_attention_heads"], c["cross_layer_interval"]
    if c["num_hidden_layers"] % interval:
        raise ValueError(f"num_hidden_layers {c['num_hidden_layers']} is no multiple of cross_layer_interval {interval}")

    if ACTIVATIONS.get(c["hidden_act"]) != "silu":
        raise ValueError(f"hidden_act of the language model is {c['hidden_act']}, expected silu")

    def truth(value):
        return "true" if value else "false"

    def activation(name):
        return f"flamingo::Activation::{ACTIVATIONS[name]}"

    vision = (f".image = {v['image_size']}, .patch = {v['patch_size']}, .dim = {v['embed_dim']}, "
              f".layers = {v['num_hidden_layers']}, .heads = {v['num_attention_heads']}, "
              f".hidden = {v['intermediate_size']}, .activation = {activation(v['hidden_act'])}, .class_out = true, "
              f".other_sizes = flamingo::OtherSizes::{'bicubic' if larger else 'refused'}, "
              f".epsilon = {float(v['layer_norm_eps'])}f")
    if c["use_resampler"]:
        norm = "heads_layer" if p["qk_layer_norms_perceiver"] else "none"
        resampler = (f".dim = {v['embed_dim']}, .latents = {p['resampler_n_latents']}, "
                     f".layers = {p['resampler_depth']}, .heads = {p['resampler_n_heads']}, "
                     f".head_dim = {p['resampler_head_dim']}, .qk_norm = flamingo::QkNorm::{norm}, "
                     f".activation = {activation('relu')}, .frames = 0")
    else:
        rows = (v["image_size"] // v["patch_size"]) ** 2 + 1
        resampler = f".dim = {v['embed_dim']}, .latents = {rows}, .layers = 0, .frames = 0"
    norm = "heads_rms" if c["qk_layer_norms"] else "none"
    xattn = (f".every = {interval}, .heads = {heads}, .head_dim = {c['hidden_size'] // heads}, "
             f".qk_norm = flamingo::QkNorm::{norm}, .hidden = {c['intermediate_size']}, "
             f".activation = {activation(c['hidden_act'])}, .gated_dense = true, "
             f".norm = flamingo::NormKind::rms, .vector_gates = {truth(c['alpha_type'] == 'vector')}, "
             f".end_of_document = {-1 if c['eos_token_id'] is None else c['eos_token_id']}, "
             f".epsilon = {float(c['rms_norm_eps'])}f")
    lm = (f".dim = {c['hidden_size']}, .layers = {c['num_hidden_layers']}, .heads = {heads}, .kv_heads = {heads}, "
          f".hidden = {c['intermediate_size']}, .vocabulary = {c['vocab_size']}, "
          f".added = {c['additional_vocab_size']}, .context = 2048, .epsilon = {float(c['rms_norm_eps'])}f, "
          f".tied = {truth(c['tie_word_embeddings'])}")
    return (f"flamingo::FlamingoConfig<flamingo::Vit, flamingo::Llama>{{.vision = {{{vision}}}, "
            f".resampler = {{{resampler}}}, .xattn = {{{xattn}}}, .lm = {{{lm}}}}}")
