#!/usr/bin/env python3
"""What check_goldens makes of metadata: the configs as the peers read their own, and one line where there is none."""
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # the script is no module: nothing may lie beside it
SCRIPT = pathlib.Path(__file__).with_name("check_goldens")
LOADER = importlib.machinery.SourceFileLoader("check_goldens", str(SCRIPT))
check_goldens = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_goldens", LOADER))
LOADER.exec_module(check_goldens)
MODULES = check_goldens.families()


def check(case, config):
    return check_goldens.check_of({"case": case, "config": json.dumps(config)}, pathlib.Path("/none/golden.safetensors"),
                                  MODULES)


def decoder(kind, **fields):
    found = check("lm", {"k": kind, "cfg": fields})
    return found if isinstance(found, str) else found["arguments"]


class Configs(unittest.TestCase):
    def test_mpt_is_four_times_as_wide_whatever_its_config_says(self):
        mpt = decoder("mpt", d_model=12, n_heads=3, expansion_ratio=2, attn_config={"alibi_bias_max": 16})
        self.assertIn(".hidden = 48,", mpt)
        self.assertIn(".alibi = 8.0f", mpt)

    def test_rotations_without_scaling(self):
        self.assertNotIn("scaling", decoder("llama", rope_scaling={"rope_type": "default"}))
        self.assertIn("rotary_scaling = {.factor = 4.0f",
                      decoder("llama", rope_scaling={"rope_type": "llama3", "factor": 4, "low_freq_factor": 1,
                                                     "high_freq_factor": 4, "original_max_position_embeddings": 16}))

    def test_what_cannot_be_built_is_told_in_a_line(self):
        vision = {"hidden_size": 8, "attention_heads": 2, "vision_output_dim": 8, "intermediate_layers_indices": []}
        for found, expected in (
                (decoder("llama", rope_scaling={"type": "yarn"}), "ValueError: llama: rope_scaling is of type yarn"),
                (decoder("mpt", attn_config={"softmax_scale": 0.5}), "ValueError: mpt: softmax_scale is 0.5"),
                (check("idefics", {"cfg": {"hidden_act": "gelu"}}), "ValueError: hidden_act of the language model is gelu"),
                (check("mllama", {"t": {"cross_attention_layers": [1, 2]}, "v": vision}),
                 "ValueError: cross_attention_layers [1, 2]: two follow each other"),
                (check("xattn", {"kw": None}), "AttributeError"), (check("resampler", {}), "KeyError: 'kw'")):
            self.assertIsInstance(found, str)
            self.assertTrue(found.startswith(expected), found)
            self.assertNotIn("\n", found)

    def test_kinds_that_no_family_knows(self):
        self.assertIsNone(check("nothing", {}))


    def test_optimisers_and_tables(self):
        self.assertEqual(check("optim", {"dims": [8, 6, 3]})["arguments"], "flamingo::test::Sizes{8, 6, 3}")
        self.assertEqual(check("video_embeddings", {})["function"], "flamingo::test::check_video")


class Lists(unittest.TestCase):
    def test_are_known_by_their_keys_and_what_is_unknown_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, value in {"a.json": {"linear_warmup5_total20": []}, "b.json": {"uniform": [], "fps": []},
                                "c.json": {"scores": []}, "config.json": {}, "d.json": [1],
                                "e.json": {"f0": {"feature_shape": {}, "params_without_head": 1}}}.items():
                pathlib.Path(folder, name).write_text(json.dumps(value))
            known, unknown = check_goldens.lists(pathlib.Path(folder))
        self.assertEqual([path.name for path in known], ["a.json", "b.json", "e.json"])
        self.assertEqual([path.name for path in unknown], ["c.json", "d.json"])


class Compiling(unittest.TestCase):
    def test_names_the_compilers_own_error(self):
        with tempfile.TemporaryDirectory() as folder:
            log = f"{folder}/out"
            said = "echo 'from error.hpp:1'; echo 'a.hpp:2: error: static assertion failed'; exit 1"
            failed = check_goldens.compile_all([["sh", "-c", said, log], ["sh", "-c", "exit 0", log + "2"]], 1)
        self.assertEqual(failed, {0: "a.hpp:2: error: static assertion failed"})

    def test_a_check_that_breaks_off_leaves_the_others(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "program")
            program.write_text("""#!/bin/sh
for file in ${@:-a b c}; do [ $file = b ] && exit 3; printf '%s\\tagrees\\n' $file; done
""")
            program.chmod(0o755)
            found = check_goldens.results(program, [pathlib.Path(name) for name in "abc"])
        self.assertEqual([found[pathlib.Path(name)] for name in "abc"],
                         ["agrees", "DIFFERS: its check breaks off with status 3", "agrees"])


class Folders(unittest.TestCase):
    def test_one_with_nothing_to_check_does_not_agree(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, SCRIPT, folder, "--build", f"{folder}/build"],
                                  capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds nothing that could be checked", done.stderr)


if __name__ == "__main__":
    unittest.main()
