"""GPTQ against brute force, its paper's own way, and rounding to nearest."""

import itertools

import pytest
import torch

from llm.deploy.quantize.gptq import columns, factored, gptq, rounding_order
from llm.deploy.quantize.hessian import hessian, product_error, whole
from llm.deploy.quantize.scales import searched_scales
from llm.errors import InputError
from llm.model.rounding import rounded
from tests.llm.deploy.quantize.correlated import corrected, generator, inputs


def test_gptq_finds_what_trying_all_neighbours_finds():
    """Of six correlated inputs all roundings up and down are tried for each row: GPTQ, which may go further than to a
    neighbour, errs no more in sum; plain rounding errs ten times as much."""
    x = inputs(64, 6, seed=5)
    x[:, 3:] += x[:, :3] * 2
    h_KK = x.T @ x
    weight, scale = torch.randn(20, 6, generator=generator(7)), torch.full((20, 1), 0.6)
    up = torch.tensor(list(itertools.product((0.0, 1.0), repeat=6)))
    changes = ((weight / 0.6).floor()[:, None] + up) * 0.6 - weight[:, None]
    best = float(((changes @ h_KK) * changes).sum(-1).amin(-1).sum())
    ours = product_error(gptq(weight, corrected(h_KK, damping=1e-6), scale, 4).dequantized() - weight, whole(h_KK))
    plain = product_error(rounded(weight, scale, 4).dequantized() - weight, whole(h_KK))
    assert ours <= best * 1.01  # it is measured in bf16
    assert 10 * ours < plain


def test_gptq_without_correlations_is_rounding_to_nearest():
    weight = torch.randn(8, 32, generator=generator())
    scale = searched_scales(weight, 4, 16)
    found = gptq(weight, corrected(torch.diag(torch.rand(32, generator=generator()) + 0.1)), scale, 4)
    assert torch.equal(found.q_NK, rounded(weight, scale, 4).q_NK)


def by_the_inverse(weight: torch.Tensor, h_KK: torch.Tensor, scale: torch.Tensor, first_order: float) -> torch.Tensor:
    """Return GPTQ's levels as its paper has them: the Cholesky factor of H's inverse, and errors taken from all later
    columns; with FOEM's term."""
    damped = h_KK.double() + 0.01 * h_KK.double().diagonal().mean() * torch.eye(len(h_KK), dtype=torch.float64)
    order = torch.argsort(h_KK.diagonal(), descending=True, stable=True)
    factor = torch.linalg.cholesky(torch.linalg.inv(damped[order][:, order]), upper=True)
    scales = scale.double().repeat_interleave(weight.shape[1] // scale.shape[1], 1)[:, order]
    raw = weight.double()[:, order]
    w, q = raw.clone(), torch.empty_like(raw)
    for k in range(raw.shape[1]):
        q[:, k] = (w[:, k] / scales[:, k]).round().clamp(-8, 7)
        error = (w[:, k] - q[:, k] * scales[:, k]) / factor[k, k] - first_order * (w[:, k] - raw[:, k])
        w[:, k + 1 :] -= error[:, None] * factor[k, k + 1 :]
    return q[:, torch.argsort(order)].to(torch.int8)


@pytest.mark.parametrize("first_order", [0.0, 0.3])
def test_gptq_is_that_of_the_paper(first_order: float):
    """Which inverts H; here are several blocks of columns, and a last one that is shorter."""
    x, weight = inputs(900, 304), torch.randn(40, 304, generator=generator(8))
    h_KK = x.T @ x
    scale = searched_scales(weight, 4, 16, h_KK.diagonal())
    found = gptq(weight, corrected(h_KK), scale, 4, first_order=first_order).q_NK
    assert (found != rounded(weight, scale, 4).q_NK).float().mean() > 0.1
    assert (found != by_the_inverse(weight, h_KK, scale, first_order)).float().mean() < 1e-3


def test_inputs_that_are_always_zero_are_no_obstacle():
    x = inputs(100, 32)
    x[:, 5] = 0
    weight = torch.randn(8, 32, generator=generator())
    found = gptq(weight, corrected(x.T @ x), searched_scales(weight, 4, 16, (x.T @ x).diagonal()), 4)
    assert torch.isfinite(found.dequantized()).all()
    with pytest.raises(InputError, match="cannot be factored; raise damping"):
        corrected(torch.full((32, 32), float("nan")))


@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_the_factor_takes_the_place_of_the_lower_half(kept: float):
    """In blocks, the last of them shorter; what is above the diagonal stays, and errors are measured by it."""
    x = inputs(900, 304)
    h = hessian(x, rounding_order(x, act_order=True))
    before, diagonal_K = product_error(x[:8], h), h.diagonal_K * 1.01
    upper_KK = h.h_KK.triu(1)
    assert factored(h.h_KK, diagonal_K, kept)
    lower_KK = h.h_KK.tril().double()
    matrix_KK = kept * (upper_KK + upper_KK.T) + diagonal_K.diag()
    assert (lower_KK @ lower_KK.T - matrix_KK).norm() < 1e-6 * matrix_KK.norm()
    assert torch.equal(h.h_KK.triu(1), upper_KK)
    assert product_error(x[:8], h) == before


def test_columns_with_the_largest_inputs_are_rounded_first():
    x = inputs(50, 24)
    order_K = rounding_order(x, act_order=True)
    assert torch.equal(order_K.flip(0), x.square().sum(0).argsort(descending=True))
    assert torch.equal(rounding_order(x, act_order=False), torch.arange(23, -1, -1))
    assert torch.allclose(hessian(x, order_K).importance(), x.square().sum(0))


def test_the_compiled_columns_are_those_of_torch():
    """Which rounds them on a GPU."""
    random = generator(3)
    w = torch.randn(42, 300, generator=random)
    raw, scale = w + 0.1 * torch.randn(42, 300, generator=random), torch.rand(5, 300, generator=random) * 0.2 + 0.1
    zero, group = torch.randint(-3, 3, (5, 300), generator=random).float(), torch.randint(0, 5, (42,), generator=random)
    back, drift = torch.randn(42, 42, generator=random) * 0.2, torch.rand(42, generator=random)
    found = columns(w.clone(), raw, scale, zero, group, back, drift, 4, compiled=True)
    expected = columns(w, raw, scale, zero, group, back, drift, 4, compiled=False)
    assert (found[0] != expected[0]).float().mean() < 1e-3
    close = (found[0] == expected[0]).all(0)  # a tie of one column moves those after it
    assert torch.allclose(found[1][:, close], expected[1][:, close], atol=1e-4)
