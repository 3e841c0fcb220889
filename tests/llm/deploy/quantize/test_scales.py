"""Searched scales beside those of the largest weight."""

import torch

from llm.deploy.quantize.scales import searched_scales
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
