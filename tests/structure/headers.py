"""Compiles each header alone under strict warnings, with Eigen and a few macros poisoned:
headers.py COMPILER EIGEN [together]

Headers of a chain (chains.py) share a translation unit; where one fails, its headers are compiled one by one. What a
header includes does not depend on the compiler, so one of them does this; the other, with `together`, compiles all
headers in two translation units, with Eigen and without, for its own warnings and errors."""
import pathlib
import sys
import tempfile

import chains
import house

compiler, eigen = sys.argv[1:3]
together = sys.argv[3:] == ["together"]


def may_use_eigen(header):
    return str(header) == "cpu.hpp" or header.is_relative_to("kernels/cpu")


def compiled(chain):
    places = with_eigen if may_use_eigen(chain[0]) else [f"-I{house.POISON}"]
    source = "".join(f"#include <flamingo/{header}>\n" for header in chain)
    return house.syntax(compiler, source, *places, "-include", house.POISON / "macros.hpp")


def errors_of(chain):
    done = compiled(chain)
    if not done.returncode:
        return []
    if together:
        return [house.beginning(done.stderr)]
    alone = {header: compiled([header]) for header in chain}
    errors = [f"{header} does not compile alone:\n{house.beginning(one.stderr)}"
              for header, one in alone.items() if one.returncode]
    return errors or [f"{chain[-1]} compiles alone, but not after what it includes:\n{house.beginning(done.stderr)}"]


with tempfile.TemporaryDirectory() as folder:
    # Eigen's own names are its own business: it comes before the macros, and is parsed once for all.
    first = pathlib.Path(folder, "first.hpp")
    first.write_text("#include <Eigen/Core>\n")
    house.precompile(compiler, first, "-isystem", eigen)
    with_eigen = ["-isystem", eigen, "-include", first]
    headers = [h for h in house.headers() if h.suffix == ".hpp"]  # .cuh: nvcc and the tests of kernels/cuda
    kinds = [[h for h in headers if may_use_eigen(h) == allowed] for allowed in (True, False)]
    groups = kinds if together else [chain for kind in kinds for chain in chains.chains(kind)]
    results = house.in_parallel(errors_of, groups)
how = "together" if together else f"each alone, in {len(groups)} chains"
house.finish(f"{len(headers)} headers, {how}", [error for errors in results for error in errors])
