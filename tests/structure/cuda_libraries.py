"""Fails unless a training step and decoding on CUDA run kernels of Thrust and of CUB: looks into the PTX of a whole model.

    cuda_libraries.py NVCC SOURCE

SOURCE trains in float and decodes in bf16, so a kernel's number type tells whose it is. A kernel is Thrust's where its
name says so; CUB's is in ours where the kernel reads the shared memory of one of CUB's block algorithms."""
import re
import subprocess
import sys
import tempfile

import house

NUMBERS = {"a training step": "f", "decoding": "13__nv_bfloat16"}  # as mangled
THRUST = {"a training step": "Gathered", "decoding": "Gathered"}   # embeddings are read by it
CUB = {"a training step": "entropy_update_kernel", "decoding": "likeliest_kernel"}


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
    for what, number in NUMBERS.items():
        own = re.compile(rf"{THRUST[what]}ILi\d+E{number}E")
        if not any("thrust" in name and own.search(name) for name in bodies):
            yield f"{what} has no kernel of Thrust's that runs {THRUST[what]} over its numbers"
        own = re.compile(rf"{CUB[what]}I(Li\d+E)?{number}")
        if not any(own.search(name) and re.search(r"3cub\w+BlockReduce", body) for name, body in bodies.items()):
            yield f"{what} has no {CUB[what]} that reads the storage of CUB's BlockReduce"


found = kernels(*sys.argv[1:])
house.finish(f"{len(found)} kernels of a model on CUDA", list(missing(found)))
