"""Compiles and runs every program in README.md and docs/: documents.py COMPILER EIGEN_INCLUDE"""
import pathlib
import re
import subprocess
import sys
import tempfile

import house

compiler, eigen = sys.argv[1:3]
errors, programs = [], 0
for page in [house.ROOT / "README.md", *sorted((house.ROOT / "docs").glob("*.md"))]:
    for block in re.findall(r"```cpp\n(.*?)```", page.read_text(), re.S):
        if "int main" not in block:
            continue
        programs += 1
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            made = house.run(compiler, ["-O1", "-isystem", eigen, "-pthread", "-x", "c++", "-", "-o", program], block)
            ran = made if made.returncode else subprocess.run([program], capture_output=True, text=True)
            if ran.returncode or not ran.stdout:
                errors.append(f"{page.name}: a program does not compile, run and print\n{house.beginning(ran.stderr)}")
if not programs:
    errors.append("README.md shows no program")
house.finish(f"{programs} programs of the documents", errors)
