"""Sampling against its distribution, penalties by hand, numbers that depend on seed and place alone."""

import numpy as np
import pytest
import torch

from llm.inference.sampler import adjusted, alternatives, argmax, sample, uniform
from llm.inference.sequence import Request

LOGITS = torch.tensor([2.0, 0.0, 1.0, -1.0, 3.0])


def frequencies(logits: torch.Tensor = LOGITS, **options: float) -> torch.Tensor:
    request = Request([1], 1, **options)
    drawn = [sample(logits, request, (number + 0.5) / 4000) for number in range(4000)]
    return torch.bincount(torch.tensor(drawn), minlength=len(logits)) / 4000


def of(*kept: int) -> torch.Tensor:
    return torch.tensor([float(LOGITS[i]) if i in kept else -torch.inf for i in range(5)]).softmax(-1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 1.0}, LOGITS.softmax(-1)),
        ({"temperature": 2.0}, (LOGITS / 2).softmax(-1)),
        ({"temperature": 1.0, "top_k": 2}, of(0, 4)),
        ({"temperature": 1.0, "top_p": 0.8}, of(0, 4)),  # 0.636 and 0.234 reach 0.8; 0.086 would be the third
        ({"temperature": 1.0, "top_p": 1e-9}, of(4)),
        ({"temperature": 1.0, "min_p": 0.2}, of(0, 4)),  # e^-1 is 0.37 of the likeliest, e^-2 0.14
        ({"temperature": 1.0, "top_k": 3, "top_p": 0.95, "min_p": 0.2}, of(0, 4)),
        ({"temperature": 1e-3}, of(4)),
        ({"temperature": 1e-310}, of(4)),  # 3 divided by it is no number
        ({"temperature": 5e-324, "top_k": 3, "top_p": 0.5, "min_p": 0.1}, of(4)),
    ],
    ids=str,
)
def test_sampling_follows_the_cut_distribution(options: dict, expected: torch.Tensor) -> None:
    assert torch.allclose(frequencies(**options), expected, atol=1e-3)


def test_a_large_vocabulary_is_cut_like_a_small_one() -> None:
    """top_p sorts only the tokens that could be within; here against sorting all of them."""
    generator = np.random.Generator(np.random.PCG64(0))
    for sharpness in (0.0, 0.5, 3.0):
        logits = torch.from_numpy(generator.standard_normal(5000) * sharpness).float()
        order = np.argsort(-logits.numpy().astype(np.float64), kind="stable")
        weights = np.exp(logits.numpy().astype(np.float64) - float(logits.max()))[order]
        for top_p in (0.1, 0.5, 0.95):
            within = int(np.searchsorted(weights.cumsum(), top_p * weights.sum())) + 1
            for number in (0.0, 0.3, 0.999):
                cumulative = weights[:within].cumsum()
                place = min(int(np.searchsorted(cumulative, number * cumulative[-1], side="right")), within - 1)
                assert sample(logits, Request([1], 1, 1.0, top_p=top_p), number) == order[place]


def test_penalties_and_biases() -> None:
    request = Request(
        [0, 3], 9, repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25, logit_bias={2: 7.0, 4: -100.0}
    )
    found = adjusted(LOGITS, request, [0, 3, 4, 4])
    # 0, 3 and 4 were seen: divided or multiplied by 2; 4 is new text, twice: 0.5 + 2 * 0.25 less.
    assert found.tolist() == [1.0, 0.0, 8.0, -2.0, 1.5 - 1.0 - 100.0]
    assert LOGITS.tolist() == [2.0, 0.0, 1.0, -1.0, 3.0]  # others read the same row
    assert adjusted(LOGITS, Request([0], 9), [0, 1]) is LOGITS


@pytest.mark.parametrize("cuts", [{}, {"top_k": 2}, {"top_p": 0.5}, {"min_p": 0.1}], ids=str)
def test_logits_without_a_finite_likeliest_one_give_a_token(cuts: dict) -> None:
    penalised = Request([0, 4], 1, 1.0, repetition_penalty=1e-300, **cuts)
    assert sample(adjusted(LOGITS, penalised, [0, 4]), penalised, 0.5) in (0, 4)
    assert sample(torch.full((5,), -torch.inf), Request([0], 1, 1.0, **cuts), 0.5) == 0


def test_numbers_depend_on_seed_and_place_alone() -> None:
    keys = (
        np.random.SeedSequence(5).generate_state(2, np.uint64),
        np.random.SeedSequence(6).generate_state(2, np.uint64),
    )
    drawn = [[uniform(key, place) for place in range(3000)] for key in keys]
    assert uniform(keys[0], 17) == drawn[0][17]
    assert len(set(drawn[0]) | set(drawn[1])) == 6000
    for numbers in drawn:
        assert abs(np.mean(numbers) - 0.5) < 0.02 and 0 <= min(numbers) < max(numbers) < 1


def test_alternatives_are_sorted_and_ties_go_by_id() -> None:
    log_probs = torch.tensor([-2.0, -1.0, -3.0, -1.0, -2.0])
    assert alternatives(log_probs, 3) == [(1, -1.0), (3, -1.0), (0, -2.0)]
    assert len(alternatives(log_probs, 9)) == 5 and alternatives(log_probs, 0) == []


def test_the_likeliest_token_is_the_first_of_equal_ones() -> None:
    logits_RV = torch.randn(20, 999, generator=torch.Generator().manual_seed(0)).bfloat16()
    logits_RV[3] = -0.0
    logits_RV[3, 500:] = 0.0
    logits_RV[4] = -7.0
    logits_RV[5, 700] = logits_RV[5, 70] = 9.0
    logits_RV[6] = -torch.inf
    logits_RV[6, 8] = -1e30
    logits_RV[7, 998] = torch.inf
    assert argmax(logits_RV) == argmax(logits_RV.float()) == logits_RV.float().argmax(-1).tolist()
