"""Who computes each operation on each platform, read out of the kernels' sources: docs/operations.md must say so.
operations.py compares, operations.py --write writes the page."""
import functools
import pathlib
import re
import sys

import house

KERNELS = house.INCLUDE / "flamingo/kernels"
PAGE = house.ROOT / "docs/operations.md"
HEAD = """# Who computes what

Written by `tests/structure/operations.py --write` out of `include/flamingo/kernels`, and compared by `tests/run`. Each row
is a function of the struct by which an operation of `ops/` reaches a platform. *Eigen*: its array expressions. *Own
product*: `kernels/cpu/gemm.hpp`, which reads weights of any format, packed too. *Own*: loops or kernels of ours, on CUDA
with the header of `kernels/cuda/raw/` that has them; such a kernel may stand on *CUB* or *Thrust*. *cuBLASLt* is replaced by
our own product where there is no GPU. A dash: the operation is made of others there. The platform `Dry` computes nothing: it
counts bytes and operations of the same calls.

| operation | function | Cpu | Cuda |
| --- | --- | --- | --- |
"""
LIBRARIES = {"CUB": r"\bcub::", "Thrust": r"\bthrust::", "cuBLASLt": r"\blibrary_\.|\bcublasLt",
             "CUDA's runtime": r"\bcudaMem(set|cpy)\w*\(", "the communicator": r"\bsum_over_processes\("}
CPU = {"own product": r"\b(G|Product)::run|\bGemm<|\bIndirect<|\bpanels_times_vector\b",
       "Eigen": r"\bEigen::|\b(line|matrix|block)\(|\bChunk<|\bRowMajor<|\.numbers\b"}


def plain(path):
    """A header without comments, texts and preprocessor."""
    text = re.sub(r'//[^\n]*|"(\\.|[^"\\\n])*"', "", path.read_text())
    return re.sub(r"^\s*#.*$", "", text, flags=re.M)


def closing(text, at):
    """The place after the bracket that closes the one at `at`."""
    pairs, depth = {"{": "}", "(": ")"}, 0
    opening, end = text[at], pairs[text[at]]
    for i in range(at, len(text)):
        depth += (text[i] == opening) - (text[i] == end)
        if depth == 0:
            return i + 1
    sys.exit(f"a bracket is not closed: {text[at:at + 60]!r}")


def functions(text):
    """(name, body) of what has a body and is named like a function."""
    for m in re.finditer(r"\b([a-z]\w*)\(", text):
        if m[1] in ("if", "for", "while", "switch", "return", "sizeof", "decltype", "requires", "check", "alignas"):
            continue
        end = closing(text, m.end() - 1)
        after = re.match(r"\s*(const)?\s*(noexcept)?\s*\{", text[end:])
        before = re.search(r"[\w>*&\]]\s+[*&]?$", text[:m.start()])
        if after and before and not re.search(r"\breturn\s+$", text[:m.start()]):
            body = end + after.end() - 1
            yield m[1], text[body:closing(text, body)]


@functools.cache
def bodies_in(path):
    return list(functions(plain(path)))


def bodies(paths):
    """Function name -> (header, body) of each function of that name."""
    all_of = {}
    for path in paths:
        for name, body in bodies_in(path):
            all_of.setdefault(name, []).append((path, body))
    return all_of


@functools.cache
def with_included(path):
    """A raw header and those of its folder that it includes, directly or not."""
    found, todo = [], [path]
    while todo:
        at = todo.pop()
        if at not in found and at.is_file():
            found.append(at)
            todo += [path.parent / name for name in re.findall(r'#include "(.*)"', at.read_text())]
    return found


def reached(start, known, names_in):
    """The body and all that it calls among the known functions: (header, text) of each."""
    seen, todo, found = set(), [start], []
    while todo:
        path, body = todo.pop()
        found.append((path, body))
        for name in names_in(body):
            if name not in seen:
                seen.add(name)
                todo += known.get(name, [])
    return found


def called(body):
    return set(re.findall(r"\b([a-z]\w*)(?=[<(,])", body))


def public_functions(path, platform):
    """(name, body) of a platform's struct in order, one body for each name; what it inherits lies in STEM_*.hpp."""
    found = {}

    def add(text, head):
        for m in re.finditer(head + r"[^{;]*\{", text):
            struct = text[m.end() - 1:closing(text, m.end() - 1)].split("private:")[0]
            for name, body in functions(struct):
                found[name] = found.get(name, "") + body
            for base in re.findall(r":\s*(\w+)<", m[0]):
                for part in sorted(path.parent.glob(f"{path.stem}_*.hpp")):
                    add(plain(part), r"struct " + base + r"\b")

    add(plain(path), r"struct \w+<" + platform + "<")
    return found


def by_cpu(path, body):
    text = "".join(b for _, b in reached((path, body), bodies([path]), called))
    kinds = [kind for kind, pattern in {**CPU, **LIBRARIES}.items() if re.search(pattern, text)]
    return ", ".join(kinds or ["own"])


def by_cuda(path, body, raw, products):
    """Follows the wrapper's own helpers, the context's products, and each raw function into what its header includes."""
    own = reached((path, body), bodies([path]), called)
    asked = {n for _, b in own for n in re.findall(r"\bproducts\(\)\s*\.(\w+)", b)}
    own += [there for name in asked for first in products.get(name, []) for there in reached(first, products, called)]
    text = "".join(b for _, b in own)
    if "clear_numbers(" in text:
        text += " cudaMemsetAsync("
    headers, kernels = set(), ""
    for name in set(re.findall(r"\braw::([a-z]\w*)", text)):
        for header, there in raw.get(name, []):
            headers.add(header.name)
            kernels += there + "".join(b for _, b in reached((header, there), bodies(with_included(header)), called))
    kinds = [k for k, pattern in LIBRARIES.items() if re.search(pattern, text + kernels)]
    return ", ".join(kinds + (["own (" + ", ".join(sorted(headers)) + ")"] if headers else []))


def table():
    raw = bodies(sorted((KERNELS / "cuda/raw").glob("*.[ch]*")))
    products = bodies([KERNELS / "cuda/products.cuh"])
    rows = []
    for op in sorted((house.INCLUDE / "flamingo/ops").glob("*.hpp")):
        cpu, cuda = KERNELS / f"cpu/{op.stem}.hpp", KERNELS / f"cuda/{op.stem}.cuh"
        if not cpu.is_file() and not cuda.is_file():
            continue  # vocabulary, not an operation
        on_cuda = public_functions(cuda, "Cuda") if cuda.is_file() else {}
        on_cpu = public_functions(cpu, "Cpu") if cpu.is_file() else {}
        for name in [*on_cpu, *(n for n in on_cuda if n not in on_cpu)]:
            first = by_cpu(cpu, on_cpu[name]) if name in on_cpu else "-"
            second = by_cuda(cuda, on_cuda[name], raw, products) if name in on_cuda else "-"
            if not second:
                errors.append(f"{cuda.name}: nothing is known of how {name} is computed")
            rows.append(f"| {op.stem} | `{name}` | {first} | {second} |\n")
    return rows


errors = []
lines = table()
text = HEAD + "".join(lines)
if "--write" in sys.argv:
    PAGE.write_text(text)
elif not PAGE.is_file() or PAGE.read_text() != text:
    errors.append("docs/operations.md is not what the sources say: tests/structure/operations.py --write")
house.finish(f"{len(lines)} functions of operations", errors)
