#!/usr/bin/env python3
"""slice.py PICTURES DIR: a tiny collection out of examples/pictures, as mixture.py would list it, for the checks."""
import json
import pathlib
import shutil
import sys

pictures, root = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
shutil.copytree(pictures, root / "pictures")
listed = json.loads((pictures / "pictures.json").read_text())["pictures"]


def path(picture):
    return "pictures/" + picture["file"]


def write(name, lines):
    (root / "mixture").mkdir(exist_ok=True)
    (root / "mixture" / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def picture(path, source, stream, caption, concept, classes, split):
    return {"path": path, "source": source, "stream": stream, "captions": [caption], "concept": concept, "classes": classes,
            "split": split}


kinds = ["folder", "keyword", "category", "race", "shape"]
lines = []
for n, p in enumerate(listed):
    if n < 14:
        lines.append(picture(path(p), f"source {n}", "noisy" if n < 12 else "clean", p["caption"], f"concept {n % 6}",
                             [f"{kind}:class {n % 3}" for kind in kinds], "train"))
    else:
        lines.append(picture(path(p), f"source {n}", "none", p["caption"], p["caption"], [f"folder:held {n % 5}"],
                             "validation" if n < 18 else "folder_validation"))
for n, p in enumerate(listed[-4:]):
    lines.append(picture(path(p), "tanuki" if n % 2 else "gimp", "none", p["caption"], p["caption"], [], "validation"))
    lines.append(picture(path(p), "gemojione", "none", p["caption"], f"concept {n}", [], "e3"))
write("pictures.jsonl", lines)
write("pages.jsonl", [{"id": split, "url": "", "title": "", "license": "", "texts": ["Some words before it.", None, "What it shows."],
                       "images": [None, "a.png", None], "metadata": [None, None, None], "split": split}
                      for split in ("train", "validation")])
write("animations.jsonl", [{"frames": [path(p) for p in listed[:3]], "captions": ["an elf attacking"], "unit": "elf",
                            "race": "elf", "action": "attacking", "split": split} for split in ("train", "validation")])
write("contrastive.jsonl", [{"path": path(p), "source": "tanuki" if n % 2 else "drawn", "caption": p["caption"],
                             "concept": f"concept {n % 8}"} for n, p in enumerate(listed)])
(root / "documents/images").mkdir(parents=True)
shutil.copyfile(root / path(listed[0]), root / "documents/images/a.png")
