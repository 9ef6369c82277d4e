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
        print(f"  {'chance':14s} {100 * first['chance']['at_1']:5.2f}")
        if "nearest_pixels" in first:
            print(f"  {'nearest pixels':14s} {100 * first['nearest_pixels']['at_1']:5.1f}")
        for mixing in sorted({run["mixing"] for run in runs}):
            some = [run[part] for run in runs if run["mixing"] == mixing]
            each = {
                name: spread([run[key]["at_1"] for run in some])
                for name, key in (("texts by pictures", "texts_by_pictures"), ("pictures by texts", "pictures_by_texts"),
                                  ("several sentences", "zero_shot"))
            }
            print(f"  {mixing:14s} " + "  ".join(f"{name} {value}" for name, value in each.items())
                  + f"  [{len(some)} seeds]")


if __name__ == "__main__":
    main()
