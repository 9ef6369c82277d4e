"""Holds the direction of includes: arrows between rooms point only downwards. The table is the rule."""
import pathlib
import re

import house

# room: rooms it may include besides itself. The longest matching room is a file's room.
NN = {"core", "config", "ops"}
MODEL = NN | {"nn", "io"}
DATA = {"core", "io", "model/media.hpp"}
USE = MODEL | {"model", "data", "dist"}
KERNELS = {"core", "same op", "ops/grid.hpp"}
MAY = {
    "version.hpp": set(),
    "core": set(),
    "config": {"core/kinds.hpp"},
    "io": {"core"},
    "ops": {"core"},
    "nn": NN,
    "model": MODEL,
    "data": DATA,
    "dist": {"core"},
    "dist/nccl.cuh": {"core", "dist", "kernels/cuda"},
    "train": USE,
    "infer": USE,
    "eval": USE | {"train", "infer"},
    # What Cuda's kernels take is counted too, by plain C++ that they share.
    "kernels/dry": KERNELS
    | {f"kernels/cuda/{name}.hpp" for name in ("attention_sizes", "linear_sizes", "span_plan")}
    | {"kernels/cuda/raw/attention_plan.hpp"},
    "kernels/cpu": KERNELS,
    "kernels/cuda": KERNELS | {"kernels/cuda/raw"},
    "kernels/cuda/raw": set(),
    "cpu.hpp": {"core", "kernels/cpu"},
    "dry.hpp": {"core", "kernels/dry"},
    "cuda.cuh": {"core", "kernels/cuda"},
    "memory_plan.hpp": USE | {"infer", "train", "dry.hpp"},
    "training_plan.hpp": USE | {"train", "memory_plan.hpp"},
    "flamingo.hpp": USE | {"infer", "version.hpp"},
    "training.hpp": USE | {"train", "flamingo.hpp"},
    "vision.hpp": USE | {"train", "eval"},
    "files.hpp": USE | {"train"},
}

# Libraries by the files that may include them; everything else of theirs is the standard library or the system.
LIBRARIES = {
    r"(Eigen|unsupported)/": r"kernels/cpu/eigen\.hpp",
    r"(cub|thrust|cuda|cutlass)/|cuda|cublas|nv|mma\.h": r"(kernels/cuda/.*|cuda)\.cuh",
    r"sentencepiece": r"io/sentencepiece\.hpp",
    r"stb": r"io/image_(decoder|writer)\.hpp",
    r"(png|jpeglib)\.h": r"io/image_codecs\.hpp",
    r"gumbo": r"data/web/html\.hpp",
    r"zlib": r"data/web/gzip\.hpp",
    r"mpi\.h": r"dist/mpi\.hpp",
    r"nccl\.h": r"dist/nccl\.cuh",
    r"lib(av|sw)": r"data/media/video_file\.hpp",
    r"(boost|catch2|benchmark|nlohmann)/": r"none",
}


def room(path):
    return max((r for r in MAY if path == r or path.startswith(r + "/")), key=len, default=None)


def allowed(source, target):
    may = MAY[room(source)]
    if room(source) == room(target) or target in may:
        return True
    if "same op" in may and room(target) == "ops":  # a kernel knows the contract that it keeps
        stem, contract = pathlib.Path(source).stem, pathlib.Path(target).stem
        return stem == contract or stem.startswith(contract + "_")  # or a part of one
    return room(target) in may


def wrong(source):
    text = (house.INCLUDE / "flamingo" / source).read_text()
    if room(source) is None:
        yield f"{source}: no room has this name; the rooms are listed in tests/structure/includes.py"
        return
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'\s*#\s*include\s*([<"])([^">]+)', line)
        if not include:
            continue
        at, (quote, target) = f"include/flamingo/{source}:{number}", include.groups()
        if quote == '"' and room(source) == "kernels/cuda/raw":  # a host may copy that folder alone
            if not (house.INCLUDE / "flamingo" / source).with_name(target).is_file():
                yield f"{at}: there is no {target} beside it"
        elif quote == '"':
            yield f'{at}: "{target}" depends on the including file\'s folder; write <flamingo/...>'
        elif target.startswith("flamingo/"):
            target = target.removeprefix("flamingo/")
            if not (house.INCLUDE / "flamingo" / target).is_file():
                yield f"{at}: there is no {target}"
            elif not allowed(source, target):
                may = ", ".join(sorted(MAY[room(source)])) or "nothing else of ours"
                yield f"{at}: {room(source)} must not include {target}; it may include {may}"
        else:
            for library, place in LIBRARIES.items():
                if re.match(library, target) and not re.fullmatch(place, source):
                    yield f"{at}: {target} may be included by {place} alone"


sources = [str(h) for h in house.headers()]
house.finish(f"includes of {len(sources)} headers", [e for s in sources for e in wrong(s)])
