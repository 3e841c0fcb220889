"""Adds to a linear layer's product before it is rounded: what an adapter adds may be less than half a step of bf16, and
would be lost, always, where both are rounded first and then added.

It is the one sum of an adapter in training and in serving, so that both have the same bytes. A layer with a method
`plus` does it its own way, with these bytes.
"""

from typing import Any

import torch
from torch import Tensor, nn


def plus(layer: Any, x: Tensor, added: Tensor) -> Tensor:
    """Return layer(x) + added, [..., N], with added of the product's shape and dtype.

    In bf16 on a CPU the sum of both is rounded once, unless the layer has a bias, for which torch has no such
    operation; in fp32, on a GPU and of quantized layers the product is rounded, then the sum. With zeros it is the
    layer's product, to the bit.
    """
    if hasattr(layer, "plus"):
        return layer.plus(x, added)
    fits = type(layer) is nn.Linear and layer.bias is None and added.is_cpu
    if not fits or added.dtype != torch.bfloat16:
        return layer(x) + added
    return torch.addmm(added.flatten(0, -2), x.flatten(0, -2), layer.weight.t()).view(added.shape)
