#!/usr/bin/env python3
"""PyTorch's side of bench/gpu/run: reads its cases from standard input, prints a line of JSON for each way to compute one.

Products are torch's own, attention is scaled_dot_product_attention on each of its backends, the rest is measured eager
and compiled; the reader takes the best. As on our side calls are captured as a CUDA graph (where torch lets them be), and
tensors take turns so that none is found in the cache where real use would not find it."""
import json
import math
import statistics
import sys
import warnings

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

warnings.filterwarnings("ignore")
torch.manual_seed(0)
torch.set_float32_matmul_precision("highest")
DEVICE, LATENTS = "cuda", 64
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION,
            "efficient": SDPBackend.EFFICIENT_ATTENTION}


def drawn(*shape, dtype=torch.bfloat16):
    return torch.randn(*shape, device=DEVICE, dtype=dtype)


def sets_of(size):
    return min(64, max(2, math.ceil(256e6 / size)))


def seconds_of(call, sets):
    """Median seconds of call(set)."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def timed(start):
        begin.record()
        start()
        end.record()
        end.synchronize()
        return 1e-3 * begin.elapsed_time(end)

    def each_set():
        for i in range(sets):
            call(i)

    each_set()
    each_set()
    torch.cuda.synchronize()
    first = timed(each_set)
    repeats = max(1, min(32, int(1e-3 / first)))
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            for _ in range(repeats):
                each_set()
        start = graph.replay
    except Exception as error:  # what cannot be captured is started by the host, a queue of calls at a time
        print(f"not captured: {str(error).splitlines()[0][:160]}", file=sys.stderr)
        torch.cuda.synchronize()
        repeats = max(repeats, 4)

        def start():
            for _ in range(repeats):
                each_set()
    start()
    times, spent = [], 0.0
    while len(times) < 5 or (spent < 0.15 and len(times) < 100):
        times.append(timed(start))
        spent += times[-1]
    return statistics.median(times) / (repeats * sets)


def report(case, what, by, seconds):
    print(json.dumps({"case": case, "what": what, "by": by, "seconds": seconds}), flush=True)


def measure(case, what, by, call, sets):
    try:
        report(case, what, by, seconds_of(call, sets))
    except Exception as error:
        print(f"{case}, {what}, {by}: {str(error).splitlines()[0][:160]}", file=sys.stderr)
        torch.cuda.synchronize()


def product(case, N, D, O):
    backward = N > 8
    count = sets_of(2 * (N * D + O * D + N * O))
    x, w, y = ([drawn(*shape) for _ in range(count)] for shape in ((N, D), (O, D), (N, O)))
    measure(case, "forward", "torch", lambda i: F.linear(x[i], w[i]), count)
    if backward:
        measure(case, "dx", "torch", lambda i: y[i] @ w[i], count)
        measure(case, "dw", "torch", lambda i: y[i].T @ x[i], count)


def square(case, N):
    a, b = drawn(N, N), drawn(N, N)
    measure(case, "forward", "torch", lambda i: F.linear(a, b), 2)


def copy(case, megabytes):
    a = drawn(megabytes * 500000)
    b = torch.empty_like(a)
    measure(case, "copy", "torch", lambda i: b.copy_(a), 2)


def sdpa(case, q, k, v, dy, **options):
    """q, k, v and dy: two sets each, (B, L, H, K) in memory and (B, H, L, K) for torch."""
    for name, backend in BACKENDS.items():
        def forward(i):
            with sdpa_kernel(backend):
                return F.scaled_dot_product_attention(q[i], k[i], v[i], **options)
        with torch.no_grad():
            measure(case, "forward", f"sdpa {name}", forward, 2)
        try:
            outputs = [forward(i) for i in range(2)]
        except Exception:
            continue
        measure(case, "backward", f"sdpa {name}",
                lambda i: torch.autograd.grad(outputs[i], (q[i], k[i], v[i]), dy[i], retain_graph=True), 2)


def heads(B, L, H, K, count=2):
    return [drawn(B, L, H, K).transpose(1, 2).requires_grad_() for _ in range(count)]


def attention(case, B, L, H, K, causal):
    q, k, v, dy = (heads(B, L, H, K) for _ in range(4))
    sdpa(case, q, k, v, [d.detach() for d in dy], is_causal=bool(causal))


def cross(case, B, L, M, H, K):
    q, dy = (heads(B, L, H, K) for _ in range(2))
    k, v = (heads(B, M * LATENTS, H, K) for _ in range(2))
    begins = torch.tensor([L * m // M for m in range(M)], device=DEVICE)
    picture = torch.searchsorted(begins, torch.arange(L, device=DEVICE), right=True) - 1
    seen = picture[:, None] == torch.arange(M * LATENTS, device=DEVICE)[None] // LATENTS
    sdpa(case, q, k, v, [d.detach() for d in dy], attn_mask=seen[None, None])


def eager_and_compiled(case, what, function, arguments):
    """function over the rows of arguments: what is one for all sets stands there as it is."""
    count = len(arguments[0])
    at = lambda i: [a[i] if isinstance(a, list) else a for a in arguments]
    with torch.no_grad():
        measure(case, what, "eager", lambda i: function(*at(i)), count)
        compiled = torch.compile(function, dynamic=False)
        measure(case, what, "compiled", lambda i: compiled(*at(i)), count)


def rows(N, D):
    return [drawn(N, D) for _ in range(sets_of(4 * N * D))]


def layer_norm(case, N, D):
    x, dy = rows(N, D), rows(N, D)
    scale, bias = drawn(D), drawn(D)
    eager_and_compiled(case, "forward", lambda x, s, b: F.layer_norm(x, (D,), s, b), (x, scale, bias))
    mean, rstd = torch.native_layer_norm(x[0], (D,), scale, bias, 1e-5)[1:]
    eager_and_compiled(
        case, "backward", lambda dy, x, m, r, s, b: torch.ops.aten.native_layer_norm_backward(
            dy, x, (D,), m, r, s, b, [True, True, True]), (dy, x, mean, rstd, scale, bias))


def gated(case, N, D):
    x, branch, dy = rows(N, D), rows(N, D), rows(N, D)
    gate = drawn(1)
    eager_and_compiled(case, "forward", lambda x, g, b: x + torch.tanh(g) * b, (x, gate, branch))
    eager_and_compiled(
        case, "backward", lambda dy, g, b: (torch.tanh(g) * dy, (1 - torch.tanh(g)**2) * (dy.float() * b.float()).sum()),
        (dy, gate, branch))


def activation(forward, backward):
    def measured(case, N, D):
        x, dy = rows(N, D), rows(N, D)
        eager_and_compiled(case, "forward", forward, (x,))
        eager_and_compiled(case, "backward", backward, (dy, x))
    return measured


def adamw(case, N):
    """Fused, over parameters of a matrix's size."""
    parameters = [drawn(2048, 2048, dtype=torch.float32) for _ in range(N * 1000000 // 2048**2)]
    for p in parameters:
        p.grad = torch.randn_like(p)
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.1, fused=True, capturable=True)
    measure(case, "adamw", "fused", lambda i: optimizer.step(), 1)


KINDS = {"product": product, "square": square, "copy": copy, "attention": attention, "cross": cross,
         "layer_norm": layer_norm, "gated": gated, "adamw": adamw,
         "gelu": activation(lambda x: F.gelu(x), lambda dy, x: torch.ops.aten.gelu_backward(dy, x)),
         "squared_relu": activation(lambda x: F.relu(x)**2, lambda dy, x: 2 * F.relu(x) * dy)}


def main():
    torch.cuda.set_stream(torch.cuda.Stream())  # the default one cannot be captured
    for line in sys.stdin:
        if line.strip():
            kind, *sizes = line.split()
            KINDS[kind](line.strip(), *map(int, sizes))
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
