#!/usr/bin/env python3
"""Prints the results of examples/pretrain/contrastive as a table: means and ranges over seeds.

    contrastive_table.py OUT
"""
import glob
import json
import os
import sys


def spread(values):
    middle = sum(values) / len(values)
    return f"{100 * middle:5.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: contrastive_table.py OUT")
    runs = []
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*-*.json"))):
        with open(path, encoding="utf-8") as file:
            runs.append(json.load(file))
    if not runs:
        sys.exit(f"contrastive_table.py: {sys.argv[1]} holds no results; run examples/pretrain/contrastive")
    for part, what in ("items", "pictures of concepts that are taught"), ("concepts", "of concepts that are not"):
        first = runs[0][part]
        print(f"\n{first['pictures']:.0f} held-out {what}, R@1 in per cent, mean (least to most) over seeds:")
        print(f"  {'':14s} texts by pictures      pictures by texts      texts of several sentences")
        chance = f"{100 * first['chance']['at_1']:5.1f}"
        print(f"  {'chance':14s} {chance:22s} {chance:22s} {chance}")
        pixels = [f"{100 * first[key]['at_1']:5.1f}" for key in ("nearest_pixels", "nearest_pixels_by_texts")]
        print(f"  {'nearest pixels':14s} {pixels[0]:22s} {pixels[1]}")
        for mixing in sorted({run["mixing"] for run in runs}):
            some = [run[part] for run in runs if run["mixing"] == mixing]
            cells = [spread([run[key]["at_1"] for run in some])
                     for key in ("texts_by_pictures", "pictures_by_texts", "zero_shot")]
            print(f"  {mixing:14s} {cells[0]:22s} {cells[1]:22s} {cells[2]}  [{len(some)} seeds]")


if __name__ == "__main__":
    main()
