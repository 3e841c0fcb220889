"""What tokens are worth: tianshou's and torchtune's numbers, and places that do not count."""

import pytest
import torch

from llm.align.advantages import adapted_coef, gae, kl_shaped, whitened

# tianshou's test of GAE: gamma .99, lambda .95; the value after the last step counts where an episode was cut off.
REWARDS = [[101.0, 102, 103, 200], [104, 105, 106, 201], [107, 108, 109, 202]]
NEXT_VALUES = [[2.0, 3, 4, -1], [5, 6, 7, -2], [8, 9, 10, -3]]
ENDED = [
    [454.8344, 376.1143, 291.298, 200],
    [464.5610, 383.1085, 295.387, 201],
    [474.2876, 390.1027, 299.476, 202],
]
CUT_OFF = [[454.0109, 375.2386, 290.3669, 199.01], [462.9138, 381.3571, 293.5248, 199.02], ENDED[2]]


def tensor(values: list) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("after", "wanted"), [(None, ENDED), ([-1.0, -2.0, 0.0], CUT_OFF)])
def test_returns_are_tianshous(after: list | None, wanted: list) -> None:
    values = tensor([[7.0, *row[:3]] for row in NEXT_VALUES])  # what the first is changes no return
    after_B = None if after is None else tensor(after)
    advantages, returns = gae(tensor(REWARDS), values, torch.ones(3, 4, dtype=torch.bool), 0.99, 0.95, after_B)
    torch.testing.assert_close(returns, tensor(wanted), atol=1e-4, rtol=0)
    torch.testing.assert_close(advantages, tensor(wanted) - values, atol=1e-4, rtol=0)


def test_what_stands_at_masked_places_does_not_matter() -> None:
    random = torch.Generator().manual_seed(0)
    mask = torch.tensor([[0, 1, 1, 0, 0, 1, 1, 0], [1, 1, 0, 1, 0, 0, 0, 0]]).bool()
    found = []
    for noise in (0.0, 1e6):
        rewards, values = (torch.randn(2, 8, generator=random.manual_seed(3), dtype=torch.float64) for _ in range(2))
        spoilt = [torch.where(mask, x, noise) for x in (rewards, values)]
        found.append([*gae(*spoilt, mask, 0.9, 0.8), whitened(spoilt[0], mask)])
    for one, other in zip(*found, strict=True):
        assert one.equal(other) and not one[~mask].any()
    # They are passed over: the same tokens without a gap have the same advantages.
    own = [torch.where(mask, x, 0.0)[:1, mask[0]] for x in (rewards, values)]
    assert gae(*own, torch.ones(1, 4, dtype=torch.bool), 0.9, 0.8)[0].equal(found[0][0][:1, mask[0]])


def test_shaped_rewards_are_torchtunes() -> None:
    log_probs = tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.6, 0.7, 0.8]])
    reference = tensor([[0.2, 0.3, 0.4], [0.6, 0.7, 0.8], [0.9, 1.0, 1.1]])
    everywhere = torch.ones(3, 3, dtype=torch.bool)
    found = kl_shaped(tensor([1.0, 2.0, 3.0]), log_probs, reference, everywhere, 0.5)
    wanted = tensor([[0.05, 0.05, 1.05], [0.1, 0.1, 2.1], [0.15, 0.15, 3.15]])
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


def test_a_score_stands_at_an_answers_last_token() -> None:
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1]]).bool()
    found = kl_shaped(tensor([5.0, 7.0]), torch.ones(2, 4).double(), torch.zeros(2, 4).double(), mask, 0.25)
    assert found.tolist() == [[-0.25, 4.75, 0, 0], [0, -0.25, -0.25, 6.75]]


def test_whitened_over_the_tokens_of_all_answers() -> None:
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]).bool()
    found = whitened(tensor([[1.0, 4, 2, 90], [5, 9, 90, 90]]), mask)[mask]
    assert found.mean().item() == pytest.approx(0, abs=1e-12)
    assert found.std().item() == pytest.approx(1)
    assert whitened(tensor([[3.0]]), mask[:1, :1]).tolist() == [[0.0]]


def test_the_adaptive_coefficient_follows_the_distance() -> None:
    """Ziegler et al. 2019, section 2.2: K_beta 0.1, errors within 0.2."""
    assert [adapted_coef(1.0, d, 0.1) for d in (0.1, 0.11, 0.5, 0.0, -1.0)] == pytest.approx(
        [1, 1.01, 1.02, 0.98, 0.98]
    )
