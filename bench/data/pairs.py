"""Pairs by the loader and by webdataset with Pillow, in turns on the same cores: pairs.py BENCH_PAIRS SHARDS TOKENIZER

Both read every sample once, decode, lay transparency over white, resize to 224 with Pillow's antialiased bicubic, pad to
a square and put 64 in a batch. The loader tokenises the captions too. webdataset's workers are processes that keep their
batches (no cost of handing them over is counted). Needs webdataset, numpy and Pillow."""
import json
import multiprocessing
import pathlib
import resource
import subprocess
import sys
import time

import numpy
import PIL
import webdataset
from PIL import Image

program, shards, tokenizer = sys.argv[1:4]
workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
SIDE, BATCH = 224, 64
PIL.Image.MAX_IMAGE_PIXELS = 40_000_000


def squared(image):
    if image.mode in ("P", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    ratio = SIDE / max(image.size)
    size = tuple(min(SIDE, max(1, round(extent * ratio))) for extent in image.size)
    image = image.resize(size, Image.BICUBIC)
    square = Image.new("RGB", (SIDE, SIDE), (124, 116, 104))
    square.paste(image, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return numpy.asarray(square)


def work(urls):
    """Reads its shards; returns how many pictures, and the processor time it took."""
    import io
    begun = resource.getrusage(resource.RUSAGE_SELF)
    count, batch = 0, []
    for sample in webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).shuffle(1000):
        data = next((sample[name] for name in ("jpg", "png", "gif") if name in sample), None)
        batch.append((squared(Image.open(io.BytesIO(data))), sample["txt"].decode()))
        count += 1
        if len(batch) == BATCH:
            numpy.stack([pixels for pixels, _ in batch])
            batch = []
    used = resource.getrusage(resource.RUSAGE_SELF)
    return count, used.ru_utime + used.ru_stime - begun.ru_utime - begun.ru_stime


if __name__ == "__main__":
    files = sorted(str(p) for p in pathlib.Path(shards).glob("*.tar"))
    rounds = []
    with multiprocessing.Pool(workers) as pool:
        pool.map(work, [files[:1]] * workers)  # imports, and the files into the page cache
        for turn in range(5):
            begun = time.perf_counter()
            done = pool.map(work, [files[w::workers] for w in range(workers)], chunksize=1)
            theirs = sum(n for n, _ in done) / (time.perf_counter() - begun)
            theirs_cpu = sum(n for n, _ in done) / sum(t for _, t in done)
            ours = json.loads(subprocess.run([program, shards, tokenizer, str(workers), str(SIDE)], check=True,
                                             capture_output=True).stdout)
            assert ours["pictures"] == sum(n for n, _ in done), (ours, done)
            mine = ours["pictures"] / ours["seconds"]
            mine_cpu = ours["pictures"] / ours["processor_seconds"]
            rounds.append((mine / theirs, mine_cpu / theirs_cpu))
            print(f"pictures/s of wall time: loader {mine:.0f}, webdataset {theirs:.0f}, ratio {mine / theirs:.2f};  "
                  f"of processor time: {mine_cpu:.0f}, {theirs_cpu:.0f}, ratio {mine_cpu / theirs_cpu:.2f}", flush=True)
    wall, processor = (sorted(column)[2] for column in zip(*rounds))
    print(f"median ratio: {wall:.2f} of wall time, {processor:.2f} of processor time "
          f"(webdataset {webdataset.__version__}, Pillow {PIL.__version__}, {workers} workers)")
