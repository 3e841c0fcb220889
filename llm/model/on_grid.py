"""Trains weights that will be quantized: in the forward pass each matrix stands on the grid, the gradient goes straight
through to the weights behind it (Bengio et al. 2013, arXiv:1308.3432). These are what the optimizer moves and what a
checkpoint holds; rounding them afterwards gives the values that the forward pass used, to the bit.

Legend: N outputs, K inputs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from llm.model.grid import Grid
from llm.model.rounding import group_size_of, layers_to_quantize, nearest
from llm.model.transformer import CausalLM


class OnGrid(torch.autograd.Function):
    """W -> round(W / scale) scale, its gradient that of W -> W."""

    @staticmethod
    def forward(ctx: Any, weight_NK: torch.Tensor, grid: Grid) -> torch.Tensor:
        return nearest(weight_NK, grid.bits, grid.group_size, grid.per_tensor).dequantized()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


class GridLinear(nn.Linear):
    """A linear layer with the weights of another, computed with them on a grid. grid: its groups divide the inputs."""

    rounds_weights = True  # an engine gives it fp32

    def __init__(self, linear: nn.Linear, grid: Grid) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias, self.grid = linear.weight, linear.bias, grid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.on_grid(self.weight), self.bias)

    def on_grid(self, weight_NK: torch.Tensor) -> torch.Tensor:
        """Put weights on this layer's grid, in their own dtype; the gradient goes straight through."""
        return OnGrid.apply(weight_NK, self.grid)


def put_on_grid(model: CausalLM, grid: Grid) -> CausalLM:
    """Replace, in place, every linear layer of the decoder, whose weights `quantize` rounds, by one that computes with
    them on the grid; names and weights stay."""
    fitting = Grid(grid.bits, group_size_of(model.config, grid.group_size), grid.per_tensor)
    for name, linear in layers_to_quantize(model).items():
        model.set_submodule(name, GridLinear(linear, fitting))
    return model
