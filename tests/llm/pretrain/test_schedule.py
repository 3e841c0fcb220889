"""Learning rates, and which segments a longer run leaves valid."""

import subprocess
import sys

import pytest

from llm.errors import InputError
from llm.pretrain.schedule import (
    checkpoint_steps,
    learning_rate_factor,
    schedule_of_segment,
    validate_pretrain,
    validation_of_segment,
)

WSD = {
    "steps": 100, "checkpoint_every": 20, "batch_size": 8, "optimizer": "muon", "learning_rate": 0.01,
    "matrix_learning_rate": 0.02, "weight_decay": 0.1, "clip_norm": 1.0, "schedule": "wsd", "warmup_steps": 10,
    "decay_steps": 40, "tail_steps": 0, "final_fraction": 0.0, "dtype": "bfloat16", "validation_tokens": 1000,
}  # fmt: skip


def factors(pretrain: dict) -> list[float]:
    """The factor at every step, each taken from the slice of its own segment."""
    every = pretrain["checkpoint_every"]
    stops = [-(-step // every) * every for step in range(1, pretrain["steps"] + 1)]
    slices = [schedule_of_segment(pretrain, stop) for stop in stops]
    return [learning_rate_factor(step, slice_) for step, slice_ in enumerate(slices, start=1)]


def test_wsd() -> None:
    values = factors(WSD)
    assert values[0] == 0.1
    assert values[9:60] == [1.0] * 51
    assert values[79] == pytest.approx(0.5)
    assert values[99] == 0.0


def test_cosine() -> None:
    values = factors(WSD | {"schedule": "cosine", "final_fraction": 0.1})
    assert values[4] == 0.5
    assert values[9] == 1.0
    assert values[54] == pytest.approx(0.55)
    assert values[99] == pytest.approx(0.1)
    assert values[10:] == sorted(values[10:], reverse=True)


def test_cosine_with_a_constant_tail() -> None:
    values = factors(WSD | {"schedule": "cosine", "final_fraction": 0.1, "tail_steps": 20})
    assert values[44] == pytest.approx(0.55)
    assert values[79:] == pytest.approx([0.1] * 21)
    assert values[78] > values[79]


def test_a_longer_wsd_run_keeps_its_stable_segments() -> None:
    longer = WSD | {"steps": 200}
    for stop in (20, 40, 60):
        assert schedule_of_segment(WSD, stop) == schedule_of_segment(longer, stop)
        assert validation_of_segment(WSD, stop) == validation_of_segment(longer, stop) == 1000
    assert schedule_of_segment(WSD, 80) != schedule_of_segment(longer, 80)
    assert validation_of_segment(WSD, 100) is None


def test_checkpoints_end_at_the_last_step() -> None:
    assert checkpoint_steps(WSD) == [20, 40, 60, 80, 100]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "pretrain.steps: 0 is not a positive whole number"),
        ({"steps": 90}, "pretrain.steps: 90 is not a multiple of pretrain.checkpoint_every: 20"),
        ({"schedule": "linear"}, "pretrain.schedule: 'linear' is not one of cosine, wsd"),
        ({"optimizer": "sgd"}, "pretrain.optimizer: 'sgd' is not one of adamw, muon"),
        ({"dtype": "float16"}, "pretrain.dtype: 'float16' is not one of"),
        ({"learning_rate": "1e-3"}, "pretrain.learning_rate: '1e-3' is not a positive number"),
        ({"weight_decay": -1}, "pretrain.weight_decay: -1 is not a number between"),
        ({"decay_steps": 95}, "pretrain.decay_steps: 95 and pretrain.warmup_steps: 10 together exceed"),
        ({"schedule": "cosine", "tail_steps": 95}, "pretrain.tail_steps: 95 and pretrain.warmup_steps: 10 together"),
        ({"warmup_steps": True}, "pretrain.warmup_steps: True"),
    ],
)
def test_bad_block_is_refused_in_one_line(change: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        validate_pretrain(WSD | change)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_key_is_named() -> None:
    with pytest.raises(InputError, match="pretrain.clip_norm is missing"):
        validate_pretrain({key: value for key, value in WSD.items() if key != "clip_norm"})


def test_schedule_needs_no_torch() -> None:
    """The Snakefile imports it."""
    code = "import sys, llm.pretrain.schedule; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
