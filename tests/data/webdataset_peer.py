"""Python's webdataset and wids read our shards, and we theirs: webdataset_peer.py FLAMINGO_DATA [--fixture]

Needs webdataset and Pillow (PyPI) beside flamingo-data; wids and torch where they are there. --fixture writes tests/fixtures/shards anew."""
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import webdataset
from PIL import Image

try:
    import wids
except ImportError:  # it wants torch
    wids = None

here = pathlib.Path(__file__).resolve().parent.parent
tool = sys.argv[1]


def picture(number, form):
    out = io.BytesIO()
    Image.new("RGB", (16 + number, 12), (number * 40 % 256, 90, 200)).save(out, form)
    return out.getvalue()


def write_theirs(folder):
    """Pairs as img2dataset writes them, MMC4 and OBELICS pages, names beyond ustar's 100 bytes, folders, meta files."""
    folder.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(folder / "pairs.tar")) as sink:
        for n in range(5):
            sink.write({"__key__": f"{n:09}", "jpg": picture(n, "JPEG"), "txt": f"picture número {n}",
                        "json": json.dumps({"caption": f"picture {n}", "url": "https://example.org", "width": 16 + n})})
    with webdataset.TarWriter(str(folder / "pages.tar"), format="PAX_FORMAT") as sink:
        mmc4 = {"text_list": ["One.", "Two.", "Three."], "similarity_matrix": [[0.1, 0.3, 0.2]],
                "image_info": [{"image_name": "a.png", "matched_text_index": 1, "matched_sim": 0.3}]}
        sink.write({"__key__": "folder/" + "long" * 40 + "/mmc4", "json": json.dumps(mmc4), "a.png": picture(1, "PNG")})
        obelics = {"texts": ["Before", None, "after"], "images": [None, "0.png", None], "metadata": "[]"}
        sink.write({"__key__": "obelics", "json": json.dumps(obelics), "0.png": picture(2, "PNG")})


def stats(folder):
    return json.loads(subprocess.run([tool, "stats", "--json", str(folder)], check=True, capture_output=True).stdout)


if "--fixture" in sys.argv:
    write_theirs(here / "fixtures" / "shards")
    sys.exit()

with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    theirs = work / "theirs"
    write_theirs(theirs)
    subprocess.run([tool, "verify", str(theirs)], check=True)
    found = stats(theirs)
    assert found["pairs"] == 5 and found["pages"] == 2 and found["image files"] == 7, found

    # Ours, out of a list of pictures and of a document with two of them.
    source = work / "source"
    source.mkdir()
    captions = [f"a colour {n}, ünïcode" for n in range(11)]
    pictures = [picture(n, "JPEG" if n % 2 else "PNG") for n in range(11)]
    for n, data in enumerate(pictures):
        (source / f"{n}.bin").write_bytes(data)
    lines = [json.dumps({"path": f"{n}.bin", "caption": c}) for n, c in enumerate(captions)]
    page = {"id": "p", "texts": ["one", None, "two", None], "images": [None, "0.bin", None, "1.bin"]}
    (source / "list.jsonl").write_text("\n".join(lines + [json.dumps(page)]) + "\n")
    subprocess.run([tool, "pack", str(work / "ours"), "mine", str(source / "list.jsonl"), "--samples", "5"], check=True)
    subprocess.run([tool, "verify", str(work / "ours")], check=True)

    shards = sorted(str(p) for p in (work / "ours").glob("*.tar"))
    assert len(shards) == 3, shards
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert len(samples) == 12
    for n, sample in enumerate(samples[:11]):
        assert sample["txt"].decode() == captions[n] and sample["png" if n % 2 == 0 else "jpg"] == pictures[n]
    last = samples[11]
    assert json.loads(last["json"])["texts"] == page["texts"]
    assert last["0.png"] == pictures[0] and last["1.jpg"] == pictures[1]
    decoded = list(webdataset.WebDataset(shards[:1], shardshuffle=False).decode("pil").to_tuple("jpg;png", "txt"))
    assert [image.size for image, _ in decoded] == [(16 + n, 12) for n in range(5)]
    if wids is not None:
        by_number = wids.ShardListDataset(str(work / "ours" / "index.json"), base=str(work / "ours"))
        assert len(by_number) == 12 and by_number[7][".txt"] == captions[7], by_number[7]
print("webdataset", webdataset.__version__, "reads ours, we read theirs; wids", "reads ours" if wids else "is not here")
