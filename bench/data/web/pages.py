"""Extraction beside trafilatura (pip install trafilatura lxml_html_clean): pages.py BENCH_PAGES FILE...

Quality: F1 of the words kept on the hand-checked pages of tests/fixtures/pages. Speed: pages a second of processor time
over FILE..., alternating, best of three; both get bytes and give texts, ours with its rules and signatures."""
import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import trafilatura

bench, files = sys.argv[1], sys.argv[2:]
marked = sorted((pathlib.Path(__file__).resolve().parents[3] / "tests/fixtures/pages").glob("*.html"))


def words(text):
    return collections.Counter(re.findall(r"\w+", text.lower()))


def f1(found, expected):
    found, expected = words(found), words(expected)
    return 2 * sum((found & expected).values()) / max(1, sum(found.values()) + sum(expected.values()))


def ours(paths):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([bench, folder, *map(str, paths)], capture_output=True, text=True, check=True)
        texts = [pathlib.Path(folder, f"{i}.txt").read_text() for i in range(len(paths))]
        return texts, len(paths) / float(done.stdout.split()[1])


def theirs(paths):
    pages = [pathlib.Path(path).read_bytes() for path in paths]
    start = time.process_time()
    texts = [trafilatura.extract(page) or "" for page in pages]
    return texts, len(pages) / (time.process_time() - start)


rows = [(page.stem, f1(a, page.with_suffix(".txt").read_text()), f1(b, page.with_suffix(".txt").read_text()))
        for page, a, b in zip(marked, ours(marked)[0], theirs(marked)[0])]
for name, a, b in rows:
    print(f"{name:28} {a:.3f}  trafilatura {b:.3f}")
print(f"mean F1 of {len(rows)} pages: {sum(r[1] for r in rows) / len(rows):.3f}, trafilatura {trafilatura.__version__}: "
      f"{sum(r[2] for r in rows) / len(rows):.3f}")
if files:
    rates = [(ours(files)[1], theirs(files)[1]) for _ in range(3)]
    a, b = (max(rate[k] for rate in rates) for k in (0, 1))
    print(f"{len(files)} pages: {a:.0f} pages/s, trafilatura {b:.0f} pages/s, {a / b:.1f} times")
