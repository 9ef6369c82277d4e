"""What bench/run measured, as records, and its tables with what is aimed at beside each figure."""
import json
import math
import statistics

PEER_TASKS = ("vision", "resample", "prefill", "decode", "beam", "score", "train", "score1000")
FIELDS = ("task", "size", "shots", "dtype", "threads", "ours_seconds", "peer_seconds", "ratio")

# Theirs / ours in float32 at `small`; `3b` where it differs; the peer computes in float32 whatever ours is held in.
AIMS = {("vision", None): 1.5, ("resample", None): 1.5, ("prefill", 0): 2, ("prefill", 4): 2, ("prefill", 32): 2,
        ("decode", 0): 2.5, ("decode", 32): 5, ("beam", 0): 5, ("beam", 32): 10, ("score", 0): 12, ("score", 32): 8,
        ("score1000", 0): 30, ("score1000", 32): 50, ("train", 5): 1.4}
AIMS_3B = AIMS | {("decode", 0): 1.8, ("decode", 32): 3, ("prefill", 0): 1.6, ("prefill", 4): 1.6, ("prefill", 32): 1.6}
AIMS_INT8 = {"small": {("decode", 0): 8, ("decode", 32): 20}, "3b": {("decode", 0): 7, ("decode", 32): 11}}


def aim_of(size, task, shots, dtype):
    if size == "smollm2-135m":
        return 1.5
    if dtype.startswith("int8"):
        return AIMS_INT8.get(size, {}).get((task, shots))
    if dtype != "float32":
        return None
    return {"small": AIMS, "3b": AIMS_3B}.get(size, {}).get((task, shots))


class Results:
    """Lines of our programs and of the peers', process by process."""

    def __init__(self, threads):
        self.threads = threads
        self.ours, self.theirs, self.measured = {}, {}, []  # seconds; seconds; (key, value, limit) of a process
        self.by_eigen = {}  # seconds of ours where Eigen multiplies
        self.peaks = {}  # bytes that a process held which did nothing but train: ours by its key, theirs without dtype
        self.alone = []  # records that one process makes
        self.scaled = {}  # of a peer's figure: from how many answers

    def add_ours(self, lines):
        for line in lines:
            key = line["task"], line["size"], line["shots"], line["dtype"]
            if line["task"] == "memory":
                self.alone.append((key, {}, {"achieved": line["measured"], "limit": line["planned"],
                                             "share": line["measured"] / line["planned"]}))
            elif line["task"] == "quality":
                self.alone.append((key, {}, {"achieved": line["nats"], "limit": line["nats_float32"],
                                             "share": line["kept"]}))
            elif line["task"] == "equal_text":
                self.measured.append((key, line["seconds"], line["seconds_at_0_shots"]))
            elif "seconds" in line:
                self.add_peak(key, line)
                self.ours.setdefault(key, []).append(line["seconds"])
                for counted, name in (("bytes", " bandwidth"), ("operations", " operations")):
                    if "limit" in line and counted in line:
                        self.measured.append(((key[0] + name, *key[1:]), line[counted] / line["seconds"], line["limit"]))

    def add_by_eigen(self, lines):
        for line in lines:
            self.by_eigen.setdefault((line["task"], line["size"], line["shots"], line["dtype"]), []).append(line["seconds"])

    def add_theirs(self, lines, size=None, task=None, scale=None):
        for line in lines:
            key = task or line["task"], size or line["size"], line.get("shots")
            self.theirs.setdefault(key, []).append(scale(line) if scale else line["seconds"])
            self.add_peak(key, line)

    def add_peak(self, key, line):
        if key[0] == "train":
            self.peaks.setdefault(key, []).append(line["peak_rss_mib"] * 2**20)

    def records(self):
        for key, seconds in self.ours.items():
            if key[0] in PEER_TASKS:
                own = statistics.median(seconds)
                peer = statistics.median(self.theirs[key[:3]]) if key[:3] in self.theirs else None
                record = self.record(key, own, peer, peer and peer / own)
                if key in self.by_eigen:
                    record["eigen_seconds"] = statistics.median(self.by_eigen[key])
                if peer and key[:3] in self.scaled:
                    record["peer_scaled_from_answers"] = self.scaled[key[:3]]
                yield record
        for key in dict.fromkeys(key for key, _, _ in self.measured):
            pairs = [pair[1:] for pair in self.measured if pair[0] == key]
            yield self.record(key, self.seconds(key)) | {
                "achieved": statistics.median(value for value, _ in pairs),
                "limit": statistics.median(limit for _, limit in pairs),
                "share": statistics.median(value / limit for value, limit in pairs)}
        yield from self.against_float32()
        for key, peaks in self.peaks.items():
            if len(key) == 4 and key[:3] in self.peaks:
                own, peer = statistics.median(peaks), statistics.median(self.peaks[key[:3]])
                yield self.record(("train memory", *key[1:])) | {"achieved": own, "limit": peer, "share": own / peer}
        for key, _, more in self.alone:
            yield self.record(key) | more

    def record(self, key, own=None, peer=None, ratio=None):
        task, size, shots, dtype = key
        return dict(zip(FIELDS, (task, size, shots, dtype, self.threads, own, peer, ratio)))

    def seconds(self, key):
        times = self.ours.get((key[0].split(" bandwidth")[0].split(" operations")[0], *key[1:]))
        return statistics.median(times) if times else None

    def against_float32(self):
        """How many times as fast as our own float32 a narrower form is; its limit is how many times fewer bytes it reads."""
        for key, seconds in self.ours.items():
            task, size, shots, dtype = key
            wide = self.ours.get((task, size, shots, "float32"))
            if dtype == "float32" or not wide or task not in ("decode", "prefill"):
                continue
            own = statistics.median(seconds)
            achieved = statistics.median(wide) / own
            limit = {"int8": 4, "bfloat16": 2, "bfloat16_rounded": 2, "int8_rounded": 4}[dtype]
            yield self.record((task + " over float32", size, shots, dtype), own) | {
                "achieved": achieved, "limit": limit, "share": achieved / limit}


