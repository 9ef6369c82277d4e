"""Copies the raw kernels with a fault in each of four, which their tests must find: plant.py FOLDER"""
import pathlib
import shutil
import sys

RAW = pathlib.Path("flamingo/kernels/cuda/raw")
FAULTS = {  # header: what stands there and what comes in its place, once
    "row_sums.cuh": ("  sums.value[row_lane][lane] = own;\n  __syncthreads();\n", "  sums.value[row_lane][lane] = own;\n"),
    "rotary.cuh": ("if (at >= threads) return;", "if (at + 1 >= threads) return;"),
    "attention_lanes.cuh": ("span = tile.span < 0 ? Span{} : tables.spans[tile.span];",
                            "span = tile.span < 0 ? Span{} : tables.spans[tile.span / 2];"),
    "attention_decode.cuh": ("begin + share < keys ? begin + share : keys", "begin + share < keys ? begin + share - 1 : keys"),
}

folder = pathlib.Path(sys.argv[1]) / RAW
shutil.rmtree(folder, ignore_errors=True)
shutil.copytree(pathlib.Path(__file__).resolve().parents[3] / "include" / RAW, folder)
for name, (right, wrong) in FAULTS.items():
    text = (folder / name).read_text()
    if right not in text:
        sys.exit(f"{name}: there is no {right!r} to spoil")
    (folder / name).write_text(text.replace(right, wrong, 1))
