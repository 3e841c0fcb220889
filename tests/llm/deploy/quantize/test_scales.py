"""Searched scales beside those of the largest weight."""

import pytest
import torch

from llm.deploy.quantize.scales import by_size, error_of, search_by_torch, searched_scales
from llm.model.rounding import quantize_weight, rounded
from tests.llm.deploy.quantize.correlated import generator, inputs


def test_searched_scales_are_never_worse_than_the_largest_weight_s():
    weight = torch.randn(32, 64, generator=generator())
    weight[0, :16] = 0
    h_K = inputs(200, 64).square().sum(0)
    searched = rounded(weight, searched_scales(weight, 4, 16, h_K), 4)
    plain = quantize_weight(weight, 4, 16)

    def errors(found) -> torch.Tensor:
        return ((found.dequantized() - weight).square() * h_K).unflatten(1, (4, 16)).sum(-1)

    assert (errors(searched) <= errors(plain)).all()
    assert errors(searched).sum() < 0.75 * errors(plain).sum()
    assert searched.dequantized()[0, :16].abs().max() == 0
    assert (searched.scale_NG < 0).any()  # the lowest level serves the largest weight of either sign


def test_searched_scales_find_a_grid_exactly():
    """Weights that lie on a grid of 16 levels are kept, whatever the sign of the largest."""
    levels = torch.tensor([-8.0, *range(-7, 8)])
    weight = torch.stack([levels * 0.25, -levels * 0.5])
    found = rounded(weight, searched_scales(weight, 4, 16), 4)
    assert torch.allclose(found.dequantized(), weight, rtol=1e-6)


@pytest.mark.parametrize(("bits", "size"), [(4, 16), (4, 64), (8, 50), (4, None)])
def test_the_compiled_search_errs_as_torch_s_does(bits: int, size: int | None):
    """It adds in another order, so that of two scales that err the same it may take the other."""
    n_in = 2 * (size or 101)
    weight, h_K = torch.randn(60, n_in, generator=generator(2)).bfloat16().float(), inputs(200, n_in).square().sum(0)
    weight[3] = 0
    w_NGS, h_GS = by_size(weight, size, h_K)
    one, two = search_by_torch(w_NGS, h_GS, bits), searched_scales(weight, bits, size, h_K)
    assert not torch.equal(two, searched_scales(weight, bits, size))
    limits = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    errors = [error_of(w_NGS, h_GS, scale, *limits) for scale in (one, two)]
    assert torch.allclose(*errors, rtol=1e-3 if bits == 8 else 1e-5)
