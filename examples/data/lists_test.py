#!/usr/bin/env python3
"""What the lists of the training mixture are made of: animations out of WML, windows of pages, captions, classes."""
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import eval_tasks  # noqa: E402
import mixture  # noqa: E402
import wesnoth  # noqa: E402

UNIT = """
[unit_type]
    id=Elvish Archer
    name= _ "Elvish Archer"
    race=elf
    image="units/elves/archer.png"
    description= _ "As foragers, elves learn archery
from a young age. It is a common pastime."
    [attack]
        name=sword
    [/attack]
    [attack_anim]
        [filter_attack]
            name=bow
        [/filter_attack]
        [missile_frame]
            image="projectiles/missile-n.png"
        [/missile_frame]
        [frame]
            image="units/elves/archer-bow[1~3].png:[75*2,150]"
        [/frame]
    [/attack_anim]
    [idle_anim]
        {STANDARD_IDLE_FILTER}
        [frame]
            image="units/elves/archer.png:100"
        [/frame]
    [/idle_anim]
[/unit_type]
"""


class Wesnoth(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        core = root / "package/usr/share/games/wesnoth/1.16/data/core"
        for name in ("archer", "archer-bow1", "archer-bow2", "archer-bow3"):
            path = core / f"images/units/elves/{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (core / "units").mkdir()
        (core / "units/archer.cfg").write_text(UNIT, encoding="utf-8")
        self.units, self.animations = wesnoth.read(root)

    def tearDown(self):
        self.folder.cleanup()

    def test_an_animation_has_its_own_frames_and_its_weapon(self):
        self.assertEqual(len(self.animations), 1)  # the idle one has one frame only
        found = self.animations[0]
        self.assertEqual((found.unit, found.race, found.action, found.weapon), ("elvish archer", "elf", "attacking", "bow"))
        self.assertEqual([p.name for p in found.frames], ["archer-bow1.png", "archer-bow3.png", "archer-bow3.png"])
        # 75, 75 and 150 ms: three moments at equal distances

    def test_the_unit_is_named_by_itself_and_not_by_its_weapons(self):
        self.assertEqual(self.units[0].name, "elvish archer")
        self.assertTrue(self.units[0].prose.startswith("As foragers, elves learn archery from a young age."))
        self.assertEqual(self.units[0].picture.name, "archer.png")
        self.assertIsNone(self.units[0].portrait)

    def test_times(self):
        self.assertEqual(wesnoth.frames_of("units/a-[1~3,2].png:[75*2,150]"),
                         [("units/a-1.png", 75), ("units/a-2.png", 75), ("units/a-3.png", 150), ("units/a-2.png", 150)])
        self.assertEqual(wesnoth.frames_of("{BASE}.png:100"), [])
        self.assertEqual(wesnoth.sampled([("a", 300), ("b", 50), ("c", 50)]), ["a", "a", "b"])
        self.assertEqual(len(wesnoth.sampled([(str(i), 10) for i in range(20)])), 8)


class Lists(unittest.TestCase):
    def test_no_text_holds_the_tag(self):
        self.assertEqual(mixture.reworded("Images of an image"), "Pictures of a picture")

    def test_classes_that_a_held_out_folder_names_are_dropped(self):
        pictures = [{"split": "train", "classes": ["keyword:bird", "keyword:fish", "keyword:rare"]} for _ in range(5)]
        pictures[0]["classes"].remove("keyword:rare")
        mixture.drop_rare_classes(pictures)
        self.assertEqual(pictures[0]["classes"], ["keyword:fish"])
        self.assertEqual(pictures[1]["classes"], ["keyword:fish"])

    def test_a_window_ends_before_what_is_asked(self):
        page = {"id": "p", "split": "test", "images": [None, "1.png", None, "2.png", None],
                "texts": ["word " * 200, None, "what the first shows here", None, "what the second shows here"]}
        windows = list(eval_tasks.page_windows([page], "test"))
        self.assertEqual(len(windows), 1)  # one of three pictures
        self.assertEqual(windows[0]["answers"], ["what the first shows here"])
        text = windows[0]["fields"]["page"]
        self.assertTrue(text.endswith("<image>"))
        self.assertEqual(text.count("word"), eval_tasks.PAGE_WORDS)
        self.assertEqual(windows[0]["media"], ["documents/images/1.png"])


if __name__ == "__main__":
    unittest.main()
