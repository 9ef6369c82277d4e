"""The C++ configs of CLIP's golden files, for tests/check/clip.hpp."""
import json
import pathlib

ACTIVATIONS = {"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh",
               "gelu_pytorch_tanh": "gelu_tanh", "silu": "silu", "swish": "silu", "relu": "relu"}


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    peer = meta.get("case", "").split("_")[0].split(" ")[0]
    if peer not in ("clip", "openclip") or "config" not in meta:
        return None
    c = json.loads(meta["config"])
    if peer == "openclip":
        arguments = open_clip(c, meta)
    else:
        beside = pathlib.Path(file).with_name(pathlib.Path(file).stem.removesuffix("_io")) / "config.json"
        arguments = hugging_face(json.loads(beside.read_text()) if beside.is_file() else of_metadata(c))
    return {"header": "check/clip.hpp", "function": "flamingo::test::check_clip", "arguments": arguments}


def of_metadata(c):
    """A golden's own config as transformers would write it."""
    return {"vision_config": c["vision"], "text_config": {**c["text"], "eos_token_id": c["eos"]},
            "projection_dim": c["proj"]}


def fields(**values):
    return "{" + ", ".join(f".{name} = {value}" for name, value in values.items()) + "}"


def activation(name):
    return f"flamingo::Activation::{ACTIVATIONS[name]}"


def real(value):
    return f"{float(value)!r}f"


def hugging_face(c):
    """Of a CLIPModel's config.json, where fields at their default value may be missing."""
    def field(part, name, default):
        return c.get(f"{part}_config", {}).get(name, default)

    def tower(part, dim, layers, heads):
        width = field(part, "hidden_size", dim)
        return {"dim": width, "layers": field(part, "num_hidden_layers", layers),
                "heads": field(part, "num_attention_heads", heads),
                "hidden": field(part, "intermediate_size", 4 * dim),
                "activation": activation(field(part, "hidden_act", "quick_gelu"))}

    end = field("text", "eos_token_id", 49407)
    pooling = "highest_id" if end == 2 else "first_end"
    vision = fields(image=field("vision", "image_size", 224), patch=field("vision", "patch_size", 32),
                    **tower("vision", 768, 12, 12), epsilon=real(field("vision", "layer_norm_eps", 1e-5)))
    text = fields(context=field("text", "max_position_embeddings", 77), vocabulary=field("text", "vocab_size", 49408),
                  **tower("text", 512, 12, 8), pooling=f"flamingo::TextPooling::{pooling}", end=end,
                  epsilon=real(field("text", "layer_norm_eps", 1e-5)))
    whole = fields(vision=vision, text=text, projection=c.get("projection_dim", 512))
    return f"flamingo::ClipConfig{whole}, flamingo::test::ClipPeer::hugging_face"


def open_clip(c, meta):
    """Of open_clip's own config. Its version decides whether features pass ln_post; the note says so outright."""
    act = activation("quick_gelu" if c.get("quick_gelu") else "gelu")

    def tower(part, heads):
        return {"dim": part["width"], "layers": part["layers"], "heads": heads,
                "hidden": int(part["width"] * part.get("mlp_ratio", 4.0)), "activation": act}

    v, t = c["v"], c["t"]
    third = int(json.loads(meta["versions"])["open_clip"].split(".")[0]) >= 3
    after = "post_ln_post" in meta.get("note", "") or (third and "pre_ln_post" not in meta.get("note", ""))
    vision = fields(image=v["image_size"], patch=v["patch_size"],
                    **tower(v, v["width"] // v.get("head_width", 64)), post_norm="true" if after else "false")
    text = fields(context=t.get("context_length", 77), vocabulary=t.get("vocab_size", 49408), **tower(t, t["heads"]))
    whole = fields(vision=vision, text=text, projection=c["embed_dim"])
    return f"flamingo::ClipConfig{whole}, flamingo::test::ClipPeer::open_clip"
