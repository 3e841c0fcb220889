"""The fused output layer and loss against torch's own, gradients included."""

import pytest
import torch
import torch.nn.functional as F

from llm.pretrain.loss import CHUNK, TINY, cross_entropy, loss_and_gradient, loss_and_gradient_in_place, token_losses


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


def test_certain_and_impossible_targets_are_exact_and_nan_stays_nan() -> None:
    weight_VD = torch.tensor([[500.0], [-500.0]])
    x_MD = torch.ones(1, 1, requires_grad=True)
    assert cross_entropy(x_MD, weight_VD, torch.tensor([0])).item() == 0.0
    assert cross_entropy(x_MD, weight_VD, torch.tensor([1])).item() == 1000.0
    assert token_losses(x_MD, weight_VD, torch.tensor([1])).item() == 1000.0
    assert cross_entropy(x_MD * float("nan"), weight_VD, torch.tensor([0])).isnan()


@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_z_loss_is_in_the_gradient_and_not_in_the_value(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x_MD = torch.randn(CHUNK + 9, 16, generator=generator).requires_grad_()
    weight_VD = (scale * torch.randn(50, 16, generator=generator)).requires_grad_()
    target_M = torch.randint(0, 50, (CHUNK + 9,), generator=generator)
    logits_MV = x_MD @ weight_VD.T
    plain = F.cross_entropy(logits_MV, target_M)
    wanted = torch.autograd.grad(plain + 0.01 * logits_MV.logsumexp(-1).square().mean(), (x_MD, weight_VD))
    loss = cross_entropy(x_MD, weight_VD, target_M, z_loss=0.01)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(loss, (x_MD, weight_VD)), wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6 * scale**2)


def test_parts_of_a_batch_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    x_MD = torch.randn(30, 16, generator=generator)
    weight_VD = torch.randn(50, 16, generator=generator).requires_grad_()
    target_M = torch.randint(0, 50, (30,), generator=generator)
    whole = cross_entropy(x_MD, weight_VD, target_M)
    parts = [cross_entropy(x_MD[rows], weight_VD, target_M[rows], 30) for rows in (slice(0, 20), slice(20, 30))]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-6)
    (found,), (wanted,) = (torch.autograd.grad(loss, weight_VD) for loss in (sum(parts), whole))
    assert torch.allclose(found, wanted, atol=1e-7)


@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_form_for_a_gpu_computes_what_the_one_for_a_cpu_does(dtype: torch.dtype, z_loss: float) -> None:
    """Also where p is too small for fp32."""
    generator = torch.Generator().manual_seed(0)
    logits_CV = (60 * torch.randn(200, 50, generator=generator)).to(dtype)
    target_C = torch.randint(0, 50, (200,), generator=generator)
    rare = logits_CV.softmax(-1, torch.float32).gather(1, target_C[:, None]) < TINY
    assert 20 < rare.sum() < 180
    found_C, found_CV = loss_and_gradient(logits_CV, target_C, z_loss)
    wanted_C, wanted_CV = loss_and_gradient_in_place(logits_CV.clone(), target_C, z_loss)
    assert found_CV.dtype == dtype
    assert torch.allclose(found_C, wanted_C, atol=1e-4)
    assert torch.allclose(found_CV.float(), wanted_CV.float(), atol=1e-2 if dtype == torch.bfloat16 else 1e-5)
