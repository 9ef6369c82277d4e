"""The C++ configs of golden files of timm's NormFreeNet, for tests/check/nfnet.hpp."""
import json

ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_tanh", "silu": "silu", "swish": "silu", "relu": "relu",
               "relu6": "relu6", "identity": "identity"}
# What none of its models of this layout has otherwise, and no field here says.
FIXED = {"reg": False, "extra_conv": True, "skipinit": True, "same_padding": True, "attn_layer": "se",
         "stem_type": "deep_quad"}


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0] != "nfnet":
        return None
    return {"header": "check/nfnet.hpp", "function": "flamingo::test::check_nfnet",
            "arguments": nfnet(json.loads(meta["config"])["cfg"], classes(file))}


def classes(path):
    """Rows of the classifier: the metadata does not tell them."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return header["param.head.fc.weight"]["shape"][0]


def divisible(x, multiple):
    """timm's make_divisible."""
    near = max(multiple, int(x + multiple / 2) // multiple * multiple)
    return near + multiple if near < 0.9 * x else near


def nfnet(c, classes):
    """NfCfg's fields."""
    for name, only in FIXED.items():
        if c.get(name, only) != only:
            raise ValueError(f"{name} is {c[name]!r}, and NfNet knows {only!r} alone")
    multiple, factor = c.get("ch_div", 8), c.get("width_factor", 1.0)
    widths = [divisible(width * factor, multiple) for width in c["channels"]]
    stem = divisible((c.get("stem_chs") or c["channels"][0]) * factor, multiple)
    attention = c.get("attn_kwargs") or {}
    head = divisible(factor * c["num_features"], multiple) if c.get("num_features") else 0
    # Without a size of groups there is one.
    group = c.get("group_size") or max(widths)
    return (f"flamingo::NfNet{{.depths = {{{numbers(c['depths'])}}}, .widths = {{{numbers(widths)}}}, .stem = {stem}, "
            f".bottleneck = {real(c.get('bottle_ratio', 0.5))}, .group = {group}, .width_multiple = {multiple}, "
            f".squeeze = {real(attention.get('rd_ratio', 0.5))}, "
            f".squeeze_multiple = {attention.get('rd_divisor', 8)}, "
            f".squeeze_gain = {real(c.get('attn_gain', 2.0))}, .alpha = {real(c.get('alpha', 0.2))}, "
            f".activation = flamingo::Activation::{ACTIVATIONS[c.get('act_layer', 'gelu')]}, "
            f".gamma_in_weights = {str(not c.get('gamma_in_act', False)).lower()}, "
            f".variance = flamingo::WeightVariance::added, .epsilon = {real(c.get('std_conv_eps', 1e-5))}, "
            f".head = {head}, .classes = {classes}}}")


def numbers(values):
    return ", ".join(str(value) for value in values)


def real(value):
    return f"{float(value)!r}f"
