"""What the guard decides, and that it decides alike after a kill at any step."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.errors import InputError
from llm.training.guards import Blame, Guard, GuardSettings, refuse_divergence
from llm.training.step import StepMetrics

BLAME = Blame("pretraining", "lower pretrain.learning_rate")
SETTINGS = GuardSettings(window=8, sigmas=6.0, patience=3, max_rollbacks=1)
STEADY = [(2.0 + 0.01 * (step % 3), 1.0 + 0.02 * (step % 2)) for step in range(1, 21)]


def fed(values: list[tuple[float, float]], guard: Guard | None = None) -> tuple[Guard, list[str | None]]:
    guard = guard or Guard(SETTINGS, [0, None])
    return guard, [guard.judge(step, *value) for step, value in enumerate(values, start=1)]


def test_steady_training_is_left_alone() -> None:
    guard, reasons = fed(STEADY)
    assert reasons == [None] * 20
    assert len(guard.accepted) == 8
    assert not guard.events


@pytest.mark.parametrize("bad", [(9.0, 1.0), (2.0, 50.0), (math.nan, 1.0), (2.0, math.inf)])
def test_a_bad_step_is_skipped_and_does_not_enter_the_statistics(bad: tuple[float, float]) -> None:
    guard, _ = fed(STEADY)
    before = list(guard.accepted)
    assert guard.judge(21, *bad) is not None
    assert guard.accepted == before
    assert guard.events[-1]["step"] == 21
    assert guard.judge(22, 2.0, 1.0) is None
    assert guard.strikes == 0


def test_a_short_history_refuses_only_what_is_not_finite() -> None:
    _, reasons = fed([(2.0, 1.0), (90.0, 1e5), (math.nan, 1.0)])
    assert reasons == [None, None, "not finite"]


def test_a_point_becomes_golden_when_calm_steps_have_followed() -> None:
    guard, _ = fed(STEADY)
    guard.saved(20)
    for step in (21, 22):
        guard.judge(step, 2.0, 1.0)
    assert guard.golden == [0, None]
    guard.judge(23, 2.0, 1.0)
    assert guard.golden[0] == 20
    guard.saved(24)
    guard.judge(25, math.nan, 1.0)
    for step in range(26, 40):
        guard.judge(step, 2.0, 1.0)
    assert guard.golden[0] == 20


def test_a_loss_that_creeps_up_within_its_window_goes_back_too() -> None:
    guard, _ = fed(STEADY)
    guard.saved(20)
    values = [2.0, 2.0, 2.0] + [2.0 * 1.02**step for step in range(60)]
    for step, loss in enumerate(values, start=21):
        guard.judge(step, loss, 1.0)
        if guard.wants_rollback(False):
            break
    assert guard.wants_rollback(False)
    again = guard.rolled_back(step, Guard(SETTINGS, [0, None]))
    assert again.left_out[-1] == step
    assert again.left_out[0] > 20
    with pytest.raises(InputError, match="after 1 rollbacks; lower pretrain.learning_rate"):
        again.refuse_more(step, loss, 1.0, BLAME)


@given(
    st.lists(st.tuples(st.floats(0, 100) | st.just(math.nan), st.floats(0, 100)), min_size=1, max_size=60),
    st.integers(0, 60),
)
def test_kept_and_read_it_decides_alike(values: list[tuple[float, float]], kill: int) -> None:
    whole, expected = fed(values)
    first, found = fed(values[:kill])
    first = Guard.from_json(SETTINGS, json.loads(json.dumps(first.to_json())))
    found += [first.judge(step, *value) for step, value in list(enumerate(values, start=1))[kill:]]
    assert found == expected
    assert first == whole


@pytest.mark.parametrize(
    ("losses", "skipped", "line"),
    [
        ([4.1, 4.0, 3.9], 0, None),
        ([4.1, 4.0, 3.9], 3, None),
        ([4.1, 4.0, 3.9], 4, "4 of 7 steps skipped, loss 4 in the last that were taken"),
        ([4.1, 6.0, 8.0], 0, r"0 of 3 steps skipped, loss 6.033 .*guessing has 4.159"),
        ([], 5, "5 of 5 steps skipped, loss nan"),
    ],
)
def test_a_diverged_segment_is_no_success(losses: list[float], skipped: int, line: str | None) -> None:
    history = [StepMetrics(step, loss, 0.1, 1.0) for step, loss in enumerate(losses, 1)]
    history += [StepMetrics(9, float("nan"), 0.1, float("nan"), "not finite")] * skipped
    if line is None:
        refuse_divergence(history, math.log(64), BLAME)
        return
    with pytest.raises(InputError, match=line):
        refuse_divergence(history, math.log(64), BLAME)
