#!/usr/bin/env python3
"""Lists what the connector is trained on, as the paper mixes it: noisy and clean pairs, pages, animations, classes.

    mixture.py DIR

DIR holds what `fetch` unpacked (pictures, videos, collections, questions) and `flamingo-data extract` wrote (documents).
Writes DIR/mixture/{pictures,pages,animations}.jsonl, paths relative to DIR; eval_tasks.py writes what is held out. For the
model from scratch, contrastive.jsonl and text.txt: the training pairs as pretrain_contrastive reads them, and the captions
and pages of training as lines of text.

pictures.jsonl: path, source, stream (noisy, clean, or none: only evaluations see it), captions (one is drawn each time),
concept, classes ("kind:name", for naming episodes), split. Held out are, whatever else would let them in:
  e1, e2, e3           all of tuxpaint, art4apps and gemojione, as the reference numbers ask (data of other styles)
  folder_*             the pictures of held-out folders of openclipart: classes never trained on
  validation, test     concepts, by the first byte of their SHA-256, but those that E1 and E2 name
Pages are held out by address, animations and pictures of Wesnoth by unit.
"""
import collections
import hashlib
import json
import pathlib
import re
import sys

import manifest
import wesnoth

# Openclipart folders with enough pictures of one kind of thing, by what they show.
FOLDERS = {
    "people": "people", "animals/mammals": "mammals", "office": "office things", "tools": "tools", "food/fruit": "fruit",
    "recreation/music": "music", "food/desserts": "desserts", "transportation": "transport", "people/clothing": "clothing",
    "people/stickmen": "stick figures", "animals/birds": "birds", "food/beverages": "drinks", "animals/bugs": "insects",
    "computer/hardware": "computers", "recreation/sports": "sports", "transportation/roadsigns": "road signs",
    "people/smilies": "smileys", "buildings/homes": "houses", "recreation/holiday": "holidays",
    "transportation/boating": "boats", "transportation/vehicles": "vehicles", "tools/weapons": "weapons",
    "food/meats_and_eggs": "meat", "signs_and_symbols/weather": "weather", "shapes/flowchart": "flowcharts",
    "plants/flowers": "flowers", "food/breads_and_carbs": "bread", "plants": "plants", "recreation/party": "party",
    "people/bodypart": "body parts", "decorations": "decorations", "recreation/toys": "toys", "electronics": "electronics",
    "signs_and_symbols/clocks": "clocks", "signs_and_symbols/flags": "flags", "recreation/games": "games",
    "signs_and_symbols/map_symbols": "map symbols", "geography": "maps", "shapes/arrows": "arrows",
    "computer/buttons": "buttons", "signs_and_symbols/led": "displays", "shapes/jigsaw": "jigsaw pieces",
    "food/vegetables": "vegetables", "shapes/callouts": "speech bubbles", "education": "education",
    "buildings": "buildings", "geography/astronomy": "astronomy", "animals/fish": "fish"}
# Held out by hand, so that every kind of thing stays in training: no mammals, since E1 and E2 ask for them.
TEST_FOLDERS = {"animals/birds", "food/fruit", "tools", "recreation/music", "people/clothing", "transportation/boating",
                "computer/hardware", "plants/flowers", "buildings/homes", "signs_and_symbols/weather", "tools/weapons",
                "shapes/jigsaw"}
VALIDATION_FOLDERS = {"animals/bugs", "food/desserts", "recreation/sports", "office", "transportation/vehicles",
                      "people/smilies", "signs_and_symbols/map_symbols", "recreation/toys"}
MIN_CLASS = 5
QUOTES = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "\u00a0": " "})
SAYS_NOTHING = re.compile(r"^(the )?(original|source|initial|starting|resulting|final|example)( \w+)?$|^(after|before)\b|^figure$",
                          re.IGNORECASE)
PROSE_WORDS = 24


def folder_of(path):
    """The class folder of an openclipart path: its first two folders, or the first where the picture lies in it."""
    parts = path.split("/usr/share/openclipart/png/")[1].split("/")[:-1]
    return "/".join(parts[:2])


def reworded(text):
    """" image" is the tag that stands for a picture, so no text holds the word."""
    text = re.sub(r"\b([Aa])n (?=[Ii]mage)", r"\1 ", text)
    return re.sub(r"\bimage", "picture", re.sub(r"\bImage", "Picture", text))


