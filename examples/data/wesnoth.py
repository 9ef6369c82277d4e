"""Animations and units of Wesnoth, as the game's own text files (WML) tell them.

units(root) and animations(root) read what `fetch videos` unpacked below root: [unit_type] with its name, race, pictures and
prose, and its [attack_anim], [idle_anim], ... with the frames and the milliseconds of each. Nothing of the game runs: macros
are left out, so an animation that a macro makes is not seen.
"""
import collections
import hashlib
import pathlib
import re

CORE = "*/usr/share/games/*/*/data/core"
ACTIONS = {"attack_anim": "attacking", "idle_anim": "idle", "death": "dying", "standing_anim": "standing",
           "movement_anim": "moving", "defend": "defending", "healing_anim": "healing", "recruit_anim": "arriving"}
RACES = {"undead": "undead", "falcon": "falcon"}
FRAMES = 8

Animation = collections.namedtuple("Animation", "unit race action weapon frames")
Unit = collections.namedtuple("Unit", "name race prose picture portrait")


def fold(unit):
    """By unit: all that is known of one is trained on, or held out."""
    byte = hashlib.sha256(unit.encode()).digest()[0]
    return "train" if byte < 205 else "validation" if byte < 230 else "test"


def cores(root):
    return sorted(pathlib.Path(root).glob(CORE))


def numbers(text):
    """"1~4,3,2" as [1, 2, 3, 4, 3, 2]; "4~1" runs down."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("~")
        a, b = int(first), int(last or first)
        found += range(a, b + 1) if a <= b else range(a, b - 1, -1)
    return found


def repeated(text):
    """"75*2,100" as ["75", "75", "100"]; "1~4" stays what it is."""
    found = []
    for part in text.split(","):
        value, _, times = part.partition("*")
        found += [value] * int(times or 1)
    return found


def frames_of(image):
    """The files and milliseconds of one `image=` of a frame; none where a macro or a transparency function is part of it."""
    image = image.split("~")[0] if "~" in image and "[" not in image.split("~")[0] else image
    path, _, times = image.partition(":")
    if "{" in image or not path.endswith(".png"):
        return []
    square = re.search(r"\[([\d~,*]+)\]", path)
    if square:
        names = [n for part in repeated(square.group(1)) for n in numbers(part)]
        paths = [path[:square.start()] + str(n) + path[square.end():] for n in names]
    else:
        paths = [path]
    times = repeated(times.strip("[]") or "100")
    if not all(t.isdigit() for t in times):
        return []
    return [(p, int(times[min(i, len(times) - 1)])) for i, p in enumerate(paths)]


def sampled(frames):
    """At most eight frames at equal distances of the whole duration, as many as there are different ones at most."""
    count = min(FRAMES, len({path for path, _ in frames}))
    total, chosen = sum(time for _, time in frames), []
    for i in range(count):
        at, passed = (i + 0.5) * total / count, 0
        for path, time in frames:
            passed += time
            if at < passed:
                chosen.append(path)
                break
    return chosen


class Reader:
    """Walks one file; keeps the tags that are open and what the innermost unit_type, animation and frame said."""

    def __init__(self, images):
        self.images, self.open, self.units, self.animations = images, [], [], []

    def read(self, text):
        said = {}
        for line in re.sub(r'_?\s*"((?:[^"]|"")*)"', lambda m: '"' + m.group(1).replace("\n", " ") + '"', text).split("\n"):
            line = line.strip()
            tag = re.fullmatch(r"\[(/|\+)?([a-z_]+)\]", line)
            if tag and tag.group(1) != "/":
                self.open.append(tag.group(2))
                if tag.group(2) == "unit_type":
                    said = {}
                elif tag.group(2) in ACTIONS:
                    self.frames, self.weapon = [], ""
            elif tag:
                if self.open:
                    self.open.pop()
                if tag.group(2) in ACTIONS:
                    self.end_of_animation(said, tag.group(2))
                elif tag.group(2) == "unit_type":
                    self.end_of_unit(said)
            elif "=" in line and self.open:
                key, _, value = line.partition("=")
                value = value.strip().strip('"').strip()
                if self.open == ["unit_type"]:
                    said[key.strip()] = value
                elif self.open[-1] == "frame" and key.strip() == "image" and hasattr(self, "frames"):
                    self.frames += frames_of(value)
                elif self.open[-1] == "filter_attack" and key.strip() == "name" and hasattr(self, "weapon"):
                    self.weapon = value.split(",")[0].replace("_", " ")

    def end_of_unit(self, said):
        name, race = name_of(said), said.get("race", "")
        if name and race and "{" not in name:
            self.units.append(Unit(name, race, said.get("description", ""), self.file(said.get("image", "")),
                                   self.file(said.get("profile", ""))))

    def end_of_animation(self, said, tag):
        frames = [(self.file(path), time) for path, time in self.frames if path.startswith("units/")]
        frames = [(path, time) for path, time in frames if path and time > 0]
        name, race = name_of(said), said.get("race", "")
        if name and race and "{" not in name and len({path for path, _ in frames}) >= 3:
            self.animations.append(Animation(name, race, ACTIONS[tag], self.weapon, sampled(frames)))

    def file(self, name):
        path = self.images / name.split("~")[0].split(":")[0]
        return path if name and path.is_file() else None


def name_of(said):
    return said.get("name", "").split("^")[-1].lower()


def read(root):
    units, animations = {}, []
    for core in cores(root):
        for path in sorted((core / "units").glob("**/*.cfg")):
            reader = Reader(core / "images")
            reader.read(path.read_text(encoding="utf-8"))
            for unit in reader.units:
                units.setdefault(unit.name, unit)
            animations += reader.animations
    return list(units.values()), animations
