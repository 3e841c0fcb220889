"""Weights on a grid: the forward pass has the export's values to the bit, the gradient that of the weights behind."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llm.model.config import ModelConfig
from llm.model.grid import Grid
from llm.model.on_grid import GridLinear, put_on_grid
from llm.model.rounding import layers_to_quantize, quantize_weight
from llm.model.transformer import CausalLM, initialise

GRIDS = [Grid(4, 8), Grid(4), Grid(8), Grid(8, 8), Grid(8, None, True)]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(GRIDS),
    st.integers(1, 6),
    st.integers(1, 5),
    st.sampled_from([1e-30, 1e-3, 1.0, 1e6]),
    st.integers(0, 2**31),
)
def test_what_is_computed_with_is_what_is_exported(grid: Grid, outputs: int, groups: int, size: float, seed: int):
    generator = torch.Generator().manual_seed(seed)
    linear = nn.Linear(8 * groups, outputs)
    linear.weight.data = size * torch.randn(outputs, 8 * groups, generator=generator)
    linear.weight.data[:, :8] *= float(seed % 3 > 0)  # a group of zeros
    layer = GridLinear(linear, grid)
    exported = quantize_weight(linear.weight.detach(), grid.bits, grid.group_size, grid.per_tensor).dequantized()
    assert torch.equal(layer.on_grid(layer.weight), exported)
    x = torch.randn(3, 8 * groups, generator=generator)
    assert torch.equal(layer(x), F.linear(x, exported, linear.bias))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_the_gradient_goes_straight_through(grid: Grid):
    """It is the one that the rounded weights have, given to those behind them: in the inputs, and in the weights."""
    torch.manual_seed(1)
    linear, x_MK = nn.Linear(16, 5), torch.randn(7, 16, requires_grad=True)
    exported = quantize_weight(linear.weight.detach(), grid.bits, grid.group_size, grid.per_tensor).dequantized()
    plain, plain_MK = nn.Linear(16, 5), x_MK.detach().clone().requires_grad_()
    plain.weight.data, plain.bias.data = exported, linear.bias.detach().clone()
    layer = GridLinear(linear, grid)
    for module, inputs_MK in ((layer, x_MK), (plain, plain_MK)):
        module(inputs_MK).square().sum().backward()
    assert layer.weight is linear.weight
    assert torch.equal(linear.weight.grad, plain.weight.grad)
    assert torch.equal(linear.bias.grad, plain.bias.grad)
    assert torch.equal(x_MK.grad, plain_MK.grad)
    assert not torch.equal(exported, linear.weight), "something was rounded"


def test_products_in_bfloat16_round_the_grid_s_values_not_the_weights():
    torch.manual_seed(1)
    linear, x = nn.Linear(16, 5, bias=False), torch.randn(7, 16)
    exported = quantize_weight(linear.weight.detach(), 4, 8).dequantized()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(GridLinear(linear, Grid(4, 8))(x), F.linear(x, exported))


def test_every_layer_that_is_quantized_stands_on_the_grid_and_keeps_its_name():
    """With a group size that fits the model: 32 is wanted, d_ff 24 allows 8."""
    config = ModelConfig(64, 32, 2, 4, 2, 8, 24, 32)
    model, plain = (initialise(CausalLM(config), 1) for _ in range(2))
    names = list(model.state_dict())
    layers = layers_to_quantize(put_on_grid(model, Grid(4, 32)))
    assert list(model.state_dict()) == names
    assert len(layers) == 14 and all(type(layer) is GridLinear for layer in layers.values())
    assert {layer.grid for layer in layers.values()} == {Grid(4, 8)}
    with torch.no_grad():
        for layer in layers_to_quantize(plain).values():
            layer.weight.copy_(quantize_weight(layer.weight, 4, 8).dequantized())
    tokens_BT = torch.randint(8, 64, (2, 20), generator=torch.Generator().manual_seed(1))
    assert torch.equal(model(tokens_BT), plain(tokens_BT))
