"""Reward model: calibration and length bias, by hand; the rest is in test_training.py."""

import math

import pytest
import torch

from llm.align.reward import calibration, length_bias


def margin(chance: float) -> float:
    return math.log(chance / (1 - chance))


def test_calibration_by_hand() -> None:
    """Ten pairs at a chance of .72, of which five are right; four at .96, all of them right."""
    margins = [margin(0.72)] * 5 + [-margin(0.72)] * 5 + [margin(0.96)] * 4
    found = calibration(torch.tensor(margins, dtype=torch.float64))
    assert found["calibration"] == [
        {"pairs": 10, "chance": pytest.approx(0.72), "accuracy": 0.5},
        {"pairs": 4, "chance": pytest.approx(0.96), "accuracy": 1.0},
    ]
    assert found["calibration_error"] == pytest.approx((10 * 0.22 + 4 * 0.04) / 14)


def test_what_is_so_as_often_as_it_is_said_is_calibrated() -> None:
    """Whoever says of all pairs that both sides are alike is right half the time."""
    assert calibration(torch.zeros(6))["calibration_error"] == 0.0
    random = torch.Generator().manual_seed(0)
    chances = torch.rand(20_000, generator=random, dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    right = torch.rand(20_000, generator=random, dtype=torch.float64) < chances
    margins = torch.where(right, 1.0, -1.0) * (chances / (1 - chances)).log()
    assert calibration(margins)["calibration_error"] < 0.02
    assert calibration(3 * margins)["calibration_error"] > 0.08  # as an overfitted model's


def test_length_bias_by_hand() -> None:
    margins, longer = torch.tensor([2.0, 1.0, -1.0, -2.0, 0.5]), [4, 2, -2, -4, 0]
    found = length_bias(margins, longer)
    assert found["length_correlation"] == pytest.approx(20 / math.sqrt(10.2 * 40))
    assert (found["accuracy_of_longer"], found["accuracy_of_shorter"]) == (1.0, 0.0)
    assert length_bias(margins, [0] * 5)["length_correlation"] == 0.0
