#!/usr/bin/env python3
"""PyTorch's side of decode.cu: the same model in bf16 with cached keys and values, eager and with its blocks compiled.

Attention is scaled_dot_product_attention. A decoded token asks its own picture's latents alone, so they are cut out and no
mask is needed; a prompt needs a dense one. A step of decoding is captured as a CUDA graph, eager and compiled, over caches
of a fixed size."""
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from peer import report
from peer_step import CELLS, D, FEATURES, HEADS, LATENTS, VOCABULARY, Connector, Decoder, DecoderBlock, GatedBlock, merge, split


def turn(x, cos, sin):
    return x * cos + torch.cat((-x[..., 64:], x[..., :64]), -1) * sin


class AskedBlock(DecoderBlock):
    """Keys and values lie in caches (B, HEADS, room, 128): new ones are written at `at`, the first `seen` are read."""

    def forward(self, x, cos, sin, keys, values, at, mask, seen):
        q, k, v = (split(part) for part in self.qkv(self.norm(x)).chunk(3, -1))
        keys.index_copy_(2, at, turn(k, cos, sin))
        values.index_copy_(2, at, v)
        attended = F.scaled_dot_product_attention(turn(q, cos, sin), keys[:, :, :seen], values[:, :, :seen], attn_mask=mask)
        x = x + self.out(merge(attended))
        gate, up = self.gate_up(self.norm_dense(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class AskedGated(GatedBlock):
    """Media's keys and values are there."""

    def forward(self, x, keys, values, mask):
        attended = F.scaled_dot_product_attention(split(self.q(self.norm(x))), keys, values, attn_mask=mask)
        x = x + self.gate.tanh() * self.out(merge(attended))
        return x + self.gate_dense.tanh() * self.dense(x)


class Asked:
    def __init__(self):
        torch.manual_seed(1)
        with torch.device("cuda"):
            torch.set_default_dtype(torch.bfloat16)
            self.connector, self.decoder = Connector(), Decoder()
            torch.set_default_dtype(torch.float32)
            angles = torch.arange(4096)[:, None] * 10000 ** (-torch.arange(64) / 64)
            self.cos, self.sin = (f(torch.cat((angles, angles), 1)).bfloat16() for f in (torch.cos, torch.sin))
        for block in self.decoder.blocks:
            block.__class__ = AskedBlock
        for block in self.connector.gated:
            block.__class__ = AskedGated
        for p in (*self.connector.parameters(), *self.decoder.parameters()):
            p.requires_grad_(False)
        self.project = lambda block, media: block.kv(block.norm_media(media)).chunk(2, -1)

    def compile(self):
        for block in (*self.connector.gated, *self.decoder.blocks, *self.connector.layers):
            block.compile(dynamic=False)

    def media(self, M, B=1):
        """Keys and values of M pictures in each gated block."""
        features = torch.randn(M, CELLS, FEATURES, device="cuda", dtype=torch.bfloat16)
        latents = self.connector.resample(features).reshape(1, M * LATENTS, D)
        return [tuple(split(part).expand(B, -1, -1, -1) for part in self.project(block, latents)) for block in self.connector.gated]

    def caches(self, B, room):
        return [tuple(torch.zeros(B, HEADS, room, 128, device="cuda", dtype=torch.bfloat16) for _ in range(2))
                for _ in self.decoder.blocks]

    def hidden(self, ids, at, media, media_mask, caches, mask, seen):
        x, cos, sin = self.decoder.table(ids), self.cos[at], self.sin[at]
        for gated, block, shown, (keys, values) in zip(self.connector.gated, self.decoder.blocks, media, caches):
            x = block(gated(x, *shown, media_mask), cos, sin, keys, values, at, mask, seen)
        return self.decoder.norm(x)

    def prompt(self, B, L, M, media, caches):
        """Reads a prompt; logits of what follows it."""
        ids, at = torch.randint(VOCABULARY, (B, L), device="cuda"), torch.arange(L, device="cuda")
        picture = at * M // L
        shown = (picture[:, None] == torch.arange(M * LATENTS, device="cuda")[None] // LATENTS)[None, None]
        causal = (at[:, None] >= at[None])[None, None]
        x = self.hidden(ids, at, media, shown, caches, causal, L)
        return self.decoder.head(x[:, -1])

    def prefill(self, B, L, M):
        media, caches = self.media(M, B), self.caches(B, L)
        return lambda: self.prompt(B, L, M, media, caches).argmax(-1).tolist(), 5

    def decode(self, B, L, M):
        room = L + 73  # as many as ours reads at its last step
        media, caches = self.media(M, B), self.caches(B, room)
        last = [(k[:, :, -LATENTS:], v[:, :, -LATENTS:]) for k, v in media]
        ids = self.prompt(B, L, M, media, caches).argmax(-1)[:, None]
        at, places = torch.tensor([L], device="cuda"), torch.arange(room, device="cuda")

        def step():
            x = self.hidden(ids, at, last, None, caches, (places <= at)[None, None, None], room)
            ids.copy_(self.decoder.head(x[:, -1]).argmax(-1)[:, None])
            at.add_(1)

        step()
        step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()

        def token():
            graph.replay()
            return ids.tolist()  # who generates looks whether it is an end
        return token, 64

    def score(self, M, L, C, T):
        """What C candidates have in common is the prompt: its keys and values are copied to each."""
        targets, T = torch.randint(VOCABULARY, (C, T), device="cuda"), T - 1  # a candidate's last token is not read
        at = L + torch.arange(T, device="cuda")
        mask = (torch.arange(L + T, device="cuda") <= at[:, None])[None, None]
        caches, wide = self.caches(1, L), self.caches(C, L + T)

        def query():
            media = self.media(M)
            first = self.prompt(1, L, M, media, caches)
            for own, shared in zip(wide, caches):
                for to, of in zip(own, shared):
                    to[:, :, :L] = of
            last = [tuple(part[:, :, -LATENTS:].expand(C, -1, -1, -1) for part in shown) for shown in media]
            x = self.hidden(targets[:, :-1], at, last, None, wide, mask, L + T)
            logits = torch.cat((first[:, None].expand(C, -1, -1), self.decoder.head(x)), 1)
            return logits.float().log_softmax(-1).gather(-1, targets[..., None]).sum((1, 2)).tolist()
        return query, 5


def seconds_of(call, timed):
    times = []
    for _ in range(2 + timed):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[2:])


@torch.no_grad()
def main():
    cases = [(line.strip(), *line.split()) for line in sys.stdin if line.split() and line.split()[0] in ("prefill", "decode", "score")]
    if not cases:
        return
    asked = Asked()
    for by in ("eager", "compiled"):
        if by == "compiled":
            asked.compile()
        for line, kind, *sizes in cases:
            try:
                report(line, kind, by, seconds_of(*getattr(asked, kind)(*map(int, sizes))))
            except Exception as error:
                print(f"{line}, {by}: {str(error).splitlines()[0][:160]}", file=sys.stderr)
                torch.cuda.synchronize()


if __name__ == "__main__":
    main()
