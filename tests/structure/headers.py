"""Compiles each header alone under strict warnings, with Eigen and a few macros poisoned:
headers.py COMPILER EIGEN MPI [together]: Eigen's folder of headers, and MPI's with colons between them

Headers of a chain (chains.py) share a translation unit; where one fails, its headers are compiled one by one. A few
headers that many include are precompiled, each alone, and stand before those that include them anyway. What a header
includes does not depend on the compiler, so one of them does this; the other, with `together`, compiles all headers in
two translation units, with Eigen and without, for its own warnings and errors."""
import pathlib
import sys
import tempfile

import chains
import house

compiler, eigen, mpi = sys.argv[1:4]
together = sys.argv[4:] == ["together"]
MPI = [argument for folder in mpi.split(":") for argument in ("-isystem", folder)]
BASES = [pathlib.Path(base) for base in (
    "core/context.hpp", "ops/linear.hpp", "nn/transformer_block.hpp", "io/json.hpp", "data/document.hpp")]


def may_use_eigen(header):
    return str(header) == "cpu.hpp" or header.is_relative_to("kernels/cpu")


def compiled(chain):
    source = "".join(f"#include <flamingo/{header}>\n" for header in chain)
    return house.syntax(compiler, source, *MPI, *before[chain[0]])


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


def precompiled(name, text, *places):
    """The arguments by which what follows has read `text` already."""
    file = pathlib.Path(folder, name.replace("/", "_"))
    file.write_text(text)
    house.precompile(compiler, file, *places)
    return *places, "-include", file


def base_of(header):
    """The largest of the bases that a header includes."""
    return max(includes[header].intersection(bases) - {header}, key=lambda base: len(includes[base]), default=None)


with tempfile.TemporaryDirectory() as folder:
    headers = [h for h in house.headers() if h.suffix == ".hpp"]  # .cuh: nvcc and the tests of kernels/cuda
    includes = chains.closures(house.headers())
    macros = house.POISON / "macros.hpp"
    # Eigen's own names are its own business: it comes before the macros.
    plain = (f"-I{house.POISON}", "-include", macros)
    with_eigen = (*precompiled("eigen.hpp", "#include <Eigen/Core>\n", "-isystem", eigen), "-include", macros)
    bases = [] if together else BASES
    after = dict(zip(bases, house.in_parallel(
        lambda base: precompiled(str(base), f"#include <{macros}>\n#include <flamingo/{base}>\n", plain[0]), bases)))
    after[None] = plain
    before = {h: with_eigen if may_use_eigen(h) else after[base_of(h)] for h in headers}
    kinds = [[h for h in headers if before[h] is places] for places in (with_eigen, *after.values())]
    groups = kinds if together else [chain for kind in kinds for chain in chains.chains(kind)]
    results = house.in_parallel(errors_of, groups)
how = "together" if together else f"each alone, in {len(groups)} chains"
house.finish(f"{len(headers)} headers, {how}", [error for errors in results for error in errors])
