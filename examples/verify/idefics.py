"""The fixed prompt through transformers' IdeficsForVisionText2Text (4.49):

    python3 idefics.py FOLDER --against OURS [--output FILE]
"""
import sys
import types

import torch
from transformers import IdeficsForVisionText2Text
from transformers.models.idefics import processing_idefics as processing

import fixed


def main():
    options = fixed.arguments(__doc__)
    model = IdeficsForVisionText2Text.from_pretrained(options.folder, torch_dtype=options.dtype).eval()
    config = model.config
    image = config.vocab_size + 1
    ids = fixed.input_ids(config.vocab_size, image)
    pixels = torch.stack([fixed.piece(m, config.vision_config.image_size) for m in range(len(fixed.TAGS))])[None]
    tokenizer = types.SimpleNamespace(convert_tokens_to_ids=lambda _: image, eos_token_id=config.eos_token_id)
    mask, _ = processing.image_attention_mask_for_packed_input_ids(ids, tokenizer, "pt")
    mask = processing.incremental_to_binary_attention_mask(mask, "pt", num_classes=len(fixed.TAGS))
    seen = {}
    model.model.vision_model.register_forward_hook(lambda *call: seen.update(vision=call[2].last_hidden_state))
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels.to(options.dtype),
                   image_attention_mask=mask, use_cache=False).logits
    return fixed.finish(options, seen["vision"], logits)


if __name__ == "__main__":
    sys.exit(main())
