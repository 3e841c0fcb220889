"""Where the factors go by which a group's inputs are divided: into the norm before, or into the rows of the matrix that
makes them.

Legend: N outputs, K inputs, H inputs of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from llm.model.rounding import QuantizedWeight

Made = dict[str, tuple[QuantizedWeight, dict[str, float]]]


@dataclass(frozen=True)
class Fold:
    """tie: makes factors [K] equal where one row makes several inputs. apply: divides what makes the inputs by such
    factors."""

    tie: Callable[[torch.Tensor], torch.Tensor]
    apply: Callable[[torch.Tensor], None]


def into_norm(norm: nn.Module) -> Fold:
    """Fold into a norm's scale and shift."""

    def apply(factor_K: torch.Tensor) -> None:
        for parameter in norm.parameters():
            parameter.data = parameter.data / factor_K

    return Fold(lambda factor_K: factor_K, apply)


def into_rows(linear: nn.Linear, made: Made, name: str, width: int | None = None) -> Fold:
    """Fold into the rows of a matrix that is quantized already: its scales are a row's. width: H, where each key-value
    head makes the inputs of several heads; None: each row makes one input."""
    rows = linear.out_features
    width = rows if width is None else width

    def tie(factor_K: torch.Tensor) -> torch.Tensor:
        heads = factor_K.view(rows // width, -1, width)
        return heads.amax(1, keepdim=True).expand_as(heads).reshape(-1)

    def apply(factor_K: torch.Tensor) -> None:
        factor_N = factor_K.view(rows // width, -1, width)[:, 0].reshape(-1)
        quantized, errors = made[name]
        scaled = replace(quantized, scale_NG=quantized.scale_NG / factor_N[:, None])
        made[name] = scaled, errors
        linear.weight = nn.Parameter(scaled.dequantized(), requires_grad=False)
        if linear.bias is not None:
            linear.bias = nn.Parameter(linear.bias / factor_N, requires_grad=False)

    return Fold(tie, apply)
