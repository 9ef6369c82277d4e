"""Misuse must not compile, and the compiler must say why: compile_fail.py COMPILER EIGEN

Each file of tests/compile_fail is compiled as it stands, which must work, and with -DFAIL, which must fail with every
text that a line `// expects: ...` of the file states.
"""
import re
import sys

import house

compiler, eigen = sys.argv[1:]
files = sorted((house.ROOT / "tests" / "compile_fail").glob("*.cpp"))


def both_ways(file):
    source = file.read_text()
    expected = re.findall(r"// expects: (.*\S)", source)
    if not expected:
        return f"{file.name} has no line `// expects: ...`"
    good = house.syntax(compiler, source, "-isystem", eigen)
    if good.returncode:
        return f"{file.name} does not compile without FAIL:\n{house.beginning(good.stderr)}"
    bad = house.syntax(compiler, source, "-isystem", eigen, "-DFAIL")
    if not bad.returncode:
        return f"{file.name} compiles with FAIL"
    missing = [text for text in expected if text not in bad.stderr]
    return f"{file.name}: the compiler does not say {missing}, but:\n{house.beginning(bad.stderr)}" if missing else None


if not files:
    sys.exit("no files in tests/compile_fail")
house.finish(f"{len(files)} misuses refused", [r for r in house.in_parallel(both_ways, files) if r])
