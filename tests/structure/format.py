"""Asks clang-format 16 whether every source is formatted; other versions disagree with it, so they are not asked."""
import os
import re
import shutil
import subprocess
import sys

import house

SKIPPED = 77


def version_16():
    for name in (os.environ.get("CLANG_FORMAT"), "clang-format-16", "clang-format"):
        path = name and shutil.which(name)
        if path and re.search(r"version 16\.", subprocess.run([path, "--version"], capture_output=True, text=True).stdout):
            return path
    return None


formatter = version_16()
if not formatter:
    print("clang-format 16 is not here: format not checked (Debian: clang-format-16)")
    sys.exit(SKIPPED)
sources = [p for folder in ("include", "tests", "bench", "examples") for p in (house.ROOT / folder).rglob("*")
           if p.suffix in (".hpp", ".cpp", ".cuh", ".cu")]
done = subprocess.run([formatter, "--dry-run", "-Werror", *map(str, sources)], capture_output=True, text=True)
unformatted = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M)))
house.finish(f"format of {len(sources)} files", [f"{os.path.relpath(p, house.ROOT)}: run clang-format-16 -i" for p in unformatted])