def openclipart(root, listed):
    """All clip art that has a name: the cleaned name where manifest.py has one, else a title that few pictures share."""
    pictures = root / "pictures"
    keywords, _ = manifest.openclipart_subjects(str(pictures))
    base = "openclipart-png/usr/share/openclipart/png/"
    found, titles = [], collections.Counter()
    for path in manifest.find(str(pictures), base + "**/*.png"):
        name = str(pathlib.Path(path).relative_to(pictures))
        if manifest.usable(path):
            title = (manifest.read_png(path)[2] or "").strip()
            found.append((name, title))
            titles[title] += 1
    for name, title in found:
        known = listed.get(name)
        words = [w for w in keywords.get(name[len(base):-4], []) if re.fullmatch(r"[a-z][a-z '-]{2,24}", w)]
        words = [w for i, w in enumerate(words) if w not in words[:i] and w not in manifest.NOT_KEYWORDS][:6]
        caption = known["caption"] if known else ""
        if not caption and titles[title] <= 3:
            plain = manifest.strip_article(re.sub(r"\s+", " ", re.sub(r"[_()\[\]|/]+|\d{2,}", " ", title.lower())).strip(" .-"))
            if re.fullmatch(r"[a-z][a-z '-]{2,40}", plain) and not manifest.OPENCLIPART_REFUSE.search(plain):
                caption = plain
        folder = folder_of(name)
        classes = ["keyword:" + w for w in words] + (["folder:" + FOLDERS[folder]] if folder in FOLDERS else [])
        captions = [caption, ", ".join([caption, *[w for w in words if w != caption][:4]])] if caption else []
        split = ("folder_test" if folder in TEST_FOLDERS else "folder_validation" if folder in VALIDATION_FOLDERS
                 else known["split"] if known else
                 manifest.fold(manifest.concept_key(caption)) if caption else "train")
        yield record(name, "openclipart", "noisy" if captions else "episodes", captions,
                     known["concept"] if known else manifest.concept_key(caption), classes, split)


def record(path, source, stream, captions, concept, classes, split):
    captions = [reworded(c) for i, c in enumerate(captions) if c not in captions[:i]]
    return {"path": "pictures/" + path if not path.startswith(("videos", "documents", "collections", "questions")) else path,
            "source": source, "stream": stream if split == "train" else "none", "captions": captions, "concept": concept,
            "classes": [reworded(c) for c in classes], "split": split}


def emoji(listed):
    for p in listed.values():
        if p["source"] == "tanuki":
            words = [w for w in p["keywords"] if w != p["caption"]]
            yield record(p["path"], "tanuki", "noisy", [p["caption"], ", ".join([p["caption"], *words[:4]])], p["concept"],
                         ["keyword:" + w for w in words] + ["category:" + p["category"]], p["split"])


def held_out_sources(listed):
    """All of E1, E2 and E3: what manifest.py would leave unused is a class member of few-shot evaluations at least."""
    for p in listed.values():
        if p["source"] in ("tuxpaint", "art4apps", "gemojione"):
            split = "e3" if p["source"] == "gemojione" else p["split"] if p["split"] != "unused" else "unnamed"
            yield record(p["path"], p["source"], "none", [p["caption"]], p["concept"],
                         ["folder:" + p["category"].split("/")[0].replace("_n_", " and ").replace("_", " ")], split)


def figures(root, pages):
    """Captioned figures of training pages."""
    seen = set()
    for page in pages:
        for name, known in zip(page["images"], page["metadata"]):
            caption = re.sub(r"\s+", " ", known["caption"]).strip(" .") if known else ""
            caption = re.sub(r"^Figure [\d.]+\.? ?", "", caption.translate(QUOTES)).strip(" .:")
            caption = re.split(r"(?<=[a-z])\. ", caption)[0]
            if name and 2 <= len(caption.split()) <= PROSE_WORDS and name not in seen and caption.isascii() and not \
                    SAYS_NOTHING.search(caption):
                seen.add(name)
                yield record("documents/images/" + name, "gimp", "clean", [caption[0].lower() + caption[1:]], caption, [],
                             page["split"])


def kalzium(root):
    import lists
    for item in lists.kalzium(root):
        name, _, said = item["caption"].partition(". ")
        sentence = re.split(r"(?<=[a-z])\. ", said)[0].strip(" .")
        yield record(item["path"], "kalzium", "clean", [name.lower(), " ".join(sentence.split()[:PROSE_WORDS])], name.lower(),
                     [], manifest.fold(name.lower()))


