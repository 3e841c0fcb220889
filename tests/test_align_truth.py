"""benchmarks/align_world.py, the yardstick: what it calls exact is, and its control has nothing to gain."""

from pathlib import Path

import pytest
import torch

from benchmarks import align_truth
from benchmarks.align_truth import missing
from benchmarks.align_world import (
    ANSWERS,
    LENGTH_A,
    PROMPTS,
    World,
    ceiling,
    difference_of,
    divergence,
    gains,
    pairs_of,
    sigmoid,
    world_of,
)


@pytest.fixture(scope="module")
def world() -> World:
    torch.set_num_threads(1)
    return world_of(3)


def test_the_best_policy_attains_all_and_none_attains_more(world: World) -> None:
    tilted_PA = (world.log_prob_PA + 0.7 * world.reward_PA).log_softmax(1)
    best = gains(world, tilted_PA)
    assert best["share"] == pytest.approx(1.0, abs=1e-6)
    assert best["KL"] == pytest.approx(divergence(tilted_PA, world.log_prob_PA))
    random = torch.Generator().manual_seed(0)
    for by in (0.1, 0.5):
        noise_PA = by * torch.randn(world.reward_PA.shape, generator=random, dtype=torch.float64)
        other = gains(world, (tilted_PA + noise_PA).log_softmax(1))
        assert other["share"] < 1.0


def test_lengths_say_nothing_of_the_true_reward(world: World) -> None:
    for weight in (1.0, -2.0):
        longer_PA = (world.log_prob_PA + weight * LENGTH_A).log_softmax(1)
        found = gains(world, longer_PA)
        assert found["KL"] > 0.1 and found["gain"] == pytest.approx(0.0, abs=1e-9)


def test_the_ceiling_is_that_of_whoever_knows_the_reward(world: World) -> None:
    pairs = pairs_of(world, 4000, "noise")
    right = [difference_of(world, pair) > 0 for pair in pairs]  # the judge who knows, of noisy labels
    assert sum(right) / len(right) == pytest.approx(ceiling(world, pairs), abs=0.03)
    assert all(difference_of(world, pair) > 0 for pair in pairs_of(world, 200, "order"))
    assert sigmoid(0.0) == 0.5 and len(ANSWERS) * PROMPTS == world.reward_PA.numel()


def test_a_missed_target_is_named() -> None:
    row = {"Bayes ceiling": 0.75, "reward model": 0.74, "DPO in order": 0.96}
    row |= {f"{name} share": 0.6 for name in ("PPO", "GRPO")} | {
        f"{name} by length share": 0.0 for name in ("PPO", "GRPO")
    }
    assert missing(row) == []
    worse = row | {"reward model": 0.7, "PPO share": 0.4, "GRPO by length share": 0.3}
    assert missing(worse) == ["reward model", "PPO", "GRPO by length"]


def test_a_reward_model_of_this_world_rates_its_answers(world: World, tmp_path: Path, monkeypatch) -> None:
    """Trained as those of the runs are, for two steps, and read again."""
    monkeypatch.setattr(align_truth, "TRAINING", 256)
    accuracy, scorer = align_truth.reward_model(world, pairs_of(world, 300, "noise"), tmp_path / "reward")
    assert 0.3 < accuracy < 0.8
    assert len(set(scorer.scores([[1, 2, 3], [1, 2, 4]]))) == 2
