"""What flamingo.hpp alone costs a host's translation unit, in seconds of processor time; written to a file, bound by
nothing here: cost.py COMPILER FILE"""
import os
import pathlib
import sys

import house

compiler, report = sys.argv[1:]


def spent():
    t = os.times()
    return t.children_user + t.children_system


times = []
for _ in range(3):
    start = spent()
    done = house.syntax(compiler, "#include <flamingo/flamingo.hpp>\n", f"-I{house.POISON}")
    times.append(spent() - start)
    if done.returncode:
        house.finish("flamingo.hpp", [done.stderr])
line = f"flamingo.hpp alone costs {min(times):.2f} s (best of {len(times)}, {compiler})"
pathlib.Path(report).write_text(line + "\n")
house.finish(line, [])
