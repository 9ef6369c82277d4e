"""Each header has a test of the same stem in the same room: ops/linear.hpp has tests/ops/linear_test.cpp. A kernel of
the CPU is tested by its own test or by that of its operation. Exceptions stand in untested.txt with their reasons."""
import pathlib

import house

headers = [str(h) for h in house.headers()]
exceptions = pathlib.Path(__file__).with_name("untested.txt").read_text().splitlines()
excused = {line.split()[0] for line in exceptions if line.strip() and not line.startswith("#")}


def tests_of(header):
    path = pathlib.Path(header)
    rooms = [path.parent]
    if path.is_relative_to("kernels/cpu"):
        rooms.append(pathlib.Path("ops"))
    return [str(pathlib.Path("tests", room, f"{path.stem}_test.cpp")) for room in rooms]


def tested(header):
    return any((house.ROOT / test).is_file() for test in tests_of(header))


errors = [f"{h}: {' or '.join(tests_of(h))} is missing" for h in headers if h not in excused and not tested(h)]
errors += [f"{h}: untested.txt excuses it, but it has a test" for h in headers if h in excused and tested(h)]
errors += [f"{h}: untested.txt excuses it, but there is no such header" for h in sorted(excused.difference(headers))]
house.finish(f"{len(headers)} headers, {len(excused)} excused from a test of their own", errors)
