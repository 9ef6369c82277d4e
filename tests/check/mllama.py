"""The compiled configs of golden files made by transformers' Llama 3.2 Vision (mllama)."""
import array
import json
import pathlib
import struct

# transformers leaves out of config.json what is at its default.
TEXT = {"vocab_size": 128256, "hidden_size": 4096, "hidden_act": "silu", "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "rope_theta": 500000,
        "rope_scaling": None, "rms_norm_eps": 1e-5, "max_position_embeddings": 131072, "tie_word_embeddings": False,
        "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38]}
VISION = {"hidden_size": 1280, "hidden_act": "gelu", "num_hidden_layers": 32, "num_global_layers": 8,
          "attention_heads": 16, "num_channels": 3, "intermediate_size": 5120, "vision_output_dim": 7680,
          "image_size": 448, "patch_size": 14, "norm_eps": 1e-5, "max_num_tiles": 4,
          "intermediate_layers_indices": [3, 7, 15, 23, 30],
          "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]}
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
               "quick_gelu": "quick_gelu", "silu": "silu", "swish": "silu", "relu": "relu"}
SLOTS = 128  # that flamingo::Places can name


def config(meta: dict, file: pathlib.Path) -> dict | None:
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind. Raises ValueError where it is a model that cannot be built."""
    if meta.get("case", "").split("_")[0].split(" ")[0] != "mllama":
        return None
    said = json.loads(meta["config"])
    parts = [(said.get("t") or {}, said.get("v") or {})]
    folder = pathlib.Path(file).with_name(pathlib.Path(file).stem.removesuffix("_io"))
    if (folder / "config.json").exists():
        saved = json.loads((folder / "config.json").read_text())
        parts.append((saved.get("text_config") or {}, saved.get("vision_config") or {}))
    text, vision = dict(TEXT), dict(VISION)
    for of_text, of_vision in parts:
        text.update(of_text)
        vision.update(of_vision)
        if "num_attention_heads" in of_vision:  # the argument's name; saved configs have the member's
            vision.update({"attention_heads": of_vision["num_attention_heads"], **of_vision})
    return {"header": "check/mllama.hpp", "function": "flamingo::test::check_mllama",
            "arguments": expression(text, vision, sees_last_alone(pathlib.Path(file)))}


def expression(text: dict, vision: dict, last_alone: bool = False) -> str:
    """The FlamingoConfig of a text and a vision config whose defaults are filled in."""
    outputs = vision["hidden_size"] * (1 + len(vision["intermediate_layers_indices"]))
    if vision["vision_output_dim"] != outputs:
        raise ValueError(f"vision_output_dim is {vision['vision_output_dim']}, its layers give {outputs}")
    if vision["num_channels"] != 3:
        raise ValueError(f"num_channels is {vision['num_channels']}, expected 3")
    if vision["hidden_size"] % vision["attention_heads"] or text["hidden_size"] % text["num_attention_heads"]:
        raise ValueError("heads must divide hidden_size")
    if text["tie_word_embeddings"]:
        raise ValueError("tie_word_embeddings: the input table has 8 rows more than the output's")
    layers, slots = decoder_layers(text)
    stages = vision["num_hidden_layers"]
    taken = [i + stages + 1 if i < 0 else i for i in vision["intermediate_layers_indices"]]  # hidden states, as Python counts
    v = (f".image = {vision['image_size']}, .patch = {vision['patch_size']}, .tiles = {vision['max_num_tiles']}, "
         f".ratios = {len(vision['supported_aspect_ratios'])}, .dim = {vision['hidden_size']}, .layers = {stages}, "
         f".global_layers = {vision['num_global_layers']}, .heads = {vision['attention_heads']}, "
         f".hidden = {vision['intermediate_size']}, .intermediate = flamingo::LayerList::of({{{numbers(taken)}}}), "
         f".activation = flamingo::Activation::{ACTIVATIONS[vision['hidden_act']]}, "
         f".epsilon = {real(vision['norm_eps'])}")
    lm = (f".dim = {text['hidden_size']}, .layers = {layers}, .heads = {text['num_attention_heads']}, "
          f".kv_heads = {text['num_key_value_heads']}, .hidden = {text['intermediate_size']}, "
          f".vocabulary = {text['vocab_size']}, .added = 8, .added_output = false, "
          f".context = {text['max_position_embeddings']}, .rotary_base = {float(text['rope_theta'])!r}, "
          f".rotary_scaling = {{{scaling(text)}}}, .epsilon = {real(text['rms_norm_eps'])}")
    if ACTIVATIONS[text["hidden_act"]] != "silu":
        raise ValueError(f"hidden_act of the text model is {text['hidden_act']}, expected silu")
    whole = (f"flamingo::mllama({{{v}}}, {{{lm}}}, flamingo::MllamaMasks::transformers, "
             f"flamingo::Places::of({{{numbers(slots)}}})")
    return whole + (", flamingo::Visibility::last_image)" if last_alone else ")")


def decoder_layers(text: dict):
    """How many layers are no cross-attention, and before which of them cross-attention stands."""
    total, cross = text["num_hidden_layers"], sorted(set(text["cross_attention_layers"]))
    if not cross or cross[0] < 0 or cross[-1] >= total:
        raise ValueError(f"cross_attention_layers are {cross} of {total} layers")
    slots = [layer - j for j, layer in enumerate(cross)]
    if len(set(slots)) < len(slots):
        raise ValueError(f"cross_attention_layers {cross}: two follow each other without a layer between")
    if slots[-1] >= SLOTS or len(cross) == total:
        raise ValueError(f"cross_attention_layers are {cross} of {total} layers")
    return total - len(cross), slots


def scaling(text: dict) -> str:
    """The fields of a RotaryScaling."""
    said = text["rope_scaling"] or {"rope_type": "default"}
    kind = said.get("rope_type", said.get("type", "default"))
    if kind == "default":
        return ".factor = 1"
    if kind != "llama3":
        raise ValueError(f"rope_scaling is of type {kind}, expected llama3 or default")
    return (f".factor = {real(said['factor'])}, .low = {real(said['low_freq_factor'])}, "
            f".high = {real(said['high_freq_factor'])}, .context = {said['original_max_position_embeddings']}")


def numbers(values) -> str:
    return ", ".join(str(v) for v in values)


def real(value) -> str:
    return f"{float(value)!r}f"


def sees_last_alone(file: pathlib.Path) -> bool:
    """Whether tokens after adjacent images see the last of them alone. transformers' processor shows them the whole
    run; a mask made by hand may say otherwise, and masks are inputs of the model."""
    if not file.exists():
        return False
    with file.open("rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
        mask, ids = header.get("in.cross_attention_mask"), header.get("in.input_ids")
        if mask is None or ids is None:
            return False

        def read(entry):
            begin, end = entry["data_offsets"]
            f.seek(8 + size + begin)
            values = array.array("q")
            values.frombytes(f.read(end - begin))
            return values

        seen = read(mask)
    _, length, pictures, tiles = mask["shape"]
    steps = range(0, len(seen), pictures * tiles)
    shown = [tuple(any(seen[at + p * tiles:at + (p + 1) * tiles]) for p in range(pictures)) for at in steps]
    return all(sum(s) < 2 for s in shown) and any(
        # an image that no token but its own tag sees: the next tag followed at once
        [s[p] for s in shown[row:row + length]].count(True) == 1 and any(s[p + 1] for s in shown[row:row + length])
        for row in range(0, len(shown), length) for p in range(pictures - 1))
