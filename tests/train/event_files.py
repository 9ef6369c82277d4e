"""What tensorboard reads of the event files that tests/train/event_file_test.cpp wrote: event_files.py FOLDER"""
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = EventAccumulator(sys.argv[1]).Reload()
tags = run.Tags()["scalars"]
assert sorted(tags) == ["loss/pairs", "rate"], tags
loss = [(e.step, e.value) for e in run.Scalars("loss/pairs")]
expected = [(step, 1 / step) for step in range(1, 7)] + [(7, -7), (8, -8)]
assert len(loss) == len(expected), loss
assert all(a[0] == b[0] and abs(a[1] - b[1]) < 1e-7 for a, b in zip(loss, expected)), loss
assert [e.value for e in run.Scalars("rate")] == 6 * [0.5] + 2 * [0.25]
