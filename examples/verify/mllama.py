"""The fixed prompt through transformers' MllamaForConditionalGeneration (4.49):

    python3 mllama.py FOLDER --against OURS [--output FILE]
"""
import math
import sys

import torch
from transformers import MllamaForConditionalGeneration
from transformers.models.mllama import processing_mllama as processing

import fixed


def main():
    options = fixed.arguments(__doc__)
    model = MllamaForConditionalGeneration.from_pretrained(
        options.folder, torch_dtype=options.dtype, attn_implementation="eager").eval()
    config, vision = model.config, model.config.vision_config
    ids = fixed.input_ids(config.text_config.vocab_size, config.image_token_index)
    # The first picture has two tiles side by side where two may be, the second has one.
    ratios = [min(2, vision.max_num_tiles), 1]
    tiles = [math.prod(vision.supported_aspect_ratios[ratio - 1]) for ratio in ratios]
    pixels = torch.zeros(1, len(tiles), vision.max_num_tiles, 3, vision.image_size, vision.image_size)
    there = torch.zeros(1, len(tiles), vision.max_num_tiles, dtype=torch.long)
    piece = 0
    for m, count in enumerate(tiles):
        there[0, m, :count] = 1
        for t in range(count):
            pixels[0, m, t] = fixed.piece(piece, vision.image_size)
            piece += 1
    seen_by = processing.get_cross_attention_token_mask(ids[0].tolist(), config.image_token_index)
    mask = torch.from_numpy(processing.convert_sparse_cross_attention_mask_to_dense(
        [seen_by], [tiles], vision.max_num_tiles, ids.shape[1]))
    seen = {}
    model.vision_model.register_forward_hook(lambda *call: seen.update(vision=call[2][0]))
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels.to(options.dtype),
                   aspect_ratio_ids=torch.tensor([ratios]), aspect_ratio_mask=there, cross_attention_mask=mask,
                   use_cache=False).logits
    return fixed.finish(options, seen["vision"], logits)


if __name__ == "__main__":
    sys.exit(main())
