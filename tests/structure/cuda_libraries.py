"""Compiles a whole model for CUDA with the given options, and fails unless its training step and its decoding run kernels of
Thrust and of CUB: looks into the PTX.

    cuda_libraries.py NVCC SOURCE OPTION...

A kernel is Thrust's where its name says so; CUB's is in one of ours where it, or a function that it calls, names one of
CUB's block algorithms."""
import pathlib
import re
import subprocess
import sys
import tempfile

import house

# Of each, what Thrust runs (embeddings are read by it) and the kernel that reduces by CUB.
NEEDED = {"a training step": ("Gathered", "entropy_update_kernel"), "decoding": ("Gathered", "likeliest_kernel")}


def ptx(nvcc, source, options):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done = subprocess.run([nvcc, *options, "-c", source, "-o", folder / "out.o", "--keep", "--keep-dir", folder],
                              capture_output=True, text=True)
        if done.returncode:
            house.finish(source, [done.stdout + done.stderr])
        return "".join(file.read_text() for file in folder.glob("*.ptx"))


def kernels(text):
    """Each kernel's name with the names that it and all that it calls mention."""
    mentioned, entries = {}, set()
    for kind, part in re.findall(r"\.(entry|func)\b(.*?)(?=\.(?:entry|func)\b|\Z)", text, re.S):
        name = re.match(r"\s*(?:\([^)]*\))?\s*([\w$]+)", part)[1]
        mentioned.setdefault(name, set()).update(re.findall(r"_Z[\w$]+", part))
        if kind == "entry":
            entries.add(name)
    for entry in entries:
        reached, left = set(), {entry}
        while left:
            reached |= left
            left = set().union(*(mentioned.get(name, ()) for name in left)) - reached
        yield entry, reached


def missing(bodies):
    for what, (gathered, reducing) in NEEDED.items():
        if not any("thrust" in name and gathered in name for name in bodies):
            yield f"{what} has no kernel of Thrust's that runs {gathered}"
        if not any(reducing in name and any(re.search(r"3cub\w+BlockReduce", one) for one in reached)
                   for name, reached in bodies.items()):
            yield f"{what} has no {reducing} that calls CUB's BlockReduce"


nvcc, source, *options = sys.argv[1:]
found = dict(kernels(ptx(nvcc, source, options)))
house.finish(f"{len(found)} kernels of a model on CUDA", list(missing(found)))
