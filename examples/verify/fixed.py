"""What the scripts of this folder share: the fixed prompt, as in verify.cpp, and the comparison of results."""
import argparse
import pathlib

import torch
from safetensors.torch import load_file, save_file

TOKENS, TAGS = 32, (1, 12)  # the places of the image tokens


def arguments(document):
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, help="where to write `vision` and `logits`")
    parser.add_argument("--against", type=pathlib.Path, help="what verify.cpp wrote")
    parser.add_argument("--dtype", default="float32", help="bfloat16 needs half the memory and shows about 1e-2")
    parser.add_argument("--trust-remote-code", action="store_true", help="for language models that bring their own")
    options = parser.parse_args()
    options.dtype = getattr(torch, options.dtype)
    torch.set_grad_enabled(False)
    return options


def input_ids(vocabulary, image_id):
    """(1, TOKENS)"""
    ids = [3 + (31 * t * t + 17 * t) % (vocabulary - 3) for t in range(TOKENS)]
    for tag in TAGS:
        ids[tag] = image_id
    return torch.tensor([ids])


def piece(i, side):
    """Pixels as the encoder gets them, (3, side, side), of the i-th piece of all pictures."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([(7 * x + 13 * y + 29 * c + 41 * i + x * y) % 256 for c in range(3)]).float() / 128 - 1


def finish(options, vision, logits):
    """vision (..., width) and logits (1, TOKENS, vocabulary): writes and compares them."""
    results = {"vision": vision.float().flatten(0, -2).contiguous(), "logits": logits.float()[0].contiguous()}
    if options.output:
        save_file(results, options.output)
    if not options.against:
        return 0
    ours, agree = load_file(options.against), True
    for name, theirs in results.items():
        if ours[name].shape != theirs.shape:
            raise SystemExit(f"{options.against}: '{name}' has shape {tuple(ours[name].shape)}, expected {tuple(theirs.shape)}")
        difference = ((ours[name].double() - theirs.double()).norm() / theirs.double().norm()).item()
        print(f"{name} {tuple(theirs.shape)}: relative difference {difference:.2g}")
        agree &= difference <= 1e-5
    return 0 if agree else 1
