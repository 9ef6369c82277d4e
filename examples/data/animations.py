#!/usr/bin/env python3
"""Makes GIFs of the animations that `fetch videos` unpacked and lists them with captions, for `flamingo-data pack`.

    animations.py VIDEOS_DIR OUT_DIR

An animation is three or more files units/RACE/UNIT-ACTION-N.png of one size; its caption is "UNIT, ACTION" in words. The
packages name frames and not their times: four a second. Needs ffmpeg. OUT_DIR gets the GIFs and list.jsonl, whose split is
by unit: the first byte of its SHA-256 (below 205 train, below 230 validation, else test)."""
import collections
import hashlib
import json
import pathlib
import re
import subprocess
import sys

source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
frames = collections.defaultdict(dict)
for path in sorted(source.glob("*/usr/share/games/*/*/data/core/images/units/**/*.png")):
    name = re.fullmatch(r"(.+)-([a-z-]+?)-?(\d+)", path.stem)
    if name and "projectile" not in str(path):
        frames[path.parent, name[1], name[2]][int(name[3])] = path


def size(path):
    with open(path, "rb") as file:
        return file.read(24)[16:]


lines, left_out = [], 0
for (folder, unit, action), numbered in sorted(frames.items()):
    paths = [numbered[n] for n in sorted(numbered)]
    if len(paths) < 3 or len({size(path) for path in paths}) != 1:
        left_out += len(paths) >= 3
        continue
    target = out / f"{folder.name}-{unit}-{action}.gif"
    if not target.exists():
        beside = target.with_suffix(".tmp.gif")
        pictures = b"".join(path.read_bytes() for path in paths)
        done = subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-f", "image2pipe", "-framerate", "4", "-c:v", "png",
                               "-i", "-", "-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse", str(beside)],
                              input=pictures, capture_output=True)
        if done.returncode != 0:
            left_out += 1
            continue
        beside.rename(target)
    words = unit.replace("+", " ").replace("-", " ")
    byte = hashlib.sha256(unit.encode()).digest()[0]
    lines.append({"path": target.name, "caption": f"{words}, {action.replace('-', ' ')}", "source": "wesnoth",
                  "split": "train" if byte < 205 else "validation" if byte < 230 else "test"})
(out / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
print(f"{len(lines)} animations, {left_out} left out")
