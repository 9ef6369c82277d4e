"""Compiles and runs every program in README.md and docs/, and looks up every other piece of C++ in the example that is named
before it, which the tests compile: documents.py COMPILER EIGEN_INCLUDE"""
import pathlib
import re
import subprocess
import sys
import tempfile

import house

compiler, eigen = sys.argv[1:3]
errors, programs, pieces = [], 0, 0
for page in [house.ROOT / "README.md", *sorted((house.ROOT / "docs").glob("*.md"))]:
    for named, block in re.findall(r"(?:<!-- (\S+) -->\n)?```cpp\n(.*?)```", page.read_text(), re.S):
        if named:
            pieces += 1
            source = house.ROOT / named
            if not source.is_file() or block not in source.read_text():
                errors.append(f"{page.name}: {named} has no such lines:\n{house.beginning(block)}")
            continue
        if "int main" not in block:
            errors.append(f"{page.name}: a piece of C++ is no program and names no example:\n{house.beginning(block)}")
            continue
        programs += 1
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            made = house.run(compiler, ["-O0", "-isystem", eigen, "-pthread", "-x", "c++", "-", "-o", program], block)
            ran = made if made.returncode else subprocess.run([program], capture_output=True, text=True)
            if ran.returncode or not ran.stdout:
                errors.append(f"{page.name}: a program does not compile, run and print\n{house.beginning(ran.stderr)}")
if not programs:
    errors.append("README.md shows no program")
house.finish(f"{programs} programs and {pieces} pieces of the documents", errors)
