"""The C++ configs of golden files of Resamplers, for tests/check/resampler.hpp."""
import json


def config(meta, file):
    """What checks a file with this metadata (a function of the header, with its template arguments), or None where it
    is of another kind."""
    if meta.get("case", "").split("_")[0] != "resampler":
        return None
    c = json.loads(meta["config"])
    return {"header": "check/resampler.hpp", "function": "flamingo::test::check_resampler",
            "arguments": perceiver(c["kw"], c["kw"]["dim"], c["peer"])}


def perceiver(kw, dim, peer="of"):
    """PerceiverResampler's arguments; those left out have open_flamingo's (of) or flamingo-pytorch's (lr) defaults."""
    media = kw.get("num_media_embeds", 4) if peer == "lr" else kw.get("max_num_media") or 0
    return (f"flamingo::ResamplerConfig{{.dim = {dim}, .latents = {kw.get('num_latents', 64)}, "
            f".layers = {kw.get('depth', 6)}, .heads = {kw.get('heads', 8)}, .head_dim = {kw.get('dim_head', 64)}, "
            f".widening = {kw.get('ff_mult', 4)}, .activation = flamingo::Activation::gelu, "
            f".frames = {kw.get('max_num_frames') or 0}, .media = {media}}}")