def wesnoth_pictures(root, units):
    for unit in units:
        sentence = re.split(r"(?<=[a-z])\. ", unit.prose)[0].strip(" .")
        captions = [unit.name] + ([" ".join(sentence.split()[:PROSE_WORDS])] if len(sentence) > 30 and "{" not in sentence else [])
        for path in (unit.picture, unit.portrait):
            if path:
                yield record(str(path.relative_to(root)), "wesnoth", "clean", captions, unit.name, ["race:" + unit.race],
                             wesnoth.fold(unit.name))


def shapes(root):
    """Pictures of easy-VQA's own training split, by what its questions tell: "a blue rectangle". One in five."""
    folder = root / "questions/easy_vqa/data/train"
    told = collections.defaultdict(dict)
    for question, answer, image in json.loads((folder / "questions.json").read_text()):
        if answer not in ("yes", "no"):
            told[image]["shape" if answer in ("circle", "rectangle", "triangle") else "color"] = answer
    for image, known in sorted(told.items()):
        if len(known) == 2 and image % 5 == 0:
            caption = known["color"] + " " + known["shape"]
            yield record(f"questions/easy_vqa/data/train/images/{image}.png", "easy_vqa", "clean", [caption], caption,
                         ["shape:" + known["shape"], "color:" + known["color"]], "train")


def read_pages(root):
    for path in sorted((root / "documents").glob("documents-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            page = json.loads(line)
            byte = hashlib.sha256(page["url"].encode()).digest()[0]
            page["split"] = "train" if byte < 205 else "validation" if byte < 230 else "test"
            page["texts"] = [reworded(t) if t else t for t in page["texts"]]
            yield page


def animations(root, found):
    for a in found:
        says = [f"{a.unit} {a.action}"]
        if a.weapon and a.action == "attacking":
            says.append(f"{a.unit} attacking with {'its ' if a.weapon in ('fangs', 'claws') else 'a '}{a.weapon}")
        yield {"frames": [str(path.relative_to(root)) for path in a.frames], "captions": [*says, a.race], "unit": a.unit,
               "race": a.race, "action": a.action, "split": wesnoth.fold(a.unit)}


def drop_rare_classes(pictures):
    """Leaves classes with enough training pictures, and none whose name a held-out folder bears."""
    held_out = {word.rstrip("s") for key in TEST_FOLDERS | VALIDATION_FOLDERS
                for word in re.split(r"[/_ ]", key.split("/")[-1] + " " + FOLDERS[key])}
    counts = collections.Counter(c for p in pictures if p["split"] == "train" for c in p["classes"])
    for p in pictures:
        if p["split"] == "train":
            p["classes"] = [c for c in p["classes"] if counts[c] >= MIN_CLASS and
                            c.split(":")[1].rstrip("s") not in held_out]


def write_text(path, text):
    beside = path.with_suffix(".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def write(path, lines):
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: mixture.py DIR")
    root = pathlib.Path(sys.argv[1])
    listed = {p["path"]: p for p in manifest.manifest(str(root / "pictures"))}
    units, found = wesnoth.read(root / "videos")
    pages = list(read_pages(root))
    for what, name in ((units, "videos/**/*.cfg"), (pages, "documents/documents-*.jsonl"), (listed, "pictures")):
        if not what:
            sys.exit(f"mixture.py: {root}/{name}: nothing found; examples/train --mixture fetches it")
    pictures = [*openclipart(root, listed), *emoji(listed), *held_out_sources(listed), *figures(root, pages),
                *kalzium(root), *wesnoth_pictures(root, units), *shapes(root)]
    drop_rare_classes(pictures)
    out = root / "mixture"
    out.mkdir(exist_ok=True)
    write(out / "pictures.jsonl", pictures)
    write(out / "pages.jsonl", pages)
    write(out / "animations.jsonl", animations(root, found))
    pairs = [p for p in pictures if p["stream"] in ("noisy", "clean")]
    write(out / "contrastive.jsonl", ({"path": p["path"], "source": p["source"], "caption": p["captions"][0],
                                       "concept": p["concept"]} for p in pairs))
    texts = [c + "." for p in pairs for c in p["captions"]]
    texts += [" ".join(t.split()) for page in pages if page["split"] == "train" for t in page["texts"] if t]
    write_text(out / "text.txt", "".join(t + "\n" for t in texts))
    counts = collections.Counter((p["source"], p["stream"] if p["stream"] != "none" else p["split"]) for p in pictures)
    for (source, part), n in sorted(counts.items()):
        print(f"{source:12} {part:18} {n}")
    classes = {c for p in pictures if p["split"] == "train" for c in p["classes"]}
    print(f"{len(pages)} pages, {len(found)} animations, {len(classes)} classes to name in context")


if __name__ == "__main__":
    main()
