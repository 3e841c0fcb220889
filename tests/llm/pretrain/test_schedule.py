"""Learning rates, and which segments a longer run leaves valid."""

import re
import subprocess
import sys
from dataclasses import asdict

import pytest
import yaml

from llm.errors import InputError
from llm.pretrain.segments import Pretrain, checkpoint_steps, segment_slice
from llm.pretrain.settings import SegmentSettings
from llm.settings import made

WSD = asdict(
    Pretrain(steps=100, checkpoint_every=20, warmup_steps=10, decay_steps=40, validation_tokens=1000, schedule="wsd")
)


def factors(pretrain: dict) -> list[float]:
    """The factor at every step, each taken from the slice of its own segment."""
    every = pretrain["checkpoint_every"]
    stops = [-(-step // every) * every for step in range(1, pretrain["steps"] + 1)]
    slices = [made(SegmentSettings, segment_slice(pretrain, 1, stop - every, stop)) for stop in stops]
    return [slice_.schedule.factor(step) for step, slice_ in enumerate(slices, start=1)]


def test_wsd() -> None:
    values = factors(WSD)
    assert values[0] == 0.1
    assert values[9:61] == [1.0] * 52
    assert values[80] == pytest.approx(0.5)
    assert values[99] == pytest.approx(1 / 40), "no step is lost"


def test_cosine() -> None:
    values = factors(WSD | {"schedule": "cosine", "final_fraction": 0.1})
    assert values[4] == 0.5
    assert values[9] == 1.0
    assert values[55] == pytest.approx(0.55)
    assert values[99] == pytest.approx(0.10027, abs=1e-5)
    assert values[10:] == sorted(values[10:], reverse=True)


def test_cosine_with_a_constant_tail() -> None:
    values = factors(WSD | {"schedule": "cosine", "final_fraction": 0.1, "tail_steps": 20})
    assert values[45] == pytest.approx(0.55)
    assert values[80:] == pytest.approx([0.1] * 20)
    assert values[78] > values[79] > values[80]


def test_a_decay_of_no_steps() -> None:
    assert factors(WSD | {"decay_steps": 0})[9:] == [1.0] * 91
    only_tail = {"schedule": "cosine", "final_fraction": 0.1, "tail_steps": 90}
    assert factors(WSD | only_tail)[9:] == pytest.approx([1.0] + [0.1] * 90)


def test_a_longer_wsd_run_keeps_its_stable_segments() -> None:
    longer = WSD | {"steps": 200}
    for stop in (20, 40, 60):
        assert segment_slice(WSD, 1, stop - 20, stop) == segment_slice(longer, 1, stop - 20, stop)
        assert segment_slice(WSD, 1, stop - 20, stop)["validation_tokens"] == 1000
    assert segment_slice(WSD, 1, 60, 80)["schedule"] != segment_slice(longer, 1, 60, 80)["schedule"]
    assert segment_slice(WSD, 1, 80, 100)["validation_tokens"] is None


def test_checkpoints_end_at_the_last_step() -> None:
    assert checkpoint_steps(WSD) == [20, 40, 60, 80, 100]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 90}, "pretrain.steps: 90 is not a multiple of pretrain.checkpoint_every: 20"),
        ({"decay_steps": 95}, "pretrain.decay_steps: 95 and pretrain.warmup_steps: 10 together exceed"),
        ({"schedule": "cosine", "tail_steps": 95}, "pretrain.tail_steps: 95 and pretrain.warmup_steps: 10 together"),
    ],
)
def test_keys_that_do_not_go_together_are_refused_in_one_line(change: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        checkpoint_steps(WSD | change)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "written"),
    [
        ({"steps": 10}, "{steps: 10, checkpoint_every: 10, warmup_steps: 1, decay_steps: 5}"),
        ({"steps": 90}, "{steps: 90, checkpoint_every: 18}"),
        ({"steps": 97}, "{steps: 97, checkpoint_every: 97}"),
        ({"decay_steps": 95}, "{steps: 100, checkpoint_every: 20, warmup_steps: 10, decay_steps: 50}"),
    ],
)
def test_the_line_says_what_to_write_and_that_is_accepted(change: dict, written: str) -> None:
    with pytest.raises(InputError, match=f"write pretrain: {re.escape(written)}$"):
        checkpoint_steps(WSD | change)
    assert checkpoint_steps(WSD | yaml.safe_load(written))


def test_segments_need_no_torch() -> None:
    """The Snakefile imports it."""
    code = "import sys, llm.pretrain.segments; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
