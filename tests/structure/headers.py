"""Compiles each header alone under strict warnings, with Eigen and a few macros poisoned: headers.py COMPILER EIGEN"""
import pathlib
import sys
import tempfile

import house

compiler, eigen = sys.argv[1:]


def may_use_eigen(header):
    return str(header) == "cpu.hpp" or header.is_relative_to("kernels/cpu")


def compile_alone(header):
    places = with_eigen if may_use_eigen(header) else [f"-I{house.POISON}"]
    source = f"#include <flamingo/{header}>\n"
    done = house.syntax(compiler, source, *places, "-include", house.POISON / "macros.hpp")
    return f"{header} does not compile alone:\n{house.beginning(done.stderr)}" if done.returncode else None


with tempfile.TemporaryDirectory() as folder:
    # Eigen's own names are its own business: it comes before the macros, and is parsed once for all.
    first = pathlib.Path(folder, "first.hpp")
    first.write_text("#include <Eigen/Core>\n")
    house.precompile(compiler, first, "-isystem", eigen)
    with_eigen = ["-isystem", eigen, "-include", first]
    headers = [h for h in house.headers() if h.suffix == ".hpp"]  # .cuh: nvcc and the tests of kernels/cuda
    results = house.in_parallel(compile_alone, sorted(headers, key=may_use_eigen, reverse=True))
house.finish(f"{len(headers)} headers, each alone", [r for r in results if r])
