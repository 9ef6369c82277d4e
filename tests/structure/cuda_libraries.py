"""Fails unless a training step and decoding on CUDA run kernels of Thrust and of CUB: looks into the PTX of a whole model.

    cuda_libraries.py NVCC SOURCE

A kernel is Thrust's where its name says so; CUB's is in one of ours where it reads the shared memory of one of CUB's block
algorithms."""
import re
import subprocess
import sys
import tempfile

import house

# Of each, what Thrust runs (embeddings are read by it) and the kernel that reduces by CUB.
NEEDED = {"a training step": ("Gathered", "entropy_update_kernel"), "decoding": ("Gathered", "likeliest_kernel")}


def kernels(nvcc, source):
    with tempfile.NamedTemporaryFile(suffix=".ptx") as ptx:
        subprocess.run([nvcc, "--ptx", "-std=c++20", "-arch=compute_90a", f"-I{house.INCLUDE}", f"-I{house.ROOT / 'tests'}",
                        source, "-o", ptx.name], check=True)
        text = open(ptx.name).read()
    bodies = {}
    for part in text.split(".entry ")[1:]:
        bodies[re.match(r"\w+", part).group()] = part.split("\n}\n")[0]
    return bodies


def missing(bodies):
    for what, (gathered, reducing) in NEEDED.items():
        if not any("thrust" in name and gathered in name for name in bodies):
            yield f"{what} has no kernel of Thrust's that runs {gathered}"
        if not any(reducing in name and re.search(r"3cub\w+BlockReduce", body) for name, body in bodies.items()):
            yield f"{what} has no {reducing} that reads the storage of CUB's BlockReduce"


found = kernels(*sys.argv[1:])
house.finish(f"{len(found)} kernels of a model on CUDA", list(missing(found)))
