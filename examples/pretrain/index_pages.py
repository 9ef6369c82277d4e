"""Writes the text of the last part of a small language model's pretraining: index pages as a browser of text shows them.

  index_pages.py TRAIN OUT     TRAIN is text.py's train.txt, to which captions may have been added

Half of OUT's text is TRAIN's. The rest are documents that name pictures, "image hill. image sand dune. image hill.", as the pages
of a folder do: in three of four, two to five names come again and again, in the others each stands once. The names are
what stands before a colon, which are WordNet's words but for a few clauses of novels, and short lines, which are captions. A model that has read such pages spends nothing of its gated blocks on their form.
"""
import pathlib
import random
import sys

import text


def name_of(document):
    """What a document names: a synset's first word, or a caption."""
    if ": " in document:
        return document.split(": ")[0].split(", ")[0]
    caption = document[:-1]
    return caption if document.endswith(".") and len(caption) < 60 and "." not in caption else None


def index_page(names, draw):
    things = [draw.choice(names) for _ in range(draw.randint(2, 5))] if draw.random() < 0.75 else None
    shown = [draw.choice(things or names) for _ in range(draw.randint(5, 16))]
    return "".join(f" image {name}." for name in shown).strip()


def main(train, out):
    draw = random.Random(1)
    documents = pathlib.Path(train).read_text(encoding="utf-8").splitlines()
    names = [name for name in map(name_of, documents) if name]
    if not names:
        sys.exit(f"index_pages.py: {train} names nothing, expected lines such as \"hill: a local elevation\" or \"a red hill.\"")
    kept = draw.sample(documents, len(documents) // 4)
    size, pages = sum(map(len, kept)), []
    while size > 0:
        pages.append(index_page(names, draw))
        size -= len(pages[-1])
    both = kept + pages
    draw.shuffle(both)
    out = pathlib.Path(out)
    text.write_whole(out, both)
    print(f"{out.name}: {len(pages)} index pages of {len(names)} names, {len(kept)} other documents, {out.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