def limit_lines(record, bf16_units):
    """(what, achieved, limit, share, aim, reached) of a record that has a limit, in words."""
    task, size, shots, dtype = (record[name] for name in FIELDS[:4])
    achieved, limit, share = record["achieved"], record["limit"], record["share"]
    whole = size in ("small", "3b")
    if task.endswith(" bandwidth"):
        aim = 0.85 if whole else None
        return f"{achieved / 1e9:.1f} GB/s", f"{limit / 1e9:.1f} GB/s read", f"{share:.2f}", aim and f"≥ {aim}", aim and share >= aim
    if task.endswith(" operations"):
        aim = (0.8 if task.startswith("product") else 0.7 if task.startswith("prefill") else None) if whole and dtype == "float32" else None
        return f"{achieved / 1e9:.0f} GFLOP/s", f"{limit / 1e9:.0f} GFLOP/s", f"{share:.2f}", aim and f"≥ {aim}", aim and share >= aim
    if task == "equal_text":
        return (f"{1000 * achieved:.2f} ms", f"{1000 * limit:.2f} ms after one image", f"{share:.3f}", "≤ 1.10", share <= 1.1)
    if task.endswith(" over float32"):
        aim = 3.3 if whole and task.startswith("decode") and dtype.startswith("int8") else \
            1.6 if whole and bf16_units and task.startswith("prefill") and dtype == "bfloat16_rounded" else None
        return f"{achieved:.2f} ×", f"{limit:.0f} × fewer bytes", f"{share:.2f}", aim and f"≥ {aim} ×", aim and achieved >= aim
    if task == "train memory":
        aim = 0.6 if whole else None
        return f"{achieved / 2**20:.0f} MiB", f"{limit / 2**20:.0f} MiB of the peer's", f"{share:.3f}", aim and f"≤ {aim}", aim and share <= aim
    if task == "memory":
        fits = not (size == "3b" and dtype.startswith("int8")) or achieved <= 4 << 30
        aim = "within 5 %" + (", ≤ 4 GiB" if size == "3b" and dtype.startswith("int8") else "")
        reached = abs(share - 1) <= 0.05 and fits
        return f"{achieved / 2**30:.3f} GiB", f"{limit / 2**30:.3f} GiB planned", f"{share:.3f}", aim if whole else None, reached if whole else None
    aim = 0.99 if "int8" in dtype or dtype == "stored" else None
    return (f"{achieved:.4f} nats a token", f"{limit:.4f} in float32: {achieved - limit:+.4f}", f"{share:.4f} of greedy tokens stay",
            aim and f"≥ {aim}", aim and share >= aim)


def mark(reached):
    return "" if reached is None else "yes" if reached else "no"


def milliseconds(seconds):
    if seconds is None:
        return ""
    digits = max(0, 2 - math.floor(math.log10(1000 * seconds))) if seconds > 0 else 0
    return f"{1000 * seconds:.{min(digits, 3)}f}"


def tables(records, bf16_units):
    """Two tables, each its title and rows of cells, the first of which are the columns' names."""
    times = [("size", "task", "shots", "held as", "ours, ms", "theirs, ms", "theirs / ours", "aim", "reached")]
    limits = [("size", "task", "shots", "held as", "achieved", "beside", "share", "aim", "reached")]
    for r in records:
        begin = r["size"], r["task"], "" if r["shots"] is None else str(r["shots"]), r["dtype"]
        if "achieved" in r:
            *cells, aim, reached = limit_lines(r, bf16_units)
            limits.append((*begin, *cells, aim or "", mark(reached)))
            continue
        aim = aim_of(r["size"], r["task"], r["shots"], r["dtype"]) if r["ratio"] else None
        scaled = f" (scaled from {r['peer_scaled_from_answers']} answers)" if "peer_scaled_from_answers" in r else ""
        times.append((*begin, milliseconds(r["ours_seconds"]), milliseconds(r["peer_seconds"]) + scaled,
                      f"{r['ratio']:.2f}" if r["ratio"] else "", f"≥ {aim}" if aim else "", mark(aim and r["ratio"] >= aim)))
    if any("eigen_seconds" in r for r in records):
        cells = ["where Eigen multiplies, ms", *(milliseconds(r.get("eigen_seconds")) for r in records if "achieved" not in r)]
        times = [(*row[:5], cell, *row[5:]) for row, cell in zip(times, cells)]
    return [("Beside the peers", times), ("Beside what this machine does", limits)]


def as_text(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) if i in (0, 1, 3) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
                     for row in rows)


def as_markdown(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])


def as_json(records):
    return "".join(json.dumps(record) + "\n" for record in records)
