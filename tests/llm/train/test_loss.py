"""The fused output layer and loss against torch's own, gradients included."""

import pytest
import torch
import torch.nn.functional as F

from llm.train.loss import CHUNK, cross_entropy, token_losses


@pytest.mark.parametrize("positions", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 7])
def test_equals_torch(positions: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x_MD = torch.randn(positions, 16, generator=generator, requires_grad=True)
    weight_VD = torch.randn(50, 16, generator=generator, requires_grad=True)
    target_M = torch.randint(0, 50, (positions,), generator=generator)
    expected = F.cross_entropy(x_MD @ weight_VD.T, target_M)
    wanted = torch.autograd.grad(3 * expected, (x_MD, weight_VD))
    loss = cross_entropy(x_MD, weight_VD, target_M)
    found = torch.autograd.grad(3 * loss, (x_MD, weight_VD))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    each = token_losses(x_MD.detach(), weight_VD.detach(), target_M)
    assert torch.allclose(each, F.cross_entropy(x_MD @ weight_VD.T, target_M, reduction="none"), atol=1e-5)


def test_bfloat16_is_near() -> None:
    generator = torch.Generator().manual_seed(0)
    x_MD = torch.randn(300, 32, generator=generator)
    weight_VD = torch.randn(64, 32, generator=generator, requires_grad=True)
    target_M = torch.randint(0, 64, (300,), generator=generator)
    expected = F.cross_entropy(x_MD @ weight_VD.T, target_M)
    (wanted,) = torch.autograd.grad(expected, weight_VD)
    loss = cross_entropy(x_MD.bfloat16(), weight_VD, target_M)
    (found,) = torch.autograd.grad(loss, weight_VD)
    assert found.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-2)
    assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_certain_and_impossible_targets_stay_finite_and_nan_stays_nan() -> None:
    weight_VD = torch.tensor([[500.0], [-500.0]])
    x_MD = torch.ones(1, 1, requires_grad=True)
    assert cross_entropy(x_MD, weight_VD, torch.tensor([0])).item() == 0.0
    assert 87 <= cross_entropy(x_MD, weight_VD, torch.tensor([1])).item() < 88
    assert cross_entropy(x_MD * float("nan"), weight_VD, torch.tensor([0])).isnan()
