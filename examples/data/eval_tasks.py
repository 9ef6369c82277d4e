#!/usr/bin/env python3
"""Writes what the trained connector is evaluated on, as tasks of JSON lines: E1 to E8.

    eval_tasks.py DIR DUPLICATES

DIR is that of mixture.py, DUPLICATES the file of near-duplicate pictures that `train_connector --prepare 1` wrote, which are
left out. Writes DIR/*.jsonl (paths of media relative to DIR) and, of animations, the sampled frames to DIR/frames:

  e1, e2, e3 and names_support      naming of pictures of other sources; the pictures trained on, as demonstrations
  easy_vqa_test, easy_vqa_train     the package's own split
  folders_<source>, folders_validation  classes never trained on, for episodes; the latter to choose settings by
  captions_test, _validation, _support  pairs of held-out concepts and units
  pages_test, pages_validation      windows of held-out pages, whose last text is asked
  animations_action, _race, _support    animations of held-out units, and of those trained on
"""
import collections
import hashlib
import json
import pathlib
import re
import shutil
import sys

import mixture

PAGE_WORDS, ANSWER_WORDS, PAGE_PICTURES = 110, 40, 5
SUPPORT = 3000
ACTIONS = {"attacking", "idle", "dying", "standing", "moving"}


def item(name, media, answer, **more):
    return {"id": name, "media": media, "answers": [answer] if isinstance(answer, str) else answer, **more}


def picture_items(pictures, wanted):
    return [item(p["path"], [p["path"]], p["captions"][0]) for p in pictures if wanted(p) and p["captions"]]


def folders(pictures, source, split):
    """Pictures by folder; each with the folder's name as its answer."""
    found = []
    for p in pictures:
        name = next((c.split(":")[1] for c in p["classes"] if c.startswith("folder:")), None)
        if p["source"] == source and name and split(p["split"]):
            found.append(item(p["path"], [p["path"]], name, type=name))
    return found


def questions(root, part):
    folder = f"questions/easy_vqa/data/{part}"
    for n, (question, answer, image) in enumerate(json.loads((root / folder / "questions.json").read_text())):
        kind = ("yes/no" if answer in ("yes", "no") else
                "shape" if answer in ("circle", "rectangle", "triangle") else "color")
        yield item(f"{part}-{n}", [f"{folder}/images/{image}.png"], [answer],
                   question=mixture.reworded(question[0].upper() + question[1:]), type=kind)


def last_words(text, most):
    words = list(re.finditer(r"\S+", text))
    return text if len(words) <= most else text[words[-most].start():]


def page_windows(pages, split):
    """At each third picture of a page what follows it is asked, after what stands before."""
    for page in pages:
        if page["split"] != split:
            continue
        parts = list(zip(page["texts"], page["images"]))
        places = [i for i, (_, name) in enumerate(parts) if name]
        for n, at in enumerate(places):
            answer = parts[at + 1][0] if at + 1 < len(parts) else None
            if n % 3 or not answer or len(answer.split()) < 4:
                continue
            words = list(re.finditer(r"\S+", answer))
            answer = answer[:words[min(ANSWER_WORDS, len(words)) - 1].end()]
            text, media, left = " <image>", ["documents/images/" + parts[at][1]], PAGE_WORDS
            for before, name in reversed(parts[:at]):
                if left <= 0 or (name and len(media) == PAGE_PICTURES):
                    break
                if name:
                    text, media = " <image>" + text, ["documents/images/" + name, *media]
                else:
                    kept = last_words(before, left)
                    text, left = kept + text, left - len(kept.split())
            yield item(f"{page['id']}-{n}", media, answer, fields={"page": text.strip()})


def frames_folder(root, animation):
    """A folder with the sampled frames 000.png, ... of an animation."""
    name = hashlib.sha256("".join(animation["frames"]).encode()).hexdigest()[:16]
    folder = root / "frames" / name
    if not folder.exists():
        beside = folder.with_name(name + ".part")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for n, frame in enumerate(animation["frames"]):
            shutil.copyfile(root / frame, beside / f"{n:03d}.png")
        beside.rename(folder)
    return "frames/" + name


def animation_items(root, animations, split, kind):
    for n, a in enumerate(animations):
        if a["split"] in split and (kind == "race" or a["action"] in ACTIONS):
            answer, said = (a["race"], "<image>") if kind == "race" else (a["action"], f"<image> {a['unit']}")
            yield item(f"{kind}-{n}", [{"video": frames_folder(root, a)}], answer, fields={"page": said})


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: eval_tasks.py DIR DUPLICATES")
    root = pathlib.Path(sys.argv[1])
    dropped = set(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines())
    pictures = lines(root / "mixture/pictures.jsonl")
    whole = [p for p in pictures if p["split"] in ("e1", "e2", "e3")]  # whole sets, as the reference numbers have them
    pictures = [p for p in pictures if p["path"] not in dropped]
    pages, animations = lines(root / "mixture/pages.jsonl"), lines(root / "mixture/animations.jsonl")
    named = ("openclipart", "tanuki")
    tasks = {e: picture_items(whole, lambda p, e=e: p["split"] == e) for e in ("e1", "e2", "e3")}
    tasks["names_support"] = picture_items(pictures, lambda p: p["stream"] == "noisy")
    tasks["easy_vqa_test"] = questions(root, "test")
    tasks["easy_vqa_train"] = list(questions(root, "train"))[:SUPPORT]
    tasks["folders_openclipart"] = folders(pictures, "openclipart", lambda s: s == "folder_test")
    tasks["folders_validation"] = folders(pictures, "openclipart", lambda s: s == "folder_validation")
    for source in ("tuxpaint", "art4apps", "gemojione"):
        tasks["folders_" + source] = folders(pictures, source, lambda s: True)
    for split in ("test", "validation"):
        tasks["captions_" + split] = picture_items(pictures, lambda p: p["split"] == split)
        tasks["pages_" + split] = page_windows(pages, split)
    tasks["captions_support"] = picture_items(pictures, lambda p: p["stream"] in ("noisy", "clean"))
    for kind in ("action", "race"):
        tasks["animations_" + kind] = animation_items(root, animations, ("validation", "test"), kind)
    tasks["animations_support"] = animation_items(root, animations, ("train",), "action")
    for name, items in tasks.items():
        items = list(items)
        mixture.write(root / f"{name}.jsonl", items)
        classes = collections.Counter(i.get("type", "") for i in items)
        print(f"{name:22} {len(items):6}" + (f"  of {len(classes)} classes" if len(classes) > 1 else ""))


if __name__ == "__main__":
    main()
