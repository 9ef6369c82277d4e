"""The fixed prompt through open_flamingo 2.0.1, its language model by transformers 4.49 and its CLIP by open_clip:

    python3 openflamingo.py FOLDER --against OURS [--output FILE]

MPT-1B and MPT-7B as OpenFlamingo published them need --trust-remote-code.
"""
import functools
import json
import sys
import types

import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from open_flamingo.src import factory, flamingo, flamingo_lm
from open_flamingo.src.utils import extend_instance
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import fixed


def tensors_of(path):
    """A state dict, of safetensors, torch.save or TorchScript (as OpenAI published CLIP)."""
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        return torch.jit.load(path, map_location="cpu").state_dict()
    except RuntimeError:
        return torch.load(path, map_location="cpu", weights_only=True)


def either(folder, stem):
    return next(path for ending in ("safetensors", "pt") if (path := folder / f"{stem}.{ending}").exists())


def vision_tower(folder, given):
    sizes = {"image_size": 224, "patch_size": 14, "width": 1024, "layers": 24, "head_width": 64, "mlp_ratio": 4.0,
             "quick_gelu": True, **given}
    tensors = tensors_of(either(folder, "vision"))
    if any(name.startswith("visual.") for name in tensors):
        tensors = {name[7:]: tensor for name, tensor in tensors.items() if name.startswith("visual.")}
    tower = VisionTransformer(
        image_size=sizes["image_size"], patch_size=sizes["patch_size"], width=sizes["width"], layers=sizes["layers"],
        heads=sizes["width"] // sizes["head_width"], mlp_ratio=sizes["mlp_ratio"],
        output_dim=tensors["proj"].shape[1], output_tokens=True,
        act_layer=QuickGELU if sizes["quick_gelu"] else torch.nn.GELU)
    tower.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    # The published models were trained on tokens before the last norm; open_clip 3 applies it to them.
    tower.ln_post = torch.nn.Identity()
    return tower, sizes


class MosaicEmbedding:
    """What MPT-1B's own code lacks."""

    def get_input_embeddings(self):
        return self.transformer.wte

    def set_input_embeddings(self, embedding):
        self.transformer.wte = embedding


def main():
    options = fixed.arguments(__doc__)
    given = options.folder / "open_flamingo.json"
    given = json.loads(given.read_text()) if given.exists() else {}
    if not given.get("cross_attention", {}).get("only_attend_immediate_media", True):
        raise SystemExit("openflamingo.py: open_flamingo itself attends to the last picture alone")
    trained = tensors_of(either(options.folder, "checkpoint"))
    tower, sizes = vision_tower(options.folder, given.get("vision", {}))

    # open_flamingo knows the sizes of its parts by their defaults alone.
    of_attention = {k: v for k, v in given.get("cross_attention", {}).items() if k != "only_attend_immediate_media"}
    of_perceiver = {k: v or None for k, v in given.get("perceiver", {}).items()}
    flamingo.PerceiverResampler = functools.partial(flamingo.PerceiverResampler, **of_perceiver)
    flamingo_lm.GatedCrossAttentionBlock = functools.partial(flamingo_lm.GatedCrossAttentionBlock, **of_attention)

    lm = AutoModelForCausalLM.from_pretrained(options.folder / "lm", torch_dtype=options.dtype,
                                              trust_remote_code=options.trust_remote_code)
    embedding = next(tensor for name, tensor in trained.items()
                     if name.endswith((".wte.weight", ".embed_in.weight", ".embed_tokens.weight")))
    vocabulary = embedding.shape[0] - given.get("added_tokens", 3)
    gates = [name for name in trained if name.endswith(".gated_cross_attn_layer.attn_gate")]
    every = given.get("cross_attn_every_n_layers") or 1 + min(int(name.split(".")[-3]) for name in gates)
    if lm.config.model_type == "mosaic_gpt":
        extend_instance(lm, MosaicEmbedding)
    extend_instance(lm, flamingo_lm.FlamingoLMMixin)
    lm.set_decoder_layers_attr_name(factory._infer_decoder_layers_attr_name(lm))
    lm.resize_token_embeddings(embedding.shape[0])
    model = flamingo.Flamingo(types.SimpleNamespace(visual=tower), lm, eoc_token_id=vocabulary,
                              media_token_id=vocabulary + 1, vis_dim=sizes["width"], cross_attn_every_n_layers=every)
    unexpected = model.load_state_dict(trained, strict=False).unexpected_keys
    if unexpected:
        raise SystemExit(f"openflamingo.py: the model has no tensors {unexpected}")
    model.to(options.dtype).eval()

    ids = fixed.input_ids(vocabulary, vocabulary + 1)
    pixels = torch.stack([fixed.piece(m, sizes["image_size"]) for m in range(len(fixed.TAGS))])[None, :, None]
    seen = {}
    tower.register_forward_hook(lambda *call: seen.update(vision=call[2][1]))
    logits = model(vision_x=pixels.to(options.dtype), lang_x=ids, attention_mask=torch.ones_like(ids)).logits
    return fixed.finish(options, seen["vision"], logits)


if __name__ == "__main__":
    sys.exit(main())
