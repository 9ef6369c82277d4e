"""The C++ configs of golden files of gated blocks, for tests/check/xattn.hpp."""
import json


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0] != "xattn":
        return None
    kw = json.loads(meta["config"])["kw"]
    sight = "last_image" if kw.get("only_attend_immediate_media", True) else "all_earlier"
    return {"header": "check/xattn.hpp", "function": "flamingo::test::check_xattn",
            "arguments": f"flamingo::test::open_flamingo_masks({gated(kw)}, flamingo::Visibility::{sight}), "
                         f"{kw['dim']}, {kw.get('dim_visual', kw['dim'])}"}


def gated(kw, more=""):
    """The arguments of GatedCrossAttentionBlock; those left out have the peers' defaults."""
    return (f"flamingo::XattnConfig{{{more}.heads = {kw.get('heads', 8)}, .head_dim = {kw.get('dim_head', 64)}, "
            f".widening = {kw.get('ff_mult', 4)}, .activation = flamingo::Activation::gelu}}")
