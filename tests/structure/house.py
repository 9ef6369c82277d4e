"""What the checks of this folder share: where things are, and how to compile one file."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
POISON = pathlib.Path(__file__).resolve().parent / "poison"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wsign-conversion", "-Werror"]


def headers():
    """Paths below include/flamingo: core/view.hpp, ..."""
    folder = INCLUDE / "flamingo"
    found = sorted(p.relative_to(folder) for s in ("*.hpp", "*.cuh") for p in folder.rglob(s))
    if not found:
        sys.exit(f"no headers in {folder}")
    return found


def run(compiler, arguments, source=None):
    command = [compiler, "-std=c++20", *STRICT, f"-I{INCLUDE}", *map(str, arguments)]
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, input=source, capture_output=True, text=True, env=environment)


def syntax(compiler, source, *arguments):
    """Parses and instantiates a text without making code; returns the finished process."""
    return run(compiler, ["-fsyntax-only", *arguments, "-x", "c++", "-"], source)


def beginning(text, lines=12):
    """The first error is the telling one."""
    return "\n".join(text.splitlines()[:lines])


def precompile(compiler, header, *arguments):
    """After this, `-include header` with the same arguments takes no time."""
    done = run(compiler, [*arguments, "-x", "c++-header", header, "-o", f"{header}.gch"])
    if done.returncode:
        sys.exit(done.stderr)


def in_parallel(work, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))


def finish(what, errors):
    """One line where all is well; else the errors and a failure."""
    for error in errors:
        print(error)
    print(f"{what}, {len(errors)} wrong" if errors else what)
    sys.exit(1 if errors else 0)
