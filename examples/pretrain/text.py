"""Writes the text that examples/pretrain trains on, one document a line:

  text.py WORDNET AUSTEN OUT     OUT/train.txt and OUT/heldout.txt

WORDNET is the unpacked Debian package wordnet-base: each synset is a document, "hill: a local and well-defined
elevation of the land". AUSTEN is r-cran-janeaustenr: each paragraph of six novels is one. Held out are one synset in
twenty, by a hash of its place, and the whole of Persuasion.
"""
import hashlib
import pathlib
import struct
import sys
import zlib


def synsets(folder):
    """Yields (place, text) of each synset of WordNet's data files (wndb(5WN))."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"usr/share/wordnet/data.{part}").read_text(encoding="ascii").splitlines():
            if line.startswith(" "):  # the licence
                continue
            fields, gloss = line.split(" | ", 1)
            fields = fields.split()
            words = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            words = [w.split("(")[0] for w in words]  # an adjective's place: galore(ip)
            yield part + fields[0], ", ".join(words) + ": " + gloss.strip()


def strings(data):
    """The character vector that an R object in XDR serialisation is."""
    at = data.index(b"\0\0\0\x10", 14)  # the flags of a vector of strings
    count = struct.unpack_from(">I", data, at + 4)[0]
    at += 8
    for _ in range(count):
        flags, size = struct.unpack_from(">Ii", data, at)
        if flags & 0xFF != 9:
            sys.exit(f"text.py: {flags & 0xFF} is no string of R")
        yield data[at + 8:at + 8 + max(size, 0)].decode("utf-8")
        at += 8 + max(size, 0)


def novels(folder):
    """Yields (title, paragraphs) of the objects in the package's lazy-load database."""
    data = (folder / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    at = 0
    while at < len(data):
        unpacking = zlib.decompressobj()
        lines = list(strings(unpacking.decompress(data[at + 4:])))  # after the size of what is packed
        at = len(data) - len(unpacking.unused_data)
        paragraphs, now = [], []
        for line in lines + [""]:
            if line.strip():
                now.append(line.strip())
            elif now:
                paragraphs.append(" ".join(now))
                now = []
        yield lines[0].strip().lower(), paragraphs


def write_whole(path, documents):
    """A file of a document a line, whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("\n".join(documents) + "\n", encoding="utf-8")
    unfinished.rename(path)


def main(wordnet, austen, out):
    train, heldout = [], []
    for place, text in synsets(pathlib.Path(wordnet)):
        (heldout if hashlib.sha256(place.encode()).digest()[0] < 13 else train).append(text)
    # Their order in the files is by subject: drawn windows shall hold many.
    train.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
    heldout.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
    for title, paragraphs in novels(pathlib.Path(austen)):
        (heldout if title == "persuasion" else train).extend(paragraphs)
    for name, lines in ("train", train), ("heldout", heldout):
        path = pathlib.Path(out) / f"{name}.txt"
        write_whole(path, lines)
        print(f"{path.name}: {len(lines)} documents, {path.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
