"""The C++ configs of golden files of whole OpenFlamingos, for tests/check/open_flamingo.hpp."""
import importlib.util
import json
import pathlib


def beside(name):
    spec = importlib.util.spec_from_file_location(name, pathlib.Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lm, resampler, xattn = beside("lm"), beside("resampler"), beside("xattn")
VISION = "flamingo::Vit"
LM = {"mpt": "flamingo::Mpt", "neox": "flamingo::GptNeox"}


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0] != "openflamingo":
        return None
    c = json.loads(meta["config"])
    clip, every = c["clip"], c["every"]
    after = int(json.loads(meta["versions"])["open_clip"].split(".")[0]) >= 3  # version 3 gives tokens after ln_post
    width = clip["width"]
    act = "quick_gelu" if clip.get("quick_gelu") else "gelu"
    # What OpenFlamingo adds at the end of its tokenizer: rows that it trains.
    vocabulary = c["lmcfg"]["vocab_size"]
    first = min(c["media_token_id"], c["eoc_token_id"])
    added = vocabulary - first if vocabulary - first <= 8 else 0
    vision = (f"{VISION}{{.image = {clip['image_size']}, .patch = {clip['patch_size']}, .dim = {width}, "
              f".layers = {clip['layers']}, .heads = {width // clip.get('head_width', 64)}, "
              f".hidden = {int(width * clip.get('mlp_ratio', 4.0))}, .activation = flamingo::Activation::{act}, "
              f".post_norm = {lm.truth(after)}}}")
    gated = xattn.gated(c["xa"], f".every = {every}, .offset = {every - 1}, ")
    return {"header": "check/open_flamingo.hpp", "function": "flamingo::test::check_open_flamingo",
            "arguments": f"flamingo::FlamingoConfig<{VISION}, {LM[c['lm']]}>{{.vision = {vision}, "
                         f".resampler = {resampler.perceiver(c['res'], width)}, "
                         f".xattn = flamingo::test::open_flamingo_masks({gated}, flamingo::Visibility::last_image), "
                         f".lm = {lm.decoder(c['lm'], c['lmcfg'], added)}}}"}
