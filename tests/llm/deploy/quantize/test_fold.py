"""Factors of inputs fold into what makes these without a trace."""

import torch
from torch import nn

from llm.deploy.quantize.fold import into_norm, into_rows
from llm.model.rounding import quantize_weight
from tests.llm.deploy.quantize.correlated import generator


def test_into_a_norm():
    x, factor = torch.randn(5, 8, generator=generator()), torch.rand(8, generator=generator(1)) + 0.5
    norm = nn.LayerNorm(8).requires_grad_(False)
    before = norm(x)
    into_norm(norm).apply(factor)
    assert torch.allclose(norm(x) * factor, before, atol=1e-6)
    assert torch.equal(into_norm(norm).tie(factor), factor)


def test_into_rows_of_a_quantized_matrix():
    factor = torch.rand(8, generator=generator(1)) + 0.5
    linear = nn.Linear(16, 8).requires_grad_(False)
    found = quantize_weight(linear.weight, 8, None)
    linear.weight.copy_(found.dequantized())
    made, inputs = {"up": (found, {})}, torch.randn(5, 16, generator=generator(2))
    before, fold = linear(inputs), into_rows(linear, made, "up")
    fold.apply(factor)
    assert torch.equal(fold.tie(factor), factor)
    assert torch.allclose(linear(inputs) * factor, before, atol=1e-6)
    assert torch.equal(made["up"][0].q_NK, found.q_NK)  # the scales alone have changed


def test_heads_that_share_values_share_their_factors():
    """Two key-value heads of 4, each of which serves three: 24 inputs."""
    linear, factor = nn.Linear(16, 8).requires_grad_(False), torch.rand(24, generator=generator(1)) + 0.5
    found = quantize_weight(linear.weight, 8, None)
    linear.weight.copy_(found.dequantized())
    made, inputs = {"v": (found, {})}, torch.randn(5, 16, generator=generator(2))
    fold = into_rows(linear, made, "v", 4)

    def repeated() -> torch.Tensor:
        return linear(inputs).view(5, 2, 1, 4).expand(5, 2, 3, 4).reshape(5, 24)

    before, tied = repeated(), fold.tie(factor)
    assert tied[0] == tied[4] == tied[8] == factor[[0, 4, 8]].max()
    assert (tied >= factor).all()
    fold.apply(tied)
    assert torch.allclose(repeated() * tied, before, atol=1e-6)
