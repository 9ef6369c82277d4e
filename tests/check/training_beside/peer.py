"""Trains a small OpenFlamingo by open_flamingo's own loop (train_one_epoch), and writes all that goes in and comes out:

    python3 peer.py FOLDER [--steps N] [--threads N]

FOLDER/model.safetensors    the whole model before the first step
FOLDER/training.safetensors `pictures`; of each step K `laion.K.` and `mmc4.K.` `ids`, `mask`, `pictures` (which each row
                            has) and `labels`, as the loop made them; `laion.loss` and `mmc4.loss`, a number a step
"""
import argparse
import functools
import pathlib
import sys
import types

import torch

sys.modules.setdefault("wandb", types.ModuleType("wandb"))  # the package imports it, and hands it the losses
import open_clip  # noqa: E402
from open_flamingo.src import factory, flamingo, flamingo_lm  # noqa: E402
from open_flamingo.src.utils import extend_instance  # noqa: E402
from open_flamingo.train.train_utils import train_one_epoch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import MptConfig, MptForCausalLM, get_constant_schedule_with_warmup  # noqa: E402

# Size mini of bench/peers/open_flamingo.hpp. Of the added rows the package trains those of two tokens, never that of
# padding: here padding is a word, as where a tokenizer has such a token of its own.
VOCABULARY, WIDTH, SIDE, EVERY = 8192, 192, 64, 2
PAD, EOC, IMAGE = range(VOCABULARY - 3, VOCABULARY)
RATE, WARMUP, DECAY = 1e-3, 20, 0.1  # training.cpp has the same
ROWS = {"laion": 4, "mmc4": 2}
PICTURES, MOST = 32, 3  # pictures of all, and of a row of mmc4
CAPTION = 8


def make_model():
    clip = open_clip.CLIP(
        embed_dim=WIDTH, quick_gelu=True,
        vision_cfg={"width": WIDTH, "layers": 4, "head_width": 64, "patch_size": 8, "image_size": SIDE},
        text_cfg={"context_length": 8, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1})
    clip.visual.output_tokens = True
    lm = MptForCausalLM(MptConfig(d_model=256, n_heads=4, n_layers=6, vocab_size=VOCABULARY, max_seq_len=2048))
    extend_instance(lm, flamingo_lm.FlamingoLMMixin)
    lm.set_decoder_layers_attr_name(factory._infer_decoder_layers_attr_name(lm))
    # The package knows these sizes by their defaults alone.
    flamingo.PerceiverResampler = functools.partial(flamingo.PerceiverResampler, heads=4, num_latents=16, depth=2)
    flamingo_lm.GatedCrossAttentionBlock = functools.partial(flamingo_lm.GatedCrossAttentionBlock, heads=4)
    model = flamingo.Flamingo(clip, lm, EOC, IMAGE, vis_dim=WIDTH, cross_attn_every_n_layers=EVERY)
    for name, parameter in model.named_parameters():
        if name.endswith(("attn_gate", "ff_gate")):
            torch.nn.init.constant_(parameter, 0.5)  # all parts take part from the first step on
    model.requires_grad_(False)
    model.perceiver.requires_grad_(True)
    model.lang_encoder.gated_cross_attn_layers.requires_grad_(True)
    model.lang_encoder.get_input_embeddings().requires_grad_(True)
    object.__setattr__(model, "module", model)  # where the loop expects DistributedDataParallel
    return model


def words(least, most):
    return torch.randint(0, PAD, (int(torch.randint(least, most + 1, ())),)).tolist()


def rows_of(dataset, captions):
    """Ids and mask, padded on the right, and the pictures of each row."""
    rows, shown = [], []
    for _ in range(ROWS[dataset]):
        if dataset == "laion":
            shown.append(torch.randint(0, PICTURES, (1,)))
            row = [IMAGE, *captions[int(shown[-1])], EOC]
        else:  # text before, between and after pictures, of which the last may stay without a tag
            shown.append(torch.randint(0, PICTURES, (MOST,)))
            row = words(0, 5)
            for picture in shown[-1][: int(torch.randint(1, MOST + 1, ()))].tolist():
                row += [IMAGE, *captions[picture], EOC, *words(0, 6)]
        rows.append(row)
    longest = max(map(len, rows))
    return {"ids": torch.tensor([row + [PAD] * (longest - len(row)) for row in rows]),
            "mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]),
            "pictures": torch.stack(shown)}


class Loader(list):
    num_batches = property(len)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(20260101)

    model = make_model()
    # Blocks stand in the state dict under their places, and again in two lists.
    save_file({name: tensor.clone() for name, tensor in model.state_dict().items()
               if "old_decoder_blocks" not in name and "lang_encoder.gated_cross_attn_layers" not in name},
              options.folder / "model.safetensors")

    pictures = torch.randn(PICTURES, 3, SIDE, SIDE)
    captions = [[*torch.randint(0, PAD, (CAPTION - n % 3,)).tolist()] for n in range(PICTURES)]
    written = {"pictures": pictures}
    loaders = {dataset: Loader() for dataset in ROWS}
    for step in range(options.steps):
        for dataset, loader in loaders.items():
            rows = rows_of(dataset, captions)
            written.update({f"{dataset}.{step + 1}.{name}": tensor for name, tensor in rows.items()})
            seen = pictures[rows["pictures"]]
            text = (rows["ids"], rows["mask"])
            if dataset == "laion":
                loader.append((seen[:, 0], text))
            else:
                loader.append((seen, [(ids[None], mask[None]) for ids, mask in zip(*text)]))

    labels = []
    model.register_forward_pre_hook(lambda _, args, kwargs: labels.append(kwargs["labels"].clone()), with_kwargs=True)
    losses = {dataset: [] for dataset in ROWS}

    def log(measures, **_):
        for dataset in losses:
            if f"loss_{dataset}" in measures:
                losses[dataset].append(measures[f"loss_{dataset}"])

    def tokenizer(text, **_):
        return {"input_ids": [{"<image>": IMAGE, "<|endofchunk|>": EOC}[text]]}

    tokenizer.pad_token_id, tokenizer.eos_token = PAD, "<|endoftext|>"
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    gated = [p for name, p in trained if "gated_cross_attn" in name]  # as the package's train.py groups them
    others = [p for name, p in trained if "gated_cross_attn" not in name]
    optimizer = torch.optim.AdamW([{"params": gated, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
                                  lr=RATE)
    schedule = get_constant_schedule_with_warmup(optimizer, WARMUP)
    optimizer.step()  # has no gradient yet and changes nothing; the schedule's first rate is 0
    schedule.step()
    train_one_epoch(
        args=types.SimpleNamespace(
            num_epochs=1, precision="fp32", fsdp=False, rank=0, world_size=1, gradient_accumulation_steps=1,
            loss_multiplier_laion=0.2, loss_multiplier_mmc4=1.0, freeze_lm_embeddings=False, report_to_wandb=True,
            batch_size_laion=ROWS["laion"], batch_size_mmc4=ROWS["mmc4"], logging_steps=50),
        model=model, epoch=0, laion_loader=loaders["laion"], mmc4_loader=loaders["mmc4"], tokenizer=tokenizer,
        optimizer=optimizer, lr_scheduler=schedule, device_id="cpu", wandb=types.SimpleNamespace(log=log))

    for place, made in enumerate(labels):
        written[f"{list(ROWS)[place % 2]}.{place // 2 + 1}.labels"] = made
    written.update({f"{dataset}.loss": torch.tensor(all_steps) for dataset, all_steps in losses.items()})
    save_file(written, options.folder / "training.safetensors")


if __name__ == "__main__":
    main()
