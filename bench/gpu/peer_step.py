#!/usr/bin/env python3
"""PyTorch's side of step.cu: the same model, trained in the same way, eager and with its blocks compiled.

The decoder is frozen in bf16; what is trained computes in bf16 copies of fp32 masters, updated by fused AdamW after
clipping. Attention is scaled_dot_product_attention, causal in text and with a dense mask over pictures' latents."""
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from peer import report

D, LAYERS, HEADS, HIDDEN, VOCABULARY = 2048, 24, 16, 5504, 32002
WIDTH, RESAMPLER_LAYERS, LATENTS, FEATURES, CELLS = 1536, 6, 64, 3072, 100
INNER = 2048  # heads of 128


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def split(x):
    return x.unflatten(-1, (HEADS, 128)).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(-2)


class Dense(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), linear(width, 4 * width), linear(4 * width, width)

    def forward(self, x):
        return self.down(F.relu(self.up(self.norm(x))).square())


class DecoderBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.norm_dense = nn.RMSNorm(D, 1e-6), nn.RMSNorm(D, 1e-6)
        self.qkv, self.out = linear(D, 3 * D), linear(D, D)
        self.gate_up, self.down = linear(D, 2 * HIDDEN), linear(HIDDEN, D)

    def forward(self, x, cos, sin):
        q, k, v = (split(part) for part in self.qkv(self.norm(x)).chunk(3, -1))
        turn = lambda r: r * cos + torch.cat((-r[..., 64:], r[..., :64]), -1) * sin
        x = x + self.out(merge(F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)))
        gate, up = self.gate_up(self.norm_dense(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class GatedBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.norm_media = nn.LayerNorm(D), nn.LayerNorm(D)
        self.q, self.kv, self.out, self.dense = linear(D, D), linear(D, 2 * D), linear(D, D), Dense(D)
        self.gate, self.gate_dense = (nn.Parameter(torch.full((1,), 0.5)) for _ in range(2))  # as ours: open

    def forward(self, x, media, seen):
        k, v = (split(part) for part in self.kv(self.norm_media(media)).chunk(2, -1))
        attended = F.scaled_dot_product_attention(split(self.q(self.norm(x))), k, v, attn_mask=seen)
        x = x + self.gate.tanh() * self.out(merge(attended))
        return x + self.gate_dense.tanh() * self.dense(x)


class ResamplerLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.norm_features = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.kv, self.out, self.dense = linear(WIDTH, INNER), linear(WIDTH, 2 * INNER), linear(INNER, WIDTH), Dense(WIDTH)

    def forward(self, latents, features):
        normed = self.norm(latents)
        keys = torch.cat((self.norm_features(features), normed), 1)
        k, v = (split(part) for part in self.kv(keys).chunk(2, -1))
        latents = latents + self.out(merge(F.scaled_dot_product_attention(split(self.q(normed)), k, v)))
        return latents + self.dense(latents)


class Connector(nn.Module):
    def __init__(self):
        super().__init__()
        self.map, self.out, self.norm = linear(FEATURES, WIDTH), linear(WIDTH, D), nn.LayerNorm(WIDTH)
        self.times = nn.Parameter(torch.randn(8, WIDTH))
        self.latents = nn.Parameter(torch.randn(LATENTS, WIDTH))
        self.layers = nn.ModuleList(ResamplerLayer() for _ in range(RESAMPLER_LAYERS))
        self.gated = nn.ModuleList(GatedBlock() for _ in range(LAYERS))

    def resample(self, features):
        features = self.map(features) + self.times[0]
        latents = self.latents.expand(len(features), -1, -1)
        for layer in self.layers:
            latents = layer(latents, features)
        return self.out(self.norm(latents))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.norm, self.head = nn.Embedding(VOCABULARY, D), nn.RMSNorm(D, 1e-6), linear(D, VOCABULARY)
        self.blocks = nn.ModuleList(DecoderBlock() for _ in range(LAYERS))


def head_loss(norm, head, x, targets):
    return F.cross_entropy(head(norm(x)).flatten(0, 1).float(), targets.flatten())


class Training:
    def __init__(self, B, L, M):
        torch.manual_seed(1)
        with torch.device("cuda"):
            torch.set_default_dtype(torch.bfloat16)
            self.connector, self.decoder = Connector(), Decoder().requires_grad_(False)
            torch.set_default_dtype(torch.float32)
            self.ids, self.targets = (torch.randint(VOCABULARY, (B, L)) for _ in range(2))
            angles = torch.arange(L)[:, None] * 10000 ** (-torch.arange(64) / 64)
            self.cos, self.sin = (f(torch.cat((angles, angles), 1)).bfloat16() for f in (torch.cos, torch.sin))
            picture = torch.arange(L) * M // L
            self.seen = (picture[:, None] == torch.arange(M * LATENTS)[None] // LATENTS)[None, None]
        self.features = torch.randn(B * M, CELLS, FEATURES, dtype=torch.bfloat16).pin_memory()
        self.shape = B, M * LATENTS, D
        self.parameters = list(self.connector.parameters())
        self.masters = [p.detach().float() for p in self.parameters]
        for master in self.masters:
            master.grad = torch.zeros_like(master)
        self.optimizer = torch.optim.AdamW(self.masters, lr=1e-4, weight_decay=0.1, fused=True)
        self.loss = head_loss

    def step(self):
        latents = self.connector.resample(self.features.to("cuda", non_blocking=True)).reshape(self.shape)
        x = self.decoder.table(self.ids)
        for gated, block in zip(self.connector.gated, self.decoder.blocks):
            x = block(gated(x, latents, self.seen), self.cos, self.sin)
        loss = self.loss(self.decoder.norm, self.decoder.head, x, self.targets)
        loss.backward()
        with torch.no_grad():
            torch._foreach_copy_([m.grad for m in self.masters], [p.grad for p in self.parameters])
            nn.utils.clip_grad_norm_(self.masters, 1.0)
            self.optimizer.step()
            torch._foreach_copy_(self.parameters, self.masters)
        for p in self.parameters:
            p.grad = None
        return loss.item()  # the trainer reports it too

    def compile(self):
        for block in (*self.connector.gated, *self.decoder.blocks, *self.connector.layers):
            block.compile(dynamic=False)
        self.loss = torch.compile(head_loss, dynamic=False)

    def seconds(self, warm, timed):
        times = []
        for _ in range(warm + timed):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            self.step()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - begin)
        return statistics.median(times[warm:])


def main():
    for line in sys.stdin:
        kind, *sizes = line.split() or [""]
        if kind != "step":
            continue
        training = Training(*map(int, sizes))
        report(line.strip(), "step", "eager", training.seconds(2, 6))
        training.compile()
        report(line.strip(), "step", "compiled", training.seconds(3, 6))


if __name__ == "__main__":
    main()
